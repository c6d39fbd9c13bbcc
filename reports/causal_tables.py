"""Tables of causes: what silenced or exchanged heads do to the masks."""

from typing import TYPE_CHECKING

from reports.causal_words import ROLES, whole_words
from reports.style import MISSING, ROLE_TITLES, count, pair_label, per_cent, with_interval
from reports.tables import Table

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.causal import AblationResults

__all__ = ["ablation_table", "subset_table"]


def ablation_table(ablation: "AblationResults", top: int = 8) -> Table:
    """The single pairs that change the score most, whole layers, and sets with their controls."""
    compared = any(e.over_random is not None for e in ablation.effects)
    rows = []
    for role in ROLES:
        mine = [e for e in ablation.effects if e.role == role and e.change.value is not None]
        singles = sorted(
            (e for e in mine if e.group == "single"), key=lambda e: -abs(e.change.value or 0.0)
        )
        sets = sorted((e for e in mine if e.group != "single"), key=lambda e: (e.group, e.k))
        for effect in (*singles[:top], *sets):
            over = effect.over_random
            beside = (
                MISSING if over is None else _in_points(over),
                per_cent(effect.random_below, 0),
            )
            change = _in_points(effect.change)
            row = (ROLE_TITLES[role], effect.name, str(effect.k), change)
            rows.append((*row, *beside) if compared else row)
    failed = (
        f" {count(ablation.n_failed, 'role')} not named, left out." if ablation.n_failed else ""
    )
    controls = (
        " Kept: all other heads are silenced. Random sets: as many heads of the chosen pairs' "
        "layers; below: share of them that change the score more downwards."
    )
    return Table(
        (
            "role",
            "heads",
            "number",
            "change [interval]",
            *(("less random sets [interval]", "random sets below, %") if compared else ()),
        ),
        tuple(rows),
        f"Changes in points ({ablation.kind}); {whole_words(ablation)}. The {top} single pairs "
        "that change most, then layers and sets. Intervals: 95 % cluster bootstrap over videos, "
        f"{count(ablation.resamples, 'resample')}, not corrected for the number of pairs."
        f"{controls if compared else ''}{failed}",
        text_columns=2,
        name=f"effects-{ablation.kind}",
    )


def subset_table(ablation: "AblationResults", top: int = 8) -> Table | None:
    """The heads with the largest effect among random losses of others; None without subsets."""
    if not ablation.subsets:
        return None
    rows = []
    for model in ablation.subsets:
        known = [e for e in model.effects if e.effect.value is not None]
        known.sort(key=lambda e: -abs(e.effect.value or 0.0))
        rows += [
            (ROLE_TITLES[model.role], pair_label(e.layer, e.head), _in_points(e.effect))
            for e in known[:top]
        ]
    fits = "; ".join(
        f"{model.role}: R\N{SUPERSCRIPT TWO} on subsets left out "
        f"{model.r2.reason or with_interval(model.r2.value, model.r2.ci, 2)}, mean subset "
        f"{_in_points(model.mean)}"
        for model in ablation.subsets
    )
    return Table(
        ("role", "head", "effect [interval]"),
        tuple(rows),
        f"Points that silencing a head changes beside random losses of others ({ablation.kind}); "
        f"the {top} largest of each role; {whole_words(ablation)}. {fits}. At an "
        "R\N{SUPERSCRIPT TWO} of 0 or below the effects say nothing. Intervals: other videos and "
        "other subsets, "
        f"{count(ablation.resamples, 'resample')}, not corrected for the number of heads.",
        text_columns=2,
        name=f"subsets-{ablation.kind}",
    )


def _in_points(estimate: "Estimate") -> str:
    value, ci = estimate.value, estimate.ci
    scaled = None if ci is None else (100 * ci[0], 100 * ci[1])
    return with_interval(None if value is None else 100 * value, scaled, 1)
