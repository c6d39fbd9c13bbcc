"""A run of ablations over a data set: resumable, a line an expression."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from probes.causal.effects import (
    EFFECTS_FILE,
    append_effects,
    plan_to_json,
    read_effects,
)
from probes.causal.experiment import Kind, scores_of
from probes.causal.outputs import Asked, Stock, twin
from probes.causal.plan import Ablation
from probes.share import Shard, share
from reviosa.data.dataset import VideoDataset
from reviosa.data.records import VideoSample
from reviosa.errors import ConfigError
from reviosa.heads import HeadSelection
from reviosa.inference import Segmenter
from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.run_record import open_run

__all__ = ["ablate"]

_FROM_OTHERS = ("mean", "resample")


@torch.inference_mode()
def ablate(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    dataset: VideoDataset,
    directory: str | Path,
    ablations: Sequence[Ablation],
    kind: Kind = "mean",
    seed: int = 0,
    identity: dict | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
    gathering: Callable[[int, int], None] | None = None,
    chosen: HeadSelection | None = None,
    shard: Shard | None = None,
) -> Path:
    """Silence sets of heads at the role tokens and score the masks again.

    The model's own answer is kept, so the same roles are named. Masks are those of the frames that
    the language model saw, each decoded by itself. ``mean`` puts the mean output of the same role's
    tokens over all other videos in place of a head's, ``resample`` that of one other expression,
    ``zero`` nothing, which is the farthest from what the layers above expect. ``blind`` leaves the
    head its output but not the patches, ``object-blind`` not the patches that the role's true
    object covers: whether a head matters by what it sees there. ``role-swap`` puts in the output of
    the same role's token of the expression's twin, the one that names the same objects in exchanged
    roles; expressions without a twin are left out.

    A video is read once, its expressions are answered once, and of ablations that silence the same
    heads one is computed; ``mean`` and ``resample`` read every video a second time.

    Args:
        model: the model.
        processor: its processor.
        dataset: expressions to score.
        directory: run directory; ``effects.jsonl`` in it has a line an expression.
        ablations: which; see :mod:`probes.causal.plan`.
        kind: what stands in place of a head's output.
        seed: of ``resample``, and said to be that of the plan's draws.
        identity: what the run's header says of the model.
        resume: go on with a run that was stopped.
        progress: called with (expressions done, expressions).
        gathering: the same, while ``mean`` and ``resample`` record what others write.
        chosen: the selection whose pairs are the ``chosen`` ones; kept for how it came about.
        shard: do this part of the videos alone; :func:`probes.shards.join_ablations` puts the parts
            together. ``mean`` and ``resample`` take from the videos of all parts.

    Raises:
        ConfigError: no ablation, or fewer than two videos for ``mean`` and ``resample``.
        RunError: the directory holds another run.
    """
    if not ablations:
        raise ConfigError("got no pairs to silence; give a heads file or --all")
    samples = _samples(dataset, kind)
    shape = (model.config.num_layers, model.config.num_heads)
    settings = {
        "kind": kind,
        "ablations": plan_to_json(ablations),
        "samples": len(samples),
        "shape": list(shape),
        "chosen_by": None
        if chosen is None
        else {"strategy": chosen.strategy, "criterion": chosen.criterion, "data": chosen.data},
    }
    if shard is not None:
        settings["shard"] = list(shard)
    directory = Path(directory)
    masks = np.stack([np.zeros(shape, dtype=bool), *(a.silenced(shape) for a in ablations)])
    different, place = np.unique(masks.reshape(len(masks), -1), axis=0, return_inverse=True)
    silenced, place = torch.from_numpy(different.reshape(-1, *shape)), place.reshape(-1)
    with open_run(directory, "ablate", settings, seed, dataset.provenance, identity, resume):
        segmenter = Segmenter(model, processor)
        done = {line["sample_id"] for line in read_effects(directory)}
        groups = [list(group) for _, group in groupby(samples, key=lambda s: s.video.video_id)]
        groups = share(groups, shard)
        mine = [sample for of_video in groups for sample in of_video]
        left = [s for s in mine if s.expression.sample_id not in done]
        stock = None
        if kind in _FROM_OTHERS and left:
            stock = Stock.gather(segmenter, samples, seed, gathering)
        count = len(mine) - len(left)
        for of_video in groups:
            todo = [s for s in of_video if s.expression.sample_id not in done]
            if not todo:
                continue
            asked = stock.asked(segmenter, todo[0]) if stock else Asked.of(segmenter, of_video)
            for sample in todo:
                found = scores_of(asked, sample, silenced, kind, stock)
                scores = {
                    role: [round(values[index], 6) for index in place]
                    for role, values in found.items()
                }
                expression = sample.expression
                append_effects(
                    directory,
                    expression.sample_id,
                    expression.video_id,
                    expression.is_interaction,
                    scores,
                )
                count += 1
                if progress is not None:
                    progress(count, len(mine))
    return directory / EFFECTS_FILE


def _samples(dataset: VideoDataset, kind: Kind) -> Sequence[VideoSample]:
    samples = dataset.samples
    if kind == "role-swap":
        samples = [sample for sample in samples if twin(sample) is not None]
        if not samples:
            raise ConfigError(
                "got no two expressions of one video with exchanged roles, which role-swap needs; "
                "use data with active and passive twins, or another kind"
            )
    videos = {sample.video.video_id for sample in samples}
    if kind in _FROM_OTHERS and len(videos) < 2:
        raise ConfigError(
            f"{kind} ablation takes outputs from other videos and there is {len(videos)}; "
            "use more videos, or zero"
        )
    return samples
