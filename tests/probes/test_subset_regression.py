"""The linear model of random subsets: planted effects, by hand, and against plain algebra."""

import itertools
import json

import numpy as np
import pytest

from probes.bootstrap import ONE_VIDEO, draw_weights
from probes.causal import (
    Ablation,
    regress_subsets,
    single_ablations,
    subset_ablations,
    summarise,
)
from probes.causal.effects import append_effects, plan_to_json
from probes.causal.regression import _PENALTIES, _fit
from reviosa.errors import ConfigError
from reviosa.run_record import open_run

SHAPE = (2, 3)
PAIRS = tuple((layer, head) for layer in range(2) for head in range(3))
EVERY_SUBSET = tuple(
    Ablation(f"subset {i}", "subset", tuple(itertools.compress(PAIRS, inside)))
    for i, inside in enumerate(itertools.product((False, True), repeat=6))
)


def cost(silenced):
    """The first two heads stand in for each other: 0.4 if both are lost, nothing if one is. The
    last costs 0.1 whatever else is lost."""
    first, second, last = silenced[..., 0, 0], silenced[..., 0, 1], silenced[..., 1, 2]
    return -0.4 * (first & second) - 0.1 * last


def write_run(directory, ablations, roles=("actor",), videos=4, scores=None):
    config = {"kind": "zero", "ablations": plan_to_json(ablations), "shape": list(SHAPE)}
    with open_run(directory, "ablate", config, 5):
        for video in range(videos):
            found = scores or [
                0.9 + 0.01 * video + change
                for change in (0.0, *(float(cost(a.silenced(SHAPE))) for a in ablations))
            ]
            append_effects(
                directory, f"v{video}/0", f"v{video}", len(roles) > 1, {r: found for r in roles}
            )


def test_two_heads_that_stand_in_for_each_other(tmp_path):
    """By hand: silencing the first changes 0 where the second is there, -0.4 where it is lost, so
    -0.2 over all 64 subsets; the last -0.1; others 0. All directions of that design are equally
    long, so the penalty takes the same share of each."""
    write_run(tmp_path / "run", (*single_ablations(PAIRS), *EVERY_SUBSET))
    results = summarise(tmp_path / "run", resamples=50)
    alone = {e.pairs[0]: e.change.value for e in results.effects if e.role == "actor"}
    assert alone[0, 0] == alone[0, 1] == 0.0 and alone[1, 2] == pytest.approx(-0.1)
    (model,) = results.subsets
    wanted = {(0, 0): -0.2, (0, 1): -0.2, (1, 2): -0.1}
    for head in model.effects:
        value = wanted.get((head.layer, head.head), 0.0)
        assert head.effect.value == pytest.approx(model.kept * value, abs=1e-9)
    # The rest, -0.4 (a - 1/2)(b - 1/2), is 0.1 in size everywhere; variance of the whole is
    # 3 / 4 * 1 / 4 * 0.4^2 + 0.1^2 / 4 = 0.0325. What is left out is predicted a little worse.
    assert model.r2.value == pytest.approx(1 - 0.01 / 0.0325, abs=0.05)
    assert model.mean.value == pytest.approx(-0.15)
    assert (model.n_subsets, model.rate, model.note) == (64, 0.5, None)
    assert 0.9 < model.kept <= 1 and results.plan_seed == 5
    assert not any(e.group == "subset" for e in results.effects)
    json.dumps(results.to_json(), allow_nan=False)


def test_random_subsets_show_the_same(tmp_path):
    """Standard error of an effect: 0.1 / (0.5 sqrt(300)) = 0.012."""
    write_run(tmp_path / "run", subset_ablations(SHAPE, 300, seed=3))
    (model,) = summarise(tmp_path / "run", resamples=200).subsets
    value = {(e.layer, e.head): e.effect for e in model.effects}
    assert value[0, 0].value == pytest.approx(-0.2, abs=0.04)
    assert value[0, 1].value == pytest.approx(-0.2, abs=0.04)
    assert value[1, 2].value == pytest.approx(-0.1, abs=0.04)
    assert value[0, 0].ci[1] < 0 and value[1, 2].ci[1] < 0
    for pair in ((0, 2), (1, 0), (1, 1)):
        assert value[pair].value == pytest.approx(0, abs=0.04)


