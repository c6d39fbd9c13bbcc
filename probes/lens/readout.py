"""From hidden states to scores of tokens: the logit lens, and what each part of the model adds.

The logit lens reads the state after each layer as if it were the last (nostalgebraist 2020,
"interpreting GPT: the logit lens"). Early layers are not made to be read so, and the lens errs
there (arXiv 2303.08112): a late decision is one that cannot be *read* earlier.

Direct logit attribution splits a difference of two scores into what embedding, heads and MLPs wrote
into the last state (arXiv 2211.00593, section 3). The final norm is RMSNorm: no mean is taken off,
and with its scale held fixed it is linear.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LensRows", "Parts", "Unembedding", "attribute", "logit_lens"]


@dataclass(frozen=True)
class Unembedding:
    """Final norm and unembedding of a model."""

    norm: Tensor
    """Weight of the RMSNorm, [hidden]."""
    eps: float
    matrix: Tensor
    """W_U, [vocabulary, hidden]."""

    def scale(self, states: Tensor) -> Tensor:
        """What the norm divides states [..., hidden] by, float32 [..., 1]."""
        return (states.float().square().mean(dim=-1, keepdim=True) + self.eps).sqrt()

    def logits(self, states: Tensor) -> Tensor:
        """Scores of all tokens, float32 [..., vocabulary], rounded where the model rounds."""
        normed = (states.float() / self.scale(states)).to(states.dtype)
        return ((self.norm * normed) @ self.matrix.T).float()


@dataclass(frozen=True)
class LensRows:
    """How a token stands among all others, at each depth and site; float32 [depth, site]."""

    probability: Tensor
    rank: Tensor
    """1 is first; tokens with the same score share the better rank."""
    over_rival: Tensor
    """Its score less that of the best other token."""
    over_end: Tensor
    """Its score less that of the site's second token: log-odds between the two."""


def logit_lens(
    states: Tensor, unembedding: Unembedding, tokens: Tensor, ends: Tensor
) -> tuple[LensRows, Tensor]:
    """Read states as if they were the last.

    Args:
        states: [depth, site, hidden], before the final norm.
        unembedding: final norm and unembedding.
        tokens: int64 [site], the token that is looked at.
        ends: int64 [site], what its log-odds are against.

    Returns:
        the rows, and the best other token at the last depth, int64 [site].
    """
    rows: list[tuple[Tensor, ...]] = []
    site = torch.arange(len(tokens), device=tokens.device)
    rival = tokens
    # Depth by depth: scores of a whole vocabulary are large.
    for state in states:
        logits = unembedding.logits(state)
        own = logits[site, tokens]
        others = logits.clone()
        others[site, tokens] = float("-inf")
        best, rival = others.max(dim=-1)
        rank = 1.0 + (logits > own[:, None]).sum(dim=-1)
        probability = (own - logits.logsumexp(dim=-1)).exp()
        rows.append((probability, rank, own - best, own - logits[site, ends]))
    return LensRows(*(torch.stack(column) for column in zip(*rows, strict=True))), rival


@dataclass(frozen=True)
class Parts:
    """What each part of the model adds to a difference of two scores; float32."""

    embedding: Tensor
    """[site]"""
    heads: Tensor
    """[site, layer, head]"""
    mlps: Tensor
    """[site, layer]"""
    total: Tensor
    """The difference itself, from the last state, [site]."""

    @property
    def remainder(self) -> Tensor:
        """The difference less all parts: rounding, [site]."""
        return self.total - self.embedding - self.heads.sum(dim=(1, 2)) - self.mlps.sum(dim=1)


def attribute(
    states: Tensor,
    z: Tensor,
    mlps: Tensor,
    output_projections: tuple[Tensor, ...],
    unembedding: Unembedding,
    tokens: Tensor,
    rivals: Tensor,
) -> Parts:
    """Split ``logit(token) - logit(rival)`` into what each part wrote into the last state.

    With u the difference of the two rows of W_U, s the norm's scale at the last state and w its
    weight, a part that wrote x adds ``x . (w * u) / s``. A head writes ``W_O z``; with grouped keys
    it is still a query head that has an output of its own, and biases of q, k and v are in z.

    Args:
        states: before the first layer and after each, [depth, site, hidden].
        z: output of each head, [layer, site, head, head_dim].
        mlps: output of each MLP, [layer, site, hidden].
        output_projections: W_O of each layer, [hidden, head * head_dim].
        unembedding: final norm and unembedding.
        tokens: int64 [site].
        rivals: int64 [site].
    """
    matrix = unembedding.matrix
    # Rows are taken before the cast: the whole matrix in fp32 is large.
    difference = matrix[tokens].float() - matrix[rivals].float()
    direction = difference * unembedding.norm.float() / unembedding.scale(states[-1])
    heads = [
        (layer_z.float() * (direction @ weight.float()).unflatten(-1, layer_z.shape[1:])).sum(-1)
        for layer_z, weight in zip(z, output_projections, strict=True)
    ]
    return Parts(
        embedding=(states[0].float() * direction).sum(-1),
        heads=torch.stack(heads, dim=1),
        mlps=(mlps.float() * direction).sum(-1).T,
        total=(states[-1].float() * direction).sum(-1),
    )
