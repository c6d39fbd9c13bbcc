"""One expression on one video: masks, the answer, and what each role token looked at."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.swap import attention_overlap, mean_jaccard
from reviosa import ROLES
from reviosa.data.rle import decode
from reviosa.data.synthetic.lexicon import VERB_PHRASES
from reviosa.errors import DataError

if TYPE_CHECKING:
    from reviosa.inference import Answer, FrameSource, SegmentationResult, Segmenter, VideoFeatures

__all__ = [
    "Looked", "Meeting", "Trial", "compare", "moved_words", "passive_twin", "swapped_nouns",
    "try_expression",
]  # fmt: skip

LEAST_OVERLAP = 0.5
"""Masks that overlap less are not said to be of the same object."""


@dataclass(frozen=True)
class Looked:
    """What one role token attended to; weights of a head sum to one over maps and words."""

    maps: NDArray[np.float32] = field(repr=False)
    """[layer, head, frame, row, column], on the frames that the language model saw."""
    words: NDArray[np.float32] = field(repr=False)
    """[layer, head, word] of :attr:`Trial.words`; zero where the word came later."""

    @property
    def top_layer(self) -> int:
        """The layer whose heads put the most attention on the video, in the mean."""
        return int(self.maps.sum(axis=(2, 3, 4)).mean(axis=1).argmax())


@dataclass(frozen=True)
class Trial:
    """What a model made of one expression."""

    expression: str
    result: "SegmentationResult"
    words: tuple[str, ...]
    """The conversation token by token; the patches of a frame are one word, ``frame 6``."""
    looked: dict[str, Looked]
    """By role; a role that the model did not name is absent."""

    def masks(self, frame: int) -> dict[str, NDArray[np.bool_]]:
        """Role to mask, bool [height, width], on a frame of the video."""
        return {
            role: decode(track[frame])
            for role, track in zip(ROLES, self.result.tracks, strict=True)
            if track is not None
        }

    @property
    def mark(self) -> str:
        """Short and the same for the same sentence; for keys of widgets."""
        return hashlib.sha256(self.expression.encode()).hexdigest()[:8]


class _Told:
    """Frames that tell how many of them were read: how far a segmentation is."""

    def __init__(self, source: "FrameSource", tell: Callable[[int, int], None]) -> None:
        self.source, self.tell, self.read = source, tell, 0

    @property
    def num_frames(self) -> int:
        return self.source.num_frames

    def read_frames(self, indices: Sequence[int]) -> np.ndarray:
        frames = self.source.read_frames(indices)
        self.read += len(indices)
        self.tell(min(self.read, self.num_frames), self.num_frames)
        return frames


def try_expression(
    segmenter: "Segmenter",
    source: "FrameSource",
    expression: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Trial:
    """Segment actor and target of an expression, and record what their tokens attend to.

    Args:
        segmenter: the model. It must not be used by another thread meanwhile.
        source: the video.
        expression: a phrase such as "a dog chasing a cat".
        progress: called with (frames read, frames).

    Raises:
        DataError: the expression is empty, or a frame cannot be read.
    """
    import torch

    from reviosa.inference import role_pairs

    expression = " ".join(expression.split())
    if not expression:
        raise DataError('got an empty expression, expected words such as "a dog chasing a ball"')
    with torch.inference_mode():
        features = segmenter.encode(_Told(source, progress))
        reply = segmenter.answer(features, [expression])[0]
        looked, output = _read(segmenter, features, reply)
        result = segmenter.finish(features, [reply], role_pairs(output, 1))[0]
    words = _words(segmenter, features, reply)
    return Trial(expression, result, tuple(word for word, _ in words), looked)


def _read(segmenter: "Segmenter", features: "VideoFeatures", reply: "Answer"):
    import torch

    from reviosa.model import record_attention
    from reviosa.model.roles import vision_grid

    config = segmenter.model.config
    tokens = segmenter.role_tokens(features, reply.ids)
    with record_attention(
        segmenter.model,
        torch.tensor([tokens]),
        lambda ids: vision_grid(ids, config.image_token_id, config.grid),
        cached_ids=features.opening.ids,
    ) as record:
        output = segmenter.read(features, [reply.ids])
    attention = record.attention[0].float().cpu().numpy()
    maps = record.on_patches()[0].float().cpu().numpy()
    places = _words(segmenter, features, reply)
    starts = [start for _, start in places]
    looked = {
        role: Looked(maps[index], np.add.reduceat(attention[index], starts, axis=-1))
        for index, role in enumerate(ROLES)
        if tokens[index] >= 0
    }
    return looked, output


def _words(
    segmenter: "Segmenter", features: "VideoFeatures", reply: "Answer"
) -> list[tuple[str, int]]:
    """Each word with the place of its first token."""
    image = segmenter.model.config.image_token_id
    decode_token = segmenter.processor.tokenizer.decode
    frames = iter(features.frame_indices)
    words: list[tuple[str, int]] = []
    for place, token in enumerate(reply.ids):
        if token != image:
            words.append((str(decode_token([token])), place))
        elif not place or reply.ids[place - 1] != image:
            words.append((f"frame {next(frames)}", place))
    return words


# Sentences with the roles exchanged.

_ARTICLE = r"(?:a|an|the|another|some|one|his|her|its|their)\b"
_VERB = r"(?:(?:is|are|was|were|that|who|which) )*(?:being \w+ by|\w+ing(?: (?!by\b)\w+){0,2}?)"
_SENTENCE = re.compile(
    rf"^(?P<one>{_ARTICLE} .+?|\S+) (?P<verb>{_VERB}) (?P<two>{_ARTICLE} .+|something)$",
    re.IGNORECASE,
)


def passive_twin(text: str) -> str | None:
    """The sentence that says the same event from the other side, where the verb is known.

    "the ring pushing the star" gives "the star being pushed by the ring" and the other way round:
    what was the actor's object is the target's, and the sentence stays as true as it was. Verbs
    are those of the synthetic world; None for other sentences.
    """
    for active, passive in VERB_PHRASES.values():
        for here, there in ((passive, active), (active, passive)):
            one, found, two = text.partition(f" {here} ")
            if found and one and two:
                return f"{two} {there} {one}"
    return None


def swapped_nouns(text: str) -> str | None:
    """The sentence with its two noun phrases exchanged: the opposite event.

    "a dog chasing a cat" gives "a cat chasing a dog". None where no verb is found between two
    noun phrases.
    """
    for phrases in VERB_PHRASES.values():
        for phrase in reversed(phrases):
            one, found, two = text.partition(f" {phrase} ")
            if found and one and two:
                return f"{two} {phrase} {one}"
    match = _SENTENCE.match(text.strip())
    return None if match is None else f"{match['two']} {match['verb']} {match['one']}"


# Two sentences beside each other.


@dataclass(frozen=True)
class Meeting:
    """How far one role's object of the first sentence is another's of the second."""

    first: str
    """Role in the first sentence."""
    second: str
    """Role in the second sentence."""
    masks: float | None
    """Mean J of their masks, :func:`probes.swap.mean_jaccard`."""
    attention: float | None
    """Overlap of their tokens' attention, :func:`probes.swap.attention_overlap`."""