@pytest.fixture
def noisy():
    """(silenced [subset, layer, head], change [expression, subset], videos [expression])"""
    rng = np.random.default_rng(0)
    silenced = rng.random((40, *SHAPE)) < 0.4
    videos = np.array(["a", "a", "b", "c", "c", "c", "d"])
    change = cost(silenced)[None] + rng.normal(0, 0.05, (7, 40))
    return silenced, change, videos


def plain_ridge(design, outcome, penalty):
    """Least squares with rows added that ask every effect to be 0; the intercept is free."""
    columns = design.shape[1]
    above = np.column_stack([np.ones(len(design)), design])
    below = np.column_stack([np.zeros(columns), np.sqrt(penalty) * np.eye(columns)])
    wanted = np.concatenate([outcome, np.zeros(columns)])
    return np.linalg.lstsq(np.vstack([above, below]), wanted, rcond=None)[0]


def test_the_fit_and_its_penalty_are_those_of_plain_algebra(noisy):
    """Largest difference measured: 4e-16."""
    silenced, change, _ = noisy
    design, outcome = silenced.reshape(40, -1).astype(float), change.mean(axis=0)
    fit = _fit(design, outcome)
    intercept, *effects = plain_ridge(design, outcome, fit.penalty)
    assert fit.effects @ outcome == pytest.approx(np.array(effects), abs=1e-12)
    assert fit.fitted @ outcome == pytest.approx(intercept + design @ effects, abs=1e-12)
    # Generalised cross-validation by its definition: m |(I - A) y|^2 / tr(I - A)^2.
    centred = design - design.mean(axis=0)
    scale = np.trace(centred.T @ centred) / design.shape[1]

    def score(penalty):
        inner = np.linalg.inv(centred.T @ centred + penalty * np.eye(design.shape[1]))
        rest = np.eye(40) - centred @ inner @ centred.T - 1 / 40
        return 40 * np.sum((rest @ outcome) ** 2) / np.trace(rest) ** 2

    assert fit.penalty == pytest.approx(min(scale * _PENALTIES, key=score))
    # Left out by the short formula, and by leaving each row out in turn. The intercept of the
    # rows that stay is free, so the design must not be centred on all of them.
    for row in (0, 7, 39):
        keep = np.arange(40) != row
        intercept, *effects = plain_ridge(design[keep], outcome[keep], fit.penalty)
        off = outcome[row] - intercept - design[row] @ effects
        assert fit.left_out(outcome)[row] == pytest.approx(off, abs=1e-12)


def test_the_interval_is_that_of_refitting_each_resample(noisy):
    """Videos drawn again and the fit made again, expression by expression."""
    silenced, change, videos = noisy
    design = silenced.reshape(40, -1).astype(float)
    model = regress_subsets(silenced, change, videos, "actor", resamples=60, seed=2)
    fit = _fit(design, change.mean(axis=0))
    signs = np.random.default_rng([2, 1]).choice((-1.0, 1.0), size=(60, 40))
    draws = []
    for weights, sign in zip(draw_weights(4, 60, 2), signs, strict=True):
        taken = [
            change[i]
            for v, times in zip("abcd", weights, strict=True)
            for _ in range(int(times))
            for i in np.flatnonzero(videos == v)
        ]
        outcome = np.mean(taken, axis=0) + sign * fit.left_out(change.mean(axis=0))
        draws.append(plain_ridge(design, outcome, model.penalty)[1:])
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    got = np.array([e.effect.ci for e in model.effects])
    assert got == pytest.approx(np.column_stack([low, high]), abs=1e-12)


def test_intervals_cover_heads_without_effect():
    """What changes is products of heads, so every head's own effect is 0: 95 of 100 intervals
    should hold it. Measured over these 25 draws of 24 heads: 0.93; with videos drawn again and the
    subsets taken as given: 0.05."""
    held = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        silenced = rng.random((100, 4, 6)) < 0.5
        sign = 2.0 * silenced.reshape(100, -1) - 1
        change = 0.05 * (sign[:, ::2] * sign[:, 1::2]).sum(axis=1)[None]
        change = change + rng.normal(0, 0.02, (10, 100))
        videos = [str(i) for i in range(10)]
        model = regress_subsets(silenced, change, videos, "actor", 200)
        held += [e.effect.ci[0] <= 0 <= e.effect.ci[1] for e in model.effects]
    assert 0.9 < np.mean(held) < 0.99


