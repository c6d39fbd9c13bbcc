"""A copy of the language model that answers to TransformerLens' names.

TransformerLens knows Qwen2 but neither InternVL nor ReVIOSa, and it changes what it wraps. So the
decoder and its head are copied, put together as the Qwen2ForCausalLM that they are, and handed
embeddings in which the patches stand already. Conversations are read whole, without a KV cache:
that is what hooks on keys and values expect.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from probes.lens.readout import Unembedding
from reviosa.errors import ConfigError, ReviosaError
from reviosa.inference import Answer, Segmenter, VideoFeatures
from reviosa.model import ReviosaModel
from reviosa.model.lora import fold_adapters

__all__ = ["Conversation", "Lens", "LensRun", "conversations"]

Hook = tuple[str, Callable[..., Tensor | None]]
"""A TransformerLens name, and a function of ``(activation, hook)`` that may return another one."""

_QUERY_AXIS_2 = ("hook_pattern", "hook_attn_scores")
"""[batch, head, query, key]; all other activations are [batch, token, ...]."""
_CHOSEN_ROWS_ALONE = ("unembed.hook_in", "unembed.hook_out", "hook_unembed")
"""The head is handed no other tokens."""


class LensRun(NamedTuple):
    """What one pass gave, at the chosen tokens alone."""

    logits: Tensor
    """[row, vocabulary]"""
    cache: dict[str, Tensor]
    """By TransformerLens name: [row, ...], or [head, row, key] of patterns and scores."""


@dataclass(frozen=True)
class Conversation:
    """Video, question and the model's own answer, as the language model is given them."""

    ids: tuple[int, ...]
    embeddings: Tensor
    """Token embeddings with the patches in their places, [1, token, hidden]."""
    actor: int
    """Place of the first actor token."""
    target: int | None
    """Place of the first target token, where the answer names one."""

    @property
    def roles(self) -> tuple[int, ...]:
        """Places of the role tokens whose masks count: the actor's, then the target's."""
        return (self.actor,) if self.target is None else (self.actor, self.target)


class Lens:
    """A copy of a model's language model, wrapped by TransformerLens.

    Adapters are merged into the copy. The model itself is left as it is, so the copy takes the
    memory of the language model once more.

    Hooks have their TransformerLens names (``blocks.3.attn.hook_z``); all are in
    ``bridge.hook_dict``. As the model is given embeddings, those of the token embedding do not
    fire: ``blocks.0.hook_resid_pre`` is what comes in.
    """

    def __init__(self, model: ReviosaModel) -> None:
        # Seconds of import, which reading the results of a run need not wait for.
        from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

        shim = _Shim(model.language_model, model.get_output_embeddings())
        # torch types every submodule as a tensor or a module.
        self._shim: Any = copy.deepcopy(shim).eval()
        fold_adapters(self._shim.model)
        # Taken before the bridge renames the modules; the tensors are the copy's own.
        decoder = self._shim.model
        norm, head = decoder.norm, self._shim.lm_head.weight.detach()
        self.unembedding = Unembedding(norm.weight.detach(), norm.variance_epsilon, head)
        self.output_projections: tuple[Tensor, ...] = tuple(
            layer.self_attn.o_proj.weight.detach() for layer in decoder.layers
        )
        """W_O of each layer, [hidden, head * head_dim]; Qwen2 has no bias there."""
        self.bridge: Any = build_bridge_from_module(
            self._shim, "Qwen2ForCausalLM", hf_config=decoder.config
        )

    def __call__(self, embeddings: Tensor, rows: Sequence[int] | None = None) -> Tensor:
        """Read a sequence.

        Args:
            embeddings: [batch, token, hidden].
            rows: tokens whose scores are wanted; all when None, which is large in a real model.

        Returns:
            scores of the next token, [batch, row, vocabulary].
        """
        return self._shim(inputs_embeds=embeddings, rows=rows)

    def hooks(self, fwd_hooks: Sequence[Hook]) -> AbstractContextManager[Any]:
        """Attach hooks for the passes of a ``with`` block.

        Raises:
            ConfigError: there is no hook of that name.
        """
        self._require([name for name, _ in fwd_hooks])
        return self.bridge.hooks(fwd_hooks=list(fwd_hooks))

    def run_with_cache(
        self,
        conversation: Conversation,
        names: Sequence[str],
        rows: Sequence[int] | None = None,
        fwd_hooks: Sequence[Hook] = (),
    ) -> LensRun:
        """Read a conversation and keep some activations at some of its tokens.

        What is kept is copied: TransformerLens' own slices are views that keep whole attention
        matrices alive. At any time one layer's matrix is in memory, as in its own passes.

        Args:
            conversation: what to read.
            names: of the activations to keep.
            rows: at which tokens; the role tokens when None.
            fwd_hooks: hooks that change the pass; they come before those that keep.

        Raises:
            ConfigError: there is no hook of that name.
            ReviosaError: a hook did not fire, as those of the token embedding do not.
        """
        places = list(conversation.roles if rows is None else rows)
        self._require(names)
        cache: dict[str, Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            def hook(activation: Tensor, hook: Any) -> None:
                cache[name] = _rows_of(name, activation.detach(), places)

            return hook

        with self.hooks([*fwd_hooks, *((name, keep(name)) for name in names)]):
            logits = self(conversation.embeddings, places)
        silent = [name for name in names if name not in cache]
        if silent:
            raise ReviosaError(
                f"the hook {silent[0]} did not fire in a pass that is given embeddings; "
                "keep blocks.0.hook_resid_pre in place of the token embedding"
            )
        return LensRun(logits[0], {name: cache[name] for name in names})

    def _require(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self.bridge.hook_dict]
        if unknown:
            raise ConfigError(
                f"got the hook {unknown[0]!r}, expected a TransformerLens name such as "
                "blocks.3.attn.hook_z; bridge.hook_dict holds all of them"
            )


def conversations(
    segmenter: Segmenter, features: VideoFeatures, replies: Sequence[Answer]
) -> Iterator[Conversation]:
    """The conversations that ended in ``replies``, as the language model is given them whole.

    Args:
        segmenter: the model and its processor.
        features: the video, from :meth:`Segmenter.encode`.
        replies: from :meth:`Segmenter.answer` about that video.
    """
    model = segmenter.model
    frames = segmenter.processor.vision_frames(features.source.read_frames(features.frame_indices))
    # Not inference mode: gradients of activations may be asked for, as attribution patching does.
    with torch.no_grad():
        patches = model.image_features(frames[None].to(model.device, model.dtype))
    for reply in replies:
        ids = torch.tensor([reply.ids], device=model.device)
        with torch.no_grad():
            embeddings = model.embed(ids, patches)
        actor, target = segmenter.role_tokens(features, reply.ids)  # an answer names an actor
        yield Conversation(tuple(reply.ids), embeddings, actor, target if target >= 0 else None)


class _Shim(nn.Module):
    """The decoder and its head as TransformerLens expects Qwen2ForCausalLM to be built."""

    def __init__(self, decoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.model, self.lm_head = decoder, head

    def forward(self, inputs_embeds: Tensor, rows: Sequence[int] | None = None) -> Tensor:
        states = self.model(inputs_embeds=inputs_embeds, use_cache=False).last_hidden_state
        return self.lm_head(states if rows is None else states[:, list(rows)])


def _rows_of(name: str, activation: Tensor, rows: list[int]) -> Tensor:
    """A copy of the rows, without the batch axis."""
    if name.endswith(_QUERY_AXIS_2):
        return activation[0][:, rows]
    if name in _CHOSEN_ROWS_ALONE:
        return activation[0].clone()
    return activation[0][rows]
