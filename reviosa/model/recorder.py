"""Following a model's forward passes: which rows of attention each has, and where they belong."""

import contextlib
import inspect
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from reviosa.errors import ReviosaError
from reviosa.model.attention_functions import AttentionCall, around_attention
from reviosa.model.attention_rows import Rows, rows_of_call
from reviosa.model.decoder import Decoder, find_decoder, unwrap
from reviosa.model.queries import Queries

__all__ = ["Recorder", "recording"]

_RECORDED: "weakref.WeakSet[nn.Module]" = weakref.WeakSet()


@dataclass
class _Pass:
    """One forward pass: a whole sequence, or a step that goes on from a KV cache."""

    rows: Rows
    tokens: int
    """Queries of the pass."""
    keys: int
    """Length of the sequence after it."""
    cache: Any
    later: bool
    """Whether rows are computed when the pass is over."""
    graph: bool
    """Whether the pass was called with gradients on."""
    heads: dict[int, int] = field(default_factory=dict)
    """Number of heads of each layer that has run."""
    values: dict[int, Tensor] = field(default_factory=dict)
    """float32 [row, head, key] of each layer."""
    deferred: dict[int, AttentionCall] = field(default_factory=dict)


class Recorder:
    """Follows the forward passes of one model.

    Args:
        decoder: the model's decoder.
        layers: which layers are recorded.
        choose: from the tokens of the sequence so far [batch, token], None where the model was
            called with embeddings, and the size of the batch, to the queries.
        cached_ids: tokens that a KV cache holds from before the block.
    """

    def __init__(
        self,
        decoder: Decoder,
        layers: tuple[int, ...],
        choose: Callable[[Tensor | None, int], Queries],
        cached_ids: Tensor | None,
    ) -> None:
        self.layers = layers
        self.queries: Queries | None = None
        """Of the sequence so far; None before the first pass."""
        self.ids: Tensor | None = None
        """Tokens of the sequence so far, [batch, token]; None where they are not known."""
        self.keys = 0
        """How many they are."""
        self._decoder, self._choose, self._opening = decoder, choose, cached_ids
        self._now: _Pass | None = None
        self._passes: list[_Pass] = []
        self._checkpointed = [m for m in decoder.module.modules() if _can_checkpoint(m)]

    def begin(self, values: dict[str, Any]) -> None:
        """A forward pass begins; ``values`` are its arguments by name."""
        ids, embeddings = values.get("input_ids"), values.get("inputs_embeds")
        given = embeddings if ids is None else ids
        if given is None:
            raise ReviosaError("the model was called without input_ids and inputs_embeds")
        batch, tokens = given.shape[:2]
        cache = values.get("past_key_values")
        past = 0 if cache is None else int(cache.get_seq_length(min(self._decoder.attention)))
        self._go_on(ids, past)
        self.keys = past + tokens
        self.queries = self._choose(self.ids, batch).to(given.device)
        row, which = (self.queries.position >= past).nonzero(as_tuple=True)
        position = self.queries.position[row, which]
        here = position < self.keys
        row, position = row[here], position[here]
        rows = Rows(self.queries.sample[row], position - past, position)
        # Nothing may be computed inside a checkpointed region that its second run, which may come
        # after the recording has ended, would not compute again.
        later = self._decoder.module.training and any(
            module.gradient_checkpointing for module in self._checkpointed
        )
        graph = torch.is_grad_enabled()
        self._now = _Pass(rows, tokens, self.keys, cache, later, graph)

    def _go_on(self, ids: Tensor | None, past: int) -> None:
        opening = self._opening
        if past == 0:
            self._passes.clear()
            self.ids = ids
            return
        if opening is not None and past == opening.shape[1]:
            # A sequence begins, perhaps not the first one in this block.
            self._passes.clear()
            self.ids, self.keys = opening, past
        if self.keys < past:
            raise ReviosaError(
                f"the KV cache holds {past} tokens that were read before the recording began; "
                "open the `with` block before the first forward pass of the sequence"
            )
        if self.ids is None or ids is None:
            self.ids = None
        else:
            self.ids = torch.cat([self.ids[:, :past].expand(len(ids), -1), ids], dim=1)

    def attend(self, call: AttentionCall, output: Tensor) -> Tensor:
        """Record beside the attention function; its output stays as it is."""
        now, layer = self._now, int(call.module.layer_idx)
        # Gradient checkpointing runs a layer again in the backward pass; the first run counts.
        if now is None or layer in now.heads:
            return output
        _check(call, now, layer)
        now.heads[layer] = call.query.shape[1]
        if now.later:
            now.deferred[layer] = call
        else:
            now.values[layer] = rows_of_call(call, now.rows, now.keys)
        return output

    def end(self, failed: bool) -> None:
        """The forward pass is over."""
        now, self._now = self._now, None
        if failed or now is None:
            self._passes.clear()
            self.queries = None
            return
        missing = [layer for layer in self.layers if layer not in now.heads]
        if missing:
            self.queries = None
            raise ReviosaError(
                f"nothing was recorded of layers {missing}: they never called an attention "
                "function of transformers' registry; choose the layers that do with layers=, and "
                "open the block after attention functions are registered"
            )
        for layer, call in now.deferred.items():
            now.values[layer] = rows_of_call(call, now.rows, now.keys)
        now.deferred.clear()
        self._passes.append(now)

    def attention(self) -> Tensor:
        """float32 [row, query, layer, head, key]; NaN where a query is absent."""
        queries = self.queries
        if queries is None or not self._passes:
            raise ReviosaError("nothing is recorded yet; run the model inside the `with` block")
        heads = self._passes[-1].heads
        counts = {layer: heads[layer] for layer in self.layers}
        if len(set(counts.values())) > 1:
            raise ReviosaError(
                f"the layers have different numbers of heads ({counts}); choose layers of one "
                "number with layers="
            )
        shape = (*queries.position.shape, len(self.layers), heads[self.layers[0]], self.keys)
        record = torch.full(shape, float("nan"), device=queries.position.device)
        # Keys that came after a KV-cache step were not there to be seen: zero.
        values = torch.cat(
            [
                nn.functional.pad(
                    torch.stack([step.values[layer] for layer in self.layers], dim=1),
                    (0, self.keys - step.keys),
                )
                for step in self._passes
            ]
        )
        sample = torch.cat([step.rows.sample for step in self._passes])
        position = torch.cat([step.rows.position for step in self._passes])
        # Later steps may choose other queries, or give them other places: the token itself says
        # where its row belongs.
        row, which = queries.present.nonzero(as_tuple=True)
        if not len(row) or not len(sample):
            return record
        token = (queries.sample[row], queries.position[row, which])
        same = (token[0][:, None] == sample) & (token[1][:, None] == position)
        known = same.any(dim=1)
        # A token that was read again, after a cache was cropped, has its last row.
        order = torch.arange(1, len(sample) + 1, device=same.device)
        last = (same[known] * order).argmax(dim=1)
        return record.index_put((row[known], which[known]), values[last])


