"""Published weights in: from any layout to a checkpoint of ours."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reviosa.conversion.files import Stored, Tensors, open_folder, open_pickle, write_shards
from reviosa.conversion.keys import EMBEDDINGS, LAYOUTS, is_trained
from reviosa.conversion.shapes import mllm_config, read_config, sam2_base
from reviosa.conversion.vocabulary import ADDED_TOKENS, read_tokenizer
from reviosa.data.prompts import ACTOR_TOKEN, CHAT_TEMPLATES, TARGET_TOKEN
from reviosa.errors import CheckpointError
from reviosa.io import atomic_directory
from reviosa.model.config import PRESETS, ReviosaConfig
from reviosa.model.modeling import ReviosaModel, mlp_seg
from reviosa.model.processor import ReviosaProcessor

__all__ = ["Conversion", "Sam2Shape", "convert"]

_BY_MODEL_TYPE = {
    "internvl_chat": "internvl",
    "sa2va_chat": "sa2va",
    "reviosa_chat": "reviosa",
}
_KNOWN_TOKENS = {
    "internvl": (),
    "training": (),  # its base has the tokenizer
    "sa2va": tuple(token for token in ADDED_TOKENS if token != TARGET_TOKEN),
    "reviosa": ADDED_TOKENS,
}
_IN_HF = "grounding_encoder.sam2_model."


class Sam2Shape(NamedTuple):
    """A SAM2 that is none of the sam2 package's sizes."""

    base: str
    overrides: dict[str, Any]


@dataclass
class Conversion:
    """What became of every tensor."""

    layout: str
    """Of the source: ``internvl``, ``sa2va``, ``reviosa`` or ``training``."""
    tensors: int
    """Written."""
    parameters: int
    """Numbers in them."""
    fresh: list[str] = field(default_factory=list)
    """Tensors that the source cannot have: drawn at random, by the seed."""
    unknown: list[str] = field(default_factory=list)
    """Tensors of the source that ReVIOSa has no place for; left out."""
    missing: list[str] = field(default_factory=list)
    """Tensors that the source should have and has not; drawn at random."""
    misshapen: list[str] = field(default_factory=list)
    """Tensors of another shape than the configuration asks for; drawn at random."""


class _Origin(NamedTuple):
    """Where one of our tensors comes from."""

    stored: Stored
    index: int
    count: int


@dataclass
class _Found:
    """Our tensors as they were found in the source files."""

    origins: dict[str, _Origin] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def add(self, tensors: Tensors, layout: str, expected: set[str]) -> None:
        if layout == "training":
            # What was trained comes from here or is missing; the base's own would pass unseen.
            self.origins = {k: v for k, v in self.origins.items() if not is_trained(k)}
        taken: set[str] = set()
        for key, stored in tensors.items():
            names = LAYOUTS[layout].ours(key)
            # Two names for one tensor of ours: which one counts is not for us to say.
            if not names or any(name not in expected or name in taken for name in names):
                self.unknown.append(key)
                continue
            taken.update(names)
            for index, name in enumerate(names):
                self.origins[name] = _Origin(stored, index, len(names))


