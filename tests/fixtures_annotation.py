"""Synthetic videos to annotate, and a language model that knows the truth about them."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reviosa.annotation.appearance import appearance_task
from reviosa.annotation.interactions import interactions_task
from reviosa.annotation.prepare import prepare
from reviosa.annotation.settings import AnnotationConfig
from reviosa.annotation.sources import find_sources
from reviosa.data.frames import read_frame_folder
from reviosa.data.synthetic import write_synthetic
from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.lexicon import MOTION_CLAUSES, MUTUAL_PHRASES, VERB_PHRASES
from tests.fixtures_llm import question

KEY_NAME = "REVIOSA_TEST_KEY"


@dataclass(frozen=True)
class Videos:
    """A folder as ``reviosa annotate --videos`` takes it, and the truth about it."""

    folder: Path
    world: dict[str, Any]
    """``videos`` of world.json."""


def make_videos(folder: Path, count: int, frames: int = 8, side: int = 64) -> Videos:
    """Synthetic videos with their masks as given tracks; an object's class is its shape."""
    data = folder / "synthetic"
    write_synthetic(data, count, 5, WorldConfig(height=side, width=side, frames=frames))
    world = json.loads((data / "world.json").read_text())["videos"]
    masks = json.loads((data / "mask_dict.json").read_text())
    given = folder / "given"
    given.mkdir()
    (data / "JPEGImages").rename(given / "videos")
    (given / "tracks").mkdir()
    for name, video in world.items():
        tracks = {
            x["obj_id"]: {"category": x["shape"], "mask": masks[str(x["anno_id"])]}
            for x in video["objects"]
        }
        (given / "tracks" / f"{name}.json").write_text(json.dumps(tracks))
    return Videos(given, world)


def settings(url: str, retries: int = 8, **changes: Any) -> dict[str, Any]:
    """A configuration for short videos, as YAML would give it."""
    stage = {
        "model": "truth",
        "base_url": url,
        "key_env": KEY_NAME,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 200,
        "timeout_s": 5.0,
        "concurrency": 4,
        "retries": retries,
        "price_in": 10.0,
        "price_out": 100.0,
    }
    return {
        "stages": dict.fromkeys(("appearance", "referring", "interactions", "phrases"), stage),
        "clips": {"least_frames": 4},
        "objects": {"longest_glimpse": 1, "crowd": 8},
        "marks": {"frames": 3},
        **changes,
    }


class Truth:
    """Answers every stage as one would who knows the synthetic world.

    What a vision model is shown tells it which video and object it is about: pictures are known by
    their hashes. The text models work on nothing but the words they are given.
    """

    def __init__(self, videos: Videos, run: Path, changes: dict[str, Any] | None = None) -> None:
        config = AnnotationConfig.model_validate(settings("http://localhost/v1", **(changes or {})))
        self.objects: dict[str, dict[str, Any]] = {}
        self.clips: dict[str, dict[str, Any]] = {}
        for source in find_sources(videos.folder)[0]:
            world = videos.world[source.name]
            for clip in prepare(source, run, config, read_frame_folder, None).clips:
                for key in clip.objects:
                    task = appearance_task(clip, key, config.marks)
                    self.objects[self._first(task.draw)] = world["objects"][key]
                task = interactions_task(clip, sorted(clip.objects), config.marks)
                if task is not None:
                    self.clips[self._first(task.draw)] = world

    @staticmethod
    def _first(draw: Callable[[], Iterator[bytes]] | None) -> str:
        assert draw is not None
        return hashlib.sha256(next(iter(draw()))).hexdigest()

    def __call__(self, body: dict[str, Any]) -> str:
        """The content of the answer to a request."""
        return json.dumps(self.answer(body))

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        picture, text = _picture(body), question(body)
        if picture in self.objects:
            return _appearance(self.objects[picture])
        if picture in self.clips:
            return _interactions(self.clips[picture], [int(x) for x in _labels(text)])
        if text.startswith("Class:"):
            return _referring(text)
        if text.startswith("Sentence:"):
            return _phrases(text)
        assert text.startswith("["), text
        return _merging(text)


