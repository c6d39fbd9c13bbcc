"""What else a sample's J&F may hang on: the things a correlation with attention holds fixed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.store import CaptureStore

__all__ = ["COVARIATES", "Covariates", "covariates", "groups"]

COVARIATES = {
    "mask_area": "log of the mask's area",
    "objects": "number of objects in the video",
    "centrality": "how near the object is to the middle of the frame",
    "words": "length of the expression",
    "query_position": "position of the role token",
}
"""Held fixed beside the pair's own visual attention; name to words (ANALYSIS 3.3)."""


@dataclass(frozen=True)
class Covariates:
    """One row a sample of a role, in the order of the samples table."""

    values: dict[str, NDArray[np.float64]]
    """Name to [sample]; NaN where unknown."""
    caption_type: NDArray
    """str [sample]"""
    centre_share: NDArray[np.float64]
    """Mask share of a prior that only knows the middle of the frame, [sample]; NaN if unknown."""

    def take(self, rows: NDArray) -> "Covariates":
        """Those of some rows."""
        return Covariates(
            {name: values[rows] for name, values in self.values.items()},
            self.caption_type[rows],
            self.centre_share[rows],
        )


def covariates(store: CaptureStore, role: str) -> Covariates:
    """Of every sample of a role. Runs of earlier versions do not know all of them."""
    rows = store.samples()
    rows = rows.loc[rows.role == role, :]

    def numbers(column: str) -> NDArray[np.float64]:
        return np.array([np.nan if x is None else x for x in rows[column]], dtype=np.float64)

    words = np.array([len(text.split()) for text in rows.expression], dtype=np.float64)
    # Ranks of the area and of its logarithm are the same; the name says what is meant.
    values = {name: words if name == "words" else numbers(name) for name in COVARIATES}
    return Covariates(values, rows.caption_type.to_numpy(dtype=str), numbers("centre_share"))


_LEVELS = ("low", "middle", "high")


def groups(known: Covariates) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """Samples that are alike in one thing: what in, which of it, and the rows [sample].

    By type of caption, and by thirds of the mask area and of the number of objects; a third that
    ties leave empty is left out, and so is a variable that is the same everywhere.
    """
    found = [
        ("caption_type", str(level), known.caption_type == level)
        for level in sorted(set(known.caption_type))
    ]
    for variable in ("mask_area", "objects"):
        column = known.values[variable]
        if not np.isfinite(column).any() or np.nanmin(column) == np.nanmax(column):
            continue
        edges = np.nanquantile(column, [1 / 3, 2 / 3])
        third = np.where(np.isfinite(column), np.searchsorted(edges, column), -1)
        found += [
            (variable, level, third == index)
            for index, level in enumerate(_LEVELS)
            if (third == index).any()
        ]
    return found