def compare(
    first: Trial, second: Trial, weights: Callable[[Looked], NDArray[np.float32]]
) -> tuple[Meeting, ...]:
    """Each role of one sentence beside each of another about the same video.

    Args:
        first: one sentence.
        second: the other, by the same model.
        weights: gives the map to compare, [frame, row, column].
    """
    meetings = []
    for one, one_track in zip(ROLES, first.result.tracks, strict=True):
        for two, two_track in zip(ROLES, second.result.tracks, strict=True):
            if one_track is None or two_track is None:
                continue
            maps = [
                weights(trial.looked[role])
                for trial, role in ((first, one), (second, two))
                if role in trial.looked
            ]
            meetings.append(
                Meeting(
                    one,
                    two,
                    mean_jaccard(map(decode, one_track), map(decode, two_track)),
                    attention_overlap(*maps) if len(maps) == 2 else None,
                )
            )
    return tuple(meetings)


def moved_words(meetings: Sequence[Meeting]) -> str:
    """What became of the actor's and the target's mask, in one sentence each."""
    sentences = []
    for role in ROLES:
        found = {m.second: m.masks for m in meetings if m.first == role and m.masks is not None}
        if not found:
            continue
        best = max(found, key=lambda name: found[name])
        if found[best] < LEAST_OVERLAP:
            sentences.append(f"No mask of the second sentence lies where the {role}'s lay.")
        elif best == role:
            sentences.append(f"The {role} stayed the {role} (J {found[best]:.2f}).")
        else:
            sentences.append(f"What was the {role} is now the {best} (J {found[best]:.2f}).")
    return " ".join(sentences)
