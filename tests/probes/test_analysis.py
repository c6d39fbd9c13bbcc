import json

import numpy as np
import pytest

from probes.analysis import analyse
from probes.criteria import CRITERIA, SCORED
from probes.layer_means import layer_means
from probes.results import AnalysisResults
from probes.store import CaptureStore
from reviosa.errors import ConfigError, RunError

LAYERS, HEADS = 3, 2


@pytest.fixture
def capture(run, row):
    """A capture of ``videos`` videos with two expressions each; the second has no target."""

    def make(videos=12, name="run", target=True, jf=None, missing=(), **header):
        directory, writer = run(name, **header)
        rng = np.random.default_rng(0)
        rows, values = [], {metric: [] for metric in SCORED}
        for i in range(videos):
            for exp, role in [("0", "actor"), ("0", "target"), ("1", "actor")]:
                if role == "target" and not target:
                    continue
                quality, area = (rng.random() if jf is None else jf), rng.uniform(0.05, 0.3)
                emitted = (i, exp, role) not in missing
                rows.append(
                    row(
                        f"v{i:02d}",
                        exp,
                        role,
                        caption_type="unidirectional" if exp == "0" and target else "single",
                        emitted=emitted,
                        put_into_form=False,
                        # A capture should write 0 for a missing role; NaN must count as 0 too.
                        jf=quality if emitted else float("nan"),
                        j=max(quality - 0.1, 0) if emitted else float("nan"),
                        f=min(quality + 0.1, 1) if emitted else float("nan"),
                        mask_area=area,
                    )
                )
                visual = rng.uniform(0.1, 0.3, (LAYERS, HEADS))
                visual[2] += 0.5  # layer 2 looks at the video most
                share = np.full((LAYERS, HEADS), area) * rng.uniform(0.8, 1.2, (LAYERS, HEADS))
                share[2, 1] = min(0.99, area + 0.6 * quality)  # its head 1 at the object
                arrays = dict(
                    visual_mass=visual, text_mass=1 - visual, mask_share=share, lift=share / area
                )
                other = np.full((LAYERS, HEADS), 0.5)
                for metric in SCORED:
                    scores = arrays.get(metric, other)
                    values[metric].append(scores if emitted else scores * np.nan)
        stacked = {
            metric: np.array(found, dtype=np.float32).reshape(len(rows), LAYERS, HEADS)
            for metric, found in values.items()
        }
        writer.write_chunk(0, rows, stacked)
        return CaptureStore(directory)

    return make


@pytest.fixture
def results(capture):
    return analyse(capture(), resamples=200)


def test_planted_layer_head_and_association_are_found(results):
    assert results.top_layer == {"actor": 2, "target": 2}
    assert [p.layer for p in results.rankings["visual_mass"]["both"].pairs[:2]] == [2, 2]
    for role in ("actor", "target"):
        first = results.rankings["lift"][role].pairs[0]
        assert (first.layer, first.head, first.rank_ci) == (2, 1, (1.0, 1.0))
        best = max(results.correlations[role].pairs, key=lambda p: p.spearman.value)
        assert (best.layer, best.head) == (2, 1) and best.partial.ci[0] > 0


def test_counts_and_shapes(results):
    counts = results.counts
    assert (counts.videos, counts.expressions, counts.interactions) == (12, 24, 12)
    assert (counts.roles["actor"].rows, counts.roles["target"].rows) == (24, 12)
    assert (results.num_layers, results.num_heads) == (LAYERS, HEADS)
    assert set(results.maps) == set(CRITERIA)
    for by_role in results.maps.values():
        assert set(by_role) == {"actor", "target", "both"}
        assert np.array(by_role["both"], dtype=float).shape == (LAYERS, HEADS)
    assert len(results.layer_profile["actor"]) == LAYERS
    assert results.supervised_pairs == ((1, 0),)


def test_layer_profile_is_the_mean_over_heads_and_samples(capture):
    store = capture()
    point = analyse(store, 100).layer_profile["target"][2]
    expected = store.head_array("visual_mass", "target").values[:, 2].mean()
    assert point.layer == 2 and point.vision.value == pytest.approx(expected)
    assert point.vision.ci[0] < expected < point.vision.ci[1]
    # Vision and text hold all of the attention.
    assert point.vision.value + point.text.value == pytest.approx(1.0)
    assert (point.vision.n, point.vision.n_videos) == (12, 12)


