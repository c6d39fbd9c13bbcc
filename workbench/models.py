"""Load a model for a command: where from, onto which device, and what to write about it."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviosa.errors import ConfigError

if TYPE_CHECKING:
    from reviosa.model import ReviosaModel, ReviosaProcessor

__all__ = ["LoadedModel", "checked_device", "load_captured", "load_model"]


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run."""

    model: "ReviosaModel"
    processor: "ReviosaProcessor"
    source: str
    """Where from, as the user named it."""
    frames: str | None
    """``frame_sampling`` where it is not the checkpoint's own."""
    shuffled: int | None = None
    """Seed by which the language model's weights were shuffled; None where they were not."""

    @cached_property
    def header(self) -> dict[str, str]:
        """What a run record says of it; reads all weights once.

        ``name``, ``identity``, for a folder its ``path``, ``frame_sampling`` where it is not the
        checkpoint's own, and the seed of ``shuffled`` weights.
        """
        from reviosa.model import model_identity

        header = {"name": self.source, "identity": model_identity(self.source)}
        if self.frames is not None:
            header["frame_sampling"] = self.frames
        if self.shuffled is not None:
            header["identity"] += f"-shuffled-{self.shuffled}"
            header["shuffled"] = str(self.shuffled)
        if self.source != "nano":
            header["path"] = str(Path(self.source).resolve())
        return header


def load_model(
    source: str, device: str = "auto", frames: str | None = None, shuffled: int | None = None
) -> LoadedModel:
    """Load ``nano``, a checkpoint folder or a training run onto a device.

    Args:
        source: which.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        frames: ``uniform`` or ``first``, in place of what the checkpoint says.
        shuffled: seed by which the language model's weights are shuffled
            (:func:`probes.sanity.shuffle_weights`); they stay as they are when None.

    Raises:
        ConfigError: the device does not exist here.
        CheckpointError: ``source`` holds no checkpoint of this project.
    """
    from reviosa.model import load

    model, processor = load(source, None if device == "auto" else checked_device(device))
    if frames is not None:
        model.config.frame_sampling = str(frames)
    if shuffled is not None:
        from probes.sanity import shuffle_weights

        shuffle_weights(model, shuffled)
    return LoadedModel(model, processor, source, None if frames is None else str(frames), shuffled)


def load_captured(
    run: Path, header: dict[str, Any], source: str | None, device: str
) -> LoadedModel:
    """Load the model of a capture run, as it was captured.

    Args:
        run: the run's directory, for messages.
        header: the run's header.
        source: where the model is now, if it has moved.
        device: as in :func:`load_model`.

    Raises:
        ConfigError: the run does not say of which model it is, and neither does ``source``.
        CheckpointError: there is no checkpoint.
    """
    known = header.get("model") or {}
    source = source or known.get("path") or known.get("name")
    if source is None:
        raise ConfigError(f"{run}: the capture does not say of which model; give --model")
    shuffled = known.get("shuffled")
    return load_model(
        source, device, known.get("frame_sampling"), None if shuffled is None else int(shuffled)
    )


def checked_device(device: str) -> str:
    """The device, if it exists here.

    Raises:
        ConfigError: it does not.
    """
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ConfigError(
            f"cannot use the device {device!r}; choose auto, cpu, cuda or one GPU such as cuda:1"
        )
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"cannot use the device {device!r}: {reason}; choose auto, cpu or cuda"
        ) from error
    return device
