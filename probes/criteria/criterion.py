"""What a criterion is, and the view of one sample that it scores."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from probes.criteria import truth
from probes.criteria._rows import as_mask, as_rows_and_keys
from probes.criteria.gradient import HeadOutputs

__all__ = ["KINDS", "Criterion", "View"]

KINDS = ("where", "ground truth", "gradient", "outcome", "control")
"""Families of criteria; scores of different families are never averaged."""


@dataclass(frozen=True)
class View:
    """What one query token looked at, and what it should have looked at."""

    attention: NDArray
    """[layer, head, key], rows that sum to one."""
    is_vision: NDArray
    """bool [key]; vision keys stand in the order (frame, row, column)."""
    grid: tuple[int, int, int]
    """Frames, rows and columns of the patches."""
    mask: NDArray | None = None
    """Pooled true mask, [patch] in [0, 1]; None where there is no truth."""
    other_mask: NDArray | None = None
    """That of the other role; None where there is none."""
    other: NDArray | None = None
    """Rows of the other role's token, [layer, head, key]; None where there is none."""
    sinks: NDArray | None = None
    """bool [layer, patch]; None where the hidden states were not looked at."""
    elsewhere: NDArray | None = None
    """Pooled mask of an object of another video, [patch]; None where there is none."""
    anywhere: NDArray | None = None
    """Rows of a token of the conversation drawn blindly, [layer, head, key]; None if none."""
    typical: NDArray | None = None
    """Where each head looks in other videos on average, [layer, head, patch]; None if unknown."""
    written: HeadOutputs | None = None
    """What the heads write, and its gradient; None where none was taken."""

    @cached_property
    def patches(self) -> NDArray[np.float64]:
        """Attention on the vision keys, [layer, head, patch]."""
        rows, keys = as_rows_and_keys(self.attention, self.is_vision)
        return rows[..., keys]

    @cached_property
    def other_patches(self) -> NDArray[np.float64]:
        """The same of the other role; NaN where there is none."""
        if self.other is None:
            return np.full(self.patches.shape, np.nan)
        rows, keys = as_rows_and_keys(self.other, self.is_vision)
        return rows[..., keys]

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """The mask; empty, so that what needs it is NaN, where there is none."""
        return self._or_empty(self.mask)

    @cached_property
    def other_truth(self) -> NDArray[np.float64]:
        """The other role's mask, likewise."""
        return self._or_empty(self.other_mask)

    @cached_property
    def sinkless(self) -> NDArray[np.float64]:
        """Attention without that on sinks; NaN where sinks are not known."""
        if self.sinks is None:
            return np.full(self.patches.shape, np.nan)
        return truth.without_sinks(self.patches, self.sinks)

    def _or_empty(self, mask: NDArray | None) -> NDArray[np.float64]:
        return np.zeros(self.patches.shape[-1]) if mask is None else as_mask(mask)


@dataclass(frozen=True)
class Criterion:
    """One way to score a pair."""

    name: str
    """Column of the capture store."""
    title: str
    description: str
    kind: str
    """One of :data:`KINDS`: "where" needs no truth, "ground truth" is against the true mask,
    "gradient" is what the mask loss makes of the head, "outcome" is how a score goes with J&F over
    samples (:data:`~probes.criteria.OUTCOME_OF`), "control" is against a wrong mask or from a
    wrong token: what a head scores there it owes to something else."""
    unit: str
    equation: str
    """A = attention of the role token over V patches, a = A / sum(A), M = pooled mask."""
    source: str
    compute: Callable[[View], NDArray] | None
    """From a view to [layer, head], NaN where undefined; None in the outcome family."""
    area_free: bool = False
    """Whether a head without preference scores the same on small and on large objects."""
    even: float | str | None = None
    """Score of a head that looks everywhere alike: a number, "area" for the mask's, or unknown."""
    low_first: bool = False
    """Whether the lowest score ranks first."""
    needs_gradients: bool = False
    """Whether it is of what heads write and its gradient, which a capture may leave out."""

    def score(self, view: View) -> NDArray[np.float32]:
        """Of one sample, float32 [layer, head], NaN where undefined.

        Raises:
            ValueError: lengths that do not fit each other, or a criterion of the outcome family.
        """
        if self.compute is None:
            raise ValueError(f"{self.name} is a correlation over samples; one sample has none")
        return self.compute(view).astype(np.float32)
