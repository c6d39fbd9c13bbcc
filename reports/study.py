"""The results page: claims, what was found, and the verdicts, as Markdown with SVG figures."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import escape

from reports.answer_figures import strategies
from reports.answer_tables import difference_table, score_table
from reports.answer_words import answer_words
from reports.canvas import Figure
from reports.figures import layer_profile
from reports.outcome_figures import correlation_by_layer, share_against_jf
from reports.study_figures import attention_over_training
from reports.style import count, number, signed, with_interval
from reports.summary import model_name
from reports.tables import Table, correlation_table
from reviosa.io import write_json, write_text

if TYPE_CHECKING:
    from probes.results import AnalysisResults
    from probes.study import Claim, StudyResults, SweepResults

__all__ = ["claim_table", "render_study", "write_study"]

_RULE = (
    "Reproduced: the 95 % interval lies above 0, in the direction stated, and every seed agrees. "
    "Not reproduced: it lies below the least effect that counts, set before anything ran. "
    "Undecided: the data do not tell, or fewer than three seeds were trained."
)


def write_study(
    results: "StudyResults", path: str | Path, command: str, heading: str = "Results"
) -> Path:
    """Write the page, its figures and ``results.json`` beside it; the same input, the same bytes.

    Args:
        results: what :func:`probes.study.study_runs` found.
        path: the Markdown file; figures go to a folder of its name without the suffix.
        command: the command line that made the page.
        heading: of the page.
    """
    path = Path(path)
    folder = path.with_suffix("")
    text, figures = render_study(results, folder.name, command, heading)
    for figure in figures:
        write_text(folder / f"{figure.name}.svg", figure.svg())
    write_json(folder / "results.json", results.to_json(), indent=1)
    write_text(path, text)
    return path


def render_study(
    results: "StudyResults", folder: str, command: str, heading: str
) -> tuple[str, list[Figure]]:
    """The page as Markdown text, and the figures it shows; see :func:`write_study`."""
    figures: list[Figure] = []

    def drawn(figure: Figure, prefix: str = "") -> list[str]:
        figure = replace(figure, name=f"{prefix}{figure.name}")
        figures.append(figure)
        name = f"{folder}/{figure.name}.svg"
        return [f"![{_one_line(figure.alt)}]({name})", f"*{_text(figure.caption)}*"]

    parts = [
        f"# {_text(heading)}",
        f"Written by `{command}`; every number also stands in [{folder}/results.json]"
        f"({folder}/results.json). Run directories are named beside the numbers.",
        "## Claims and verdicts",
        _RULE,
        _markdown(claim_table(results.claims)),
    ]
    for sweep in results.sweeps:
        note = str(sweep.config.get("note", ""))
        answer = sweep.answer
        parts += [f"## Sweep {_text(answer.name)}", *([_text(note)] if note else [])]
        figure = strategies(answer)
        if figure is not None:
            parts += [_markdown(score_table(answer)), *drawn(figure)]
            differences = difference_table(answer)
            parts += [_markdown(differences)] if differences.rows else []
            parts += [_text(" ".join(answer_words(answer)))]
            parts += drawn(attention_over_training(sweep)) if sweep.curves else []
            parts += [_trials(sweep)]
        else:
            parts += ["No trial is finished yet."]
        parts += [f"Mind: {_text(problem)}." for problem in answer.problems]
    for capture in results.captures:
        parts += [f"## Attention of {_text(model_name(capture.run))}", _capture_words(capture)]
        for figure in (layer_profile, share_against_jf, correlation_by_layer):
            parts += drawn(figure(capture), f"{capture.name}-")
        parts += [
            part
            for role in ("actor", "target")
            if capture.correlations[role].n
            for part in (
                f"Correlation of mask share with J&F, {role}:",
                _markdown(correlation_table(capture, role)),
            )
        ]
    return "\n\n".join(parts) + "\n", figures


def claim_table(claims: "Sequence[Claim]") -> Table:
    """One row a claim with its verdict."""
    rows = tuple(
        (
            claim.says,
            claim.source,
            "" if claim.paper is None else signed(claim.paper, 1),
            number(claim.least, 2),
            with_interval(claim.value, claim.ci, _digits(claim)),
            claim.unit,
            ", ".join(number(value, 1) for value in claim.seeds.values()),
            f"{claim.n:,} / {claim.n_videos:,}",
            claim.verdict,
        )
        for claim in claims
    )
    return Table(
        ("claim", "source", "paper", "least that counts", "here [95 % interval]", "unit",
         "each seed", "samples / videos", "verdict"),
        rows, "", text_columns=2,
    )  # fmt: skip


def _trials(sweep: "SweepResults") -> str:
    answer = sweep.answer
    steps = {arm.steps for arm in answer.arms if arm.steps is not None}
    each = " or ".join(count(total, "optimiser step") for total in sorted(steps))
    name = _text(answer.name)
    lines = [
        f"Each trial: {each}. Run by `reviosa sweep` on the sweep file `{name}`, whose resolved "
        f"content stands in `sweeps/{name}/sweep.json`. Trials (seed: directory):"
    ]
    for arm in answer.arms:
        runs = ", ".join(f"{seed}: `trials/{name}`" for seed, name in arm.trials.items())
        lines += [f"- {_text(arm.title)}: {runs}"] if runs else []
    return "\n".join([lines[0], "", *lines[1:]])


def _capture_words(results: "AnalysisResults") -> str:
    counts = results.counts
    data = results.run.get("data") or {}
    return _text(
        f"Capture `{results.name}`: {count(counts.expressions, 'expression')} of "
        f"{count(counts.videos, 'video')}, data {data.get('identity')}, model "
        f"{(results.run.get('model') or {}).get('identity')}. Made by `reviosa capture`; its "
        f"settings stand in `{results.name}/run.json`."
    )


def _digits(claim: "Claim") -> int:
    return 1 if claim.unit.startswith("points") else 2


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def lines() -> Iterator[str]:
        yield line([_cell(c) for c in table.columns])
        yield line(["---" if i < table.text_columns else "---:" for i in range(len(table.columns))])
        for row in table.rows:
            yield line([_cell(c) for c in row])

    text = "\n".join(lines())
    return f"{text}\n\n*{_text(table.caption)}*" if table.caption else text


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """Words of data and configurations as text that neither HTML nor Markdown can run away with."""
    safe = str(escape(" ".join(text.split())))
    return safe.replace("[", "\\[").replace("*", "\\*").replace("&#39;", "'").replace("&amp;", "&")


def _one_line(text: str) -> str:
    """The same in the square brackets of a picture."""
    return _text(text.replace("[", "(").replace("]", ")"))
