"""Tables: as text for documents, as raw numbers for CSV files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probes.covariates import COVARIATES
from probes.criteria import CRITERIA
from reports.style import (
    CAPTION_TYPE_TITLES,
    MISSING,
    PROTOCOL_TITLES,
    ROLE_TITLES,
    count,
    in_text,
    interval,
    number,
    p_value,
    pair_label,
    per_cent,
    with_interval,
)

if TYPE_CHECKING:
    from probes.correlation import Association, Correlation
    from probes.families import FamilyAgreement
    from probes.results import AnalysisResults
    from probes.stability import SplitHalf

__all__ = [
    "Table",
    "correlation_table",
    "criteria_table",
    "detectable_words",
    "family_table",
    "held_fixed_words",
    "protocol_table",
    "ranking_table",
    "strata_table",
]

ROLES = ("actor", "target")

PROTOCOL_WORDS = {
    "actor": "interaction expressions, mask of who acts",
    "target": "interaction expressions, mask of what is acted on",
    "rvos": "all expressions, mask of the subject",
}

CONTROL_WORDS = {
    "mask_area": "mask area alone (knows nothing of attention)",
    "visual_mass": "visual attention, all heads (knows nothing of the mask)",
    "lift": "lift, all heads (mask share with the area divided out)",
    "centre_share": "share of a prior that only knows the middle of the frame",
}

COVARIATE_WORDS = {**COVARIATES, "visual_mass": "the score's own visual attention"}
STRATUM_WORDS = {
    "caption_type": "expressions",
    "mask_area": "mask area",
    "objects": "objects in the video",
}


@dataclass(frozen=True)
class Table:
    """A finished table of text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    text_columns: int = 1
    """How many of the first columns hold words; the others hold numbers and are set right."""
    name: str = ""
    """Short and unique in a document: the file it is written to."""
    title: str = ""
    """Heading over it, where it needs one."""
    best: frozenset[tuple[int, int]] = frozenset()
    """(row, column) of cells to be set in bold: the best of their column, by unrounded values."""


def protocol_table(results: "AnalysisResults") -> Table:
    """J, F and J&F of the three protocols, per cent."""
    rows = tuple(
        (
            PROTOCOL_TITLES[name],
            PROTOCOL_WORDS[name],
            number(score.j, 1),
            number(score.f, 1),
            number(score.jf, 1),
            interval(score.jf_ci, 1),
            f"{score.n:,}",
            f"{score.missing:,}",
        )
        for name, score in results.protocols.items()
    )
    return Table(
        ("protocol", "what is scored", "J", "F", "J&F", "J&F interval", "n", "no token"),
        rows,
        "Per cent, mean over expressions. J: overlap of the regions; F: agreement of their "
        f"boundaries. Interval: {_interval_words(results)}. "
        "No token: the model named no such role; counted as 0.",
        text_columns=2,
        name="scores",
    )


def ranking_table(
    results: "AnalysisResults", criterion: str, role: str = "both", top: int = 12
) -> Table:
    """The best pairs of one ranking with their intervals."""
    ranking = results.rankings[criterion][role]
    supervised = set(results.supervised_pairs)
    rows = tuple(
        (
            number(pair.rank, 0 if float(pair.rank or 0).is_integer() else 1),
            pair_label(pair.layer, pair.head)
            + (" (supervised)" if (pair.layer, pair.head) in supervised else ""),
            number(pair.score),
            interval(pair.ci),
            _ranks(pair.rank_ci),
            MISSING if pair.p_top_k is None else f"{per_cent(pair.p_top_k, 0)} %",
        )
        for pair in ranking.pairs[:top]
        if pair.score is not None
    )
    baseline = ranking.baseline
    uniform = (
        ""
        if ranking.uniform is None
        else f" A head that looks everywhere alike: {number(ranking.uniform)}."
    )
    return Table(
        ("rank", "pair", "score", "interval", "rank interval", f"among best {ranking.top_k}"),
        rows,
        f"{CRITERIA[criterion].title}, {ROLE_TITLES[role].lower()}, "
        f"n = {count(ranking.n_samples, 'sample')} of {count(ranking.n_videos, 'video')}; "
        f"{count(ranking.n_failed, 'sample')} without token left out. Mean of all pairs: "
        f"{with_interval(baseline.value, baseline.ci)}.{uniform} "
        f"Intervals: {_interval_words(results)}; last column: share of the resamples.",
        text_columns=2,
        name=f"ranking-{criterion}-{role}-table",
    )