def _picture(body: dict[str, Any]) -> str | None:
    content = next(m["content"] for m in body["messages"] if m["role"] == "user")
    for part in content if isinstance(content, list) else ():
        if part["type"] == "image_url":
            data = part["image_url"]["url"].split(",", 1)[1]
            return hashlib.sha256(base64.b64decode(data)).hexdigest()
    return None


def _appearance(item: dict[str, Any]) -> dict[str, Any]:
    clause = MOTION_CLAUSES.get(item["motion"], ("going its own way", ""))[0]
    motion = clause.removeprefix("that ") if clause.startswith("that") else f"is {clause}"
    look = f"{item['size']} {item['color']} {item['texture']} {item['shape']}"
    return {"appearance": f"A {look}.", "motion": f"The {item['shape']} {motion}."}


def _interactions(world: dict[str, Any], known: list[int]) -> dict[str, Any]:
    found = []
    for event in world["interactions"]:
        one, two = event["actor"], event["target"]
        active, passive = VERB_PHRASES[event["verb"]]
        sentences = [
            {"subject": one, "text": f"[{one}] is {active} [{two}]."},
            {"subject": two, "text": f"[{two}] is {passive} [{one}]."},
        ]
        found.append({"objects": [one, two], "kind": "unidirectional", "sentences": sentences})
    for event in world["mutual"]:
        one, two = event["objects"]
        text = f"[{one}] and [{two}] are {MUTUAL_PHRASES[event['verb']]}."
        sentences = [{"subject": one, "text": text}]
        found.append({"objects": [one, two], "kind": "bidirectional", "sentences": sentences})
    return {"interactions": [x for x in found if set(x["objects"]) <= set(known)]}


def _referring(text: str) -> dict[str, Any]:
    found = re.fullmatch(r"Class: (.+)\nAppearance: A (.+)\.\nMotion: The \S+ (.+)\.", text)
    assert found, text
    name, look, motion = found.groups()
    motion = motion.removeprefix("is ").replace("stays still", "that stays still")
    return {
        "all": f"the {look} {motion}",
        "motion": f"the {name} {motion}",
        "appearance": f"the {look}",
    }


def _merging(text: str) -> dict[str, Any]:
    groups: dict[tuple[str, str], list[int]] = {}
    for key, name, motion in re.findall(r"\[(\d+)\] class: (.+); motion: The \S+ (.+)\.", text):
        groups.setdefault((name, motion), []).append(int(key))
    for (name, motion), keys in groups.items():
        if len(keys) > 1 and motion not in ("stays still", "is going its own way"):
            plural = "crosses" if name == "cross" else f"{name}s"
            phrase = f"the {len(keys)} {plural} {motion.removeprefix('is ')}"
            return {"merge": True, "objects": keys, "phrase": phrase}
    return {"merge": False, "objects": [], "phrase": ""}


def _phrases(text: str) -> dict[str, Any]:
    sentence = text.split("\n")[0].removeprefix("Sentence: ").rstrip(".")
    known = {
        int(key): (name, look)
        for key, name, look in re.findall(r"\[(\d+)\] class: (.+); look: A (.+)\.", text)
    }
    sentence = re.sub(r" (is|are) ", " ", sentence, count=1)

    def said(which: int) -> str:
        return re.sub(r"\[(\d+)\]", lambda x: f"the {known[int(x[1])][which]}", sentence)

    labels = [int(x) for x in _labels(sentence)]
    mutual = "Interaction: bidirectional" in text
    return {
        "class_level": said(0),
        "appearance_level": said(1),
        "subject": labels if mutual else labels[:1],
        "object": [] if mutual else labels[1:],
    }


def _labels(text: str) -> list[str]:
    return re.findall(r"\[(\d+)\]", text)
