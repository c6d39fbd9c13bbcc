import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from probes import association as module
from probes.adjusted import adjusted_correlations, normal_scores
from probes.association import _shares
from probes.correlation import correlate, correlate_tables
from probes.covariates import COVARIATES, Covariates
from probes.criteria import CRITERIA
from probes.multiplicity import max_t_sign_flips
from probes.ranks import rankdata
from probes.store import CaptureStore
from reviosa.errors import ConfigError


def test_values_by_hand(table):
    # Ranks of the single pair (1, 2, 3, 4), of J&F (1, 3, 2, 4): sum d^2 = 2,
    # rho = 1 - 6 * 2 / (4 * 15) = 0.8.
    values = np.array([0.1, 0.2, 0.3, 0.9]).reshape(4, 1, 1)
    found = correlate_tables(
        table(values, videos=list("abcd"), jf=[0.1, 0.3, 0.2, 0.8], area=[0.3, 0.1, 0.2, 0.1]),
        resamples=200,
    )
    assert found.overall.spearman.value == pytest.approx(0.8)
    # With one head the mean of all heads, of its layer and the head itself are the same score.
    assert found.layers[0].spearman == found.pairs[0].spearman == found.overall.spearman
    assert (found.pairs[0].layer, found.pairs[0].head) == (0, 0)
    assert (found.layers[0].layer, found.layers[0].head) == (0, None)
    # Pearson of (0.1, 0.2, 0.3, 0.9) and (0.1, 0.3, 0.2, 0.8), deviations from 0.375 and 0.35:
    # 0.06875 + 0.00875 + 0.01125 + 0.23625 = 0.325 over sqrt(0.3875 * 0.29).
    assert found.overall.pearson == pytest.approx(0.325 / np.sqrt(0.3875 * 0.29))


def test_planted_pair_is_found_and_the_others_are_not(table):
    rng = np.random.default_rng(0)
    jf = rng.random(200)
    values = rng.random((200, 2, 3))
    values[:, 1, 2] = jf + rng.normal(0, 0.2, 200)
    found = correlate_tables(table(values, jf=jf, area=rng.random(200)), resamples=300)
    by_pair = {(p.layer, p.head): p.spearman for p in found.pairs}
    planted = by_pair.pop((1, 2))
    assert planted.ci[0] > 0.7
    assert all(abs(other.value) < 0.25 for other in by_pair.values())
    assert found.layers[1].spearman.ci[0] > 0 and found.layers[0].spearman.ci[0] < 0


def test_content_blind_head_goes_with_jf_only_through_area(table):
    # ANALYSIS 3: larger objects are easier, and even attention holds more of them.
    rng = np.random.default_rng(3)
    area = rng.uniform(0.02, 0.5, 400)
    jf = np.clip(area + rng.normal(0, 0.15, 400), 0, 1)
    share = (area * rng.lognormal(0, 0.1, 400)).reshape(400, 1, 1)
    blind = table(share / area[:, None, None], jf=jf, area=area, metric="lift")
    found = correlate_tables(table(share, jf=jf, area=area), {"lift": blind}, resamples=400)
    assert found.overall.spearman.ci[0] > 0.5
    low, high = found.overall.partial.ci
    assert low < 0 < high and abs(found.overall.partial.value) < 0.15
    assert found.controls["mask_area"].spearman.value > 0.6
    assert abs(found.controls["lift"].spearman.value) < 0.15


def test_interval_is_that_of_whole_videos(table):
    # The shared video effect makes expressions alike: over videos the interval must be wider than
    # over expressions.
    rng = np.random.default_rng(5)
    effect = rng.normal(size=(30, 2))
    score = np.repeat(effect[:, 0], 6) + 0.1 * rng.normal(size=180)
    jf = np.repeat(effect[:, 1], 6) + 0.1 * rng.normal(size=180)
    area = rng.random(180)

    def width(videos):
        made = table(score.reshape(-1, 1, 1), videos=videos, jf=jf, area=area)
        low, high = correlate_tables(made, resamples=400).overall.spearman.ci
        return high - low

    assert width(np.repeat(np.arange(30), 6)) > 1.8 * width(np.arange(180))


