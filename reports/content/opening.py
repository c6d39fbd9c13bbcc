"""What stands first: whose runs, what is wrong with them, what came out, and what was asked."""

from collections.abc import Iterator

from probes.report import ReportResults
from reports.document import Block, Bullets, Paragraph, Section
from reports.style import count
from reports.summary import model_name, score_words, summary

__all__ = ["byline", "head", "question"]


def byline(results: ReportResults) -> str:
    """The runs, in one line."""
    captures = [part.results for part in results.captures]
    if len(captures) == 1:
        (capture,) = captures
        words = [f"Run {capture.name}", f"model {model_name(capture.run)}"]
        if created := capture.run.get("created"):
            words.append(f"captured {created}")
    else:
        words = [f"Runs {', '.join(c.name for c in captures)}"] if captures else []
    sweeps = results.study.sweeps if results.study else ()
    if sweeps:
        names = ", ".join(sweep.answer.name for sweep in sweeps)
        words.append(f"sweep{'s' if len(sweeps) > 1 else ''} {names}")
    return " \N{MIDDLE DOT} ".join(words)


def head(results: ReportResults) -> tuple[Block, ...]:
    """Warnings, then the summary of the first capture, or what the claims came to."""
    alone = len(results.captures) == 1
    words: list[Block] = [Paragraph(text, "warning") for text in _warnings(results, alone)]
    if alone:
        words.append(Bullets(summary(results.captures[0].results)))
    elif results.captures:
        words.append(
            Paragraph(
                f"{count(len(results.captures), 'capture')} side by side, then one part for each.",
                "lead",
            )
        )
        words.append(
            Bullets(
                tuple(
                    f"{part.results.name}: {said}"
                    for part in results.captures
                    for said in score_words(part.results)
                )
            )
        )
    if found := _verdicts(results):
        words.append(Paragraph(found, "lead"))
    return tuple(words)


def _warnings(results: ReportResults, alone: bool) -> Iterator[str]:
    for problem in results.problems:
        yield f"Left out: {problem}."
    for part in results.captures:
        capture = part.results
        which = "The run" if alone else f"The run {capture.name}"
        status = capture.run.get("status", "done")
        if status != "done":
            yield f"{which} is not complete (status: {status}). Its numbers are preliminary."
        if capture.problems:
            parts = count(len(capture.problems), "part")
            yield (
                f"{which} is shown without {parts} that could not be read: "
                f"{'; '.join(capture.problems)}."
            )
        for name, header in part.beside.headers.items():
            if header["status"] != "done":
                yield (
                    f"The run {name} is not complete (status: {header['status']}). Its numbers "
                    "are preliminary."
                )
        yield from part.beside.notes
    for sweep in results.study.sweeps if results.study else ():
        open_trials = [problem for problem in sweep.answer.problems if problem]
        if open_trials:
            yield (
                f"Sweep {sweep.answer.name} is not whole: {count(len(open_trials), 'trial')} not "
                "finished or not readable; see there."
            )


def _verdicts(results: ReportResults) -> str:
    claims = results.study.claims if results.study else ()
    if not claims:
        return ""
    counts: dict[str, int] = {}
    for claim in claims:
        counts[claim.verdict] = counts.get(claim.verdict, 0) + 1
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    return f"{count(len(claims), 'claim')} judged: {told}."


def question(results: ReportResults) -> Section:
    """What the runs of this report can answer."""
    asked = []
    if results.captures:
        asked += [
            "At which layers and heads of the language model do the role tokens [SEG_ACT] and "
            "[SEG_TAR] look at the video, and at which of them at their own object?",
            "Are masks better where a role token attends more to its object, beyond what the "
            "object's size explains?",
        ]
    if any(part.beside.ablations for part in results.captures):
        asked.append("Which of these heads matter: what do the masks lose when they are changed?")
    if any(part.beside.lenses for part in results.captures):
        asked.append("At which layer is it decided that an answer names an actor, and a target?")
    if any(part.beside.linear for part in results.captures):
        asked.append("What can be read off a role token's state, and from which layer on?")
    if len(results.captures) > 1:
        asked.append("What of this is the same in another run?")
    if results.study and results.study.sweeps:
        asked.append(
            "Does training with supervised attention make masks better, and does it matter which "
            "layer-head pairs are supervised?"
        )
    return Section("question", "Question", (Bullets(tuple(asked)),))
