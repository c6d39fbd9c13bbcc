"""No name from an address or a form reaches outside of the runs folder."""

import pytest

from reviosa.errors import ConfigError
from workbench.pages._paths import below, plain_name

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
