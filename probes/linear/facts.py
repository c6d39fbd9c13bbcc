"""What is true of a role's object and of the sentence: the labels that probes are asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from reviosa.data.records import VideoSample
from reviosa.data.synthetic.lexicon import PLURALS

__all__ = ["CELLS", "TASKS", "RoleFacts", "Task", "main_cell", "role_facts"]

CELLS: Final = 3
"""Rows and columns of the coarse grid of the task ``cell``."""


@dataclass(frozen=True)
class RoleFacts:
    """What is true of one role of one expression; None where the data do not say it."""

    sample_id: str
    video_id: str
    role: str
    expression: str
    interaction: bool
    named: bool
    """Whether the model gave the role's token; without it there is no hidden state."""
    put_into_form: bool
    """Whether the model had named no role by itself, so that its token was put there."""
    objects: str
    """Which objects of which video the role means, ``video/1+4``."""
    look: str
    """Colour and shape of those objects, ``red circle``; the words of the expression where no look
    is known."""
    cell: str | None
    """See :func:`main_cell`; None for several objects, or one that is not seen."""
    color: str | None
    """What all of the role's objects share; ``shape`` alike."""
    shape: str | None
    verb: str | None
    """Of interactions."""


@dataclass(frozen=True)
class Task:
    """One question to the hidden states."""

    name: str
    question: str
    label: Callable[[RoleFacts], str | None]
    """The answer; None where the question does not apply."""
    said: Callable[[RoleFacts], bool]
    """Whether the expression tells the answer, so that no look at the video is needed."""
    type: Callable[[RoleFacts], str]
    """What the control task gives its labels to: what a probe could recognise and know the label
    of by heart (see :mod:`probes.linear.control`)."""
    needs_world: bool = False
    """Whether only the synthetic world's own record (``world.json``) has the answer."""


def _words(facts: RoleFacts) -> set[str]:
    return set(facts.expression.split())


def _look(facts: RoleFacts) -> str:
    return facts.look


TASKS: Final = (
    Task(
        "role",
        "actor or target (tokens of interactions)",
        lambda x: x.role if x.interaction else None,
        lambda x: True,
        _look,
    ),
    Task(
        "interaction",
        "does one object act on another (actor tokens)",
        lambda x: ("yes" if x.interaction else "no") if x.role == "actor" else None,
        lambda x: True,
        _look,
    ),
    Task(
        "cell",
        f"where the object is: cell of {CELLS} x {CELLS} that holds most of it on the seen frames",
        lambda x: x.cell,
        lambda x: False,
        # A place belongs to an object of a video; its look does not tell it. No such type is met
        # in two videos, so that this control is what guessing gives.
        lambda x: x.objects,
    ),
    Task(
        "color",
        "colour of the object",
        lambda x: x.color,
        lambda x: x.color in _words(x),
        _look,
        needs_world=True,
    ),
    Task(
        "shape",
        "shape of the object",
        lambda x: x.shape,
        lambda x: not _words(x).isdisjoint({x.shape, PLURALS.get(x.shape or "")}),
        _look,
        needs_world=True,
    ),
    Task(
        "verb",
        "what the actor does to the target",
        lambda x: x.verb,
        lambda x: True,
        _look,
        needs_world=True,
    ),
)
"""All questions. Words of motion ("moving left") do not count as telling the cell."""


def role_facts(
    sample: VideoSample,
    role: int,
    frames: Sequence[int],
    world: Mapping[str, Any] | None,
    named: bool,
    put_into_form: bool,
) -> RoleFacts:
    """Gather the facts of one role of an expression.

    Args:
        sample: the expression.
        role: 0 actor, 1 target.
        frames: those that the language model saw.
        world: content of ``world.json``; None for data without it.
        named: whether the model gave the role's token.
        put_into_form: whether the token was put there.
    """
    expression = sample.expression
    ids = expression.actor_ids if role == 0 else expression.target_ids
    looks: list[Mapping[str, str]] = []
    verb = None
    if world is not None:
        video = world["videos"][expression.video_id]
        known = {item["anno_id"]: item for item in video["objects"]}
        looks = [known[i] for i in ids]
        verb = video["expressions"][expression.exp_id]["verb"]
    names = sorted({f"{look['color']} {look['shape']}" for look in looks})
    return RoleFacts(
        sample_id=expression.sample_id,
        video_id=expression.video_id,
        role=("actor", "target")[role],
        expression=expression.text,
        interaction=expression.is_interaction,
        named=named,
        put_into_form=put_into_form,
        objects=f"{expression.video_id}/{'+'.join(str(i) for i in sorted(ids))}",
        look=" + ".join(names) or " ".join(expression.text.lower().split()),
        cell=main_cell(sample.masks(role, list(frames))) if len(ids) == 1 else None,
        color=_shared(looks, "color"),
        shape=_shared(looks, "shape"),
        verb=verb if expression.is_interaction else None,
    )


def main_cell(masks: np.ndarray) -> str | None:
    """Cell of a coarse grid that holds most of an object over all frames, as ``row,column``.

    Args:
        masks: bool [frame, height, width].

    Returns:
        for example ``0,2`` of the upper right corner; the first in reading order of equal ones;
        None where no frame has the object.
    """
    area = masks.sum(axis=0)
    if not area.any():
        return None
    sums = [
        [part.sum() for part in np.array_split(row, CELLS, axis=1)]
        for row in np.array_split(area, CELLS, axis=0)
    ]
    row, column = divmod(int(np.argmax(sums)), CELLS)
    return f"{row},{column}"


def _shared(looks: Sequence[Mapping[str, str]], name: str) -> str | None:
    values = {look[name] for look in looks}
    return values.pop() if len(values) == 1 else None
