"""The page of samples: filters and orders, side by side, and text tokens coloured by attention."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from probes.store import CaptureStore, TextAttention
from tests.fixtures_capture import HOSTILE, KEPT, LOOKING, make_capture, make_dataset
from tests.workbench.test_pages import open_page, words
from workbench import datasets
from workbench.pages import _data
from workbench.pages._frames import patches_frame
from workbench.pages._samples import looking_pair, sample_list
from workbench.pages._token_chips import token_chips, tokens_frame

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def runs(planted_runs, tmp_path) -> Path:
    shutil.copytree(planted_runs, tmp_path / "runs")
    shutil.copytree(planted_runs.parent / "data", tmp_path / "data")
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def two(tmp_path_factory, planted_dataset) -> Path:
    """Two captures over the same data, of other quality sample by sample."""
    folder = tmp_path_factory.mktemp("two")
    make_capture(folder / "first", planted_dataset)
    make_capture(folder / "second", planted_dataset, seed=5)
    return folder


def listed(app):
    return app.dataframe[0].value


def test_missing_tokens_alone(monkeypatch, planted_runs, planted_dataset):
    last = planted_dataset.interactions[-1].expression.sample_id
    app = open_page(monkeypatch, planted_runs, "samples", role="Target", token="token missing")
    assert listed(app)["sample_id"].tolist() == [last]
    app = open_page(monkeypatch, planted_runs, "samples", role="Target", token="token given")
    assert last not in listed(app)["sample_id"].tolist()


def test_area_filters_and_orders(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "samples")
    app.selectbox(key="order").set_value("small").run()
    areas = listed(app)["mask_area"].tolist()
    assert areas == sorted(areas) and len(areas) > 10
    app.slider(key="area").set_value((1, 3)).run()
    kept = listed(app)["mask_area"]
    assert kept.between(0.01, 0.03).all() and len(kept) == sum(0.01 <= a <= 0.03 for a in areas)


def test_actor_and_target_furthest_apart(monkeypatch, planted_runs, planted_store):
    jf = planted_store.samples().set_index(["sample_id", "role"]).jf
    app = open_page(monkeypatch, planted_runs, "samples", role="Target")
    app.selectbox(key="order").set_value("roles").run()
    first = listed(app).iloc[0]
    gaps = [abs(jf[s, "actor"] - jf[s, "target"]) for s in listed(app)["sample_id"]]
    assert abs(first.role_gap) == pytest.approx(max(gaps))
    assert gaps == sorted(gaps, reverse=True)


def test_disagreement_of_mask_and_attention_is_said(monkeypatch, planted_runs):
    """Planted: the looking pair looks at the object most."""
    run = planted_runs / "planted"
    mark = _data.fingerprint(run)
    assert looking_pair(run, mark, "actor") == LOOKING
    rows = sample_list(run, mark, "actor", None, ())
    assert rows.look_gap.between(-1, 1).all()
    assert rows.look_gap.sum() == pytest.approx(0)
    app = open_page(monkeypatch, planted_runs, "samples")
    app.selectbox(key="order").set_value("looks").run()
    sizes = listed(app)["look_gap"].abs().tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert "mask share of L02H01" in words(app)


def test_second_run_is_compared_and_set_beside(monkeypatch, two):
    app = open_page(monkeypatch, two, "samples", run="first", second="second")
    app.selectbox(key="order").set_value("runs").run()
    table = listed(app)
    jf = [
        CaptureStore(two / name).samples().query("role == 'actor'").set_index("sample_id").jf
        for name in ("first", "second")
    ]
    wanted = (jf[0] - jf[1])[table["sample_id"]]
    assert table["run_gap"].to_numpy() == pytest.approx(wanted.to_numpy())
    assert wanted.abs().is_monotonic_decreasing
    app.segmented_control(key="beside").set_value("run").run()
    assert not app.exception and "second\\: J\\&F" in words(app)
    assert len(app.get("vega_lite_chart")) == 2


def test_runs_over_the_same_data_open_it_once(two, planted_dataset, tmp_path):
    first, second = (
        _data.dataset_of(two / name, _data.fingerprint(two / name)) for name in ("first", "second")
    )
    assert first is second and first.identity == planted_dataset.identity
    other = make_capture(tmp_path / "other", make_dataset(tmp_path / "data", videos=2, seed=8))
    found = _data.dataset_of(other, _data.fingerprint(other))
    assert found.identity != first.identity


def test_a_data_set_that_is_another_one_is_read_once(monkeypatch, runs, tmp_path):
    run, opened = runs / "planted", []
    header = json.loads((run / "run.json").read_text())
    header["data"] |= {"path": str(tmp_path / "data"), "identity": "of before"}
    (run / "run.json").write_text(json.dumps(header))
    read = datasets.open_dataset
    monkeypatch.setattr(datasets, "open_dataset", lambda *a: opened.append(a) or read(*a))
    counts = []
    for _ in range(3):
        assert "not at hand" in _data.pictures_of(run, _data.fingerprint(run), "x/0", (0,))
        counts.append(len(opened))
    assert counts[0] > 0 and len(set(counts)) == 1


@pytest.mark.parametrize("what", ["pair", "role"])
def test_side_by_side_in_one_run(monkeypatch, planted_runs, planted_dataset, what):
    sample = planted_dataset.interactions[0].expression.sample_id
    app = open_page(monkeypatch, planted_runs, "samples", sample=sample)
    app.segmented_control(key="beside").set_value(what).run()
    assert not app.exception and len(app.get("vega_lite_chart")) == 2
    text = words(app)
    assert ("Target, L" in text) == (what == "role")
    if what == "pair":
        assert app.selectbox(key="pair2").value != app.selectbox(key="pair").value


def test_a_sample_without_the_other_role_is_shown_alone(monkeypatch, planted_runs, planted_dataset):
    alone = next(s for s in planted_dataset.samples if not s.expression.is_interaction)
    name = alone.expression.sample_id
    address = {"sample": name, "beside": "The other role"}
    app = open_page(monkeypatch, planted_runs, "samples", **address)
    assert "The other role" not in app.segmented_control(key="beside").options
    assert len(app.get("vega_lite_chart")) == 1


def labels(app) -> list[str]:
    return [item.proto.label for item in app.get("download_button")]


def test_a_frame_and_what_is_behind_it_can_be_taken_away(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "samples")
    found = labels(app)
    assert found.count("Download picture (PNG)") == 2  # of the frame, and of the chart beside it
    assert {"Download attention (CSV)", "Download tokens (CSV)"} <= set(found)
    app.segmented_control(key="beside").set_value("pair").run()
    assert not app.exception and labels(app).count("Download attention (CSV)") == 2


def test_patches_by_hand():
    attention = np.arange(8.0).reshape(2, 2, 2)
    table = patches_frame((5, 9), attention)
    assert table.columns.tolist() == ["frame", "row", "column", "attention"]
    # Row by row in each frame: the last row and left column of frame 9 is the seventh.
    assert table.iloc[6].tolist() == [9, 1, 0, 6.0] and table.frame.tolist() == [5] * 4 + [9] * 4


def html_of(app) -> str:
    return "".join(item.proto.body for item in app.get("html"))


def test_text_tokens_are_coloured_and_escaped(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "samples")
    html = html_of(app)
    assert "&lt;b&gt;x&lt;/b&gt;" in html and "<b>" not in html and "<s>" not in html
    assert "[video: " in html and "% of its attention" in html
    assert "20 text tokens hold" in words(app)


def test_older_run_says_that_text_was_not_kept(monkeypatch, runs):
    for path in (runs / "planted" / "maps").iterdir():
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            tensors = {k: file.get_tensor(k) for k in file.keys() if not k.endswith("|text")}  # noqa: SIM118
        old = {k: v for k, v in metadata.items() if not k.endswith("|tokens")} | {"schema": "4"}
        save_file(tensors, path, old)
    app = open_page(monkeypatch, runs, "samples")
    assert "Attention on text tokens was not kept" in app.info[0].value
    assert len(app.get("vega_lite_chart")) == 1 and not html_of(app)


def test_chips_by_hand():
    values = np.array([[0.0, 0.64, 0.16], [0.1, 0.1, 0.1]], np.float32)
    tokens = ("a", 8, "\n", 8, f" {HOSTILE}")
    found = TextAttention(((0, 0), (0, 1)), tokens, values)
    html = token_chips(found, (0, 0), [0.15, 0.05])
    # Two frames, two rows of vision tokens: each with its own share.
    assert "[video: 8 tokens, 15.0 %]" in html and "[video: 8 tokens, 5.0 %]" in html
    # viridis ends in #fde725 and begins with #440154; white ink on dark, black on bright.
    assert "background:#440154;color:#ffffff" in html and "background:#fde725;color:#000000" in html
    assert 'title="64.00 % of its attention"' in html and "\N{RETURN SYMBOL}" in html
    assert "<img" not in html and "</script>" not in html and "&lt;/script&gt;" in html
    # All frames as one row of tokens; and rows that are no frames have no share to tell.
    table = tokens_frame(found, (0, 0))
    # Of 8 patches each: "a" stands first, the line end behind 1 + 8, the last behind 1 + 8 + 1 + 8.
    assert table.position.tolist() == [0, 9, 18] and table.token.tolist() == ["a", "\n", tokens[4]]
    assert table.attention.tolist() == pytest.approx([0.0, 0.64, 0.16])
    one = TextAttention(((0, 0),), ("a", 16), np.array([[0.5]], np.float32))
    assert "[video: 16 tokens, 50.0 %]" in token_chips(one, (0, 0), [0.25, 0.25])
    odd = TextAttention(((0, 0),), (8, "a", 8), np.array([[0.0]], np.float32))
    assert "[video: 8 tokens]" in token_chips(odd, (0, 0), [0.25, 0.25, 0.5])


def test_kept_text_is_read_back(planted_store):
    for sample, role in sorted(planted_store.map_keys())[:4]:
        found, maps = planted_store.text_attention(sample, role), planted_store.map(sample, role)
        assert found.pairs == maps.pairs == KEPT
        whole = maps.values.sum(axis=(1, 2, 3)) + found.values.sum(axis=1)
        assert whole == pytest.approx(1, abs=1e-3)


def test_the_frame_that_the_pair_looks_at_most_comes_first(monkeypatch, runs):
    """And a copied address opens the frame that was scrubbed to."""
    app = open_page(monkeypatch, runs, "samples")
    sample, pair = app.text_input(key="sample").value, app.selectbox(key="pair").value
    maps = CaptureStore(runs / "planted").map(sample, "actor")
    place = maps.pairs.index((int(pair[1:3]), int(pair[4:])))
    by_frame = maps.values[place].sum(axis=(1, 2))
    slider = app.select_slider(key="frame")
    assert slider.options.index(slider.value) == by_frame.argmax()
    other = next(name for name in slider.options if name != slider.value)
    app.select_slider(key="frame").set_value(other).run()
    assert np.atleast_1d(app.query_params["frame"]).tolist() == [other]
    again = open_page(monkeypatch, runs, "samples", sample=sample, frame=other)
    assert again.select_slider(key="frame").value == other


def test_another_order_keeps_the_sample_in_the_address(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "samples")
    sample = app.text_input(key="sample").value
    app.selectbox(key="order").set_value("best").run()
    assert app.text_input(key="sample").value == sample
    assert np.atleast_1d(app.query_params["sample"]).tolist() == [sample]
