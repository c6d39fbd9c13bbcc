"""Ablations: which sets are made, what they cost by hand, and a run that was stopped."""

import json

import numpy as np
import pytest
import torch

from probes.causal import (
    Ablation,
    ablate,
    keep_ablations,
    layer_ablations,
    read_effects,
    set_ablations,
    single_ablations,
    summarise,
)
from probes.causal.effects import plan_from_json, plan_to_json
from probes.causal.outputs import twin as _twin
from reviosa import ReviosaModel, ReviosaProcessor
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import ConfigError, RunError
from reviosa.inference import Segmenter
from reviosa.model.nano_tokenizer import nano_tokenizer
from reviosa.run_record import open_run
from tests.reviosa.conftest import tiny_config


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    write_synthetic(folder, 4, 3, WorldConfig(height=64, width=64, frames=5))
    return InterRVOSDataset(folder, limit=3)


@pytest.fixture(scope="module")
def model():
    """Random weights; asked for both roles by the form that answers are put into."""
    torch.manual_seed(0)
    return ReviosaModel(tiny_config()).eval()


@pytest.fixture(scope="module")
def processor(model):
    return ReviosaProcessor.for_config(model.config, nano_tokenizer())


PAIRS = ((0, 1), (1, 3), (1, 0))


def test_sets_grow_and_their_controls_have_the_same_layers():
    sets = set_ablations(PAIRS, (2, 4), draws=20, least=((1, 2), (0, 0), (1, 1)))
    chosen = [a for a in sets if a.group == "chosen"]
    assert [a.pairs for a in chosen] == [PAIRS[:1], PAIRS[:2], PAIRS]
    assert [a.pairs for a in sets if a.group == "least"][1] == ((1, 2), (0, 0))
    random = [a for a in sets if a.group == "random" and len(a.pairs) == 3]
    assert len(random) == 20
    for control in random:
        assert sorted(layer for layer, _ in control.pairs) == [0, 1, 1]
        assert len(set(control.pairs)) == 3 and set(control.pairs) != set(PAIRS)
    assert len({a.pairs for a in random}) == 20, "no set twice"
    # Beside one pair of a layer of four there are three others, and no more.
    ones = [a.pairs for a in sets if a.group == "random" and len(a.pairs) == 1]
    assert sorted(ones) == [((0, 0),), ((0, 2),), ((0, 3),)]
    assert set_ablations(PAIRS, (2, 4)) == set_ablations(PAIRS, (2, 4))


def test_least_reach_as_far_as_there_are_any():
    sets = set_ablations(PAIRS, (2, 4), draws=1, least=((1, 2),))
    assert [a.name for a in sets if a.group == "least"] == ["least 1"]
    with pytest.raises(ConfigError, match=r"the pair \(2, 0\)"):
        set_ablations(PAIRS, (2, 4), least=((2, 0),))


def test_what_is_kept_is_all_that_is_left():
    """And the random sets are those that are silenced elsewhere."""
    kept = keep_ablations(PAIRS, (2, 4), draws=4)
    nothing, first = (next(a for a in kept if a.name == f"kept {k}") for k in (0, 1))
    assert nothing.silenced((2, 4)).all()
    assert np.argwhere(~first.silenced((2, 4))).tolist() == [[0, 1]]
    random = [a.pairs for a in kept if a.group == "random kept"]
    silenced = [a.pairs for a in set_ablations(PAIRS, (2, 4), draws=4) if a.group == "random"]
    assert random == silenced and len(random) == 3 + 4 + 4
    with pytest.raises(ConfigError, match="the first 4 pairs are all heads of their layers"):
        keep_ablations(tuple((0, h) for h in range(4)), (2, 4))


def test_the_plan_is_kept_as_text():
    plan = (*set_ablations(PAIRS, (2, 4), 2), *keep_ablations(PAIRS, (2, 4), 2))
    kept = json.loads(json.dumps(plan_to_json(plan)))
    assert kept[0] == ["chosen 1", "chosen", "0.1"] and plan_from_json(kept) == plan
    earlier = [["chosen 2", "chosen", [[0, 1], [1, 3]]]]
    assert plan_from_json(earlier) == (Ablation("chosen 2", "chosen", ((0, 1), (1, 3))),)


@pytest.mark.parametrize(
    ("pairs", "match"),
    [
        (((0, 4),), r"the pair \(0, 4\), expected different pairs of 2 layers and 4 heads"),
        (((0, 1), (0, 1)), "a pair twice"),
        (tuple((0, h) for h in range(4)), "the first 4 pairs are all heads of their layers"),
    ],
)
def test_sets_that_cannot_be(pairs, match):
    with pytest.raises(ConfigError, match=match):
        set_ablations(pairs, (2, 4))


