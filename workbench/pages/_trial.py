"""What the page Try it needs, fetched: models, videos, and what was tried in this session."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from reviosa.data import VideoDataset
from reviosa.errors import ReviosaError
from reviosa.inference import FrameSource, Segmenter
from workbench.models import load_captured, load_model
from workbench.pages._data import RunEntry, files_mark
from workbench.tryout import Trial, try_expression
from workbench.uploads import KeptFrames, read_upload

__all__ = ["Choice", "Held", "Source", "held_model", "models", "tried", "upload_source"]

CAPTURED = "captured"
"""Name in an address of the model that the run of the sidebar captured."""
KEPT = 6
"""Sentences that a session keeps; each holds the attention of all heads."""


@dataclass(frozen=True)
class Choice:
    """A model that can be chosen."""

    name: str
    """In the address."""
    title: str
    directory: Path | None
    """Of the run that says what to load; None for the shipped model."""
    header: dict[str, Any] | None
    """Of a capture, whose model is loaded as it was captured; None for a training's own."""

    def mark(self) -> tuple:
        """Changes as the weights do."""
        if self.directory is None:
            return ()
        folder = Path((self.header or {}).get("model", {}).get("path") or self.directory)
        weights = [*folder.glob("*.safetensors"), *folder.glob("model/*.safetensors")]
        return files_mark([self.directory / "run.json", *sorted(weights)])


@dataclass(frozen=True)
class Held:
    """A loaded model. Sessions take turns: attention is recorded of one at a time."""

    segmenter: Segmenter
    lock: threading.Lock


@dataclass(frozen=True)
class Source:
    """A video to ask about."""

    key: str
    """Unique; for what a session keeps."""
    frames: FrameSource
    dataset: VideoDataset | None
    """The data set it is of."""


def models(runs: list[RunEntry], chosen: RunEntry | None) -> list[Choice]:
    """The chosen capture's where its weights are at hand, the shipped one, those of trainings."""
    found = []
    if chosen is not None and chosen.header:
        model = chosen.header.get("model") or {}
        path = model.get("path")
        # The shipped model, but shuffled or on other frames, is another one than "nano" below.
        changed = model.get("name") == "nano" and {"shuffled", "frame_sampling"} & set(model)
        if (path and _has_weights(Path(path))) or changed:
            title = f"{model.get('name') or path} (as run {chosen.name} captured it)"
            found.append(Choice(CAPTURED, title, chosen.directory, chosen.header))
    found.append(Choice("nano", "nano (shipped)", None, None))
    found += [
        Choice(entry.name, f"{entry.name} (trained)", entry.directory, None)
        for entry in runs
        if entry.kind == "train" and _has_weights(entry.directory)
    ]
    return found


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("model*.safetensors")) or any(folder.glob("model/model*.safetensors"))


def held_model(choice: Choice) -> Held:
    """Load a model, or give the one that is loaded.

    Raises:
        CheckpointError: it is damaged.
    """
    return _held(choice.name, choice.directory, choice.mark(), choice.header)


@st.cache_resource(max_entries=1, show_spinner="Loading the model")
def _held(name: str, directory: Path | None, mark: tuple, _header: dict[str, Any] | None) -> Held:
    if directory is None:
        loaded = load_model("nano")
    elif _header is not None:
        loaded = load_captured(directory, _header, None, "auto")
    else:
        loaded = load_model(str(directory))
    return Held(Segmenter(loaded.model, loaded.processor), threading.Lock())


def upload_source(name: str, data: bytes) -> Source | str:
    """An uploaded video, or in one line why it cannot be used."""
    key = hashlib.sha256(data).hexdigest()
    kept = st.session_state.get("try_upload")
    if kept is None or kept[0] != key:
        try:
            kept = key, read_upload(name, data)
        except ReviosaError as error:
            kept = key, str(error)
        st.session_state["try_upload"] = kept
    video = kept[1]
    return Source(key, video, None) if isinstance(video, KeptFrames) else video


def tried(
    choice: Choice, source: Source, expression: str, progress: Callable[[int, int], None] | None
) -> Trial | None:
    """What this session has of an expression; computed where ``progress`` is given.

    Raises:
        ReviosaError: the model or the video cannot be read, or the expression is empty.
    """
    expression = " ".join(expression.split())
    key = (choice.name, choice.mark(), source.key, expression)
    kept: dict[tuple, Trial] = st.session_state.setdefault("try_kept", {})
    if key not in kept and progress is not None:
        held = held_model(choice)
        with held.lock:
            trial = try_expression(held.segmenter, source.frames, expression, progress)
        kept[key] = trial
        while len(kept) > KEPT:
            del kept[next(iter(kept))]
    return kept.get(key)
