"""The whole pipeline: videos in, a data set of interactions out (paper, Fig. 2)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from reviosa.annotation.answers import Kept
from reviosa.annotation.appearance import Appearance, appearance_item, appearance_task
from reviosa.annotation.asking import Asker
from reviosa.annotation.assemble import write_set
from reviosa.annotation.candidates import Candidate, write_candidates
from reviosa.annotation.clip_record import Clip, tracks_path, write_clips
from reviosa.annotation.gather import gather
from reviosa.annotation.interactions import Interactions, interactions_item, interactions_task
from reviosa.annotation.llm import Desk
from reviosa.annotation.phrases import phrases_task
from reviosa.annotation.prepare import OpenVideo, Prepared, TrackBoxes, prepare
from reviosa.annotation.referring import merging_task, referring_task
from reviosa.annotation.settings import AnnotationConfig
from reviosa.annotation.sources import Dropped, Source, find_sources, identity_of, no_clip
from reviosa.annotation.verify import verify
from reviosa.data.frames import read_frame_folder
from reviosa.errors import DataError
from reviosa.io import write_json
from reviosa.run_record import open_run

__all__ = ["annotate"]

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is in all, and the stage."""

_KEPT: Final = "stages"
_TRANSPORT: Final = (
    "base_url", "key_env", "timeout_s", "concurrency", "retries", "price_in", "price_out",
)  # fmt: skip
"""Settings of a stage that no answer depends on: a run may go on with others."""


