"""The end of a sweep: its answer on the screen and in files."""

from pathlib import Path
from typing import Final

from probes.answer import SweepAnswer, sweep_answer
from probes.sweeps import read_sweep
from reports.answer_tables import brief_difference_table, brief_score_table
from reports.answer_words import SCORE_TITLES, answer_words
from reviosa.io import write_json, write_text
from workbench.console import note, print_table

__all__ = ["ANSWER_FILE", "FIGURE_FILE", "HEADS_FILE", "finish", "print_answer", "write_answer"]

ANSWER_FILE: Final = "answer.json"
FIGURE_FILE: Final = "strategies.svg"
HEADS_FILE: Final = "best-heads.json"


def finish(runs: Path, name: str) -> SweepAnswer:
    """Read what there is of a sweep, and write its answer beside it; see :func:`write_answer`.

    Trials that failed, are missing or were cut are named in the answer and do not stop it.

    Raises:
        RunError: there is no sweep of that name, or its files are damaged.
    """
    directory = runs / "sweeps" / name
    answer = sweep_answer(read_sweep(directory))
    write_answer(directory, answer)
    return answer


def write_answer(directory: Path, answer: SweepAnswer) -> None:
    """Write ``answer.json``, the figure and the heads file of the best arm, each whole or not.

    What the answer does not have is removed, should it be there from an earlier one.
    """
    write_json(directory / ANSWER_FILE, answer.to_json())
    from reports.answer_figures import strategies  # pages name the file, and draw nothing

    figure = strategies(answer)
    if figure is None:
        (directory / FIGURE_FILE).unlink(missing_ok=True)
    else:
        write_text(directory / FIGURE_FILE, figure.svg())
    if answer.best is None:
        (directory / HEADS_FILE).unlink(missing_ok=True)
    else:
        answer.best.heads.save(directory / HEADS_FILE)


def print_answer(directory: Path, answer: SweepAnswer) -> None:
    """Print the tables, the best pairs and where the files are; what is missing goes to stderr."""
    for problem in answer.problems:
        note(f"mind: {problem}")
    if not answer.metrics:
        print(f"sweep {answer.name}: no trial is finished, so there is no answer yet")
        return
    score = SCORE_TITLES[answer.choose]
    for table, title in (
        (brief_score_table(answer), f"Sweep {answer.name}: J&F"),
        (brief_difference_table(answer), f"Sweep {answer.name}: paired differences, {score}"),
    ):
        if table.rows:
            print_table(title, table.columns, table.rows)
            print(f"{table.caption}\n")
    for words in answer_words(answer):
        print(words)
    files = [ANSWER_FILE, FIGURE_FILE, *([HEADS_FILE] if answer.best else [])]
    print(f"in {directory}: {', '.join(files)}")
