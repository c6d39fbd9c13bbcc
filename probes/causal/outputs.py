"""What heads write at the role tokens, recorded to stand in another expression's place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from probes.interventions import record_heads
from reviosa.data.records import Expression, VideoSample
from reviosa.inference import Segmenter, VideoFeatures

__all__ = ["Asked", "Stock", "role_of_tokens", "twin"]


@dataclass(frozen=True)
class Asked:
    """A video and the model's answers about it, each computed once."""

    segmenter: Segmenter
    features: VideoFeatures
    replies: dict[str, list[int]]
    """Question and answer as token ids, by the expression's text."""
    _outputs: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, segmenter: Segmenter, samples: Sequence[VideoSample]) -> "Asked":
        """Let the model read the video of the samples, and answer all of them side by side."""
        features = segmenter.encode(samples[0].video)
        texts = list(dict.fromkeys(sample.expression.text for sample in samples))
        replies = segmenter.answer(features, texts)
        return cls(segmenter, features, {t: r.ids for t, r in zip(texts, replies, strict=True)})

    def outputs(self, text: str) -> Tensor:
        """What heads write at the first actor and the first target token of the answer.

        Returns:
            float32 [role, layer, head, head_dim]; NaN where a role is not named.
        """
        if text not in self._outputs:
            ids = self.replies[text]
            tokens = self.segmenter.role_tokens(self.features, ids)
            start = self.features.opening.ids.shape[1]
            with record_heads(self.segmenter.model, [max(t - start, 0) for t in tokens]) as heads:
                self.segmenter.read(self.features, [ids])
            outputs = torch.stack([layer[0] for layer in heads], dim=1)
            for role, token in enumerate(tokens):
                if token < 0:
                    outputs[role] = float("nan")
            self._outputs[text] = outputs
        return self._outputs[text]


def role_of_tokens(segmenter: Segmenter, features: VideoFeatures, ids: Sequence[int]) -> Tensor:
    """What follows the opening: 0 at actor tokens, 1 at target tokens, else -1; [1, token]."""
    config = segmenter.model.config
    rest = torch.tensor(ids[features.opening.ids.shape[1] :], device=segmenter.model.device)
    roles = torch.full_like(rest, -1)
    roles[rest == config.actor_token_id] = 0
    roles[rest == config.target_token_id] = 1
    return roles[None]


def twin(sample: VideoSample) -> Expression | None:
    """The expression of the same video that names the same objects in exchanged roles."""
    mine = sample.expression
    if not mine.is_interaction:
        return None
    exchanged = (set(mine.target_ids), set(mine.actor_ids))
    for other in sample.video.expressions:
        if other.is_interaction and (set(other.actor_ids), set(other.target_ids)) == exchanged:
            return other
    return None


@dataclass(frozen=True)
class Stock:
    """What heads write at the role tokens of every expression, and what the model answered."""

    outputs: Tensor
    """float32 [expression, role, layer, head, head_dim]; NaN where a role was not named."""
    videos: np.ndarray
    """Which video each expression is of, [expression]."""
    places: dict[str, int]
    """Index of each expression by its sample id."""
    replies: dict[str, dict[str, list[int]]]
    """Of each video, :attr:`Asked.replies`. Its features are read again when they are needed:
    those of all videos would not fit in memory."""
    seed: int

    @classmethod
    def gather(
        cls,
        segmenter: Segmenter,
        samples: Sequence[VideoSample],
        seed: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Stock":
        """Record all samples, those of one video in a row; ``progress`` as of :func:`ablate`."""
        found: list[Tensor] = []
        replies: dict[str, dict[str, list[int]]] = {}
        for video, group in groupby(samples, key=lambda sample: sample.video.video_id):
            of_video = list(group)
            asked = Asked.of(segmenter, of_video)
            replies[video] = asked.replies
            for sample in of_video:
                found.append(asked.outputs(sample.expression.text).cpu())
                if progress is not None:
                    progress(len(found), len(samples))
        return cls(
            torch.stack(found),
            np.array([s.video.video_id for s in samples]),
            {s.expression.sample_id: index for index, s in enumerate(samples)},
            replies,
            seed,
        )

    def asked(self, segmenter: Segmenter, sample: VideoSample) -> Asked:
        """Read the sample's video again; nothing is answered anew."""
        features = segmenter.encode(sample.video)
        return Asked(segmenter, features, self.replies[sample.video.video_id])

    def mean(self, sample: VideoSample) -> Tensor:
        """Mean output of each role's tokens over all other videos, [role, layer, head, head_dim].

        NaN where no other video names the role.
        """
        return torch.stack([of_others.mean(dim=0) for of_others in self._of_others(sample)])

    def one(self, sample: VideoSample) -> Tensor:
        """As :meth:`mean`, but of one expression of another video, drawn for each role."""
        rng = np.random.default_rng([self.seed, self.places[sample.expression.sample_id]])
        return torch.stack(
            [
                of_others[int(rng.integers(len(of_others)))]
                if len(of_others)
                else torch.full_like(self.outputs[0, 0], float("nan"))
                for of_others in self._of_others(sample)
            ]
        )

    def _of_others(self, sample: VideoSample) -> list[Tensor]:
        """Of each role, what its tokens wrote in other videos, [expression, layer, head, dim]."""
        others = torch.from_numpy(self.videos != sample.video.video_id)
        named = ~self.outputs[:, :, 0, 0, 0].isnan()
        return [self.outputs[others & named[:, role], role] for role in (0, 1)]
