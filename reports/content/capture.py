"""What a report says about one capture."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from probes.report import CapturePart
from probes.results import AnalysisResults
from reports.content.beside import causes, lens, linear
from reports.content.methods import MAPPED
from reports.content.samples import samples
from reports.document import Block, Paragraph, Section
from reports.fact_tables import data_table, model_table
from reports.figures import head_map, layer_profile, ranking_plot
from reports.outcome_figures import correlation_by_layer, share_against_jf
from reports.tables import (
    correlation_table,
    criteria_table,
    family_table,
    protocol_table,
    ranking_table,
    strata_table,
)

__all__ = ["capture_sections"]

ROLES = ("actor", "target")


def capture_sections(
    part: CapturePart, which: Literal["all", "data", "results"] = "all"
) -> list[Section]:
    """Data and model, or what was found, or both; sections that would be empty are left out."""
    results = part.results
    filled = bool(results.counts.expressions)
    looked = any(role.emitted for role in results.counts.roles.values())
    sections: list[Section] = []
    if which in ("all", "data"):
        sections += [
            Section("data", "Data", (data_table(results),)),
            Section("model", "Model", (model_table(results),)),
        ]
    if which in ("all", "results"):
        if filled:
            sections.append(Section("scores", "Scores", (protocol_table(results),)))
        if looked:
            sections += [
                Section("layers", "Layers", (layer_profile(results),)),
                Section("heads", "Heads", tuple(_heads(results))),
                Section("ranking", "Ranking", tuple(_ranking(part))),
                Section("outcome", "Attention and J&F", tuple(_outcome(results))),
                Section("controls", "Controls", tuple(_controls(results))),
            ]
        beside = part.beside
        sections += [*causes(beside.ablations), *lens(beside.lenses), *linear(beside.linear)]
        sections += samples(part.pictures)
    return sections


def _heads(results: AnalysisResults) -> Iterator[Block]:
    yield Paragraph(
        "A pair is one head of one layer. Visual attention needs no truth; mask share and lift "
        "compare with the true mask and are another kind of evidence, so they are never mixed into "
        "one score."
    )
    for name in MAPPED:
        yield head_map(results, name)


def _ranking(part: CapturePart) -> Iterator[Block]:
    yield Paragraph(
        "How sure the order is: a rank interval that spans many ranks means that other videos "
        "could give another order."
    )
    for name in MAPPED:
        yield ranking_plot(part.results, name)
        yield ranking_table(part.results, name)
    yield replace(criteria_table(part.results), title="Best pair by every criterion")
    if part.beside.families:
        silenced = ", and so is what silencing a pair costs" if part.beside.ablations else ""
        title = "Agreement of families"
        for agreement in part.beside.families:
            yield replace(family_table(agreement), title=title)
            title = ""
        yield Paragraph(
            "Looking at the video, looking at the object, mattering to first order and going with "
            f"better masks are different questions{silenced}. Where they disagree, a choice of "
            "heads rests on the question that was asked."
        )


def _outcome(results: AnalysisResults) -> Iterator[Block]:
    yield Paragraph(
        "An association of attention and quality, not a cause; what else could make it stands "
        "under Controls."
    )
    yield share_against_jf(results)
    yield correlation_by_layer(results)


def _controls(results: AnalysisResults) -> Iterator[Block]:
    yield Paragraph(
        "The same comparison for scores that know nothing of where the role token looks, or "
        "nothing of the mask, and with other influences held fixed. What they reach as well needs "
        "no attention on the object to explain it."
    )
    for role in ROLES:
        if results.correlations[role].n:
            yield correlation_table(results, role)
    strata = [role for role in ROLES if results.correlations[role].strata]
    if strata:
        yield Paragraph("And among samples that are alike in one thing:")
    for role in strata:
        yield strata_table(results, role)