def test_draws_equal_scipy_on_resampled_videos(table):
    from probes.bootstrap import draw_weights

    rng = np.random.default_rng(6)
    score, jf, area = rng.random((3, 12))
    score[3] = score[4]  # a tie
    videos = np.array(list("aabbbccddeef"))
    made = table(score.reshape(-1, 1, 1), videos=videos, jf=jf, area=area)
    expected = []
    for counts in draw_weights(6, 100, 9):
        rows = np.concatenate(
            [
                np.flatnonzero(videos == v)
                for v, n in zip("abcdef", counts, strict=True)
                for _ in range(int(n))
            ]
        )
        expected.append(spearmanr(score[rows], jf[rows])[0])
    found = correlate_tables(made, resamples=100, seed=9).overall.spearman.ci
    assert found == pytest.approx(np.percentile(expected, [2.5, 97.5]))


@settings(max_examples=20)
@given(st.permutations(range(16)), st.permutations(range(3)), st.sampled_from([np.exp, np.sqrt]))
def test_order_of_samples_heads_and_a_monotone_map_change_nothing(samples, heads, transform):
    from probes.store import HeadTable

    rng = np.random.default_rng(7)
    values, jf, area = rng.random((16, 2, 3)), rng.random(16), rng.random(16)
    videos = np.array([f"v{i // 3}" for i in range(16)])

    def run(order, columns, jf, area):
        made = HeadTable(
            "mask_share", "actor", values[order][:, :, columns], tuple(map(str, order)),
            videos[order], jf[order], area[order], np.ones(16, bool),
        )  # fmt: skip
        return correlate_tables(made, resamples=50)

    base = run(list(range(16)), list(range(3)), jf, area)
    moved = run(list(samples), list(heads), transform(jf), np.log(area))
    others = {(p.layer, heads[p.head]): p for p in moved.pairs}
    for pair in base.pairs:
        other = others[pair.layer, pair.head]
        for field in ("spearman", "partial"):
            assert getattr(other, field).value == pytest.approx(getattr(pair, field).value)
            assert getattr(other, field).ci == pytest.approx(getattr(pair, field).ci)


def test_same_seed_same_result_and_inputs_untouched(table):
    rng = np.random.default_rng(8)
    made = table(rng.random((20, 2, 2)), jf=rng.random(20), area=rng.random(20))
    kept = [made.values.copy(), made.jf.copy(), made.mask_area.copy()]
    assert correlate_tables(made, resamples=60, seed=2) == correlate_tables(
        made, resamples=60, seed=2
    )
    for array, copy in zip((made.values, made.jf, made.mask_area), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": np.full((8, 1, 1), 0.3)}, "the score is the same"),
        ({"jf": np.zeros(8)}, "J&F is the same"),
        ({"values": np.full((8, 1, 1), np.nan)}, "0 samples"),
        ({"values": np.r_[0.1, 0.2, [np.nan] * 6].reshape(8, 1, 1)}, "2 samples .*at least 3"),
    ],
)
def test_what_cannot_be_correlated_says_why(table, change, reason):
    fields = {"values": np.random.default_rng(0).random((8, 1, 1)), **change}
    found = correlate_tables(table(fields.pop("values"), **fields), resamples=20).overall
    assert found.spearman.value is None and found.spearman.ci is None
    assert found.pearson is None and found.partial.value is None
    assert re.search(reason, found.spearman.reason)


def test_no_rows_at_all(table):
    found = correlate_tables(table(np.zeros((0, 2, 3))), resamples=20)
    assert (found.n, found.n_videos, len(found.pairs), len(found.layers)) == (0, 0, 6, 2)
    assert found.overall.spearman.reason.startswith("0 samples")


def test_one_video_has_values_without_intervals(table):
    made = table(np.random.default_rng(0).random((6, 1, 1)), videos=["a"] * 6)
    found = correlate_tables(made, resamples=20).overall.spearman
    assert found.value is not None and found.ci is None and "1 video" in found.reason