def _can_checkpoint(module: nn.Module) -> bool:
    return hasattr(module, "gradient_checkpointing")


def _check(call: AttentionCall, now: _Pass, layer: int) -> None:
    """Refuse what would be recorded wrong."""
    if now.later and now.graph and not torch.is_grad_enabled():
        raise ReviosaError(
            "attention was recorded under reentrant gradient checkpointing, which runs the layers "
            "without a graph, so a loss on it would train nothing; enable checkpointing "
            'with {"use_reentrant": False}'
        )
    queries, keys = call.query.shape[2], call.key.shape[2]
    if queries != now.tokens:
        raise ReviosaError(
            f"layer {layer} asks for {queries} queries where the pass has {now.tokens} tokens; "
            "have the model compute all tokens (logits_to_keep=0), or leave the layer out"
        )
    if keys == now.keys:
        return
    # Sliding windows drop keys, static caches have room to spare.
    held = getattr(now.cache, "layers", ())
    allows = "is_sliding" if keys < now.keys else "is_compileable"
    if layer >= len(held) or not getattr(held[layer], allows, False):
        raise ReviosaError(
            f"layer {layer} attends to {keys} keys where the sequence has {now.keys} tokens: its "
            "keys are not the tokens (cross attention, compressed keys); leave it out with layers="
        )


@contextlib.contextmanager
def recording(
    model: nn.Module,
    choose: Callable[[Tensor | None, int], Queries],
    layers: Sequence[int] | None,
    cached_ids: Tensor | None,
) -> Iterator[Recorder]:
    """Attach a recorder to ``model``.

    :func:`~reviosa.model.attention_record.record_attention` says what this does and raises.
    """
    model = unwrap(model)
    decoder = find_decoder(model)
    recorder = Recorder(decoder, decoder.choose(layers), choose, cached_ids)
    if model in _RECORDED:
        raise ReviosaError("this model is being recorded already; use one block at a time")
    signature = inspect.signature(model.forward)

    def begin(module: nn.Module, args: tuple, kwargs: dict) -> None:
        recorder.begin(signature.bind_partial(*args, **kwargs).arguments | kwargs)

    def end(module: nn.Module, args: tuple, output: Any) -> None:
        recorder.end(failed=output is None)

    with contextlib.ExitStack() as stack:
        stack.callback(_RECORDED.discard, model)
        _RECORDED.add(model)
        modules = [decoder.attention[layer] for layer in recorder.layers]
        stack.enter_context(around_attention(modules, recorder.attend))
        for hook in (
            model.register_forward_pre_hook(begin, with_kwargs=True),
            model.register_forward_hook(end, always_call=True),
        ):
            stack.callback(hook.remove)
        yield recorder
