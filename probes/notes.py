"""What the numbers say and do not say, in plain sentences made from the numbers.

Association is worded as association; an interval that holds 0 is said to hold 0.
"""

from typing import Any

from probes.bootstrap import Estimate
from probes.correlation import Correlation
from probes.ranking import Ranking
from probes.results import Counts, ProtocolScore
from reviosa.data.records import ROLES

__all__ = ["write_notes"]

FEW_VIDEOS = 10
"""Below this a percentile interval over videos is too narrow by a margin that matters."""
LEARNED_LITTLE = 30.0
"""J&F in per cent below which the masks of a system are mostly wrong."""


def write_notes(
    run: dict[str, Any],
    counts: Counts,
    protocols: dict[str, ProtocolScore],
    rankings: dict[str, dict[str, Ranking]],
    correlations: dict[str, Correlation],
    supervised: tuple[tuple[int, int], ...],
    problems: tuple[str, ...],
) -> tuple[str, ...]:
    """Sentences for the reader of a report, most important first."""
    if not counts.expressions:
        return ("The capture holds no sample; there is nothing to analyse.", *_state(run, problems))
    return (
        *_state(run, problems),
        *_data(counts),
        *_quality(counts, protocols),
        *_ranking(rankings["visual_mass"]["both"]),
        *(note for role in ROLES for note in _looks(rankings["lift"][role])),
        *(note for role in ROLES for note in _association(correlations[role])),
        *_supervision(supervised),
        *_caution(rankings["visual_mass"]["both"]),
    )


def _state(run: dict[str, Any], problems: tuple[str, ...]) -> list[str]:
    notes = []
    status = run.get("status", "done")
    if status != "done":
        notes.append(
            f"The capture is not complete (status: {status}); the numbers are preliminary."
        )
    if problems:
        notes.append(f"{_count(len(problems), 'part')} of the run could not be read and left out.")
    return notes


def _data(counts: Counts) -> list[str]:
    rows = ", ".join(f"{_count(counts.roles[role].rows, role + ' sample')}" for role in ROLES)
    notes = [
        f"{_count(counts.videos, 'video')}, {_count(counts.expressions, 'expression')}, {rows}."
    ]
    if counts.videos < 2:
        notes.append("There is only one video: no interval can be given.")
    elif counts.videos < FEW_VIDEOS:
        notes.append(
            f"Intervals rest on {counts.videos} videos only; with so few they are too narrow."
        )
    if not counts.roles["target"].rows:
        notes.append("No expression has a target: everything about targets is empty.")
    return notes


def _quality(counts: Counts, protocols: dict[str, ProtocolScore]) -> list[str]:
    notes = []
    for role in ROLES:
        count = counts.roles[role]
        if count.missing:
            notes.append(
                f"The model gave no {role} token in {count.missing} of "
                f"{_count(count.rows, role + ' sample')}; these count as J&F 0 and are left out of "
                "rankings and correlations."
            )
        if count.put_into_form:
            notes.append(
                f"In {count.put_into_form} of {_count(count.rows, role + ' sample')} the model "
                "named no role by itself; its answer was put into form, so these tokens were not "
                "its own choice. They are counted everywhere."
            )
    weak = [
        f"{name} J&F {score.jf:.1f}"
        for name, score in protocols.items()
        if score.jf is not None and score.jf < LEARNED_LITTLE
    ]
    if weak:
        notes.append(
            f"The model has learned little: {', '.join(weak)} per cent. What its attention shows "
            "need not hold for a model that segments well."
        )
    return notes