def convert(
    source: str | Path,
    destination: str | Path,
    *,
    base: str | Path | None = None,
    sam2: str | Path | None = None,
    sam2_shape: Sam2Shape | None = None,
    template: str | None = None,
    partial: bool = False,
    seed: int = 0,
) -> Conversion:
    """Write the weights of ``source`` as a checkpoint of ours; stored types are kept.

    Args:
        source: the folder of an InternVL-2.5, a Sa2VA or a ReVIOSa as published, or the file or
            folder that the authors' trainer wrote.
        destination: folder to make, whole or not at all.
        base: the InternVL-2.5 that a training checkpoint was trained from.
        sam2: SAM2's own ``.pt``, for sources that hold none or a part of it.
        sam2_shape: of a SAM2 that the sam2 package does not know.
        template: chat template of the weights; by default what their configuration says, and for
            training checkpoints, which do not say, what the release uses.
        partial: leave out unknown tensors, draw missing and misshapen ones at random.
        seed: of what is drawn at random.

    Raises:
        ConfigError: no template has this name.
        CheckpointError: a file is missing, cut off or unsafe to read; the source is of no known
            layout or template; it needs ``base`` or ``sam2``; or tensors do not fit and ``partial``
            is not set.
        FileExistsError: ``destination`` exists.
    """
    source = Path(source)
    layout, tensors, folder = _open(source, None if base is None else Path(base))
    their_config = read_config(folder)
    parts: list[tuple[Tensors, str]] = [(tensors, layout)]
    if layout == "training":
        parts.insert(0, (open_folder(folder), "internvl"))
    sam2_tensors = _sam2(source, layout, tensors, None if sam2 is None else Path(sam2))
    if layout in ("internvl", "training"):
        parts.insert(0, (sam2_tensors, "sam2"))

    tokenizer, known = read_tokenizer(folder, _KNOWN_TOKENS[layout])
    mllm = mllm_config(their_config, folder)
    rows = mllm["text_config"]["vocab_size"]
    mllm["text_config"]["vocab_size"] = max(rows, len(tokenizer))
    mllm["text_config"]["pad_token_id"] = tokenizer.pad_token_id
    mllm["image_token_id"] = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    shape = sam2_shape or Sam2Shape(sam2_base(sam2_tensors, Path(sam2 or source)), {})
    config = ReviosaConfig(
        mllm_config=mllm,
        sam2_base=shape.base,
        sam2_overrides=shape.overrides,
        actor_token_id=tokenizer.get_vocab()[ACTOR_TOKEN],
        target_token_id=tokenizer.get_vocab()[TARGET_TOKEN],
        num_frames=4 if layout == "internvl" else 5,
        frame_sampling="uniform" if layout == "internvl" else "first",
        max_new_tokens=128,
        lora=_adapters(tensors) if layout == "training" else None,
    )
    config.aml_pairs = _published_pairs(config) if layout in ("reviosa", "training") else None
    processor = ReviosaProcessor.for_config(
        config,
        tokenizer,
        template=template or _template(source, their_config, layout, config),
        wording="paper" if layout == "internvl" else "release",
        sam_resampling="bicubic",
    )

    try:
        with torch.device("meta"):
            expected = ReviosaModel(config).state_dict()
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        raise CheckpointError(
            f"{folder}: config.json describes no model that can be built ({error}); "
            "restore it from its source"
        ) from None
    found = _Found()
    # Adapters rename the weights that they adapt.
    names = {key.replace(".base_layer.", ".") for key in expected}
    for part, its_layout in parts:
        found.add(part, its_layout, names)
    result = Conversion(layout, len(expected), sum(x.numel() for x in expected.values()))
    result.unknown = sorted(found.unknown)
    plan: dict[str, _Origin | None] = {}
    for key, wanted in expected.items():
        origin = found.origins.get(key.replace(".base_layer.", "."))
        plan[key] = origin
        if origin is None:
            new = layout == "internvl" and key.startswith("seg_projector.")
            (result.fresh if new else result.missing).append(key)
        elif not _fits(key, origin, wanted, None if layout == "training" else rows):
            kind = "" if origin.stored.is_float else " of no type that weights have"
            result.misshapen.append(
                f"{key} {list(origin.stored.shape)}{kind} for {list(wanted.shape)}"
            )
            plan[key] = None
        elif origin.stored.shape[:1] < wanted.shape[:1]:
            # A row that the source's own tokenizer needs is no new one.
            last = known if layout != "training" else 0
            lost = result.missing if rows < last else result.fresh
            lost.append(f"{key} rows {origin.stored.shape[0]} on")
    if not partial:
        _refuse(source, result)
    drawn = _Drawn(config, expected, seed)
    with atomic_directory(destination) as temporary:
        write_shards(_read_all(plan, expected, drawn), temporary)
        # How the authors run their models; stored tensors keep their types.
        config.dtype = torch.bfloat16
        config.save_pretrained(temporary)
        processor.save_pretrained(temporary)
    return result


def _open(source: Path, base: Path | None) -> tuple[str, Tensors, Path]:
    """The layout of ``source``, its tensors, and the folder with configuration and tokenizer."""
    if (source / "config.json").is_file():
        kind = read_config(source).get("model_type")
        if kind == ReviosaConfig.model_type:
            raise CheckpointError(
                f"{source}: this is a checkpoint of ours already; "
                "say with --to which layout it is to be written in"
            )
        if not isinstance(kind, str) or kind not in _BY_MODEL_TYPE:
            raise CheckpointError(
                f"{source}: config.json has the model_type {kind!r}, expected one of "
                f"{', '.join(_BY_MODEL_TYPE)}; take the original layout of the weights"
            )
        if base is not None:
            raise CheckpointError(
                f"{source}: got --base for a checkpoint that is whole; leave it out"
            )
        return _BY_MODEL_TYPE[kind], open_folder(source), source
    tensors = open_pickle(source)
    if any(key.startswith("mllm.") for key in tensors):
        if base is None:
            raise CheckpointError(
                f"{source}: a training checkpoint holds no frozen weights; give with --base the "
                "folder of the InternVL-2.5 it was trained from, and with --sam2 SAM2's file"
            )
        return "training", tensors, base
    if any(key.startswith("image_encoder.") for key in tensors):
        raise CheckpointError(
            f"{source}: these are the weights of SAM2 alone; give the folder of an InternVL-2.5 "
            "in their place, and this file with --sam2"
        )
    first = next(iter(tensors), "nothing")
    raise CheckpointError(
        f"{source}: got tensors such as {first}, expected those of ReVIOSa's trainer or of SAM2; "
        "this layout is not known"
    )


