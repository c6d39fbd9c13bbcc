"""The rows of the attention matrix that belong to the role tokens, and no others.

Attention maps of a whole model do not fit in memory, and asking for them switches fused attention
off. The role tokens are at most a few rows a sequence, so this module keeps the fused kernel for
the output and computes ``softmax(q[rows] K^T * scale + mask)`` beside it, in fp32, per layer and
head. The rows are differentiable: analysis and attention mask loss read the same numbers.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from reviosa.errors import ConfigError, ReviosaError
from reviosa.model.attention_functions import register_around
from reviosa.model.roles import RolePrompts, find_roles, vision_grid

__all__ = ["RoleAttention", "record_role_attention", "role_rows"]

_PREFIX = "role_rows_"
# Attention modules whose rows are being recorded, and by whom. The registered attention function is
# global to transformers; this map is what makes it act on one model only.
_RECORDERS: "weakref.WeakKeyDictionary[nn.Module, _Recorder]" = weakref.WeakKeyDictionary()


def role_rows(
    query: Tensor, key: Tensor, attention_mask: Tensor | None, scaling: float, positions: Tensor
) -> Tensor:
    """Softmax rows of chosen queries over all keys, in fp32.

    Args:
        query: [row, head, head_dim], the queries of the rows.
        key: [row, key_head, key, head_dim]; ``head`` is a multiple of ``key_head`` (GQA).
        attention_mask: [row, 1 or head, key], True or 0 where a key may be seen, or None for the
            causal rule by ``positions``.
        scaling: factor on the scores.
        positions: key position of each query, int64 [row]; used where there is no mask.

    Returns:
        float32 [row, head, key]; each row sums to one.
    """
    heads, key_heads = query.shape[1], key.shape[1]
    with torch.autocast(query.device.type, enabled=False):
        grouped = query.float().unflatten(1, (key_heads, heads // key_heads))
        scores = (grouped @ key.float().transpose(-1, -2)).flatten(1, 2) * scaling
        if attention_mask is None:
            seen = torch.arange(key.shape[2], device=key.device) <= positions[:, None]
            scores = scores.masked_fill(~seen[:, None], float("-inf"))
        elif attention_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attention_mask, float("-inf"))
        else:
            scores = scores + attention_mask.float()
        return scores.softmax(dim=-1)


@dataclass
class _Rows:
    """Which queries of one forward pass are recorded."""

    sample: Tensor
    """[recorded]"""
    query: Tensor
    """Index into this pass's queries, [recorded]."""
    key: Tensor
    """The same token's position among all keys, [recorded]."""
    role: Tensor
    """0 actor, 1 target, [recorded]."""


@dataclass
class _Recorder:
    layers: tuple[int, ...]
    opening: Tensor | None = None
    ids: Tensor | None = None
    roles: RolePrompts | None = None
    now: _Rows | None = None
    inside: bool = False
    later: bool = False
    parts: dict[int, list[tuple[_Rows, Tensor]]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    deferred: list[tuple[int, _Rows, Callable[[], Tensor]]] = field(default_factory=list)

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, mask: Any, scale: float
    ) -> None:
        layer = int(module.layer_idx)
        # Gradient checkpointing runs a layer again in the backward pass; the first run counts.
        if not self.inside or layer in self.seen or layer not in self.layers:
            return
        self.seen.add(layer)
        rows = self.now
        if rows is None or not len(rows.sample):
            return

        def compute() -> Tensor:
            taken = query[rows.sample, :, rows.query]
            return role_rows(taken, key[rows.sample], _mask_rows(mask, rows), scale, rows.key)

        if self.later:
            # Nothing may be computed inside a checkpointed region that its second run, which may
            # come after the recording has ended, would not compute again.
            self.deferred.append((layer, rows, compute))
        else:
            self.parts.setdefault(layer, []).append((rows, compute()))

    def finish(self) -> None:
        for layer, rows, compute in self.deferred:
            self.parts.setdefault(layer, []).append((rows, compute()))
        self.deferred.clear()
        self.seen.clear()
        self.inside = False


