"""No name from an address or a form reaches outside of the runs folder."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from reviosa.errors import ConfigError
from tests.workbench.test_pages import open_page
from workbench.pages._paths import below, plain_name
from workbench.uploads import MAX_MB

OUTSIDE = [
    "", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "a/", "a\0b", "a\nb",
    "x" * 5000,
]  # fmt: skip


def test_names_below_the_folder_are_paths_in_it(tmp_path):
    assert below(tmp_path, "a") == tmp_path / "a"
    assert below(tmp_path, "sweeps/figure 6c/run.json") == tmp_path / "sweeps/figure 6c/run.json"
    assert below(tmp_path, "..a") == tmp_path / "..a"  # a name like any other


@pytest.mark.parametrize("name", OUTSIDE)
def test_other_names_are_refused_in_one_line(tmp_path, name):
    with pytest.raises(ConfigError, match="expected a path below") as refused:
        below(tmp_path, name)
    assert "\n" not in str(refused.value)


def test_links_may_lead_on_inside_but_not_out(tmp_path):
    (tmp_path / "runs/real").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "runs/inside").symlink_to("real")
    (tmp_path / "runs/out").symlink_to(tmp_path / "outside")
    (tmp_path / "runs/round").symlink_to("round")
    (tmp_path / "linked").symlink_to("runs")
    assert below(tmp_path / "runs", "inside/x") == tmp_path / "runs/inside/x"
    assert below(tmp_path / "linked", "real") == tmp_path / "linked/real"
    for name in ("out", "out/x", "round/x"):
        with pytest.raises(ConfigError, match="expected a path below"):
            below(tmp_path / "runs", name)


@pytest.mark.parametrize(
    "name", ["", "  ", ".hidden", "a/b", "..", "a\0", "x" * 81, "ends.", "<b>"]
)
def test_what_is_no_plain_name_is_refused(name):
    with pytest.raises(ConfigError, match="expected letters"):
        plain_name(name)


def test_plain_names_lose_space_at_the_ends():
    assert plain_name(" my report 1.2 ") == "my report 1.2"


# The pages themselves.

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"
HOSTILE_NAMES = ("../../etc/passwd", "/etc/passwd", "a\0b", "planted/../../outside", "out")


def all_pages() -> list[str]:
    """Every page that the app names."""
    return re.findall(r'"workbench/pages/(\w+)\.py"', APP.read_text())


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def guarded(planted_runs, tmp_path):
    """Runs, with a run outside of their folder that must not be read, and a link to it."""
    shutil.copytree(planted_runs, tmp_path / "runs")
    shutil.copytree(planted_runs.parent / "data", tmp_path / "data")
    shutil.copytree(planted_runs / "planted", tmp_path / "outside")
    (tmp_path / "runs" / "out").symlink_to(tmp_path / "outside")
    return tmp_path


@pytest.mark.parametrize("page", all_pages())
@pytest.mark.usefixtures("fresh_caches")
def test_no_address_reaches_outside(monkeypatch, guarded, page):
    read = []
    plain = Path.read_bytes, Path.read_text, Path.open

    def watched(method):
        def call(path, *args, **kwargs):
            read.append(path.resolve())
            return method(path, *args, **kwargs)

        return call

    for key, method in zip(("read_bytes", "read_text", "open"), plain, strict=True):
        monkeypatch.setattr(Path, key, watched(method))
    keys = (
        "run", "against", "sample", "video", "pair", "pairs", "sweep", "training", "trial", "model",
        "selection", "heads", "file", "name", "report", "export",
    )  # fmt: skip
    app = open_page(monkeypatch, guarded / "runs", page)
    for name in HOSTILE_NAMES:
        for key in keys:
            app.query_params[key] = name
        app.run()
        assert not app.exception, [item.message for item in app.exception]
    outside = [path for path in read if path.is_relative_to(guarded / "outside")]
    assert not outside and Path("/etc/passwd") not in read


@pytest.mark.usefixtures("fresh_caches")
def test_pages_write_nothing_by_being_open_page(monkeypatch, guarded):
    before = state(guarded)
    for page in all_pages():
        open_page(monkeypatch, guarded / "runs", page)
    assert state(guarded) == before


@pytest.mark.usefixtures("fresh_caches")
def test_a_run_that_is_a_link_to_outside_is_told_and_not_read(guarded):
    from workbench.pages._data import list_runs

    entries = {entry.name: entry for entry in list_runs(guarded / "runs")}
    assert entries["planted"].status == "done"
    assert entries["out"].status == "unreadable" and "leads out" in entries["out"].error
    (guarded / "runs" / "inside").symlink_to("planted")
    assert {e.name: e.status for e in list_runs(guarded / "runs")}["inside"] == "done"


def test_only_this_machine_is_served():
    """Also where the app is started without the command."""
    config = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["maxUploadSize"] == MAX_MB
