"""Tables that set captures side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes.criteria import CRITERIA
from reports.style import (
    MISSING,
    PROTOCOL_TITLES,
    ROLE_TITLES,
    in_text,
    number,
    p_value,
    pair_label,
    signed,
    signed_interval,
    with_interval,
)
from reports.summary import model_name
from reports.tables import Table

if TYPE_CHECKING:
    from probes.comparison import SeedMean
    from probes.report import Contrast
    from probes.results import AnalysisResults

__all__ = ["agreement_table", "gap_table", "runs_table"]


def runs_table(captures: "Sequence[AnalysisResults]") -> Table:
    """One row a capture: J&F by protocol, the layer that looks most, the first pair, and n."""
    rows = tuple(
        (
            results.name,
            model_name(results.run),
            *(_score(results, name) for name in PROTOCOL_TITLES),
            _layers(results),
            _first(results),
            f"{results.counts.expressions:,} / {results.counts.videos:,}",
        )
        for results in captures
    )
    best = _best(captures)
    return Table(
        ("run", "model", *(f"{title} J&F" for title in PROTOCOL_TITLES.values()),
         "layer that looks most", "first pair", "expressions / videos"),
        rows,
        "J&F in per cent [95 % interval of a bootstrap over videos]. "
        + (
            "Bold: highest mean of a column, whether or not intervals overlap. "
            if best
            else "The runs are over other data: which is higher says nothing of the models. "
        )
        + "Layer that looks most: most visual attention, for actor / target. First pair: by visual "
        "attention, both roles.",
        text_columns=2,
        name="runs",
        best=best,
    )  # fmt: skip


def gap_table(contrasts: "Sequence[Contrast]") -> Table:
    """One row a capture and protocol: J&F less that of the first capture."""
    rows = tuple(
        (
            contrast.second,
            contrast.first,
            PROTOCOL_TITLES[name],
            _gap(gap),
            p_value(gap.p),
            f"{gap.n:,} / {gap.n_videos:,}",
        )
        for contrast in contrasts
        for name, gap in contrast.gaps.items()
    )
    return Table(
        ("run", "less", "protocol", "difference [95 % interval]", "p", "expressions / videos"),
        rows,
        "Paired differences in points of J&F on the same expressions. Interval and p: bootstrap "
        "over videos, Student's t; they hold the chance of the videos, not that of another "
        "training. p is not corrected for the number of rows.",
        text_columns=3,
        name="differences",
    )


def agreement_table(contrasts: "Sequence[Contrast]") -> Table:
    """One row a capture and criterion: is the ranking of pairs the first capture's?"""
    rows = tuple(
        (
            contrast.second,
            contrast.first,
            in_text(CRITERIA[found.criterion].title),
            with_interval(found.spearman.value, found.spearman.ci, 2),
            number(found.best.jaccard, 2),
            number(found.best.kuncheva, 2),
            f"{found.spearman.n:,} / {found.spearman.n_videos:,}",
        )
        for contrast in contrasts
        for found in contrast.agreements
    )
    k = {found.k for contrast in contrasts for found in contrast.agreements}
    roles = {found.role for contrast in contrasts for found in contrast.agreements}
    best = "/".join(map(str, sorted(k)))
    return Table(
        ("run", "against", "ranked by", "rank correlation [95 % interval]",
         f"best {best} shared", "beyond chance", "pairs / videos"),
        rows,
        f"{' and '.join(ROLE_TITLES[role] for role in sorted(roles))}: Spearman correlation over "
        "all pairs of the two runs' rankings, 1 for the same order. Shared: pairs among the best "
        f"{best} of both over those of either; beyond chance: Kuncheva's index, 0 as by chance. "
        "Intervals: bootstrap over videos; noise in both rankings draws them towards 0.",
        text_columns=3,
        name="ranking-agreement",
    )  # fmt: skip


def _score(results: "AnalysisResults", name: str) -> str:
    score = results.protocols.get(name)
    return MISSING if score is None else with_interval(score.jf, score.jf_ci, 1)


def _best(captures: "Sequence[AnalysisResults]") -> frozenset[tuple[int, int]]:
    if len({(results.run.get("data") or {}).get("identity") for results in captures}) > 1:
        return frozenset()  # of other data nothing is better or worse
    cells = set()
    for column, name in enumerate(PROTOCOL_TITLES, start=2):
        found = [results.protocols.get(name) for results in captures]
        values = [score.jf for score in found if score is not None and score.jf is not None]
        if len(values) > 1:
            top = max(values)
            cells |= {(r, column) for r, score in enumerate(found) if score and score.jf == top}
    return frozenset(cells)


def _layers(results: "AnalysisResults") -> str:
    return " / ".join(MISSING if x is None else str(x) for x in results.top_layer.values())


def _first(results: "AnalysisResults") -> str:
    pairs = results.rankings["visual_mass"]["both"].pairs
    if not pairs or pairs[0].score is None:
        return MISSING
    return pair_label(pairs[0].layer, pairs[0].head)


def _gap(gap: "SeedMean") -> str:
    return f"{signed(gap.value, 1)} {signed_interval(gap.ci, 1)}".strip()