def _mask_rows(mask: Tensor | None, rows: _Rows) -> Tensor | None:
    """The rows of whatever mask the attention function was handed."""
    if mask is None:
        return None
    if mask.dim() == 2:
        # Flash attention is handed the padding mask alone; causality is its own affair.
        keys = torch.arange(mask.shape[1], device=mask.device)
        return (mask.bool()[rows.sample] & (keys <= rows.key[:, None]))[:, None]
    sample = rows.sample if mask.shape[0] > 1 else torch.zeros_like(rows.sample)
    query = rows.query if mask.shape[2] > 1 else torch.zeros_like(rows.query)
    return mask[sample, :, query]


class RoleAttention:
    """What the role tokens of the last forward pass attended to.

    Empty until a forward pass has run. A pass without a KV cache, or with an empty one, starts a
    new record; steps that go on from a cache add to it.
    """

    def __init__(self, recorder: _Recorder, heads: int, image_token_id: int, grid: int) -> None:
        self._recorder, self._heads = recorder, heads
        self._image_token_id, self._grid = image_token_id, grid

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers of the language model, zero-based, in the order of the record's layer axis."""
        return self._recorder.layers

    @property
    def roles(self) -> RolePrompts:
        """Which sample and which token each row is.

        Raises:
            ReviosaError: no forward pass has run yet.
        """
        if self._recorder.ids is None or self._recorder.roles is None:
            raise ReviosaError("nothing is recorded yet; run the model inside the `with` block")
        return self._recorder.roles

    @property
    def attention(self) -> Tensor:
        """Attention of each role token over all keys, float32 [batch, role, layer, head, key].

        Role 0 is the actor, 1 the target; NaN where a role is absent. The batch axis has one entry
        an expression (see :class:`~reviosa.model.roles.RolePrompts`), so it is the batch itself
        where every sequence holds one expression.
        """
        roles = self.roles
        keys = self._recorder.ids.shape[1]
        shape = (len(roles.sample), 2, len(self.layers), self._heads, keys)
        record = torch.full(shape, float("nan"), device=roles.sample.device)
        parts = [self._recorder.parts.get(layer, []) for layer in self.layers]
        for step in zip(*parts, strict=True):
            rows = step[0][0]
            values = torch.stack([values for _, values in step], dim=1)
            # Keys that came after a KV-cache step were not there to be seen: zero.
            padded = nn.functional.pad(values, (0, keys - values.shape[-1]))
            # Rows are sorted by sample, so a row moves on when an earlier sample gains one in a
            # later step; the token itself says where it belongs.
            same_sample = roles.sample == rows.sample[:, None]
            same_token = roles.position.T[rows.role] == rows.key[:, None]
            place = (same_sample & same_token).int().argmax(dim=1)
            record = record.index_put((place, rows.role), padded)
        return record

    @property
    def vision_grid(self) -> Tensor:
        """Place of each key's patch, int64 [batch, key, 3]: (frame, row, column), -1 for text."""
        sample = self.roles.sample
        return vision_grid(self._recorder.ids, self._image_token_id, self._grid)[sample]

    def on_patches(self) -> Tensor:
        """Attention over the patches alone, [batch, role, layer, head, frame, row, column].

        Raises:
            ReviosaError: the rows see different numbers of patches, or no whole number of frames.
        """
        attention, is_patch = self.attention, self.vision_grid[..., 0] >= 0
        counts = is_patch.sum(dim=1)
        if len(counts) == 0 or not bool((counts == counts[0]).all()):
            raise ReviosaError(
                f"the expressions of this batch see {counts.tolist()} patches; patch maps need the "
                "same number of frames for all"
            )
        keys = is_patch.nonzero()[:, 1].view(len(counts), 1, 1, 1, -1)
        taken = attention.gather(-1, keys.expand(*attention.shape[:-1], -1))
        return taken.unflatten(-1, (-1, self._grid, self._grid))


