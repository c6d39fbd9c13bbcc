"""What the README tells a reader to type exists."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from probes.criteria import CRITERIA
from reviosa.evaluation.readers import FORMS
from reviosa.evaluation.rules import RULES
from workbench.cli import app

ROOT = Path(__file__).parent.parent
COMMANDS = {command.name for command in app.registered_commands}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def typed(text: str) -> list[str]:
    """Lines of code blocks and inline code that call the program."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    # A backslash joins a line with the next.
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line.strip().removeprefix("$ ") for line in lines]


def options(name: str) -> set[str]:
    """Option names of a command."""
    command = get_command(app).commands[name]
    return {"--help", "-h"}.union(
        *((*parameter.opts, *parameter.secondary_opts) for parameter in command.params)
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_options_in_the_documents_exist(path):
    for line in typed(path.read_text(encoding="utf-8")):
        words = line.split("#")[0].split()
        if len(words) < 2 or Path(words[0]).name != "reviosa" or words[1] == "<-":
            continue  # the last is the drawing of who imports whom
        assert words[1] in COMMANDS or words[1] in ("--help", "-h"), f"{path.name}: {line}"
        if words[1] in COMMANDS:
            used = {word.split("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
            unknown = used - options(words[1])
            assert not unknown, f"{path.name}: {line!r} uses {sorted(unknown)}"


def test_the_readme_shows_every_command():
    lines = (line.split() for line in typed((ROOT / "README.md").read_text(encoding="utf-8")))
    # `make demo` shows demo: the target of a command's name calls it.
    programs = ("reviosa", "make")
    shown = {words[1] for words in lines if len(words) > 1 and Path(words[0]).name in programs}
    assert COMMANDS - shown == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_the_documents_exist(path):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in typed(path.read_text(encoding="utf-8")):
        if line.startswith("make "):
            assert line.split()[1] in targets, f"{path.name}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_linked_in_the_documents_exist(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links {target}"


def test_the_page_of_criteria_has_each_of_them():
    page = (ROOT / "docs" / "criteria.md").read_text(encoding="utf-8")
    for criterion in CRITERIA.values():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{criterion.name}` |"))
        for words in (criterion.description, criterion.equation, criterion.unit, criterion.source):
            assert words in row


def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    # As the second says: one query of one sequence, 2 layers of 4 heads, 9 keys.
    assert names["record"].attention.shape == (1, 1, 2, 4, 9)


def test_the_page_of_scoring_has_each_rule_and_form():
    page = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    for name in (*RULES, *FORMS):
        assert f"| `{name}` |" in page