def test_constant_area_leaves_nothing_to_control_for(table):
    made = table(np.random.default_rng(0).random((8, 1, 1)), area=np.full(8, 0.2))
    found = correlate_tables(made, resamples=20)
    assert found.overall.spearman.value is not None
    assert (
        found.overall.partial.value is None and "nothing to control" in found.overall.partial.reason
    )
    assert found.controls["mask_area"].spearman.reason == "the score is the same in all samples"


def test_rows_not_emitted_are_left_out_and_counted(table):
    rng = np.random.default_rng(1)
    values = rng.random((10, 1, 2))
    values[:3] = np.nan
    jf = np.r_[0, 0, 0, rng.random(7)]
    found = correlate_tables(table(values, jf=jf, area=rng.random(10)), resamples=20)
    assert (found.n, found.n_excluded) == (7, 3)
    expected = spearmanr(values[3:].mean(axis=(1, 2)), jf[3:])[0]
    assert found.overall.spearman.value == pytest.approx(expected)


def test_pairs_defined_on_different_rows_use_their_own(table):
    rng = np.random.default_rng(2)
    values, jf = rng.random((12, 1, 2)), rng.random(12)
    values[:4, 0, 1] = np.nan
    found = correlate_tables(table(values, jf=jf, area=rng.random(12)), resamples=20)
    assert [p.spearman.n for p in found.pairs] == [12, 8]
    assert found.pairs[1].spearman.value == pytest.approx(spearmanr(values[4:, 0, 1], jf[4:])[0])


def test_large_captures_get_fewer_draws_for_single_pairs_and_say_so(table, monkeypatch):
    rng = np.random.default_rng(2)
    made = table(rng.random((20, 2, 2)), area=rng.random(20))
    assert correlate_tables(made, resamples=300).pair_resamples == 300
    monkeypatch.setattr(module, "PAIR_BUDGET", 1)
    found = correlate_tables(made, resamples=300)
    assert (found.resamples, found.pair_resamples) == (300, 200)


def test_correlate_reads_a_store_role_by_role(run, row, metrics):
    directory, writer = run()
    rng = np.random.default_rng(0)
    rows = [
        row(f"v{i}", "0", r, jf=rng.random(), mask_area=rng.random())
        for i in range(6)
        for r in ("actor", "target")
    ]
    writer.write_chunk(0, rows, {k: rng.random((12, 2, 3)) for k in metrics(1)})
    store = CaptureStore(directory)
    found = correlate(store, "tar", resamples=30)
    assert (found.role, found.n, set(found.controls)) == (
        "target", 6, {"mask_area", "centre_share", "visual_mass", "lift"}
        | {c.name for c in CRITERIA.values() if c.kind == "control"},
    )  # fmt: skip
    expected = spearmanr(
        store.head_array("visual_mass", "target").flat.mean(axis=1),
        store.head_array("visual_mass", "target").jf,
    )[0]
    assert found.controls["visual_mass"].spearman.value == pytest.approx(expected)
    assert found.to_json()["overall"]["layer"] is None
    with pytest.raises(ConfigError, match="role by role; choose act or tar"):
        correlate(store, "both")


def beside(n, **known):
    """Covariates of n samples: noise, unless they are given."""
    rng = np.random.default_rng(99)
    values = {name: rng.random(n) for name in COVARIATES}
    values |= {k: np.asarray(v, float) for k, v in known.items() if k in COVARIATES}
    types = np.asarray(known.get("caption_type", ["single"] * n), dtype=str)
    return Covariates(values, types, rng.random(n))


