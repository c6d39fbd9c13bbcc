"""From axes to arms: how many, which, and what they are called."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.criteria import CRITERIA
from probes.selection import STRATEGIES
from workbench.sources import KeyedError
from workbench.sweeps.axes import Axes
from workbench.sweeps.config import SweepConfig
from workbench.sweeps.grid import expand
from workbench.sweeps.rules import READS, HeadsRule, fields_read


def grid(exclude=(), num_layers=3, **axes):
    return expand(Axes.model_validate(axes), exclude, num_layers).arms


def some(values, most=3):
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


@given(
    strategy=some(["top-layer", "top-pairs", "bottom-pairs"]),
    criterion=some(sorted(CRITERIA)),
    role=some(["act", "tar", "both"]),
    k=st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
    aml=st.lists(st.floats(0, 8), min_size=1, max_size=2, unique_by=lambda x: f"{x:g}"),
    roles=some(["both", "actor"]),
    rate=st.lists(st.floats(1e-6, 1e-2), min_size=1, max_size=2, unique_by=lambda x: f"{x:g}"),
)
@settings(deadline=None, max_examples=40)
def test_every_combination_is_an_arm_of_its_own(strategy, criterion, role, k, aml, roles, rate):
    """All axes are read by all these strategies, so nothing collapses."""
    axes = {"strategy": strategy, "criterion": criterion, "role": role, "k": k, "aml": aml,
            "roles": roles, "learning_rate": rate}  # fmt: skip
    arms = grid(**axes)
    product = 1
    for values in axes.values():
        product *= len(values)
    assert len(arms) == product
    written = {str((arm.set, arm.heads)) for arm in arms.values()}
    titles = {arm.title for arm in arms.values()}
    assert len(written) == len(titles) == product
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+_.-]*", name) for name in arms)


def test_what_a_strategy_does_not_read_does_not_multiply():
    # none: 1. random: 2 k. top-pairs: 3 criteria x 2 k. layer: 2 layers x 3 criteria x 2 k.
    arms = grid(
        strategy=["none", "random", "top-pairs", "layer"], criterion=["lift", "auroc", "pointing"],
        k=[1, 2], layer=[0, 2],
    )  # fmt: skip
    assert len(arms) == 1 + 2 + 6 + 12
    assert list(arms)[:4] == ["none", "random-k1", "random-k2", "top-pairs-lift-k1"]
    assert arms["none"].heads is None and arms["none"].title == "no AML"
    assert arms["layer2-auroc-k1"].title == "layer 2, by AUROC, k 1"


def test_all_heads_of_a_layer_need_no_criterion():
    arms = grid(strategy=["layer"], layer="all", k=[1, "all"], criterion=["lift", "auroc"])
    # 3 layers x (2 criteria at k 1, and once all heads).
    assert len(arms) == 9 and "layer0-all" in arms and "layer0-lift-k1" in arms


def test_only_axes_with_several_values_are_in_the_name():
    (arm,) = grid(strategy=["top-pairs"], criterion=["lift"], k=[4], aml=[0.5], roles=["actor"])
    assert arm == "top-pairs"
    assert list(grid(strategy=["none"], data_fraction=[0.25, 1.0], roles=["both", "actor"])) == [
        "none-roles-both-data0.25", "none-roles-both-data1",
        "none-roles-actor-data0.25", "none-roles-actor-data1",
    ]  # fmt: skip
    assert set(grid(strategy=["none"], **{"lora.rank": [4, 8]})) == {
        "none-lora.rank4", "none-lora.rank8",
    }  # fmt: skip


def test_an_axis_of_training_sets_its_key():
    arms = grid(
        strategy=["none", "random"], aml=[0.5], aml_reduction=["mean"], data_fraction=[0.5],
        **{"lora.rank": [4]},
    )  # fmt: skip
    assert arms["random"].set == {
        "loss.aml": 0.5, "loss.aml_reduction": "mean", "data_fraction": 0.5, "lora.rank": 4,
    }  # fmt: skip
    # The weight of a loss that is not there decides nothing.
    assert arms["none"].set == {"data_fraction": 0.5, "lora.rank": 4}


def test_controls_are_of_the_arm_with_the_same_values():
    arms = grid(
        strategy=["top-pairs", "top-layer", "matched-random"], like=["top-pairs", "top-layer"],
        criterion=["lift", "auroc"], k=[1, 2],
    )  # fmt: skip
    assert len(arms) == 4 + 4 + 8
    control = arms["matched-random-top-layer-auroc-k2"].heads
    assert control.like == "top-layer-auroc-k2"


def test_excludes_drop_points_that_have_all_their_values():
    axes = {"strategy": ["none", "random", "top-pairs"], "k": [1, 2, 3]}
    assert list(grid([{"k": 1}], **axes)) == [
        "none", "random-k2", "random-k3", "top-pairs-k2", "top-pairs-k3",
    ]  # fmt: skip
    assert list(grid([{"strategy": ["random", "top-pairs"], "k": [2, 3]}, {"k": 2}], **axes)) == [
        "none", "random-k1", "top-pairs-k1",
    ]  # fmt: skip
    assert grid([{}], **axes) == {}


def test_a_grid_beyond_measure_is_refused_at_once():
    many = list(range(1, 301))
    with pytest.raises(KeyedError, match="more than 10,000 points"):
        grid(strategy=["top-layers"], k=many, layers=many)


def test_what_a_strategy_reads_is_known_for_all_of_them():
    assert set(READS) == {*STRATEGIES, "file"}
    for names in READS.values():
        assert set(names) <= set(HeadsRule.model_fields)
    assert fields_read("layer", "all") == ("layer", "k")


def test_origins_lead_to_the_values_of_the_file():
    found = expand(Axes.model_validate({"strategy": ["none", "random"], "k": [1, 2]}), (), 3)
    assert found.origins["arms", "random-k2", "heads", "k"] == ("axes", "k", 1)
    assert found.origins["arms", "random-k2"] == ("axes", "strategy", 1)


def test_every_key_of_a_sweep_file_is_described():
    plain = {"arms", "baseline"}
    for name, field in SweepConfig.model_fields.items():
        assert field.description or name in plain, name