@pytest.mark.parametrize("kind", ["zero", "mean", "resample", "blind", "object-blind"])
def test_effects_are_those_of_the_model_with_silenced_heads(
    model, processor, dataset, tmp_path, kind
):
    """The first value is the whole model's; nothing silenced changes nothing."""
    ablations = (*single_ablations(PAIRS[:1]), Ablation("none", "single", ()))
    told = []
    ablate(
        model, processor, dataset, tmp_path / "run", ablations, kind,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    lines = read_effects(tmp_path / "run")
    assert [x["sample_id"] for x in lines] == [s.expression.sample_id for s in dataset.samples]
    assert told[-1] == (len(lines), len(lines))
    segmenter = Segmenter(model, processor)
    changed = 0
    for line, sample in zip(lines, dataset.samples, strict=True):
        assert line["interaction"] == sample.expression.is_interaction
        for scores in line["scores"].values():
            whole, silenced, none = scores
            assert none == pytest.approx(whole, abs=1e-5)
            changed += abs(silenced - whole) > 1e-6
    assert changed, "random masks of random weights, but the head counts"
    sample = dataset.samples[0]
    features = segmenter.encode(sample.video)
    (reply,) = segmenter.answer(features, [sample.expression.text])
    prompts = segmenter.read(features, [reply.ids]).prompts
    masks = segmenter.decode(features, prompts[:1])[:, 0]
    from reviosa.evaluation import boundary_f, jaccard

    truth = sample.masks(0, list(features.frame_indices))
    wanted = float((jaccard(masks, truth) + boundary_f(masks, truth)).mean() / 2)
    assert lines[0]["scores"]["actor"][0] == pytest.approx(wanted, abs=1e-5)
    results = summarise(tmp_path / "run", resamples=50)
    assert results.kind == kind and results.whole["actor"].n == len(lines)
    effect = next(e for e in results.effects if e.name == "L00H01" and e.role == "actor")
    by_hand = np.mean([x["scores"]["actor"][1] - x["scores"]["actor"][0] for x in lines])
    assert effect.change.value == pytest.approx(by_hand)


def test_a_stopped_run_goes_on(model, processor, dataset, tmp_path):
    ablations = single_ablations(PAIRS)
    ablate(model, processor, dataset, tmp_path / "whole", ablations, "resample", seed=4)
    whole = (tmp_path / "whole" / "effects.jsonl").read_text()

    class Stopped(Exception):
        pass

    def stop(done, total):
        if done == 3:
            raise Stopped

    def again(**options):
        ablate(
            model, processor, dataset, tmp_path / "run", ablations, "resample", seed=4, **options
        )

    with pytest.raises(Stopped):
        again(progress=stop)
    path = tmp_path / "run" / "effects.jsonl"
    path.write_text(path.read_text()[:-20])  # killed while it wrote the third line
    again(resume=True)
    assert read_effects(tmp_path / "run") == [json.loads(line) for line in whole.splitlines()]


def test_keeping_all_is_the_model_and_keeping_none_is_silencing_all(
    model, processor, dataset, tmp_path
):
    shape = (model.config.num_layers, model.config.num_heads)
    every = tuple((i, j) for i in range(shape[0]) for j in range(shape[1]))
    ablations = (
        *keep_ablations(PAIRS, shape, draws=2),
        Ablation("kept all", "kept", every),
        Ablation("none", "layer", every),
    )
    ablate(model, processor, dataset, tmp_path / "run", ablations, "zero")
    changed = 0
    for line in read_effects(tmp_path / "run"):
        for scores in line["scores"].values():
            whole, kept_none = scores[:2]
            all_kept, none = scores[-2:]
            assert (all_kept, none) == (whole, kept_none)
            changed += none != whole
    assert changed
    effects = {e.name: e for e in summarise(tmp_path / "run", 20).effects if e.role == "actor"}
    assert effects["kept 0"].over_random is None and effects["kept 0"].k == 0
    assert effects["kept 2"].over_random is not None and effects["random kept 3"].k == 3


def test_videos_are_read_and_answered_no_more_than_need_be(
    model, processor, dataset, tmp_path, monkeypatch
):
    """Once for the scores and, where outputs of others are needed, once to record them."""
    calls = {"encode": 0, "answer": 0}
    for name in calls:
        plain = getattr(Segmenter, name)

        def counted(self, *args, name=name, plain=plain):
            calls[name] += 1
            return plain(self, *args)

        monkeypatch.setattr(Segmenter, name, counted)
    told = []
    for kind, read in (("resample", 6), ("zero", 3), ("role-swap", 3)):
        calls |= {"encode": 0, "answer": 0}
        ablate(
            model, processor, dataset, tmp_path / kind, single_ablations(PAIRS), kind,
            gathering=lambda done, total, kind=kind: told.append((kind, done, total)),
        )  # fmt: skip
        assert calls == {"encode": read, "answer": 3}, kind
    count = len(dataset.samples)
    assert told == [("resample", i + 1, count) for i in range(count)]


def test_summary_by_hand(tmp_path):
    """Two videos of one expression each; the chosen set costs 0.2 and 0.4, the two random sets 0.1
    and 0.3 in the first, 0 and 0.2 in the second."""
    ablations = [["chosen 1", "chosen", [[0, 1]]], ["random 1.00", "random", [[0, 0]]],
                 ["random 1.01", "random", [[0, 2]]], ["L01H00", "single", [[1, 0]]]]  # fmt: skip
    config = {"kind": "mean", "ablations": ablations, "samples": 2}
    with open_run(tmp_path / "run", "ablate", config, 0):
        lines = [
            {"sample_id": "a/0", "video_id": "a", "interaction": True,
             "scores": {"actor": [0.9, 0.7, 0.8, 0.6, 0.9]}},
            {"sample_id": "b/0", "video_id": "b", "interaction": False,
             "scores": {"actor": [0.8, 0.4, 0.8, 0.6, 0.7]}},
        ]  # fmt: skip
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / "run" / "effects.jsonl").write_text(text)
    results = summarise(tmp_path / "run", resamples=100)
    actor = {e.name: e for e in results.effects if e.role == "actor"}
    assert results.whole["actor"].value == pytest.approx(0.85)
    assert actor["chosen 1"].change.value == pytest.approx(-0.3)
    # Random: -(0.1 + 0.3) / 2 and -(0 + 0.2) / 2, in the mean -0.15.
    assert actor["random 1"].change.value == pytest.approx(-0.15)
    assert actor["chosen 1"].over_random.value == pytest.approx((0.0 - 0.3) / 2)
    assert actor["chosen 1"].over_random.ci == pytest.approx((-0.3, 0.0))
    # Both random sets cost less than 0.3; video by video, and 0.15 in the mean of the random ones.
    assert actor["chosen 1"].random_below == 0.0 and results.videos["actor"] == ("a", "b")
    assert actor["chosen 1"].n_random == actor["random 1"].n_random == 2
    assert actor["chosen 1"].by_video == pytest.approx((-0.2, -0.4))
    assert actor["random 1"].by_video == pytest.approx((-0.2, -0.1))
    assert actor["L01H00"].over_random is None and actor["L01H00"].change.value == pytest.approx(
        -0.05
    )
    # The target of the interaction was not named.
    assert results.n_failed == 1 and results.whole["target"].value is None
    json.dumps(results.to_json())


