"""Checkpoints in and out: whole, of the right shape, and never from the network."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from reviosa.errors import CheckpointError, first_line
from reviosa.io import atomic_directory
from reviosa.model.config import PRESETS, ReviosaConfig
from reviosa.model.modeling import ReviosaModel
from reviosa.model.processor import ReviosaProcessor

__all__ = ["NANO", "load", "model_config", "model_identity", "read_settings", "save"]

NANO = Path(__file__).parent.parent / "assets" / "nano"
"""Folder of the trained nano model that ships with the package."""
_WEIGHTS = "model.safetensors"


def resolve(source: str | Path) -> Path:
    """The checkpoint folder that ``source`` names: ``nano``, a folder, or a training run.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    if str(source) == "nano":
        return NANO
    path = Path(source)
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    if str(source) in PRESETS:
        raise CheckpointError(
            f"the {source} preset has no trained weights here; give the folder of a checkpoint"
        )
    got = "no config.json in it" if path.is_dir() else "no such folder"
    raise CheckpointError(
        f"{path}: got {got}, expected a checkpoint folder, a training run or 'nano'; check the path"
    )


def load(
    source: str | Path, device: str | None = None, dtype: torch.dtype | None = None
) -> tuple[ReviosaModel, ReviosaProcessor]:
    """Load a model, in evaluation mode, and its processor.

    Args:
        source: ``nano`` (the shipped model), a checkpoint folder or a training run.
        device: where to put the model; a GPU if there is one, else the CPU.
        dtype: of the weights; when None what the configuration says on a GPU (bf16 for published
            weights, as their authors run them), and fp32 on the CPU.

    Raises:
        CheckpointError: no checkpoint there, or it is damaged, incomplete or of another shape.
    """
    folder = resolve(source)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if not any(folder.glob("model*.safetensors")):
        raise CheckpointError(
            f"{folder}: got a config.json but no {_WEIGHTS}, expected both; "
            "the training run may not have ended, or the copy is incomplete"
        )
    config, processor = read_settings(folder)
    try:
        if dtype is None:
            stored = getattr(config, "dtype", None)
            on_gpu = device.startswith("cuda") and isinstance(stored, torch.dtype)
            dtype = stored if on_gpu else torch.float32
        with _no_progress_bars():
            model, found = ReviosaModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except (OSError, SafetensorError, ValueError) as error:
        raise _unreadable(folder, error) from None
    _require_complete(folder, found)
    return model.eval().to(device), processor


def read_settings(folder: Path) -> tuple[ReviosaConfig, ReviosaProcessor]:
    """Configuration and processor of a checkpoint folder.

    Raises:
        CheckpointError: a file is missing or damaged, or the two are not of one model.
    """
    if not (folder / "processor_config.json").is_file():
        # transformers would take the nano model's settings in its place.
        raise CheckpointError(
            f"{folder}: got no processor_config.json, expected it beside config.json; "
            "restore the checkpoint from its source"
        )
    config = model_config(folder)
    try:
        processor = ReviosaProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(folder, error) from None
    sizes = (processor.image_size, processor.grid), (config.image_size, config.grid)
    if sizes[0] != sizes[1]:
        raise CheckpointError(
            f"{folder}: processor_config.json is for frames and grids of {sizes[0]}, config.json "
            f"for {sizes[1]}; the two belong to different models, restore them from one source"
        )
    return config, processor


def model_config(source: str | Path) -> ReviosaConfig:
    """The configuration alone of what :func:`load` would load.

    Raises:
        CheckpointError: no checkpoint there, or its configuration is damaged.
    """
    folder = resolve(source)
    try:
        return ReviosaConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(folder, error) from None


def _unreadable(folder: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{folder}: the checkpoint cannot be read ({first_line(error)}); restore it from its source"
    )


def _require_complete(folder: Path, found: dict) -> None:
    mismatched = sorted(found["mismatched_keys"])
    if mismatched:
        key, got, expected = mismatched[0]
        raise CheckpointError(
            f"{folder}: {key} has the shape {list(got)}, config.json asks for {list(expected)} "
            f"({len(mismatched)} such tensors); the weights belong to another configuration"
        )
    for kind in ("missing_keys", "unexpected_keys"):
        keys = sorted(found[kind])
        if keys:
            word = "lacks" if kind == "missing_keys" else "holds the unknown"
            raise CheckpointError(
                f"{folder}: {_WEIGHTS} {word} {len(keys)} tensors, first {keys[0]}; "
                "the weights belong to another configuration"
            )


def save(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    folder: str | Path,
    dtype: torch.dtype | None = None,
) -> None:
    """Write model, configuration and processor to the new ``folder``, whole or not at all.

    Args:
        model: the model.
        processor: its processor.
        folder: must not exist.
        dtype: type of the stored weights; that of the model when None.
    """
    with atomic_directory(folder) as temporary, _no_progress_bars():
        tensors = model.state_dict()
        if dtype is not None:
            tensors = {k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()}
        # By default transformers would write InternVL's parameters under their names of 2024.
        model.save_pretrained(temporary, state_dict=tensors, save_original_format=False)
        processor.save_pretrained(temporary)


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    """A model is read or written in a moment; the bars of transformers would only flicker."""
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    # Its own report of odd tensors is a long table; ours is one line and an error.
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def model_identity(source: str | Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 over a checkpoint's configuration and weights."""
    folder = resolve(source)
    digest = hashlib.sha256()
    for path in sorted([folder / "config.json", *folder.glob("model*.safetensors")]):
        with open(path, "rb") as file:
            while part := file.read(1 << 22):
                digest.update(part)
        digest.update(os.fsencode(path.name))
    return digest.hexdigest()[:16]
