"""The tables that a sweep ends with: scores by role and cost, and paired differences."""

from typing import TYPE_CHECKING

from reports.answer_words import (
    SCORE_TITLES,
    SHORT_TITLES,
    gap_n_words,
    gap_words,
    n_words,
    pairs_words,
    small_p,
    state_words,
)
from reports.style import MISSING, number, signed, with_interval
from reports.tables import Table

if TYPE_CHECKING:
    from probes.answer import ArmAnswer, Contrast, SweepAnswer
    from probes.comparison import SeedMean

__all__ = ["brief_difference_table", "brief_score_table", "difference_table", "score_table"]


def score_table(answer: "SweepAnswer") -> Table:
    """One row an arm: its pairs, J&F by role, the score it is chosen by, and what it took."""
    beside = _beside(answer)
    rows = tuple(
        (
            _named(answer, arm),
            pairs_words(arm),
            *(_mean(arm.scores.get(score)) for score in answer.metrics),
            *([_mean(arm.selection)] if "selection" in beside else []),
            *([_seconds(arm)] if "cost" in beside else []),
        )
        for arm in answer.arms
    )
    columns = ("arm", "supervised pairs", *(SCORE_TITLES[s] for s in answer.metrics))
    caption = f"J&F in per cent [95 % interval over videos and seeds]; n = {n_words(answer)}."
    if len(answer.arms) > 1:
        caption += " Bold: highest mean of a column, whether or not intervals overlap."
    if "selection" in beside:
        caption += f" Selection: {SCORE_TITLES[answer.choose]} there."
    if "cost" in beside:
        caption += f" {_cost_words(answer)}"
    return Table(
        (*columns, *beside.values()),
        rows,
        caption,
        text_columns=2,
        name=f"{answer.name}-scores",
        best=_best(answer, "selection" in beside),
    )


def _best(answer: "SweepAnswer", selection: bool) -> frozenset[tuple[int, int]]:
    """Cells of the arms with the highest mean of each score; of several arms alone."""
    columns = [[arm.scores.get(score) for arm in answer.arms] for score in answer.metrics]
    if selection:
        columns.append([arm.selection for arm in answer.arms])
    cells = set()
    for column, found in enumerate(columns, start=2):
        values = [mean.value for mean in found if mean is not None]
        if len(values) > 1:
            cells |= {
                (row, column)
                for row, mean in enumerate(found)
                if mean and mean.value == max(values)
            }
    return frozenset(cells)


def difference_table(answer: "SweepAnswer") -> Table:
    """One row a comparison: every arm with the baseline, and with its matched control."""
    rows = tuple(
        (
            arm.title,
            answer.arm(than).title,
            *(gap_words(found[s]) if s in found else MISSING for s in answer.metrics),
        )
        for arm in answer.arms
        for found in (arm.to_baseline, arm.to_control)
        for than in {contrast.than: None for contrast in found.values()}
    )
    return Table(
        ("arm", "less", *(SCORE_TITLES[s] for s in answer.metrics)),
        rows,
        "Paired differences in points of J&F [95 % interval over videos and seeds]; n = "
        f"{gap_n_words(answer)}. p: Student's, "
        "of the same error as the interval; in brackets corrected (Holm) for the number of arms, "
        "of which those cut or not done count as well. Each score is corrected by itself, and so "
        "are the comparisons with the baseline and those with a control (other heads of the same "
        "layers).",
        text_columns=2,
        name=f"{answer.name}-differences",
    )


def brief_score_table(answer: "SweepAnswer") -> Table:
    """:func:`score_table` for a terminal: half of the interval's width, no pairs."""
    beside = _beside(answer)
    rows = tuple(
        (
            _named(answer, arm),
            *(_reach(arm.scores.get(score)) for score in answer.metrics),
            *([_reach(arm.selection)] if "selection" in beside else []),
            *([_seconds(arm)] if "cost" in beside else []),
        )
        for arm in answer.arms
    )
    columns = ("arm", *(SHORT_TITLES[s] for s in answer.metrics), *beside.values())
    caption = f"per cent, half of the 95 % interval behind it; n = {n_words(answer)}"
    return Table(columns, rows, caption)


def brief_difference_table(answer: "SweepAnswer") -> Table:
    """Differences in the score to choose by, for a terminal, with their corrected p."""
    score = answer.choose
    controls = any(score in arm.to_control for arm in answer.arms)
    rows = tuple(
        (
            arm.title,
            *_short_gap(arm.to_baseline.get(score)),
            *(_short_gap(arm.to_control.get(score)) if controls else ()),
        )
        for arm in answer.arms
        if score in arm.to_baseline or score in arm.to_control
    )
    columns = ("arm", "less baseline", "p", *(("less random", "p") if controls else ()))
    baseline = answer.arm(answer.baseline).title
    caption = f"points; baseline: {baseline}; p corrected (Holm) for the number of arms"
    if controls:
        caption += "; random: other heads of the same layers"
    return Table(columns, rows, caption)


def _beside(answer: "SweepAnswer") -> dict[str, str]:
    """Headings of the columns behind the scores, of those that any arm has."""
    columns = {}
    if any(arm.selection for arm in answer.arms):
        columns["selection"] = "selection"
    if answer.cost is not None:
        columns["cost"] = f"{answer.cost_unit} s"
    return columns


def _named(answer: "SweepAnswer", arm: "ArmAnswer") -> str:
    state = state_words(arm, answer)
    return f"{arm.title} ({state})" if state else arm.title


def _mean(found: "SeedMean | None") -> str:
    return MISSING if found is None else with_interval(found.value, found.ci, 1)


def _reach(found: "SeedMean | None", plus: bool = False) -> str:
    """``66.7±3.6``: the intervals are Student's, as wide on either side."""
    if found is None:
        return MISSING
    value = signed(found.value, 1) if plus else number(found.value, 1)
    if found.ci is None:
        return value
    return f"{value}\N{PLUS-MINUS SIGN}{number((found.ci[1] - found.ci[0]) / 2, 1)}"


def _short_gap(contrast: "Contrast | None") -> tuple[str, str]:
    if contrast is None:
        return MISSING, MISSING
    return _reach(contrast.gap, plus=True), small_p(contrast.corrected_p)


def _seconds(arm: "ArmAnswer") -> str:
    return MISSING if arm.cost is None else f"{arm.cost.total_s:,.0f}"


def _cost_words(answer: "SweepAnswer") -> str:
    cost = answer.cost
    assert cost is not None
    return (
        f"{answer.cost_unit} s: seconds of all trials of the arm, those that failed or were cut "
        f"as well; {cost.total_s:,.0f} in all, {cost.per_trial_s:,.0f} a trial."
    )
