"""What the mask loss makes of each head at the role tokens: one pass forward and one back a role.

The frames are read once and stay without a graph; only the conversation that goes on from them has
one. Every head gets a change of zero added to its output, and the gradient is that of the change:
it counts all ways on to the mask, through the layers above, MLP_seg and SAM2's decoder.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from probes.criteria import HeadOutputs
from probes.interventions import record_heads
from reviosa.data.records import VideoSample
from reviosa.inference import Segmenter, VideoFeatures
from reviosa.inference.opening import Opening, read_on, read_opening
from reviosa.losses import dice_loss, mask_bce_loss, pool_masks
from reviosa.model import ReviosaModel, ReviosaOutput
from reviosa.model.segmenter import decode_prompts

__all__ = ["BlankFrames", "read_with_gradients"]


class BlankFrames:
    """The openings of videos on which there is nothing to be seen, kept by their frame count."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._openings: dict[int, Opening] = {}

    @torch.no_grad()
    def opening(self, frames: int) -> Opening:
        """Frames of the mean colour, which normalisation makes zero, as the model reads them."""
        if frames not in self._openings:
            model, size = self._segmenter.model, self._segmenter.model.config.image_size
            blank = torch.zeros(1, frames, 3, size, size, device=model.device, dtype=model.dtype)
            features = model.image_features(blank)
            self._openings[frames] = read_opening(
                model, self._segmenter.processor, features, frames
            )
        return self._openings[frames]

    def outputs(self, features: VideoFeatures, ids: Sequence[int]) -> Tensor:
        """What heads write at the role tokens of a conversation when all frames are blank.

        Returns:
            float32 [layer, role, head, head_dim]; without meaning where a role is not named.
        """
        model, processor = self._segmenter.model, self._segmenter.processor
        opening = self.opening(len(features.frame_indices))
        places = _places(self._segmenter, features, ids)
        with torch.no_grad(), record_heads(model, places) as found:
            read_on(model, processor, opening, [ids])
        return torch.stack([z[0] for z in found])


def _places(segmenter: Segmenter, features: VideoFeatures, ids: Sequence[int]) -> list[int]:
    """Role tokens among the tokens behind the frames; absent ones share the first of those."""
    start = features.opening.ids.shape[1]
    return [max(token - start, 0) for token in segmenter.role_tokens(features, ids)]


def read_with_gradients(
    segmenter: Segmenter,
    features: VideoFeatures,
    sample: VideoSample,
    ids: Sequence[int],
    blank: Tensor,
) -> tuple[ReviosaOutput, tuple[HeadOutputs | None, HeadOutputs | None]]:
    """Read a conversation, and what each head's output at its role tokens is worth.

    Args:
        segmenter: the model.
        features: of the video.
        sample: the expression, whose truth the mask loss is against: cross-entropy plus Dice at
            SAM2's own resolution, over the frames the language model saw (equation 7).
        ids: question and answer.
        blank: of :meth:`BlankFrames.outputs`.

    Returns:
        the output of the pass, without a graph, and what heads write for actor and target; None
        where a role is not named or has no truth.
    """
    model = segmenter.model.eval()
    places = _places(segmenter, features, ids)
    roles = [
        role
        for role, token in enumerate(segmenter.role_tokens(features, ids))
        if token >= 0 and (role == 0 or sample.expression.is_interaction)
    ]
    # Tensors of an inference pass cannot take part in a graph, and the caller may be in one.
    with torch.inference_mode(False), torch.enable_grad():
        with _traced(model, places) as trace:
            output = read_on(model, segmenter.processor, features.opening, [ids])
        losses = [_mask_loss(segmenter, features, sample, output, role) for role in roles]
        found: list[HeadOutputs | None] = [None, None]
        for role, loss in zip(roles, losses, strict=True):
            slopes = torch.autograd.grad(loss, trace.changes, retain_graph=role != roles[-1])
            gain = -torch.stack([slope[role] for slope in slopes])
            found[role] = _head_outputs(model, features, trace, role, gain, blank[:, role])
    for name in ("logits", "last_hidden_state", "prompts"):
        value = getattr(output, name)
        setattr(output, name, None if value is None else value.detach())
    return output, (found[0], found[1])