def test_layer_means_of_every_criterion_are_kept(capture):
    store = capture()
    results = analyse(store, 100)
    assert set(results.layer_means) == set(store.criteria)
    kept = results.layer_means["lift"]["actor"]
    assert kept == layer_means(store.head_array("lift", "actor"), 100)
    assert kept[2].value == pytest.approx(store.head_array("lift", "actor").values[:, 2].mean())
    assert AnalysisResults.from_json(results.to_json()).layer_means == results.layer_means


def test_protocols_choose_their_rows_and_count_missing_as_zero(capture):
    # J&F 0.5 everywhere. Actor and target: 4 interactions; RVOS: all 8 expressions. One target of
    # four is missing: 3 * 50 / 4 = 37.5. One actor (not an interaction) of eight: 7 * 50 / 8.
    missing = {(0, "0", "target"), (1, "1", "actor")}
    found = analyse(capture(4, jf=0.5, missing=missing), 100).protocols
    assert (found["actor"].jf, found["actor"].n, found["actor"].missing) == (50.0, 4, 0)
    assert (found["target"].jf, found["target"].n, found["target"].missing) == (37.5, 4, 1)
    assert (found["rvos"].jf, found["rvos"].n, found["rvos"].missing) == (43.75, 8, 1)
    # J and F of the target: (3 * 0.4 / 4, 3 * 0.6 / 4) in per cent.
    assert (found["target"].j, found["target"].f) == (pytest.approx(30.0), pytest.approx(45.0))
    assert found["target"].jf_ci[0] < 37.5 <= found["target"].jf_ci[1]
    assert set(found["actor"].to_json()) == {"J", "F", "J&F", "n", "missing", "J&F_ci"}


def test_scatter_and_bins_hold_the_emitted_samples(capture):
    store = capture(missing={(3, "0", "actor")})
    found = analyse(store, 100)
    points = found.scatter["actor"]
    assert len(points) == 23 and all(p.role == "actor" for p in points)
    share = store.head_array("mask_share", "actor")
    place = share.sample_ids.index(points[5].sample_id)
    assert points[5].mask_share == pytest.approx(share.values[place].mean())
    assert points[5].top_layer_share == pytest.approx(share.values[place, 2].mean())
    # 23 points: 23 // 8 = 2 bins that hold each point once and do not overlap.
    low, high = found.bins["actor"]
    assert low.jf.n + high.jf.n == 23 and low.hi < high.lo
    assert low.lo <= low.center <= low.hi
    inside = [p.jf for p in points if low.lo <= p.mask_share <= low.hi]
    assert low.jf.value == pytest.approx(np.mean(inside))
    assert found.bins["target"] == ()  # 12 points are fewer than two bins of 8


def test_best_and_worst_samples(capture):
    found = analyse(capture(missing={(3, "0", "actor")}), 50)
    best, worst = found.best["actor"], found.worst["actor"]
    assert len(best) == len(worst) == 6
    assert [c.jf for c in best] == sorted((c.jf for c in best), reverse=True)
    assert [c.jf for c in worst] == sorted(c.jf for c in worst)
    assert worst[0].sample_id == "v03/0" and not worst[0].emitted and worst[0].mask_share is None
    assert all(c.emitted for c in best)
    assert not {c.sample_id for c in best} & {c.sample_id for c in worst}
    assert best[0].jf == max(p.jf for p in found.scatter["actor"])


def test_few_samples_are_split_between_best_and_worst(capture):
    found = analyse(capture(1), 50)
    assert [len(found.best["actor"]), len(found.worst["actor"])] == [1, 1]
    assert [len(found.best["target"]), len(found.worst["target"])] == [1, 0]


def test_same_seed_same_results_another_seed_other_intervals(capture):
    store = capture()
    first = analyse(store, 60, seed=1)
    assert first == analyse(store, 60, seed=1)
    other = analyse(store, 60, seed=2)
    assert other.protocols["actor"].jf_ci != first.protocols["actor"].jf_ci
    assert other.protocols["actor"].jf == first.protocols["actor"].jf


def test_json_round_trip_holds_everything(results, tmp_path):
    text = json.dumps(results.to_json(), allow_nan=False)
    assert AnalysisResults.from_json(json.loads(text)) == results
    results.save(tmp_path / "results.json")
    assert AnalysisResults.load(tmp_path / "results.json") == results


