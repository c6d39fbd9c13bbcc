"""What a report says about sweeps: claims and their verdicts, arms, and what they look at."""

from collections.abc import Iterator

from probes.report import ReportResults
from probes.study import SweepResults
from reports.answer_figures import strategies
from reports.answer_tables import difference_table, score_table
from reports.answer_words import answer_words
from reports.claims import claim_table
from reports.document import Block, Bullets, Paragraph, Section, Subheading
from reports.study_figures import attention_over_training
from reports.style import count

__all__ = ["claims", "sweep_sections"]

_RULE = (
    "Reproduced: the 95 % interval lies above 0, in the direction stated, and every seed agrees. "
    "Not reproduced: it lies below the least effect that counts, set before anything ran. "
    "Undecided: the data do not tell, or fewer than three seeds were trained."
)


def claims(results: ReportResults) -> list[Section]:
    """The claims that the runs speak to; no section where there are none."""
    if results.study is None or not results.study.claims:
        return []
    blocks = (Paragraph(_RULE), claim_table(results.study.claims))
    return [Section("claims", "Claims and verdicts", blocks, "Claims")]


def sweep_sections(results: ReportResults) -> list[Section]:
    """One section a sweep."""
    found = []
    for sweep in results.study.sweeps if results.study else ():
        name = sweep.answer.name
        found.append(Section(f"sweep-{name}", f"Sweep {name}", tuple(_sweep(sweep))))
    return found


def _sweep(sweep: SweepResults) -> Iterator[Block]:
    answer = sweep.answer
    if note := str(sweep.config.get("note", "")):
        yield Paragraph(note)
    figure = strategies(answer)
    if figure is None:
        yield Paragraph("No trial is finished yet.", "warning")
    else:
        yield score_table(answer)
        yield figure
        differences = difference_table(answer)
        if differences.rows:
            yield differences
        if words := " ".join(answer_words(answer)):
            yield Paragraph(words)
        if sweep.curves:
            yield attention_over_training(sweep)
        yield from _trials(sweep)
    if answer.problems:
        yield Subheading("Trials that are not finished or could not be read")
        yield Bullets(tuple(answer.problems))


def _trials(sweep: SweepResults) -> Iterator[Block]:
    answer = sweep.answer
    steps = {arm.steps for arm in answer.arms if arm.steps is not None}
    each = " or ".join(count(total, "optimiser step") for total in sorted(steps))
    yield Subheading("Trials")
    yield Paragraph(
        f"Each trial: {each}. Run by reviosa sweep on the sweep file {answer.name}, whose resolved "
        f"content stands in sweeps/{answer.name}/sweep.json. Behind each arm, its seeds and their "
        "run directories:"
    )
    runs = {
        arm.title: ", ".join(f"{seed}: trials/{name}" for seed, name in arm.trials.items())
        for arm in answer.arms
    }
    yield Bullets(tuple(f"{title}: {found}" for title, found in runs.items() if found))
