"""ReVIOSa's forward pass in the terms of the released layout: plain functions on a dict of tensors.

Written from REVIOSA.md 1, without our model, transformers or peft, to be compared with. SAM2's
modules are the sam2 package's own; what ReVIOSa does with them is written out.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear, silu

__all__ = ["answer_states", "masks", "patches", "prompts"]

Weights = dict[str, Tensor]


def _of(w: Weights, name: str, x: Tensor) -> Tensor:
    return linear(x, w[f"{name}.weight"].float(), w.get(f"{name}.bias"))


def patches(w: Weights, frames: Tensor, heads: int, ratio: float = 0.5) -> Tensor:
    """InternViT, pixel shuffle and projector: [frame, 3, side, side] to [frame, patch, hidden]."""
    stem = "vision_model.embeddings."
    size = w[f"{stem}patch_embedding.weight"].shape[-1]
    x = conv2d(
        frames, w[f"{stem}patch_embedding.weight"], w[f"{stem}patch_embedding.bias"], stride=size
    )
    x = x.flatten(2).transpose(1, 2)
    first = w[f"{stem}class_embedding"].expand(len(x), 1, -1)
    x = torch.cat([first, x], dim=1) + w[f"{stem}position_embedding"]
    count = 1 + max(int(k.split(".")[3]) for k in w if k.startswith("vision_model.encoder.layers."))
    for layer in range(count):
        at = f"vision_model.encoder.layers.{layer}."
        wide = x.shape[-1]
        y = layer_norm(x, (wide,), w[f"{at}norm1.weight"], w[f"{at}norm1.bias"], 1e-6)
        q, k, v = _of(w, f"{at}attn.qkv", y).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(wide // heads)).softmax(-1)
        y = (weights @ v).transpose(1, 2).flatten(2)
        x = x + w[f"{at}ls1"] * _of(w, f"{at}attn.proj", y)
        y = layer_norm(x, (wide,), w[f"{at}norm2.weight"], w[f"{at}norm2.bias"], 1e-6)
        y = _of(w, f"{at}mlp.fc2", gelu(_of(w, f"{at}mlp.fc1", y)))
        x = x + w[f"{at}ls2"] * y
    x = x[:, 1:]
    # Pixel shuffle, version 2: each 2 x 2 block becomes one patch, rows of blocks first. The
    # channels of a block stand row by row: (0, 0), (0, 1), (1, 0), (1, 1).
    side, step = math.isqrt(x.shape[1]), int(1 / ratio)
    x = x.unflatten(1, (side, side))
    corners = [x[:, i::step, j::step] for i in range(step) for j in range(step)]
    x = torch.cat(corners, dim=-1).flatten(1, 2)
    x = layer_norm(x, (x.shape[-1],), w["mlp1.0.weight"], w["mlp1.0.bias"], 1e-5)
    return _of(w, "mlp1.3", gelu(_of(w, "mlp1.1", x)))


def answer_states(
    w: Weights,
    ids: Tensor,
    visual: Tensor,
    image_token: int,
    heads: int,
    kv_heads: int,
    theta: float = 1e6,
    eps: float = 1e-6,
) -> tuple[Tensor, Tensor]:
    """Qwen2 over one sequence [token]: states after the last norm, and scores of the next token."""
    x = w["language_model.model.embed_tokens.weight"].float()[ids].clone()
    x[ids == image_token] = visual.flatten(0, 1)
    length, dim = len(ids), x.shape[-1] // heads
    angle = torch.arange(length)[:, None] / theta ** (torch.arange(0, dim, 2) / dim)
    cos, sin = (torch.cat([f(angle)] * 2, dim=-1) for f in (torch.cos, torch.sin))

    def rotate(t: Tensor) -> Tensor:
        half = torch.cat([-t[..., dim // 2 :], t[..., : dim // 2]], dim=-1)
        return t * cos + half * sin

    def norm(t: Tensor, name: str) -> Tensor:
        return t / (t.pow(2).mean(-1, keepdim=True) + eps).sqrt() * w[f"{name}.weight"]

    causal = torch.ones(length, length).tril().bool()
    count = 1 + max(int(k.split(".")[3]) for k in w if k.startswith("language_model.model.layers."))
    for layer in range(count):
        at = f"language_model.model.layers.{layer}."
        y = norm(x, f"{at}input_layernorm")
        q, k, v = (
            _of(w, f"{at}self_attn.{n}_proj", y).unflatten(-1, (-1, dim)).transpose(0, 1)
            for n in "qkv"
        )
        k, v = (t.repeat_interleave(heads // kv_heads, dim=0) for t in (k, v))
        scores = rotate(q) @ rotate(k).transpose(-1, -2) / math.sqrt(dim)
        y = scores.masked_fill(~causal, -math.inf).softmax(-1) @ v
        x = x + _of(w, f"{at}self_attn.o_proj", y.transpose(0, 1).flatten(1))
        y = norm(x, f"{at}post_attention_layernorm")
        y = silu(_of(w, f"{at}mlp.gate_proj", y)) * _of(w, f"{at}mlp.up_proj", y)
        x = x + _of(w, f"{at}mlp.down_proj", y)
    x = norm(x, "language_model.model.norm")
    return x, _of(w, "language_model.lm_head", x)


def prompts(w: Weights, states: Tensor) -> Tensor:
    """MLP_seg of the states at the role tokens, [prompt, channel]."""
    return _of(w, "text_hidden_fcs.2", _of(w, "text_hidden_fcs.0", states).relu())


def masks(sam2: torch.nn.Module, frame: Tensor, prompt: Tensor) -> Tensor:
    """SAM2's mask of one language vector [channel] on one frame [3, size, size]."""
    out = sam2.forward_image(frame[None])
    fine, middle, coarse = out["backbone_fpn"]
    image = coarse + sam2.no_mem_embed.reshape(1, -1, 1, 1)
    nothing = (torch.zeros(1, 1, 2), torch.full((1, 1), -1, dtype=torch.int32))
    sparse, dense = sam2.sam_prompt_encoder(points=nothing, boxes=None, masks=None)
    low, iou, _, _ = sam2.sam_mask_decoder(
        image_embeddings=image,
        image_pe=sam2.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=torch.cat([sparse, prompt[None, None]], dim=1),
        dense_prompt_embeddings=dense,
        multimask_output=True,
        repeat_image=False,
        high_res_features=[fine, middle],
    )
    return low[0, iou[0].argmax()]