def test_the_fit_is_judged_on_other_subsets():
    """Exactly linear changes are predicted but for the penalty's 1 % (share squared); changes that
    know nothing of the heads are not, though 48 columns fit 60 rows well."""
    rng = np.random.default_rng(1)
    silenced = rng.random((200, 6, 8)) < 0.5
    effects = rng.normal(0, 0.1, 48)
    videos = ["a", "b"]
    linear = np.tile(silenced.reshape(200, -1) @ effects, (2, 1))
    good = regress_subsets(silenced, linear, videos, "actor", 20)
    assert good.r2.value > 0.99
    assert [e.effect.value for e in good.effects] == pytest.approx(effects, abs=0.03)
    few, noise = silenced[:60], rng.normal(0, 0.1, (2, 60))
    nothing = regress_subsets(few, noise, videos, "actor", 20)
    assert nothing.r2.value < 0.1


def test_changes_that_are_all_alike(noisy):
    silenced, change, videos = noisy
    model = regress_subsets(silenced, np.full_like(change, -0.3), videos, "actor", 20)
    assert [e.effect.value for e in model.effects] == pytest.approx([0.0] * 6, abs=1e-12)
    assert model.r2.value is None and model.r2.reason == "all subsets change the score alike"
    assert model.mean.value == pytest.approx(-0.3)


def test_a_head_that_is_never_silenced_has_no_effect(noisy):
    silenced, change, videos = noisy
    silenced[:, 0, 1], silenced[:, 1, 0] = False, True
    model = regress_subsets(silenced, change, videos, "actor", 20)
    unknown = [(e.layer, e.head) for e in model.effects if e.effect.value is None]
    assert unknown == [(0, 1), (1, 0)]
    assert "in no subset, or in all" in model.effects[1].effect.reason


def test_one_video_has_no_interval(noisy):
    silenced, change, videos = noisy
    model = regress_subsets(silenced, change, ["a"] * len(videos), "actor", 20)
    for estimate in (model.mean, model.r2, *(e.effect for e in model.effects)):
        assert estimate.value is not None and estimate.ci is None and estimate.reason == ONE_VIDEO


def test_fewer_subsets_than_heads_are_said(tmp_path):
    write_run(tmp_path / "run", subset_ablations(SHAPE, 12))
    assert summarise(tmp_path / "run", 20).subsets[0].note is None
    rng = np.random.default_rng(0)
    silenced = rng.random((40, 6, 8)) < 0.5
    model = regress_subsets(silenced, rng.normal(size=(3, 40)), ["a", "b", "c"], "actor", 20)
    assert model.note == (
        "40 subsets for 48 heads: too few to tell every head apart; draw several for each head"
    )
    with pytest.raises(ConfigError, match=r"9 subsets, expected at least 10.* 6 heads"):
        subset_ablations(SHAPE, 9)


def test_a_role_that_was_never_named_has_no_model(tmp_path):
    write_run(tmp_path / "run", EVERY_SUBSET)
    write_run(tmp_path / "both", EVERY_SUBSET, roles=("actor", "target"))
    write_run(tmp_path / "none", EVERY_SUBSET, roles=())
    assert [m.role for m in summarise(tmp_path / "run", 20).subsets] == ["actor"]
    assert [m.role for m in summarise(tmp_path / "both", 20).subsets] == ["actor", "target"]
    assert summarise(tmp_path / "none", 20).subsets == ()


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan")])
def test_a_rate_that_cannot_be(rate):
    with pytest.raises(ConfigError, match="expected more than 0 and less than 1"):
        subset_ablations(SHAPE, 20, rate)


def test_subsets_are_drawn_by_rate_and_seed():
    """5000 draws of a head with 0.2: standard error 0.006."""
    drawn = subset_ablations((10, 10), 50, rate=0.2, seed=1)
    share = np.mean([a.silenced((10, 10)).mean() for a in drawn])
    assert share == pytest.approx(0.2, abs=0.025)
    assert drawn == subset_ablations((10, 10), 50, rate=0.2, seed=1)
    assert drawn != subset_ablations((10, 10), 50, rate=0.2, seed=2)
    assert {a.group for a in drawn} == {"subset"} and len({a.name for a in drawn}) == 50