@dataclass(frozen=True)
class _Trace:
    """What the hooks of one pass leave, a layer after the other."""

    outputs: list[Tensor]
    """[token, head, head_dim] of each layer."""
    changes: list[Tensor]
    """The zeros that were added to them, of the same shape."""
    residual: list[Tensor]
    """What enters the final norm, [token, hidden]; one item."""


@contextlib.contextmanager
def _traced(model: ReviosaModel, tokens: Sequence[int]) -> Iterator[_Trace]:
    language: Any = model.language_model
    heads = model.config.num_heads
    trace = _Trace([], [], [])
    places = list(tokens)

    def change(module: nn.Module, args: tuple) -> tuple:
        z = args[0]
        here = z[0, places].unflatten(-1, (heads, -1))
        zero = torch.zeros_like(here, requires_grad=True)
        trace.outputs.append(here.detach())
        trace.changes.append(zero)
        index = torch.tensor(places, device=z.device)
        # Roles that are absent share token 0, of which nothing is asked.
        return (z.index_add(1, index, zero.flatten(1)[None]), *args[1:])

    def keep(module: nn.Module, args: tuple) -> None:
        trace.residual.append(args[0][0, places].detach())

    handles = [
        layer.self_attn.o_proj.register_forward_pre_hook(change) for layer in language.layers
    ]
    handles.append(language.norm.register_forward_pre_hook(keep))
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()


def _mask_loss(
    segmenter: Segmenter,
    features: VideoFeatures,
    sample: VideoSample,
    output: ReviosaOutput,
    role: int,
) -> Tensor:
    """Cross-entropy plus Dice of the role's first prompt on the seen frames."""
    assert output.prompts is not None and output.prompt_role is not None
    prompt = output.prompts[int((output.prompt_role == role).int().argmax())]
    truth = torch.from_numpy(sample.masks(role, list(features.frame_indices)))
    logits = []
    for view in features.sam.values():
        here = view.take(torch.zeros(1, dtype=torch.int64, device=prompt.device))
        logits.append(decode_prompts(segmenter.model.sam2, here, prompt[None]).masks())
    masks = torch.cat(logits)
    shrunk = pool_masks(truth, masks.shape[-1]).to(masks.device)
    return mask_bce_loss(masks, shrunk) + dice_loss(masks, shrunk)


def _head_outputs(
    model: ReviosaModel,
    features: VideoFeatures,
    trace: _Trace,
    role: int,
    gain: Tensor,
    blank: Tensor,
) -> HeadOutputs:
    """Carry gradients on to the attention weights: z is the sum over keys of A_i v_i."""
    outputs = torch.stack([z[role] for z in trace.outputs])
    is_patch = features.opening.ids[0] == model.config.image_token_id
    group = model.config.num_heads
    along = _along_prompt(model, trace, role)
    attention_gain, written = [], []
    for layer, slopes, direct in zip(features.opening.cache.layers, gain, along, strict=True):
        values = layer.values[0][:, is_patch].float()
        values = values.repeat_interleave(group // len(values), dim=0)
        attention_gain.append(torch.einsum("hd,hpd->hp", slopes.float(), values))
        written.append(torch.einsum("hd,hpd->hp", direct.float(), values))

    def off(values: Tensor) -> np.ndarray:
        return values.detach().float().cpu().numpy()

    return HeadOutputs(
        off(outputs), off(gain), off(blank), off(torch.stack(attention_gain)),
        off(torch.stack(written)),
    )  # fmt: skip


def _along_prompt(model: ReviosaModel, trace: _Trace, role: int) -> list[Tensor]:
    """Of each layer, what a unit of z adds to the prompt along itself, in parts of its length.

    [head, head_dim] each: through the output projection, the final norm and MLP_seg as they stand
    at this token.
    """
    language: Any = model.language_model
    residual = trace.residual[0][role].clone().requires_grad_()
    prompt = model.seg_projector(language.norm(residual))
    length = prompt.detach().norm()
    (direction,) = torch.autograd.grad((prompt * prompt.detach()).sum() / length**2, residual)
    found = []
    for layer, output in zip(language.layers, trace.outputs, strict=True):
        z = torch.zeros_like(output[role]).flatten().requires_grad_()
        (slope,) = torch.autograd.grad(layer.self_attn.o_proj(z) @ direction, z)
        found.append(slope.view_as(output[role]))
    return found