def test_bad_input(model, processor, dataset, tmp_path):
    with pytest.raises(ConfigError, match="no pairs to silence"):
        ablate(model, processor, dataset, tmp_path / "run", ())
    one = InterRVOSDataset(dataset.root, limit=1)
    with pytest.raises(ConfigError, match="takes outputs from other videos and there is 1"):
        ablate(model, processor, one, tmp_path / "run", single_ablations(PAIRS), "mean")
    assert not (tmp_path / "run").exists()
    with open_run(tmp_path / "other", "evaluate", {}, 0):
        pass
    with pytest.raises(RunError, match="kind 'evaluate', expected an ablation"):
        summarise(tmp_path / "other")


def test_roles_change_places_when_all_heads_are_lent(model, processor, dataset, tmp_path):
    """Every head of every layer from the twin; this model names actors alone."""
    ablations = (
        *layer_ablations((model.config.num_layers, model.config.num_heads)),
        Ablation("all", "layer", tuple((i, j) for i in range(2) for j in range(4))),
        Ablation("none", "single", ()),
    )
    ablate(model, processor, dataset, tmp_path / "run", ablations, "role-swap")
    lines = read_effects(tmp_path / "run")
    twins = [s for s in dataset.samples if _twin(s) is not None]
    assert twins and [x["sample_id"] for x in lines] == [s.expression.sample_id for s in twins]
    for sample in twins:
        twin = _twin(sample)
        assert set(twin.actor_ids) == set(sample.expression.target_ids)
        assert set(twin.target_ids) == set(sample.expression.actor_ids)
    segmenter = Segmenter(model, processor)
    sample, line = twins[0], lines[0]
    features = segmenter.encode(sample.video)
    (reply,) = segmenter.answer(features, [sample.expression.text])
    output = segmenter.read(features, [reply.ids])
    from reviosa.evaluation import jaccard

    frames = list(features.frame_indices)
    masks = segmenter.decode(features, output.prompts[:1])[:, 0]
    own, other = (jaccard(masks, sample.masks(role, frames)).mean() for role in (0, 1))
    assert line["scores"]["actor"][0] == pytest.approx((1 + other - own) / 2, abs=1e-5)
    assert line["scores"]["actor"][-1] == pytest.approx(line["scores"]["actor"][0], abs=1e-5)
    assert any(abs(x["scores"]["actor"][-2] - x["scores"]["actor"][0]) > 1e-6 for x in lines)


def test_role_swap_needs_twins(model, processor, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("probes.causal.run.twin", lambda sample: None)
    with pytest.raises(ConfigError, match="no two expressions of one video with exchanged roles"):
        ablate(model, processor, dataset, tmp_path / "run", single_ablations(PAIRS), "role-swap")
    assert not (tmp_path / "run").exists()