@pytest.mark.parametrize("scaled", ["ranks", "normal scores"])
def test_adjusted_is_the_correlation_of_what_the_others_leave(scaled):
    """By least squares on ranks, with each draw's videos written out: 2e-13 apart at most."""
    scale = {"ranks": rankdata, "normal scores": normal_scores}[scaled]
    rng = np.random.default_rng(0)
    n, videos = 40, 9
    codes = np.sort(rng.integers(0, videos, n))
    known = rng.random((n, 3))
    scores = rng.random((n, 4)) + known[:, :1]
    outcome, own = rng.random(n) + known[:, 0], rng.random((n, 4))
    weights = rng.multinomial(videos, np.full(videos, 1 / videos), size=20).astype(float)
    found = adjusted_correlations(scores, outcome, known, own, codes, weights, scale)
    for draw, counts in enumerate(weights):
        rows = np.repeat(np.arange(n), counts[codes].astype(int))
        for column in range(4):
            fixed = [scale(x)[rows] for x in (*known.T, own[:, column])]
            x, y = (scale(v)[rows] for v in (scores[:, column], outcome))
            design = np.column_stack([np.ones(len(rows)), *fixed])
            left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
            assert found[draw, column] == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-9)
    # Without anything to hold fixed it is Spearman's.
    plain = adjusted_correlations(
        scores, outcome, known[:, :0], None, codes, np.ones((1, videos)), rankdata
    )
    wanted = [spearmanr(x, outcome)[0] for x in scores.T]
    np.testing.assert_allclose(plain[0], wanted)


@pytest.mark.parametrize("confounder", ["objects", "centrality", "words", "visual_mass"])
def test_what_goes_through_a_covariate_alone_is_gone_when_it_is_held_fixed(table, confounder):
    rng = np.random.default_rng(4)
    n = 300
    cause = rng.normal(0, 1, n)
    jf, share = cause + rng.normal(0, 0.7, n), cause + rng.normal(0, 0.7, n)
    area, videos = rng.random(n), np.arange(n)
    made = table(share.reshape(n, 1, 1), videos=videos, jf=jf, area=area)
    visual = cause if confounder == "visual_mass" else rng.random(n)
    tables = {
        "visual_mass": table(
            visual.reshape(n, 1, 1), videos=videos, jf=jf, area=area, metric="visual_mass"
        )
    }
    others = {} if confounder == "visual_mass" else {confounder: cause}
    found = correlate_tables(made, tables, beside(n, mask_area=area, **others), resamples=200)
    assert found.held_fixed == (*COVARIATES, "visual_mass") and not found.not_held
    for item in (found.overall, found.layers[0], found.pairs[0]):
        assert item.spearman.ci[0] > 0.4 and item.partial.ci[0] > 0.4
        low, high = item.adjusted.ci
        # What is left is the noise of ranks that stand for the cause: small, next to 0.6.
        assert low < 0.08 and abs(item.adjusted.value) < 0.15
        assert item.p < 0.05 and item.adjusted_p > 0.01


def test_strata_tell_a_difference_between_groups_from_one_within(table):
    """Two kinds of captions that differ in both: between them a correlation, within them none."""
    rng = np.random.default_rng(5)
    kind = np.repeat([0.0, 1.0], 100)
    share, jf = kind + 0.2 * rng.random(200), kind + 0.2 * rng.random(200)
    types = np.where(kind > 0, "single", "multi")
    found = correlate_tables(
        table(share.reshape(-1, 1, 1), videos=np.arange(200), jf=jf, area=rng.random(200)),
        None, beside(200, caption_type=types, objects=np.repeat([1, 2, 3, 4], 50)), 200,
    )  # fmt: skip
    assert found.overall.spearman.value > 0.7
    within = {(s.variable, s.level): s.spearman for s in found.strata}
    for level in ("multi", "single"):
        # Of 100 independent samples 19 in 20 lie within 0.2.
        assert abs(within["caption_type", level].value) < 0.3
        assert within["caption_type", level].n == 100
    # 1 2 3 4, fifty times each: thirds at 2 and 3, so that 1 and 2 are low, 3 middle, 4 high.
    sizes = {level: e.n for (variable, level), e in within.items() if variable == "objects"}
    assert sizes == {"low": 100, "middle": 50, "high": 50}