def _ranking(ranking: Ranking) -> list[str]:
    first = ranking.pairs[0] if ranking.pairs else None
    if first is None or first.score is None:
        return []
    name = _pair(first.layer, first.head)
    text = f"By visual attention the first pair is {name} with {first.score:.2f}"
    if first.ci is None or first.rank_ci is None:
        return [f"{text}; without an interval the order is not a finding."]
    reach = sum(
        pair.rank_ci is not None and pair.rank_ci[0] <= ranking.top_k for pair in ranking.pairs
    )
    notes = [
        f"{text} (95 % interval {_range(first.ci)}, rank {first.rank_ci[0]:g} to "
        f"{first.rank_ci[1]:g} of {len(ranking.pairs)})."
    ]
    if reach > ranking.top_k:
        notes.append(
            f"{reach} pairs have a rank interval that reaches the best {ranking.top_k}: the data "
            f"do not settle which {ranking.top_k} lead."
        )
    return notes


def _looks(ranking: Ranking) -> list[str]:
    above = sum(pair.ci is not None and pair.ci[0] > 1 for pair in ranking.pairs)
    defined = sum(pair.ci is not None for pair in ranking.pairs)
    if not defined:
        return []
    return [
        f"{above} of {_count(defined, 'pair')} look at the {ranking.role} more than even attention "
        "would (interval of the lift above 1)."
    ]


def _association(correlation: Correlation) -> list[str]:
    role, spearman = correlation.role, correlation.overall.spearman
    if spearman.value is None:
        return [] if not correlation.n else [f"{role.capitalize()}: {_reason(spearman)}."]
    notes = [
        f"{role.capitalize()}: over {_count(spearman.n, 'sample')} of "
        f"{_count(spearman.n_videos, 'video')} the Spearman correlation of mask share and J&F is "
        f"{_estimate(spearman)}{_zero(spearman)}"
    ]
    partial = correlation.overall.partial
    if partial.value is not None:
        notes.append(
            f"{role.capitalize()}: given the mask area it is {_estimate(partial)}{_zero(partial)}"
        )
    area = correlation.controls["mask_area"].spearman
    if area.value is not None and _apart(area) and abs(area.value) >= abs(spearman.value):
        notes.append(
            f"{role.capitalize()}: mask area alone, which knows nothing of attention, goes with "
            f"J&F at least as closely: {_estimate(area)}."
        )
    tested = [pair for pair in correlation.pairs if pair.spearman.ci is not None]
    apart = sum(_apart(pair.spearman) for pair in tested)
    if tested:
        notes.append(
            f"{role.capitalize()}: {apart} of {_count(len(tested), 'pair')} taken one by one have "
            f"an interval without 0; without any association about {0.05 * len(tested):.1f} would, "
            "as the intervals are not corrected for their number."
        )
    return notes


def _supervision(supervised: tuple[tuple[int, int], ...]) -> list[str]:
    if not supervised:
        return []
    pairs = ", ".join(_pair(*pair) for pair in supervised)
    return [
        f"The attention of {pairs} was trained towards the masks: a high mask share there is the "
        "training target, not evidence."
    ]


def _caution(ranking: Ranking) -> list[str]:
    if not ranking.n_samples:
        return []
    return [
        "Rankings and J&F come from the same videos; pairs chosen here must be tested on others. "
        "All correlations are associations; only an intervention can show a cause."
    ]


def _apart(estimate: Estimate) -> bool:
    """Whether the interval leaves 0 out."""
    return estimate.ci is not None and not estimate.ci[0] <= 0 <= estimate.ci[1]


def _zero(estimate: Estimate) -> str:
    if estimate.ci is None:
        return f" (no interval: {estimate.reason})."
    return "." if _apart(estimate) else "; the interval holds 0: no association is shown."


def _estimate(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    interval = "" if estimate.ci is None else f" (95 % interval {_range(estimate.ci)})"
    return f"{estimate.value:.2f}{interval}"


def _reason(estimate: Estimate) -> str:
    return f"no correlation of mask share and J&F ({estimate.reason})"


def _range(ci: tuple[float, float]) -> str:
    return f"{ci[0]:.2f} to {ci[1]:.2f}"


def _pair(layer: int, head: int) -> str:
    """As in the paper's Fig. 4: L22H07."""
    return f"L{layer:02d}H{head:02d}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