@contextlib.contextmanager
def record_role_attention(
    model: nn.Module, layers: Sequence[int] | None = None, cached_ids: Tensor | None = None
) -> Iterator[RoleAttention]:
    """Record the role tokens' attention during any forward pass of ``model``.

    Works in training and inference, on padded batches, with LoRA, gradient checkpointing
    (non-reentrant), autocast and KV-cache steps. Outside the block the model is as it was, also
    after an exception. Recording costs one small matrix product a layer; fused attention stays on.

    Args:
        model: a :class:`~reviosa.model.ReviosaModel`, or one wrapped by peft or DDP.
        layers: layers of the language model to record, zero-based; all when None.
        cached_ids: tokens that a KV cache holds from before the block, int64 [1 or batch, token].

    Yields:
        the record; read it after a forward pass, inside or outside the block.

    Raises:
        ConfigError: a layer does not exist.
        ReviosaError: this model is being recorded already; in a forward pass: a KV cache was filled
            before the block, or gradient checkpointing is reentrant.
    """
    model = _unwrap(model)
    config = model.config
    chosen = tuple(range(config.num_layers) if layers is None else sorted(set(layers)))
    for layer in chosen:
        if not 0 <= layer < config.num_layers:
            raise ConfigError(
                f"layer {layer} does not exist: the language model has layers 0 to "
                f"{config.num_layers - 1}"
            )
    language = model.language_model
    modules = [layer.self_attn for layer in language.layers]
    if any(module in _RECORDERS for module in modules):
        raise ReviosaError("this model is being recorded already; use one block at a time")
    recorder = _Recorder(chosen, cached_ids)
    before = language.config._attn_implementation
    hooks = [
        model.register_forward_pre_hook(_begin(recorder), with_kwargs=True),
        model.register_forward_hook(_end(recorder), always_call=True),
    ]
    try:
        language.config._attn_implementation = register_around(_PREFIX, before, _record)
        for module in modules:
            _RECORDERS[module] = recorder
        yield RoleAttention(recorder, config.num_heads, config.image_token_id, config.grid)
    finally:
        for module in modules:
            _RECORDERS.pop(module, None)
        for hook in hooks:
            hook.remove()
        language.config._attn_implementation = before


def _unwrap(model: nn.Module) -> nn.Module:
    if hasattr(model, "get_base_model"):
        model = model.get_base_model()
    return getattr(model, "module", model)


def _begin(recorder: _Recorder) -> Callable:
    def hook(model: nn.Module, args: tuple, kwargs: dict) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        cache = kwargs.get("past_key_values")
        past = cache.get_seq_length() if cache is not None else 0
        opening = recorder.opening
        if past == 0 or (opening is not None and past == opening.shape[1]):
            # A sequence begins, perhaps not the first one in this block.
            recorder.parts.clear()
            recorder.ids = opening
        if past == 0:
            recorder.ids = ids
        elif recorder.ids is None or recorder.ids.shape[1] < past:
            raise ReviosaError(
                f"the KV cache holds {past} tokens that were read before the recording began; "
                "open the `with` block before the first forward pass of the sequence"
            )
        else:
            before = recorder.ids[:, :past].expand(len(ids), -1)
            recorder.ids = torch.cat([before, ids], dim=1)
        config, language = model.config, model.language_model
        roles = find_roles(recorder.ids, config.actor_token_id, config.target_token_id)
        recorder.roles = roles
        row, role = (roles.position >= past).nonzero(as_tuple=True)
        key = roles.position[row, role]
        recorder.now = _Rows(roles.sample[row], key - past, key, role)
        checkpointed = any(layer.gradient_checkpointing for layer in language.layers)
        recorder.later = checkpointed and language.training
        recorder.seen.clear()
        recorder.inside = True

    return hook


def _end(recorder: _Recorder) -> Callable:
    def hook(model: nn.Module, args: tuple, output: Any) -> None:
        deferred = {layer for layer, _, _ in recorder.deferred}
        recorder.finish()
        if not deferred or not torch.is_grad_enabled():
            return
        # The outermost layer alone may rightly have no graph: all it builds on may be frozen.
        layer = max(deferred)
        trains = any(p.requires_grad for p in model.language_model.layers[:layer].parameters())
        if trains and not any(values.requires_grad for _, values in recorder.parts[layer]):
            raise ReviosaError(
                "attention was recorded under reentrant gradient checkpointing, which runs the "
                "layers without a graph, so a loss on it would train nothing; enable checkpointing "
                'with {"use_reentrant": False}'
            )

    return hook


def _record(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Any,
    scale: float,
    output: Tensor,
) -> Tensor:
    """Record beside the attention function; its output stays as it is."""
    recorder = _RECORDERS.get(module)
    if recorder is not None:
        recorder.attend(module, query, key, mask, scale)
    return output