def test_what_cannot_be_held_fixed_is_named(table):
    rng = np.random.default_rng(6)
    made = table(rng.random((30, 1, 2)), videos=np.arange(30), area=rng.random(30))
    known = beside(30, objects=np.full(30, 2), words=np.full(30, np.nan))
    found = correlate_tables(made, None, known, resamples=50)
    assert found.not_held == {
        "objects": "the same in all samples",
        "words": "unknown in some samples",
    }
    assert found.held_fixed == ("mask_area", "centrality", "query_position")
    alone = correlate_tables(made, resamples=50)
    assert alone.held_fixed == ("mask_area",) and set(alone.not_held.values()) == {"not given"}
    # Of normal scores, so near the partial correlation of ranks, not equal.
    assert alone.overall.adjusted.value == pytest.approx(alone.overall.partial.value, abs=0.1)
    assert alone.strata == ()


def test_a_correlation_is_not_correlated_again(run, row, metrics):
    directory, writer = run()
    rng = np.random.default_rng(0)
    rows = [row(f"v{i}", "0", "actor", jf=rng.random()) for i in range(6)]
    writer.write_chunk(0, rows, {k: rng.random((6, 2, 3)) for k in metrics(1)})
    store = CaptureStore(directory)
    assert correlate(store, "act", 20, criterion="auroc").metric == "auroc"
    with pytest.raises(ConfigError, match="is a correlation with J&F itself"):
        correlate(store, "act", criterion="jf_correlation")
    with pytest.raises(ConfigError, match="unknown criterion 'size'"):
        correlate(store, "act", criterion="size")


def test_what_a_pair_s_own_visual_mass_hides_is_seen_when_it_is_held_fixed(table):
    """J&F hangs on each pair's visual mass strongly, and on the first pair's share a little."""
    rng = np.random.default_rng(0)
    share, visual = rng.normal(size=(2, 80, 1, 2))
    jf = 8 * visual[:, 0, 0] + 0.8 * share[:, 0, 0] + rng.normal(size=80)
    videos, area = np.arange(80), rng.random(80)
    made = table(share, videos=videos, jf=jf, area=area)
    tables = {"visual_mass": table(visual, videos=videos, metric="visual_mass")}
    first, second = correlate_tables(made, tables, beside(80, mask_area=area), 400).pairs
    assert first.adjusted.ci[0] > 0.2 and first.adjusted_p < 0.01 < 0.1 < first.p
    assert second.adjusted_p > 0.05


def test_p_values_of_correlations_go_with_their_intervals(table):
    """Within videos too: what differs between a video's own expressions counts."""
    rng = np.random.default_rng(1)
    within = rng.normal(size=120)
    # No difference between videos at all: every video's mean is the same, in both.
    within -= np.repeat(within.reshape(30, 4).mean(axis=1), 4)
    share = np.stack([within, rng.normal(size=120)], axis=1).reshape(120, 1, 2)
    jf = within + 0.5 * rng.normal(size=120)
    made = table(share, videos=np.repeat(np.arange(30), 4), jf=jf, area=rng.random(120))
    seen, noise = correlate_tables(made, resamples=400).pairs
    assert seen.spearman.ci[0] > 0.5 and seen.p < 0.01 and seen.partial_p < 0.01
    assert noise.spearman.ci[0] < 0 < noise.spearman.ci[1] and noise.p > 0.05


def test_p_value_of_a_correlation_by_hand():
    """Two samples a video, three videos: shares 2, 1 and 3 of centred numbers, whatever the sign.

    Of eight flips of three shares only those of one sign reach |t| of (2, 1, 3): 2 in 8.
    """
    x = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])[:, None]
    y = np.array([-1.0, 1.0, -0.5, 0.5, -1.5, 1.5])[:, None]
    codes = np.array([0, 0, 1, 1, 2, 2])
    shares = _shares(x, y, codes)
    np.testing.assert_allclose(shares[:, 0], [2, 1, 3])
    p = max_t_sign_flips(shares, 20000)[0]
    assert p == pytest.approx(0.25, abs=0.01)
