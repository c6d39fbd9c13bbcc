"""The page of heads: pairs gathered, saved and outlined, and what one causes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from probes.causal.effects import EFFECTS_FILE, append_effects, plan_to_json
from probes.causal.plan import single_ablations
from reviosa.errors import ConfigError, RunError
from reviosa.heads import PUBLISHED, PUBLISHED_SHAPES, HeadSelection
from reviosa.model.config import ReviosaConfig
from reviosa.run_record import open_run
from tests.workbench.test_pages import open_page, words
from workbench.pages import _head_charts, _measures, _selections
from workbench.pages._data import list_runs
from workbench.pages._view import picture

pytestmark = pytest.mark.usefixtures("fresh_caches")

SHAPE = (4, 4)


@pytest.fixture
def runs(planted_runs, tmp_path) -> Path:
    shutil.copytree(planted_runs, tmp_path / "runs")
    return tmp_path / "runs"


def specs(app) -> str:
    return "\n".join(chart.proto.spec for chart in app.get("vega_lite_chart"))


def framed(app) -> dict[str, set[tuple[int, int]]]:
    """Pairs that the map frames, by set."""
    found: dict[str, set[tuple[int, int]]] = {}
    for dataset in app.get("vega_lite_chart")[0].proto.datasets:
        table = pa.ipc.open_stream(dataset.data.data).read_all().to_pandas()
        if "set" in table:
            for row in table.to_dict("records"):
                found.setdefault(row["set"], set()).add((row["layer"], row["head"]))
    return found


def pairs_in_address(app):
    found = app.query_params.get("pairs")
    return found[0] if isinstance(found, list) else found


def success(app) -> str:
    return " ".join(item.value for item in app.success)


# Gathering.


def test_address_gathers_and_reload_gives_the_same(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "heads", pairs="2.1,0.3")
    assert app.multiselect(key="gathered").value == ["L02H01", "L00H03"]
    assert pairs_in_address(app) == "2.1,0.3"
    app.run()
    assert pairs_in_address(app) == "2.1,0.3"
    assert '"gathered"' in specs(app)


def test_the_map_frames_what_the_address_asks_for(monkeypatch, runs):
    """Also at once, when the address has just been opened."""
    HeadSelection(((3, 0), (3, 2))).save(runs / "demo" / "heads.json")
    app = open_page(
        monkeypatch, runs, "heads",
        layer="3", head="2", pairs="0.1,3.2", overlay="demo/heads.json",
    )  # fmt: skip
    assert framed(app) == {
        "opened": {(3, 2)}, "gathered": {(0, 1), (3, 2)}, "supervised by AML": {(2, 1)},
        "demo/heads.json": {(3, 0), (3, 2)},
    }  # fmt: skip


def test_pairs_that_the_model_does_not_have_are_told(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "heads", pairs="2.1,9.9,2.1,<b>")
    assert app.multiselect(key="gathered").value == ["L02H01"]
    assert "no such pair" in app.warning[0].value and "9\\.9" in app.warning[0].value
    assert pairs_in_address(app) == "2.1"


def test_the_button_gathers_the_opened_pair_and_takes_it_out(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "heads", layer="2", head="1")
    app.button(key="gather_pair").click().run()
    assert pairs_in_address(app) == "2.1"
    assert app.button(key="gather_pair").label.startswith("Take out")
    app.number_input(key="layer").set_value(3).run()
    app.button(key="gather_pair").click().run()
    assert pairs_in_address(app) == "2.1,3.1"
    app.number_input(key="layer").set_value(2).run()
    app.button(key="gather_pair").click().run()
    assert pairs_in_address(app) == "3.1"
    app.multiselect(key="gathered").set_value([]).run()
    assert pairs_in_address(app) is None
    assert not app.exception


def test_gathered_pairs_outlast_another_page(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "heads", pairs="2.1")
    app.switch_page("workbench/pages/samples.py").run()
    app.switch_page("workbench/pages/heads.py").run()
    assert app.multiselect(key="gathered").value == ["L02H01"]
    assert pairs_in_address(app) == "2.1"


# Saving.


def test_a_selection_is_saved_and_can_be_trained_with(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "heads", pairs="2.1,0.3", criterion="Mask share")
    assert app.text_input(key="selection_name").value == "selection"
    app.button(key="save_selection").click().run()
    path = runs / "selections" / "selection.json"
    assert "Saved 2 pairs" in success(app) and f"--heads {path}" in words(app)
    saved = HeadSelection.load(path).validate(*SHAPE)
    header = json.loads((runs / "planted" / "run.json").read_text())
    assert saved == HeadSelection(
        ((2, 1), (0, 3)), "manual", "mask_share", "planted", header["data"]["identity"]
    )
    # Its name is taken now: nothing is written over without being asked.
    app.multiselect(key="gathered").set_value(["L03H03"]).run()
    app.button(key="save_selection").click().run()
    assert "is taken" in app.warning[0].value and HeadSelection.load(path) == saved
    app.button(key="replace_selection").click().run()
    assert HeadSelection.load(path).pairs == ((3, 3),) and not app.warning
    # A second session is offered a name that is free.
    again = open_page(monkeypatch, runs, "heads", pairs="2.1")
    assert again.text_input(key="selection_name").value == "selection-2"


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "", "a b", "x" * 65, "\N{SNOWMAN}"])
def test_names_that_are_no_names(monkeypatch, runs, name):
    app = open_page(monkeypatch, runs, "heads", pairs="2.1")
    app.text_input(key="selection_name").set_value(name).run()
    app.button(key="save_selection").click().run()
    assert app.error[0].value == "The selection was not saved."
    assert "expected 1 to 64 letters" in words(app)
    assert not list(runs.parent.rglob("*.json.json")) and not (runs / "selections").exists()


def test_a_folder_that_leads_elsewhere_is_not_written_to(runs, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (runs / "selections").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="outside the folder of runs; remove the link"):
        _selections.save_selection(runs, "mine", HeadSelection(((0, 0),)))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_saving_never_replaces_unasked(runs):
    first, second = HeadSelection(((0, 0),)), HeadSelection(((1, 1),))
    path = _selections.save_selection(runs, "mine", first)
    with pytest.raises(RunError, match="a selection mine exists already; take another name"):
        _selections.save_selection(runs, "mine", second)
    assert HeadSelection.load(path) == first
    _selections.save_selection(runs, "mine", second, replace=True)
    assert HeadSelection.load(path) == second
    assert [item.name for item in path.parent.iterdir()] == ["mine.json"]
    with pytest.raises(ConfigError, match="no dot in front"):
        _selections.is_taken(runs, ".mine")


def test_a_folder_that_cannot_be_written(monkeypatch, runs):
    def refuse(self, path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(HeadSelection, "save", refuse)
    app = open_page(monkeypatch, runs, "heads", pairs="2.1")
    app.button(key="save_selection").click().run()
    assert app.error[0].value == "The selection was not saved."
    assert "Permission denied; make the folder writable, or download the file" in words(app)


# Heads files.


def test_heads_files_below_the_runs_and_no_others(runs, tmp_path):
    for name in (
        "demo/heads.json", "sweeps/small/best-heads.json", "selections/mine.json",
        "selections/.torn.json", "trials/x/heads.json", "demo/data/heads.json", "demo/other.json",
    ):  # fmt: skip
        path = runs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        HeadSelection(((1, 0),)).save(path)
    HeadSelection(((1, 0),)).save(tmp_path / "out" / "heads.json")
    (runs / "linked-heads.json").symlink_to(tmp_path / "out" / "heads.json")
    (runs / "selections" / "torn.json").write_text("{")
    HeadSelection(((9, 9),)).save(runs / "selections" / "bigger.json")
    names = ["demo/heads.json", "selections/mine.json", "sweeps/small/best-heads.json"]
    assert sorted(_selections.named_pairs(runs, SHAPE)) == names
    assert set(_selections.heads_files(runs)) == {
        *names, "selections/torn.json", "selections/bigger.json",
    }  # fmt: skip


@pytest.mark.parametrize("preset", sorted(PUBLISHED))
def test_published_pairs_are_offered_for_models_of_their_shape(runs, preset):
    config = ReviosaConfig.preset(preset)
    assert PUBLISHED_SHAPES[preset] == (config.num_layers, config.num_heads)
    found = _selections.named_pairs(runs, PUBLISHED_SHAPES[preset])
    assert found == {f"published {preset.upper()}": PUBLISHED[preset]}
    assert _selections.named_pairs(runs, SHAPE) == {}


def test_heads_files_are_outlined_on_the_map(monkeypatch, runs):
    HeadSelection(((3, 0), (3, 2))).save(runs / "demo" / "heads.json")
    app = open_page(monkeypatch, runs, "heads", overlay="demo/heads.json")
    assert app.multiselect(key="overlay").value == ["demo/heads.json"]
    assert "demo/heads.json" in specs(app)
    (runs / "demo" / "heads.json").unlink()
    app.run()
    assert app.multiselect(key="overlay").value == [] and not app.exception


def test_outlines_have_a_frame_and_colour_each(planted_results):
    chart = _head_charts.head_map_chart(
        planted_results, "mask_share", "actor", (2, 1),
        {_head_charts.SUPERVISED: [(2, 1)], "a": [(0, 0)], "b": [(0, 0), (1, 1)], "none": []},
    ).to_dict()  # fmt: skip
    strokes = [
        layer["encoding"]["stroke"]["scale"]
        for layer in chart["layer"]
        if "stroke" in layer["encoding"]
    ]
    # a and b share a cell, and so do "opened" and "supervised": the inner frames are smaller.
    assert len(strokes) == 5 and all(scale == strokes[0] for scale in strokes)
    assert strokes[0]["domain"] == ["opened", "supervised by AML", "a", "b"]
    assert len(set(strokes[0]["range"])) == 4
    sizes = [
        layer["mark"]["width"]["band"] for layer in chart["layer"]
        if "stroke" in layer["encoding"]
    ]  # fmt: skip
    assert sorted(sizes) == pytest.approx([0.78, 0.78, 1, 1, 1])


def test_a_map_on_which_no_pair_has_a_score_is_drawn(planted_results):
    ranking = planted_results.rankings["lift"]["actor"]
    none = tuple(replace(pair, score=None, ci=None, rank=None) for pair in ranking.pairs)
    rankings = {"lift": {"actor": replace(ranking, pairs=none)}}
    results = replace(planted_results, rankings=rankings)
    drawn = picture(_head_charts.head_map_chart(results, "lift", "actor", (0, 0)), "svg").decode()
    assert drawn.count("\N{MULTIPLICATION SIGN}") == len(none)


def test_distribution_counts_every_sample_once(planted_runs):
    import pandas as pd

    values = pd.DataFrame(
        {"role": ["actor"] * 3 + ["target"] * 2, "value": [0.0, 0.1, 1.0, 1.0, 0.5]}
    )
    frame = _head_charts.distribution_frame(values)
    assert frame.groupby("role").samples.sum().to_dict() == {"Actor": 3, "Target": 2}
    assert frame.low.min() == 0 and frame.high.max() == 1


# What a pair causes.


def ablation(directory: Path, identity: str | None, status: str = "done") -> Path:
    """Silencing L02H01 costs the actor 0.2 and 0.4 in two videos; L00H00 nothing."""
    plan = single_ablations([(2, 1), (0, 0)])
    config = {"kind": "mean", "shape": list(SHAPE), "ablations": plan_to_json(plan)}
    with open_run(directory, "ablate", config, 0, {}, {"identity": identity}):
        for video, loss in (("a", 0.2), ("b", 0.4)):
            scores = {"actor": [0.9, 0.9 - loss, 0.9]}
            append_effects(directory, f"{video}/0", video, False, scores)
    if status != "done":
        header = json.loads((directory / "run.json").read_text())
        (directory / "run.json").write_text(json.dumps({**header, "status": status}))
    return directory


@pytest.fixture
def known_model(runs) -> Path:
    path = runs / "planted" / "run.json"
    header = json.loads(path.read_text())
    header["model"]["identity"] = "abc"
    path.write_text(json.dumps(header))
    return runs


def test_effects_of_a_pair_are_of_its_model_alone(monkeypatch, known_model):
    ablation(known_model / "silenced", "abc")
    ablation(known_model / "other", "xyz")
    ablation(known_model / "unknown", None)
    app = open_page(monkeypatch, known_model, "heads", layer="2", head="1")
    table = next(t.value for t in app.dataframe if "change in points [interval]" in t.value)
    (row,) = table.to_dict("records")
    assert row["run"] == "silenced" and row["in its place"] == "mean"
    # The mean of -0.2 and -0.4, in points.
    assert row["change in points [interval]"].startswith("\N{MINUS SIGN}30.00 [")
    assert row["n"] == "2 of 2 videos" and row["role"] == "Actor"


def test_without_an_ablation_the_command_is_told(monkeypatch, known_model):
    ablation(known_model / "other", "xyz")
    app = open_page(monkeypatch, known_model, "heads", layer="2", head="1")
    assert "No run of this folder silences this pair" in words(app)
    assert "reviosa ablate" in words(app) and str(known_model / "planted") in words(app)


def test_a_model_without_identity_has_no_effects(runs):
    ablation(runs / "silenced", None)
    header = json.loads((runs / "planted" / "run.json").read_text())
    header["model"].pop("identity", None)
    assert _measures.pair_effects(list_runs(runs), header, (2, 1)) == []
    assert _measures.pair_effects(list_runs(runs), {"model": None}, (2, 1)) == []


def test_a_damaged_ablation_is_passed_over(monkeypatch, known_model):
    ablation(known_model / "silenced", "abc", "running")
    header = known_model / "silenced" / "run.json"
    broken = json.loads(header.read_text())
    broken["config"].pop("shape")
    broken["config"]["ablations"] = "torn"
    header.write_text(json.dumps(broken))
    app = open_page(monkeypatch, known_model, "heads", layer="2", head="1")
    assert "silences this pair alone" in words(app)


def test_torn_lines_of_a_running_ablation_are_left_out(monkeypatch, known_model):
    path = ablation(known_model / "silenced", "abc", "running") / EFFECTS_FILE
    path.write_text(path.read_text() + '{"sample_id"')
    app = open_page(monkeypatch, known_model, "heads", layer="2", head="1")
    table = next(t.value for t in app.dataframe if "change in points [interval]" in t.value)
    assert table.n[0] == "2 of 2 videos"


def test_many_samples_are_drawn_in_part():
    import pandas as pd

    values = pd.DataFrame({"value": np.arange(5000)})
    assert len(_head_charts.dots(values)) == _head_charts.MOST_DOTS
    assert _head_charts.dots(values).equals(_head_charts.dots(values))
    assert _head_charts.dots(values.head(10)).equals(values.head(10))
