"""Two systems expression by expression."""

import numpy as np
import pandas as pd
import pytest

from probes.paired import paired_differences


def scores(values, role="actor", kind="unidirectional", videos=None):
    """Rows with J of ``values`` and F of half of them, two expressions a video."""
    j = np.asarray(values, dtype=float)
    videos = videos or [f"v{index // 2}" for index in range(len(j))]
    exp = [str(index) for index in range(len(j))]
    table = pd.DataFrame({"video_id": videos, "exp_id": exp, "j": j, "f": j / 2})
    return table.assign(
        role=role, caption_type=kind, sample_id=table.video_id + "/" + table.exp_id,
        jf=0.75 * j,
    )  # fmt: skip


def test_the_difference_is_in_points_and_paired():
    first, second = scores([0.8, 0.6, 0.4, 0.2]), scores([0.7, 0.6, 0.1, 0.2])
    found = paired_differences(first, second.sample(frac=1, random_state=0))
    # J: (10 + 0 + 30 + 0) / 4 points; F is half, J&F three quarters of it.
    actor = found.protocols["actor"]
    assert actor["J"].value == pytest.approx(10)
    assert actor["F"].value == pytest.approx(5)
    assert actor["J&F"].value == pytest.approx(7.5)
    assert (actor["J"].n, actor["J"].n_videos) == (4, 2)
    # Two videos with means 5 and 15: draws are 5, 10 or 15.
    assert actor["J"].ci == pytest.approx((5, 15))
    assert found.protocols["rvos"]["J"] == actor["J"]
    assert "target" not in found.protocols
    assert found.alone == 0


def test_a_constant_difference_is_certain_whatever_the_scores():
    base = np.random.default_rng(0).random(12) * 0.5
    found = paired_differences(scores(base + 0.25), scores(base))
    assert found.protocols["rvos"]["J"].ci == pytest.approx((25, 25))


def test_roles_and_expressions_of_both_alone_are_compared():
    first = pd.concat([scores([0.5, 0.5]), scores([0.9, 0.7], role="target")])
    second = pd.concat([scores([0.5, 0.5, 0.0]), scores([0.8, 0.7, 0.1], role="target")])
    found = paired_differences(first, second)
    assert found.alone == 1
    assert found.protocols["target"]["J"].value == pytest.approx(5)
    assert found.protocols["target"]["J"].ci is None  # one video
    assert found.protocols["target"]["J"].reason
    assert found.protocols["actor"]["J"].value == 0


def test_nothing_in_common():
    found = paired_differences(scores([0.5], videos=["a"]), scores([0.5], videos=["b"]))
    assert (found.protocols, found.alone) == ({}, 2)