def annotate(
    videos: str | Path,
    out: str | Path,
    config: AnnotationConfig,
    budget: float | None = None,
    resume: bool = False,
    open_video: OpenVideo = read_frame_folder,
    open_tracker: Callable[[], TrackBoxes] | None = None,
    tracker: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Annotate videos, and write the data set as ``out/set``.

    Every step is kept by item: a run that was stopped goes on with what is missing, and a finished
    one asks again for what was dropped and writes the set anew, with a person's decisions.

    Args:
        videos: the folder that :mod:`reviosa.annotation.sources` describes.
        out: the run folder.
        config: all settings.
        budget: most US dollars for the whole run, resumptions included.
        resume: go on with the run in ``out``.
        open_video: opens a folder of frames or a video file.
        open_tracker: loads what makes masks of boxes, when it is first needed.
        tracker: what a run record says of that model.
        progress: told how far each stage is.

    Returns:
        the summary that the run record holds too: what each stage made, what was dropped, what the
        set holds and what it cost.

    Raises:
        ConfigError: a key is not in the environment, or there is no ``openai`` package.
        DataError: the folder has no usable video, or nothing is left for the set.
        RunError: the run folder cannot be used, an endpoint cannot be, or the budget is used up
            (:class:`reviosa.annotation.llm.BudgetError`).
    """
    out = Path(out)
    sources, dropped = find_sources(videos)
    data = {"path": str(Path(videos).resolve()), "identity": identity_of(sources)}
    settings, transport = _parted(config)
    with open_run(out, "annotate", settings, None, data, tracker, resume) as record:
        record.update(transport=transport)
        desk = Desk(out, config.stages.by_name(), budget)
        if not resume:
            # Stage 0 may take hours. One that goes on may have all its answers.
            desk.require_ready()
        run = _Run(out, config, desk, progress)
        run.dropped += dropped
        try:
            clips = run.clips(sources, open_video, open_tracker)
            found = run.expressions(clips)
        finally:
            record.update(spent=run.spent())
            run.write_dropped()
        write_candidates(out, found)
        summary = {
            "clips": len(clips),
            "objects": sum(len(clip.objects) for clip in clips),
            **_verdicts(found),
            "dropped": dict(Counter(item.stage for item in run.dropped)),
            "set": write_set(out),
            "spent": run.spent(),
        }
        record.update(summary=summary)
    return summary


class _Run:
    """One session of a run."""

    def __init__(
        self, out: Path, config: AnnotationConfig, desk: Desk, progress: Progress | None
    ) -> None:
        self.out, self.config, self.desk, self.progress = out, config, desk, progress
        self.asker = Asker(desk, out / _KEPT, progress)
        self.dropped = self.asker.dropped
        """What no stage could use."""

    def spent(self) -> dict[str, dict[str, Any]]:
        """What was sent by stage, all sessions together."""
        return {
            name: {
                "requests": found.requests,
                "tokens_in": found.tokens_in,
                "tokens_out": found.tokens_out,
                "dollars": round(found.dollars, 6),
            }
            for name, found in self.desk.spent().items()
        }

    def write_dropped(self) -> None:
        """Write ``dropped.json``: stage, item and reason of each."""
        write_json(
            self.out / "dropped.json",
            [item._asdict() for item in self.dropped],
        )

    def clips(
        self,
        sources: Sequence[Source],
        open_video: OpenVideo,
        open_tracker: Callable[[], TrackBoxes] | None,
    ) -> list[Clip]:
        """Stage 0: the clips of all videos; those of an earlier session are read."""
        kept = Kept(self.out / _KEPT / "tracks.jsonl")
        clips: list[Clip] = []
        track: TrackBoxes | None = None
        for number, source in enumerate(sources):
            if self.progress is not None:
                self.progress(number, len(sources), "tracks")
            # What it depends on cannot change within a run: the record guards config and data.
            value = kept.get(source.name, "")
            if value is not None and all(
                tracks_path(self.out, clip_id).is_file() for clip_id in value["clips"]
            ):
                found = _prepared(self.out, value)
            else:
                if source.boxes and track is None and open_tracker is not None:
                    track = open_tracker()
                try:
                    found = prepare(source, self.out, self.config, open_video, track)
                except DataError as error:
                    # One broken video of thousands must not end the run; it is not kept, so that
                    # a session after its repair finds it.
                    self.dropped.append(Dropped("tracks", source.name, str(error)))
                    continue
                kept.put(source.name, "", _plain(found))
            clips += found.clips
            self.dropped += found.dropped
        if self.progress is not None:
            self.progress(len(sources), len(sources), "tracks")
        if not clips:
            raise no_clip(len(sources), self.dropped)
        write_clips(self.out, clips)
        return clips

    def expressions(
        self, clips: Sequence[Clip]
    ) -> list[tuple[Clip, list[Candidate], dict[str, list[str]]]]:
        """Stages 1 to 4 and the verification."""
        marks = self.config.marks
        seen = self.asker.ask(
            "appearance",
            [appearance_task(clip, key, marks) for clip in clips for key in sorted(clip.objects)],
        )
        looks = {clip.clip_id: _looks(clip, seen) for clip in clips}
        answers = self.asker.ask(
            "referring",
            [
                referring_task(clip, key, look)
                for clip in clips
                for key, look in looks[clip.clip_id].items()
            ]
            + _made(merging_task(clip, looks[clip.clip_id]) for clip in clips),
        )
        answers |= self.asker.ask(
            "interactions",
            _made(interactions_task(clip, sorted(looks[clip.clip_id]), marks) for clip in clips),
        )
        tasks = []
        for clip in clips:
            known = answers.get(interactions_item(clip.clip_id))
            for number, found in enumerate(cast(Interactions, known).interactions if known else ()):
                tasks += [
                    phrases_task(clip, found, (number, place), looks[clip.clip_id])
                    for place in range(len(found.sentences))
                ]
        answers |= self.asker.ask("phrases", tasks)
        result = []
        for clip in clips:
            candidates = gather(clip, answers)
            tracks = clip.tracks()
            visible = {key for key in clip.objects if tracks.areas(key).any()}
            reasons = verify(candidates, clip.objects, visible, self.config.verification)
            result.append((clip, candidates, reasons))
        return result


def _parted(config: AnnotationConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that make a run what it is, and by stage those that do not."""
    settings = config.model_dump(mode="json")
    transport = {
        name: {key: stage.pop(key) for key in _TRANSPORT}
        for name, stage in settings["stages"].items()
    }
    return settings, transport


def _looks(clip: Clip, seen: Mapping[str, Any]) -> dict[int, Appearance]:
    """What stage 1 saw of the clip's objects; objects it could not tell of are left out."""
    found = {key: seen.get(appearance_item(clip.clip_id, key)) for key in sorted(clip.objects)}
    return {key: look for key, look in found.items() if look is not None}


def _made(tasks: Iterable[Any]) -> list[Any]:
    return [task for task in tasks if task is not None]


def _plain(found: Prepared) -> dict[str, Any]:
    return {
        "clips": {clip.clip_id: clip.to_json() for clip in found.clips},
        "dropped": [list(item) for item in found.dropped],
    }


def _prepared(out: Path, value: Mapping[str, Any]) -> Prepared:
    return Prepared(
        [Clip.from_json(out, clip_id, record) for clip_id, record in value["clips"].items()],
        [Dropped(*item) for item in value["dropped"]],
    )


def _verdicts(
    found: Sequence[tuple[Clip, Sequence[Candidate], Mapping[str, Sequence[str]]]],
) -> dict[str, int]:
    reasons = [why for _, _, by_id in found for why in by_id.values()]
    failed = sum(bool(why) for why in reasons)
    return {"candidates": len(reasons), "passed": len(reasons) - failed, "failed": failed}
