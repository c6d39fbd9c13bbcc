"""From head tables to one score a pair, in all videos and in any draw of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.association import correlation_draws
from probes.bootstrap import defined_mean, draw_weights, video_codes, weighted_means
from probes.criteria import CRITERIA, Criterion

if TYPE_CHECKING:
    from probes.store import HeadTable

__all__ = ["RoleScores", "Scored", "score_draws"]


def score_draws(
    tables: "Sequence[HeadTable]", resamples: int = 2000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, int]:
    """Scores of all pairs and their draws over videos, as :func:`rank_pairs` has them.

    Returns:
        scores [pair], NaN where undefined; draws [draw, pair], None with fewer than two videos; the
        number of videos.
    """
    scored = Scored(tables)
    scores = scored.scores(np.ones((1, scored.n_videos)))[0]
    if scored.n_videos < 2:
        return scores, None, scored.n_videos
    weights = draw_weights(scored.n_videos, resamples, seed)
    return scores, scored.scores(weights), scored.n_videos


class Scored:
    """The rows of one criterion that have a score, of one role or of both."""

    def __init__(self, tables: "Sequence[HeadTable]") -> None:
        self.tables = list(tables)
        self.criterion = CRITERIA[self.tables[0].metric]
        self.rows = [np.isfinite(t.flat).any(axis=1) for t in self.tables]
        kept = list(zip(self.tables, self.rows, strict=True))
        names = [np.asarray(table.video_ids)[keep] for table, keep in kept]
        self.n_samples = sum(len(name) for name in names)
        codes, self.n_videos = np.zeros(0, int), 0
        if self.n_samples:
            codes, self.n_videos = video_codes(np.concatenate(names))
        split = np.split(codes, np.cumsum([len(name) for name in names])[:-1])
        self.roles = [
            RoleScores(t.flat[keep], np.asarray(t.jf)[keep], np.asarray(t.mask_area)[keep], code)
            for (t, keep), code in zip(kept, split, strict=True)
        ]

    @property
    def n_expressions(self) -> int:
        """Expressions that have a score, of whichever role."""
        kept = zip(self.tables, self.rows, strict=True)
        return len({name for t, keep in kept for name in np.asarray(t.sample_ids)[keep]})

    def scores(self, weights: NDArray) -> NDArray[np.float64]:
        """Mean of the roles' scores in each draw, [draw, pair]."""
        return defined_mean(np.stack([x.scores(self.criterion, weights) for x in self.roles]), 0)


@dataclass(frozen=True)
class RoleScores:
    """Rows of one role that have a score."""

    values: NDArray
    """[sample, pair]"""
    jf: NDArray
    area: NDArray
    codes: NDArray
    """Video of each row, [sample]."""

    def scores(self, criterion: Criterion, weights: NDArray) -> NDArray[np.float64]:
        """Of all pairs in each draw of videos, [draw, pair]."""
        if not len(self.values):
            return np.full((len(weights), self.values.shape[1]), np.nan)
        if criterion.kind != "outcome":
            return weighted_means(self.values, self.codes, weights)
        area = self.area if criterion.area_free else None
        return correlation_draws(self.values, self.jf, area, self.codes, weights)
