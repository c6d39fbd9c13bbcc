"""The report: one HTML file that needs no other file, no network and no script."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from probes.criteria import CRITERIA
from reports.canvas import Figure
from reports.causal_figures import (
    dose_curve,
    effect_map,
    kept_curve,
    paired_changes,
    subset_map,
)
from reports.figures import head_map, layer_profile, ranking_plot
from reports.lens_figures import attribution_map, lens_curves
from reports.linear_figures import layer_curves
from reports.outcome_figures import correlation_by_layer, share_against_jf
from reports.style import (
    CAPTION_TYPE_TITLES,
    ROLE_COLORS,
    ROLE_TITLES,
    ROLE_TOKENS,
    number,
    per_cent,
)
from reports.summary import model_name, summary
from reports.tables import (
    ablation_table,
    correlation_table,
    criteria_table,
    family_table,
    protocol_table,
    provenance_table,
    ranking_table,
    strata_table,
    subset_table,
)
from reports.verdicts import ablation_verdicts
from reviosa.io import write_text

if TYPE_CHECKING:
    from probes.beside import Beside
    from probes.results import AnalysisResults
    from reports.gallery import GalleryItem

__all__ = ["render_report", "write_report"]

CAUSES = (effect_map, subset_map, dose_curve, kept_curve, paired_changes)
"""Figures of an ablation, each drawn where the run has what it shows."""
MAPPED = ("visual_mass", "mask_share", "lift")
"""Criteria shown as maps and rankings; all others stand in one table, and in the CSV."""


def write_report(
    results: "AnalysisResults",
    path: str | Path,
    gallery: "Sequence[GalleryItem]" = (),
    command: str | None = None,
    beside: "Beside | None" = None,
) -> Path:
    """Write the report, whole or not at all; the same input gives the same bytes.

    Args:
        results: what :func:`probes.analysis.analyse` found.
        path: the HTML file; folders are made, an old report is replaced.
        gallery: pictures of the best and worst samples (:func:`reports.gallery.build_gallery`).
        command: the command line that made the report, to be printed in it.
        beside: what other runs over the same model say (:func:`probes.beside.read_beside`).

    Returns:
        The path.
    """
    path = Path(path)
    write_text(path, render_report(results, gallery, command, beside))
    return path


def render_report(
    results: "AnalysisResults",
    gallery: "Sequence[GalleryItem]" = (),
    command: str | None = None,
    beside: "Beside | None" = None,
) -> str:
    """The report as HTML text; see :func:`write_report`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        # Expressions and answers come from data and models: all text is escaped, always.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        per_cent=per_cent,
        number=number,
        role_titles=ROLE_TITLES,
        role_tokens=ROLE_TOKENS,
        role_colors=ROLE_COLORS,
        caption_types=CAPTION_TYPE_TITLES,
    )
    content = _content(results, gallery, command, beside)
    return environment.get_template("report.html.j2").render(**content)


def _content(
    results: "AnalysisResults",
    gallery: "Sequence[GalleryItem]",
    command: str | None,
    beside: "Beside | None",
) -> dict[str, Any]:
    filled = bool(results.counts.expressions)
    looked = any(role.emitted for role in results.counts.roles.values())
    return {
        "results": results,
        "model": model_name(results.run),
        "filled": filled,
        "looked": looked,
        "summary": summary(results),
        "protocols": protocol_table(results),
        "layer_profile": _drawn(layer_profile(results)) if looked else None,
        "maps": [_drawn(head_map(results, name)) for name in MAPPED] if looked else [],
        "rankings": [
            (CRITERIA[name], _drawn(ranking_plot(results, name)), ranking_table(results, name))
            for name in MAPPED
        ]
        if looked
        else [],
        "criteria": criteria_table(results) if looked else None,
        "scatter": _drawn(share_against_jf(results)) if looked else None,
        "by_layer": _drawn(correlation_by_layer(results)) if looked else None,
        "correlations": [
            correlation_table(results, role)
            for role in ("actor", "target")
            if results.correlations[role].n
        ],
        "strata": [
            strata_table(results, role)
            for role in ("actor", "target")
            if results.correlations[role].strata
        ],
        "beside_notes": beside.notes if beside else (),
        "families": [family_table(a) for a in beside.families] if beside else [],
        "causes": [
            (
                ablation_verdicts(a),
                _all_drawn(CAUSES, a, index),
                [x for x in (ablation_table(a), subset_table(a)) if x is not None and x.rows],
            )
            for index, a in enumerate(beside.ablations if beside else ())
        ],
        "lenses": [
            _all_drawn((lens_curves, attribution_map), x, index)
            for index, x in enumerate(beside.lenses if beside else ())
        ],
        "linear": [
            _all_drawn((layer_curves,), x, index)
            for index, x in enumerate(beside.linear if beside else ())
        ],
        "gallery": _groups(gallery),
        "provenance": provenance_table(results, command),
    }


def _all_drawn(draws: "Sequence[Callable]", found: Any, index: int) -> list[dict[str, Any]]:
    """The figures that there are; of the second run on by other names, as ids must be unique."""
    return [
        _drawn(replace(figure, name=f"{figure.name}-{index}") if index else figure)
        for draw in draws
        if (figure := draw(found)) is not None
    ]


def _drawn(figure: Figure) -> dict[str, Any]:
    """A figure for the template; its SVG is our own drawing and the only markup let through."""
    return {
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "svg": Markup(figure.svg()),  # noqa: S704
    }


def _groups(gallery: "Sequence[GalleryItem]") -> list[tuple[str, str, list["GalleryItem"]]]:
    """(role, kind, items), actors first, best first; empty groups are left out."""
    return [
        (role, kind, items)
        for role in ("actor", "target")
        for kind in ("best", "worst")
        if (items := [item for item in gallery if (item.card.role, item.kind) == (role, kind)])
    ]
