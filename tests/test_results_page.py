"""The results page of the repository is what the report command makes of the runs beside it."""

from pathlib import Path

import pytest

from workbench.cli import main

DOCS = Path(__file__).parent.parent / "docs"
RUNS = ("sweeps/table-3", "sweeps/figure-6c", "nano-on-test")


def test_every_number_of_the_page_follows_from_the_kept_runs(tmp_path, capsys):
    runs = [str(DOCS / "results" / "runs" / name) for name in RUNS]
    with pytest.raises(SystemExit) as stopped:
        main(["report", *runs, "-o", str(tmp_path / "results.md")])
    assert stopped.value.code == 0, capsys.readouterr().err
    made, kept = (
        [line for line in path.read_text().splitlines() if line.startswith(("|", "*", "- "))]
        for path in (tmp_path / "results.md", DOCS / "results.md")
    )
    assert len(kept) > 40, "tables, captions and run directories"
    assert made == kept
