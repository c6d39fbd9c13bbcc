"""Weight files on disk, tensor by tensor, without ever running a pickle."""

import json
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from reviosa.errors import CheckpointError, first_line

__all__ = ["Stored", "Tensors", "open_folder", "open_pickle", "write_shards"]

SHARD_BYTES = 4 << 30
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_FLOAT_NAMES = ("F64", "F32", "F16", "BF16")


class Stored(NamedTuple):
    """A tensor that has not been read yet."""

    shape: tuple[int, ...]
    is_float: bool
    """Whether it is of one of the types that weights come in: fp64, fp32, fp16 or bf16."""
    read: Callable[[], Tensor]


Tensors = dict[str, Stored]
"""Tensors of a checkpoint by name."""


def open_folder(folder: Path) -> Tensors:
    """The tensors of a Hugging Face folder, sharded or not.

    Raises:
        CheckpointError: no safetensors there, a shard is missing, cut off or not what the index
            says.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            places = json.loads(index.read_bytes())["weight_map"]
            names = sorted(set(places.values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{index}: got no index of shards ({type(error).__name__}), expected JSON with a "
                "weight_map; restore the file from its source"
            ) from None
        lost = [name for name in names if not (folder / str(name)).is_file()]
        if lost:
            raise CheckpointError(
                f"{folder}: {len(lost)} of {len(names)} shards are missing, first {lost[0]}; "
                "complete the download"
            )
    else:
        places, names = None, sorted(path.name for path in folder.glob("*.safetensors"))
        if not names:
            raise CheckpointError(
                f"{folder}: got no .safetensors file, expected weights beside config.json; "
                "complete the download"
            )
    tensors: Tensors = {}
    for name in names:
        for key, stored in _open_safetensors(folder / name).items():
            if key in tensors or (places is not None and places.get(key) != name):
                raise CheckpointError(
                    f"{folder}: {key} lies in {name}, which is not where the index has it; "
                    "the shards belong to different downloads"
                )
            tensors[key] = stored
    absent = sorted(set(places or ()) - set(tensors))
    if absent:
        raise CheckpointError(
            f"{folder}: the index names {len(absent)} tensors that no shard holds, first "
            f"{absent[0]}; complete the download"
        )
    return tensors


def _open_safetensors(path: Path) -> Tensors:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            heads = {
                key: (tuple(x.get_shape()), x.get_dtype() in _FLOAT_NAMES)
                for key, x in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: the file cannot be read ({first_line(error)}), expected safetensors; "
            "it may be cut off, restore it from its source"
        ) from None

    def reader(key: str) -> Callable[[], Tensor]:
        def read() -> Tensor:
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(key)

        return read

    return {key: Stored(*head, reader(key)) for key, head in heads.items()}


def open_pickle(path: Path) -> Tensors:
    """The tensors of a ``.pt`` or ``.pth`` file, or of a folder that DeepSpeed wrote.

    Only tensors and plain containers are read (``weights_only``), and only of an archive whose
    check sums are right. The tensors may lie at the top or under ``model``, ``state_dict`` or
    ``module``; the logs that trainers keep beside them are passed over without being made.

    Raises:
        CheckpointError: no such file, it is cut off, or it holds anything that would run code.
    """
    if path.is_dir():
        found = sorted(path.glob("*model_states.pt"))
        if len(found) != 1:
            raise CheckpointError(
                f"{path}: got {len(found)} files called *model_states.pt, expected one; "
                "give the checkpoint file, or the folder that DeepSpeed wrote"
            )
        path = found[0]
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; check the path")
    is_zip = zipfile.is_zipfile(path)  # files of before torch 1.6 are not
    try:
        if is_zip:
            _require_sound(path)
        with torch.serialization.safe_globals(_stand_ins(path) if is_zip else []):
            # Not mapped into memory: torch then checks no lengths and inflates nothing.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # damaged bytes lead the reader anywhere
        if is_zip and isinstance(error, pickle.UnpicklingError):
            # Of torch's long message only this is quoted: its advice is to run the code.
            called = re.search(r"GLOBAL:? (\S+)", str(error))
            what = f" (it calls {called[1]})" if called else ""
            raise CheckpointError(
                f"{path}: the file holds more than tensors, and reading that would run code from "
                f"it{what}; where you trust it, load it there and save its tensors alone"
            ) from None
        reason = first_line(error) if is_zip else "no archive of torch.save"
        raise CheckpointError(
            f"{path}: the file cannot be read ({reason}), expected one that torch.save "
            "wrote; it may be cut off or a pointer to the file, restore it from its source"
        ) from None
    for name in ("model", "state_dict", "module"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if type(content) not in (dict, OrderedDict):
        got = f"a {type(content).__name__}"
    else:
        odd = [key for key, value in content.items() if not _is_named_tensor(key, value)]
        got = f"{odd[0]!r} is none" if odd else None
    if got is not None:
        raise CheckpointError(
            f"{path}: got {got}, expected tensors by name, at the top or under model, state_dict "
            "or module; give a checkpoint of weights"
        )
    return {
        key: Stored(tuple(value.shape), value.dtype in _FLOATS, lambda v=value: v)
        for key, value in content.items()
    }


def _is_named_tensor(key: object, value: object) -> bool:
    if not isinstance(key, str) or not isinstance(value, Tensor):
        return False
    return value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized


def _require_sound(path: Path) -> None:
    """Read every record of an archive once and compare its check sum."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise CheckpointError(
            f"{path}: the file cannot be read (the check sum of its record {broken} is wrong), "
            "expected one that torch.save wrote; it is damaged, restore it from its source"
        )