def _sam2(source: Path, layout: str, tensors: Tensors, file: Path | None) -> Tensors:
    """SAM2's tensors by its own names."""
    if layout in ("internvl", "training"):
        if file is None:
            raise CheckpointError(
                f"{source}: these weights hold no SAM2 that is whole; give with --sam2 its file, "
                "sam2_hiera_large.pt for the published models"
            )
        return open_pickle(file)
    if file is not None:
        raise CheckpointError(f"{source}: got --sam2 for weights that hold it; leave it out")
    return {k.removeprefix(_IN_HF): v for k, v in tensors.items() if k.startswith(_IN_HF)}


def _adapters(tensors: Tensors) -> dict[str, Any] | None:
    """Settings of the LoRA in a training checkpoint; the release scales by two (REVIOSA.md 1.5)."""
    ranks = {x.shape[0] for key, x in tensors.items() if ".lora_A." in key and len(x.shape) == 2}
    rank = min(ranks, default=0)
    if not rank:
        return None
    return {"rank": rank, "alpha": 2 * rank, "dropout": 0.05}


def _published_pairs(config: ReviosaConfig) -> list[list[int]] | None:
    """The pairs that the release supervised, where this is one of its two shapes."""
    shape = (config.num_layers, config.num_heads)
    for name in ("1b", "4b"):
        preset = ReviosaConfig(**PRESETS[name]())
        if shape == (preset.num_layers, preset.num_heads):
            return preset.aml_pairs
    return None


def _template(
    source: Path, their_config: dict[str, Any], layout: str, config: ReviosaConfig
) -> str:
    named = their_config.get("template")
    if layout == "training":
        # It does not say, and its base was never asked this way; the release took this for its 4B.
        return "phi3_chat" if config.get_text_config().hidden_size == 2048 else "qwen_chat"
    if layout == "internvl":
        # InternVL's own marks are these, with a greeting before them that ReVIOSa leaves out.
        return "qwen_chat"
    if not isinstance(named, str) or named not in CHAT_TEMPLATES:
        raise CheckpointError(
            f"{source}: config.json has the template {named!r}, expected one of "
            f"{', '.join(CHAT_TEMPLATES)}; say with --template which of them the weights know"
        )
    return named


def _fits(key: str, origin: _Origin, wanted: Tensor, rows: int | None) -> bool:
    """Whether a tensor has the wanted shape and a type of weights.

    An embedding may have ``rows`` rows instead.
    """
    shape = origin.stored.shape
    if not origin.stored.is_float:
        return False
    if origin.count > 1:
        if not shape or shape[0] % origin.count:
            return False
        shape = (shape[0] // origin.count, *shape[1:])
    if key in EMBEDDINGS and rows is not None:
        # Tokens that were added have no rows in the source.
        return shape == (rows, *wanted.shape[1:])
    return shape == tuple(wanted.shape)


def _refuse(source: Path, result: Conversion) -> None:
    kinds = {
        "unknown": result.unknown,
        "missing": result.missing,
        "of another shape": result.misshapen,
    }
    told = [f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in kinds.items() if keys]
    if told:
        raise CheckpointError(
            f"{source}: not every tensor fits; {'; '.join(told)}. Take the checkpoint that belongs "
            "to this configuration, or convert what fits with --partial"
        )


def _some(keys: list[str], shown: int = 8) -> str:
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return ", ".join(keys[:shown]) + more


class _Drawn:
    """Values for tensors that no file holds, fixed by the seed."""

    def __init__(self, config: ReviosaConfig, expected: dict[str, Tensor], seed: int) -> None:
        self._config, self._expected, self._seed = config, expected, seed
        self._whole: dict[str, Tensor] | None = None

    def tensor(self, key: str) -> Tensor:
        torch.manual_seed(self._seed)
        if key.startswith("seg_projector."):
            channel, hidden = self._expected["seg_projector.2.weight"].shape
            return mlp_seg(hidden, channel).state_dict()[key.split(".", 1)[1]]
        if self._whole is None:
            self._whole = ReviosaModel(self._config).state_dict()
        return self._whole[key]

    def rows(self, key: str, count: int, like: Tensor) -> Tensor:
        """New rows of an embedding, as transformers draws them (REVIOSA.md 1.3)."""
        spread = self._config.get_text_config().initializer_range
        generator = torch.Generator().manual_seed(self._seed + EMBEDDINGS.index(key))
        return (torch.randn(count, like.shape[1], generator=generator) * spread).to(like.dtype)


def _read_all(
    plan: dict[str, _Origin | None], expected: dict[str, Tensor], drawn: _Drawn
) -> Iterator[tuple[str, Tensor]]:
    for key, origin in plan.items():
        if origin is None:
            yield key, drawn.tensor(key)
            continue
        tensor = origin.stored.read()
        if origin.count > 1:
            tensor = tensor.chunk(origin.count)[origin.index]
        lacking = expected[key].shape[0] - tensor.shape[0] if key in EMBEDDINGS else 0
        if lacking:
            tensor = torch.cat([tensor, drawn.rows(key, lacking, tensor)])
        yield key, tensor
