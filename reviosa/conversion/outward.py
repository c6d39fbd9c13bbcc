"""Our checkpoints out: into the layouts that other tools read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from reviosa.conversion.files import Tensors, open_folder, write_shards
from reviosa.conversion.keys import EMBEDDINGS, LAYOUTS, is_trained
from reviosa.conversion.shapes import their_config
from reviosa.conversion.vocabulary import ADDED_TOKENS, write_tokenizer
from reviosa.data.prompts import TARGET_TOKEN
from reviosa.errors import CheckpointError
from reviosa.io import atomic_directory, atomic_path, write_json
from reviosa.model.checkpoint import read_settings, resolve
from reviosa.model.config import ReviosaConfig
from reviosa.model.modeling import ReviosaModel
from reviosa.model.processor import ReviosaProcessor

__all__ = ["Layout", "export"]

Layout = Literal["internvl", "sa2va", "reviosa", "sam2", "training"]
_UNKNOWN_TOKENS = {"internvl": ADDED_TOKENS, "sa2va": (TARGET_TOKEN,)}
_FILE_KEYS = {"sam2": "model", "training": "state_dict"}


def export(source: str | Path, destination: str | Path, layout: str) -> int:
    """Write a checkpoint of ours in another layout; return how many tensors were written.

    ``internvl``, ``sa2va`` and ``reviosa`` are Hugging Face folders with tokenizer, for the code
    that their authors publish. Adapters are merged; tokens that a layout does not know are left
    out, with their rows. ``sam2`` is one ``.pt`` file for the sam2 package, ``training`` one
    ``.pth`` file with what trains, adapters unmerged.

    Args:
        source: a checkpoint folder of ours, or a training run.
        destination: folder or file to make, whole or not at all.
        layout: which.

    Raises:
        CheckpointError: ``source`` is no checkpoint of ours, lacks tensors, or has no adapters for
            ``training``.
        FileExistsError: ``destination`` exists.
    """
    if layout not in get_args(Layout):
        raise CheckpointError(
            f"no layout is called {layout!r}; choose one of {', '.join(get_args(Layout))}"
        )
    folder, destination = resolve(source), Path(destination)
    if destination.exists():
        raise FileExistsError(f"{destination} exists already; choose another or remove it first")
    config, processor = read_settings(folder)
    tensors = _whole(folder, config)
    if layout in _FILE_KEYS:
        chosen = _trained(tensors, folder) if layout == "training" else tensors
        written = {key: x.clone() for key, x in _renamed(_readers(chosen), layout)}
        with atomic_path(destination) as temporary:
            torch.save({_FILE_KEYS[layout]: written}, temporary)
        return len(written)

    unknown = _UNKNOWN_TOKENS.get(layout, ())
    rows = _known_rows(config, processor, unknown)
    readers = _merged(tensors, config)
    for key in EMBEDDINGS:
        readers[key] = lambda read=readers[key]: read()[:rows]
    count = 0

    def counted() -> Iterator[tuple[str, Tensor]]:
        nonlocal count
        for pair in _renamed(readers, layout):
            count += 1
            yield pair

    theirs = their_config(config, layout, processor.template)
    theirs["llm_config"]["vocab_size"] = rows
    with atomic_directory(destination) as temporary:
        write_shards(counted(), temporary)
        write_json(temporary / "config.json", theirs)
        write_tokenizer(processor.tokenizer, temporary, unknown)
    return count


def _whole(folder: Path, config: ReviosaConfig) -> Tensors:
    tensors = open_folder(folder)
    with torch.device("meta"):
        expected = {key: tuple(x.shape) for key, x in ReviosaModel(config).state_dict().items()}
    found = {key: stored.shape for key, stored in tensors.items()}
    odd = sorted(
        key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)
    )
    if odd:
        key = odd[0]
        raise CheckpointError(
            f"{folder}: {len(odd)} tensors are not what config.json asks for, first {key}: got "
            f"{list(found[key]) if key in found else 'none'}, expected "
            f"{list(expected[key]) if key in expected else 'none'}; "
            "restore the checkpoint from its source"
        )
    return tensors


_Readers = dict[str, Callable[[], Tensor]]


def _readers(tensors: Tensors) -> _Readers:
    return {key: stored.read for key, stored in tensors.items()}


def _trained(tensors: Tensors, folder: Path) -> Tensors:
    """What a training checkpoint holds."""
    chosen = {key: stored for key, stored in tensors.items() if is_trained(key)}
    if not any(".lora_" in key for key in chosen):
        raise CheckpointError(
            f"{folder}: got a checkpoint without adapters, expected one with LoRA in it, of which "
            "a training checkpoint consists; write it as reviosa"
        )
    return chosen


def _merged(tensors: Tensors, config: ReviosaConfig) -> _Readers:
    """Readers of the weights with the adapters folded in (W + alpha / rank B A)."""
    readers = _readers({k: v for k, v in tensors.items() if ".lora_" not in k})
    if not config.lora:
        return readers
    scale = config.lora["alpha"] / config.lora["rank"]
    merged: _Readers = {}
    for key, read in readers.items():
        stem = key.removesuffix(".base_layer.weight")
        if stem == key:
            merged[key.replace(".base_layer.", ".")] = read
            continue
        a, b = (tensors[f"{stem}.lora_{x}.default.weight"].read for x in "AB")

        def folded(read=read, a=a, b=b) -> Tensor:
            weight = read()
            return (weight.float() + scale * (b().float() @ a().float())).to(weight.dtype)

        merged[f"{stem}.weight"] = folded
    return merged


def _known_rows(
    config: ReviosaConfig, processor: ReviosaProcessor, unknown: tuple[str, ...]
) -> int:
    """Rows of the embeddings that the layout has, where the tokens left out are the last ones."""
    rows = config.get_text_config().vocab_size
    ids = sorted(processor.tokenizer.convert_tokens_to_ids(list(unknown)))
    return rows - len(ids) if ids == list(range(rows - len(ids), rows)) else rows


def _renamed(readers: _Readers, layout: str) -> Iterator[tuple[str, Tensor]]:
    """Tensors by their names in ``layout``, joined where it keeps several of ours as one."""
    places: dict[str, dict[int, Callable[[], Tensor]]] = {}
    for key, read in readers.items():
        part = LAYOUTS[layout].theirs(key)
        if part is not None:
            places.setdefault(part.key, {})[part.index] = read
    for key, parts in places.items():
        read = [parts[i]() for i in sorted(parts)]
        yield key, read[0] if len(read) == 1 else torch.cat(read)