def criteria_table(results: "AnalysisResults", role: str = "both") -> Table:
    """Every criterion's best pair side by side, family by family; nothing is averaged over them."""
    rows = []
    for name, by_role in results.rankings.items():
        criterion, ranking = CRITERIA[name], by_role[role]
        best = ranking.pairs[0]
        if best.score is None:
            continue
        halves = ranking.split_half
        rows.append(
            (
                criterion.kind,
                criterion.title + (" (lowest)" if criterion.low_first else ""),
                pair_label(best.layer, best.head) if best.rank == 1 else "a tie",
                with_interval(best.score, best.ci),
                p_value(best.p),
                _ranks(best.rank_ci),
                number(halves.median.spearman if halves else None, 2),
                number(halves.median.jaccard if halves else None, 2),
                _gain(halves),
            )
        )
    k = next(iter(results.rankings.values()))[role].top_k
    samples = [by_role[role].n_samples for by_role in results.rankings.values()]
    videos = [by_role[role].n_videos for by_role in results.rankings.values()]
    return Table(
        (
            "family",
            "criterion",
            "best pair",
            "score [interval]",
            "p",
            "rank interval",
            "halves",
            f"best {k} shared",
            "held-out gain",
        ),  # fmt: skip
        tuple(rows),
        f"Best pair of each criterion, {ROLE_TITLES[role].lower()}, n = {_range_of(samples)} "
        f"samples of {_range_of(videos)} videos. Intervals: {_interval_words(results)}. "
        "p: difference from the mean pair in the same videos, corrected for the number of pairs "
        "(max-T). Halves: the ranking by one random half of the videos against that by the other "
        "(median of splits): rank "
        f"correlation over all pairs, and pairs among the best {k} of both over those of either. "
        f"Held-out gain: how much better the best {k} of one half are on the other half than heads "
        "of the same layers there (95 % of splits). A correlation has no p for both roles. "
        "Equations and sources are in docs/criteria.md.",
        text_columns=3,
        name="best-by-criterion",
    )


def _gain(halves: "SplitHalf | None") -> str:
    held = None if halves is None else halves.held_out
    return MISSING if held is None else with_interval(held.gain, held.gain_range)


def family_table(agreement: "FamilyAgreement") -> Table:
    """Every two measures of heads: do they prefer the same pairs?"""
    names = [
        f"{title} ({family})"
        for family, title in zip(agreement.families, agreement.titles, strict=True)
    ]
    columns = [
        in_text(title) if family == "causal" else family
        for family, title in zip(agreement.families, agreement.titles, strict=True)
    ]
    rows = []
    for row, cells in enumerate(agreement.cells[1:], start=1):
        told = [with_interval(cell.value, cell.ci, 2) for cell in cells]
        rows.append((names[row], *told, *[""] * (len(names) - 1 - row)))
    counts = [cell.n for cells in agreement.cells for cell in cells]
    return Table(
        # Rows name the measures in full; the same again above would not fit a page.
        ("agreement of", *columns[:-1]),
        tuple(rows),
        f"{ROLE_TITLES[agreement.role]}, the first column by {agreement.titles[0].lower()}: rank "
        "correlation of two measures over the pairs of the "
        f"model ({_range_of(counts)} pairs), 1 for the same order and 0 for none in common. "
        f"Intervals: 95 % cluster bootstrap over videos, {count(agreement.resamples, 'resample')}; "
        "noise in both measures draws them towards 0. Families are compared, never averaged.",
        text_columns=1,
        name=f"families-{agreement.role}",
    )


