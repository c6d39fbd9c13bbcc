"""What an ablation says of the pairs that were chosen, in sentences that its numbers decide."""

from typing import TYPE_CHECKING

from probes.criteria import CRITERIA
from reports.style import ROLE_TITLES, count, in_text, pair_label, with_interval

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.causal import AblationEffect, AblationResults

__all__ = ["ablation_verdicts"]


def ablation_verdicts(ablation: "AblationResults") -> tuple[str, ...]:
    """One sentence a role on the chosen pairs against random sets of the same layers.

    The largest number of chosen pairs that there are random sets for decides; an interval of the
    difference that holds 0 is said to show no difference. For role-swap, the pair that moves most.
    """
    if ablation.kind == "role-swap":
        return tuple(filter(None, (_mover(ablation, role) for role in ROLE_TITLES)))
    found = tuple(filter(None, (_chosen(ablation, role) for role in ROLE_TITLES)))
    if found and ablation.chosen_here:
        return (
            *found,
            "The pairs were chosen on the very videos that they are silenced on, which favours "
            "them somewhat; choose on other videos for a fair test.",
        )
    return found


def _chosen(ablation: "AblationResults", role: str) -> str | None:
    tried = [
        e
        for e in ablation.effects
        if e.group == "chosen" and e.role == role and e.over_random is not None
    ]
    if not tried:
        return None
    effect = max(tried, key=lambda e: e.k)
    over = effect.over_random
    if over is None or over.value is None or effect.change.value is None:
        return None
    criterion = CRITERIA.get(ablation.criterion or "")
    by = f" by {in_text(criterion.title)}" if criterion else ""
    pairs = f"the {count(effect.k, 'pair')} chosen{by}"
    text = (
        f"{ROLE_TITLES[role]}: silencing {pairs} changes J&F by {_points(effect.change)} points; "
        f"the difference to random sets of the same layers is {_points(over)} points"
    )
    if over.ci is None:
        return f"{text}; without an interval this is no finding."
    if over.ci[1] < 0:
        return f"{text}: they matter more than their layers explain."
    if over.ci[0] > 0:
        return f"{text}: they matter less than other heads of their layers."
    return f"{text}: the interval holds 0, so nothing shows that they matter more."


def _mover(ablation: "AblationResults", role: str) -> str | None:
    singles = [
        e
        for e in ablation.effects
        if e.group == "single" and e.role == role and e.change.value is not None
    ]
    if not singles:
        return None
    first: AblationEffect = max(singles, key=lambda e: e.change.value or 0.0)
    moving = [e for e in singles if e.change.ci is not None and e.change.ci[0] > 0]
    return (
        f"{ROLE_TITLES[role]}: of {count(len(singles), 'pair')} {pair_label(*first.pairs[0])} "
        f"moves the mask towards the other role's object most, by {_points(first.change)} points; "
        f"the interval lies above 0 for {count(len(moving), 'pair')}, not corrected for their "
        "number."
    )


def _points(estimate: "Estimate") -> str:
    value, ci = estimate.value, estimate.ci
    scaled = None if ci is None else (100 * ci[0], 100 * ci[1])
    return with_interval(None if value is None else 100 * value, scaled, 1)
