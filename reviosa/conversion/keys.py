"""How the parameters are called elsewhere, and how here (REVIOSA.md 6).

A rule pairs a name of the other layout with one of ours, or with several that it is made of. Words
in braces stand for a part of the name; ``{n}`` is a number.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["EMBEDDINGS", "LAYOUTS", "KeyMap", "Part", "is_trained"]

Rule = tuple[str, str | tuple[str, ...]]

EMBEDDINGS = ("mllm.model.language_model.embed_tokens.weight", "mllm.lm_head.weight")
"""Our names of the two matrices that have a row a token."""
_LANGUAGE_MODEL = "mllm.model.language_model."
_TRAINED = ("mllm.model.multi_modal_projector.", "sam2.sam_mask_decoder.", "seg_projector.")


def is_trained(key: str) -> bool:
    """Whether the release trains our tensor ``key``, and so keeps it in a training checkpoint.

    In the language model those are the adapters and the two matrices of :data:`EMBEDDINGS`
    (REVIOSA.md 1.5).
    """
    adapter = key.startswith(_LANGUAGE_MODEL) and ".lora_" in key
    return adapter or key in EMBEDDINGS or key.startswith(_TRAINED)


class Part(NamedTuple):
    """Where a tensor of ours lies in another layout."""

    key: str
    """Its name there."""
    index: int = 0
    """Which of the equal parts along the first axis it is."""
    count: int = 1
    """Into how many parts that tensor falls."""


class KeyMap:
    """A table of rules, read in both directions; the first rule that fits counts."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._inward: list[tuple[re.Pattern[str], tuple[str, ...]]] = []
        self._outward: list[tuple[re.Pattern[str], str, int, int]] = []
        for theirs, names in rules:
            ours = (names,) if isinstance(names, str) else names
            self._inward.append((_pattern(theirs), ours))
            for index, name in enumerate(ours):
                self._outward.append((_pattern(name), theirs, index, len(ours)))

    def ours(self, key: str) -> tuple[str, ...]:
        """Our names of what lies under their ``key``; none where no rule knows it."""
        for pattern, names in self._inward:
            if found := pattern.fullmatch(key):
                return tuple(name.format(**found.groupdict()) for name in names)
        return ()

    def theirs(self, key: str) -> Part | None:
        """Where our ``key`` lies in their layout; None where that layout has no such tensor."""
        for pattern, name, index, count in self._outward:
            if found := pattern.fullmatch(key):
                return Part(name.format(**found.groupdict()), index, count)
        return None


def _pattern(template: str) -> re.Pattern[str]:
    kinds = {"n": r"\d+"}
    text = ""
    for index, part in enumerate(re.split(r"\{(\w+)\}", template)):
        is_name = index % 2
        text += f"(?P<{part}>{kinds.get(part, '.+')})" if is_name else re.escape(part)
    return re.compile(text)


def _under(prefix: str, rules: Sequence[Rule]) -> tuple[Rule, ...]:
    return tuple((prefix + theirs, ours) for theirs, ours in rules)


_TOWER = "mllm.model.vision_tower"
_LAYER = f"{_TOWER}.encoder.layer.{{n}}"
_THEIR_LAYER = "vision_model.encoder.layers.{n}"
_VISION: tuple[Rule, ...] = (
    ("vision_model.embeddings.class_embedding", f"{_TOWER}.embeddings.cls_token"),
    ("vision_model.embeddings.position_embedding", f"{_TOWER}.embeddings.position_embeddings"),
    (
        "vision_model.embeddings.patch_embedding.{rest}",
        f"{_TOWER}.embeddings.patch_embeddings.projection.{{rest}}",
    ),
    (
        f"{_THEIR_LAYER}.attn.qkv.{{rest}}",
        (
            f"{_LAYER}.attention.q_proj.{{rest}}",
            f"{_LAYER}.attention.k_proj.{{rest}}",
            f"{_LAYER}.attention.v_proj.{{rest}}",
        ),
    ),
    (f"{_THEIR_LAYER}.attn.proj.{{rest}}", f"{_LAYER}.attention.projection_layer.{{rest}}"),
    (f"{_THEIR_LAYER}.ls1", f"{_LAYER}.lambda_1"),
    (f"{_THEIR_LAYER}.ls2", f"{_LAYER}.lambda_2"),
    (f"{_THEIR_LAYER}.norm1.{{rest}}", f"{_LAYER}.layernorm_before.{{rest}}"),
    (f"{_THEIR_LAYER}.norm2.{{rest}}", f"{_LAYER}.layernorm_after.{{rest}}"),
    (f"{_THEIR_LAYER}.mlp.{{rest}}", f"{_LAYER}.mlp.{{rest}}"),
)
_PROJECTOR: tuple[Rule, ...] = (
    ("mlp1.0.{rest}", "mllm.model.multi_modal_projector.layer_norm.{rest}"),
    ("mlp1.1.{rest}", "mllm.model.multi_modal_projector.linear_1.{rest}"),
    ("mlp1.3.{rest}", "mllm.model.multi_modal_projector.linear_2.{rest}"),
)
_LANGUAGE: tuple[Rule, ...] = (
    ("language_model.model.{rest}", "mllm.model.language_model.{rest}"),
    ("language_model.lm_head.{rest}", "mllm.lm_head.{rest}"),
)
_INTERNVL = (*_VISION, *_PROJECTOR, *_LANGUAGE)
_PROMPT: Rule = ("text_hidden_fcs.{rest}", "seg_projector.{rest}")
# transformers of 2024 renamed every parameter called gamma while loading, hence another name.
_SAM2_IN_HF: tuple[Rule, ...] = (
    (
        "grounding_encoder.sam2_model.memory_encoder.fuser.layers.{n}.g_weight",
        "sam2.memory_encoder.fuser.layers.{n}.gamma",
    ),
    ("grounding_encoder.sam2_model.{rest}", "sam2.{rest}"),
)
_HF = KeyMap([*_INTERNVL, _PROMPT, *_SAM2_IN_HF])

_ADAPTED = "language_model.base_model.model"
_TRAINING = KeyMap(
    [
        *_under(
            "mllm.model.",
            [
                (f"{_ADAPTED}.model.{{rest}}", "mllm.model.language_model.{rest}"),
                (f"{_ADAPTED}.lm_head.{{rest}}", "mllm.lm_head.{rest}"),
                *_PROJECTOR,
            ],
        ),
        _PROMPT,
        ("grounding_encoder.sam2_model.{rest}", "sam2.{rest}"),
    ]
)

LAYOUTS: dict[str, KeyMap] = {
    "internvl": KeyMap(_INTERNVL),
    "sam2": KeyMap([("{rest}", "sam2.{rest}")]),
    "sa2va": _HF,
    "reviosa": _HF,
    "training": _TRAINING,
}
"""Names by layout: InternVL-2.5 as released, SAM2's own, the Hugging Face folders of Sa2VA and
ReVIOSa, and what the authors' trainer writes (LoRA, and no frozen weights)."""