def _range_of(counts: Sequence[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def correlation_table(results: "AnalysisResults", role: str) -> Table:
    """Mask share against J&F, with its controls."""
    correlation = results.correlations[role]
    title = in_text(CRITERIA[correlation.metric].title)
    entries = [(f"{title}, all heads", correlation.overall)]
    entries += [(_control_words(name), item) for name, item in correlation.controls.items()]
    return Table(
        ("compared with J&F", "Spearman", "p", "given mask area", "all held fixed", "p", "Pearson"),
        tuple((words, *_association(item)) for words, item in entries),
        f"{ROLE_TITLES[role]}, n = {count(correlation.n, 'sample')} of "
        f"{count(correlation.n_videos, 'video')}; {count(correlation.n_excluded, 'sample')} "
        f"left out without token. {held_fixed_words(correlation)} {detectable_words(correlation)} "
        f"p: signs of the videos' shares flipped. Intervals: {_interval_words(results)}.",
        name=f"correlation-{role}",
    )


def _control_words(name: str) -> str:
    return CONTROL_WORDS.get(name) or f"{in_text(CRITERIA[name].title)}, all heads (control)"


def held_fixed_words(correlation: "Correlation") -> str:
    """What is held fixed together, and what could not be."""
    words = ", ".join(COVARIATE_WORDS[name] for name in correlation.held_fixed)
    text = f"Held fixed together: {words}." if words else "Nothing could be held fixed."
    if correlation.not_held:
        left = ", ".join(f"{COVARIATE_WORDS[k]} ({v})" for k, v in correlation.not_held.items())
        text += f" Not held: {left}."
    return text


def detectable_words(correlation: "Correlation") -> str:
    """How small a correlation the videos could show."""
    one, many = correlation.detectable, correlation.pair_detectable
    if one is None or many is None:
        return "Too few videos to say which correlation they could show."
    return (
        f"{count(correlation.n_videos, 'video')} show a correlation of {one:.2f} four times in "
        f"five, and of {many:.2f} where all {len(correlation.pairs)} pairs are tested."
    )


def strata_table(results: "AnalysisResults", role: str) -> Table:
    """The same correlation among samples that are alike in one thing."""
    correlation = results.correlations[role]
    return Table(
        ("among", "level", "Spearman [interval]", "samples", "videos"),
        tuple(
            (
                STRATUM_WORDS[item.variable],
                CAPTION_TYPE_TITLES.get(item.level, item.level),
                with_interval(item.spearman.value, item.spearman.ci, 2),
                str(item.spearman.n),
                str(item.spearman.n_videos),
            )
            for item in correlation.strata
        ),
        f"{ROLE_TITLES[role]}: {in_text(CRITERIA[correlation.metric].title)} of all heads against "
        f"J&F within groups; low, middle and high are thirds. Intervals: "
        f"{_interval_words(results)}.",
        text_columns=2,
        name=f"strata-{role}",
    )


def _interval_words(results: "AnalysisResults") -> str:
    return (
        f"{100 * results.confidence:.0f} % bootstrap over videos, {results.resamples:,} resamples"
    )


def _association(item: "Association") -> tuple[str, ...]:
    return (
        with_interval(item.spearman.value, item.spearman.ci, 2),
        p_value(item.p),
        with_interval(item.partial.value, item.partial.ci, 2),
        with_interval(item.adjusted.value, item.adjusted.ci, 2),
        p_value(item.adjusted_p),
        number(item.pearson, 2),
    )


def _ranks(ci: Sequence[float] | None) -> str:
    return MISSING if ci is None else f"{ci[0]:g} to {ci[1]:g}"