@pytest.mark.parametrize("videos", [0, 1, 2])
@pytest.mark.parametrize("target", [True, False])
def test_small_captures_round_trip_without_nan(capture, videos, target):
    found = analyse(capture(videos, target=target), 30)
    again = AnalysisResults.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again == found
    assert found.protocols["target"].n == (videos if target else 0)
    if videos < 2:
        assert found.protocols["rvos"].jf_ci is None and found.protocols["rvos"].reason


def test_a_run_that_holds_no_chunk_yet(run):
    found = analyse(CaptureStore(run(status="running")[0]), 30)
    assert (found.num_layers, found.counts.videos, found.maps["lift"]["both"]) == (0, 0, ())
    assert "holds no sample" in found.notes[0]
    assert any("status: running" in note for note in found.notes)
    json.dumps(found.to_json(), allow_nan=False)


def test_nothing_emitted(capture):
    missing = {
        (i, e, r) for i in range(3) for e, r in [("0", "actor"), ("0", "target"), ("1", "actor")]
    }
    found = analyse(capture(3, missing=missing), 30)
    assert found.protocols["rvos"].jf == 0.0 and found.top_layer == {"actor": None, "target": None}
    assert found.scatter["actor"] == () and found.best["actor"] == ()
    assert len(found.worst["actor"]) == 6
    assert set(np.ravel(found.maps["lift"]["actor"])) == {None}
    assert any("no actor token in 6 of 6 actor samples" in note for note in found.notes)
    json.dumps(found.to_json(), allow_nan=False)


def test_notes_say_what_the_numbers_do_not_show(capture):
    rich = analyse(capture(), 200)
    assert "12 videos, 24 expressions, 24 actor samples, 12 target samples." in rich.notes
    assert any("L01H00 was trained towards the masks" in note for note in rich.notes)
    assert not any("learned little" in note for note in rich.notes)
    assert any("must be tested on others" in note for note in rich.notes)

    poor = analyse(capture(3, "poor", jf=0.1, target=False, status="stopped", model=None), 50)
    text = " ".join(poor.notes)
    assert "The model has learned little: rvos J&F 10.0 per cent" in text
    assert "rest on 3 videos only" in text
    assert "No expression has a target" in text
    assert "not complete (status: stopped)" in text
    assert "J&F is the same in all samples" in text
    assert "trained towards" not in text
    one = " ".join(analyse(capture(1, "one"), 50).notes)
    assert "only one video: no interval can be given" in one and "1 video," in one


def test_an_interval_that_holds_zero_is_said_to(capture, monkeypatch):
    from probes import notes
    from probes.bootstrap import Estimate

    assert notes._zero(Estimate(0.1, (-0.1, 0.3), 9, 3)).startswith("; the interval holds 0")
    assert notes._zero(Estimate(0.2, (0.1, 0.3), 9, 3)) == "."
    assert "(no interval: why)" in notes._zero(Estimate(0.2, None, 9, 1, "why"))


def test_evaluation_is_kept_verbatim(capture):
    scores = {"actor": {"J": 1.0, "F": None, "J&F": 2.0, "n": 3}}
    found = analyse(capture(2), 20, evaluation=scores)
    assert AnalysisResults.from_json(found.to_json()).evaluation == scores


def test_bad_arguments_and_files_get_one_line(capture, results, tmp_path):
    with pytest.raises(ConfigError, match="resamples is 0"):
        analyse(capture(1, "other"), 0)
    value = results.to_json()
    for change, message in [
        ({**value, "schema": 1}, "schema 1, expected 5"),
        ({**value, "more": 1}, "no key 'more'"),
        ({k: v for k, v in value.items() if k != "seed"}, "a key 'seed'"),
        ({**value, "seed": "x"}, "results.seed should be an integer, got 'x'"),
        ({**value, "protocols": []}, "results.protocols should be an object"),
        ([], "schema None"),
    ]:
        with pytest.raises(RunError, match=message):
            AnalysisResults.from_json(change)
    (tmp_path / "broken.json").write_text("{")
    for name in ("broken.json", "none.json"):
        with pytest.raises(RunError, match="cannot read the analysis results") as caught:
            AnalysisResults.load(tmp_path / name)
        assert "\n" not in str(caught.value)
