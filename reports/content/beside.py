"""What a report says about the runs beside a capture: ablations, the lens, linear probes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from probes.causal import AblationResults
from probes.lens import LensResults
from probes.linear.results import ProbeResults
from reports.canvas import Figure
from reports.causal_figures import dose_curve, effect_map, kept_curve, paired_changes, subset_map
from reports.causal_tables import ablation_table, subset_table
from reports.document import Block, Paragraph, Section
from reports.lens_figures import attribution_map, lens_curves
from reports.linear_figures import layer_curves
from reports.verdicts import ablation_verdicts

__all__ = ["causes", "lens", "linear"]

_CAUSES = (effect_map, subset_map, dose_curve, kept_curve, paired_changes)
"""Figures of an ablation, each drawn where the run has what it shows."""


def causes(ablations: Sequence[AblationResults]) -> list[Section]:
    """What silenced or exchanged heads do to the masks; no section without ablations."""
    if not ablations:
        return []
    words = Paragraph(
        "Everything else in this report is association. Here heads are changed at the role tokens "
        "while the frames as they were read, the answer and all other heads stay, and the masks of "
        "the seen frames are scored again."
    )
    blocks = (block for ablation in ablations for block in _ablation(ablation))
    return [Section("causes", "Causes", (words, *blocks))]


def _ablation(ablation: AblationResults) -> Iterator[Block]:
    yield from (Paragraph(verdict) for verdict in ablation_verdicts(ablation))
    yield from _drawn(_CAUSES, ablation)
    for table in (ablation_table(ablation), subset_table(ablation)):
        if table is not None and table.rows:
            yield table


def lens(lenses: Sequence[LensResults]) -> list[Section]:
    """At which layer roles are decided, and by which heads."""
    if not lenses:
        return []
    words = Paragraph(
        "The state after each layer is read as if it were the last one: at which layer the model "
        "is going to name an actor, and a target or none; and which heads and MLPs write those "
        "scores."
    )
    blocks = (block for found in lenses for block in _drawn((lens_curves, attribution_map), found))
    return [Section("lens", "Where roles are decided", (words, *blocks), "Lens")]


def linear(probes: Sequence[ProbeResults]) -> list[Section]:
    """What can be read off the states of the role tokens."""
    if not probes:
        return []
    words = Paragraph(
        "Linear probes on the role tokens' hidden states, tried on videos that they were not "
        "fitted on, beside a control task of random labels. What can be read off a state need not "
        "be used."
    )
    blocks = (block for found in probes for block in _drawn((layer_curves,), found))
    return [Section("linear", "What the role tokens know", (words, *blocks), "Linear probes")]


def _drawn(draws: Iterable[Callable[[Any], Figure | None]], found: Any) -> Iterator[Figure]:
    return (figure for draw in draws if (figure := draw(found)) is not None)