class _Inert:
    """Stands for an object of a log: takes whatever it is given and keeps nothing."""

    def __new__(cls, *_: object) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        return

    def __setstate__(self, _: object) -> None:
        return


# What mmengine's and DeepSpeed's trainers write beside the weights: counters, NumPy's numbers,
# paths. HistoryBuffer refers to its own methods, hence getattr; none of it is imported or called.
_OF_LOGS = re.compile(
    r"mmengine\.logging\.history_buffer\.HistoryBuffer|builtins\.getattr"
    r"|numpy\.(_?core\.multiarray\.(_reconstruct|scalar)|ndarray|dtype|dtypes\.\w+)"
    r"|pathlib\.(_local\.)?\w*Path|deepspeed\.runtime\.fp16\.loss_scaler\.\w+"
)


def _stand_ins(path: Path) -> list[Any]:
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return [(_Inert, name) for name in names if _OF_LOGS.fullmatch(name)]


def write_shards(
    tensors: Iterator[tuple[str, Tensor]], folder: Path, limit: int = SHARD_BYTES
) -> None:
    """Write tensors as ``model.safetensors``, or as shards of ``limit`` bytes with their index.

    One shard is in memory at a time.
    """
    written: list[tuple[Path, list[str]]] = []
    held: dict[str, Tensor] = {}
    size = total = 0

    def flush() -> None:
        path = folder / f"part-{len(written):05d}"
        save_file(held, path, metadata={"format": "pt"})
        written.append((path, list(held)))
        held.clear()

    for key, tensor in tensors:
        of_tensor = tensor.numel() * tensor.element_size()
        if held and size + of_tensor > limit:
            flush()
            size = 0
        # A part of a larger tensor would be written with the whole of it, and one that shares its
        # memory with another not at all.
        held[key] = tensor.clone(memory_format=torch.contiguous_format)
        size += of_tensor
        total += of_tensor
    flush()
    if len(written) == 1:
        written[0][0].rename(folder / "model.safetensors")
        return
    places: dict[str, str] = {}
    for number, (path, keys) in enumerate(written, start=1):
        name = f"model-{number:05d}-of-{len(written):05d}.safetensors"
        path.rename(folder / name)
        places |= dict.fromkeys(keys, name)
    text = json.dumps(
        {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}, indent=2
    )
    (folder / "model.safetensors.index.json").write_text(text + "\n", encoding="utf-8")
