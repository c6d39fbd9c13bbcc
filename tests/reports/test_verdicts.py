"""Each verdict follows its interval; what was never tried is not told."""

import pytest

from probes.bootstrap import Estimate
from probes.causal import AblationEffect, AblationResults
from reports.verdicts import ablation_verdicts


def estimate(value, ci=None):
    return Estimate(value, ci, 20, 8)


def chosen(k, over, role="actor", group="chosen"):
    pairs = tuple((0, head) for head in range(k))
    return AblationEffect(
        f"{group} {k}", group, k, pairs, role, estimate(-0.15, (-0.2, -0.1)), over
    )


def results(*effects, kind="mean", criterion="auroc", here=False):
    whole = {role: estimate(0.7) for role in ("actor", "target")}
    return AblationResults(
        kind, whole, effects, 0, 200, 0, criterion=criterion, chosen_here=here
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ci", "words"),
    [
        ((-0.12, -0.02), "they matter more than their layers explain"),
        ((0.01, 0.09), "they matter less than other heads of their layers"),
        ((-0.05, 0.02), "the interval holds 0, so nothing shows that they matter more"),
        (None, "without an interval this is no finding"),
    ],
)
def test_the_interval_of_the_difference_decides(ci, words):
    (verdict,) = ablation_verdicts(results(chosen(2, estimate(-0.03, ci))))
    assert verdict.startswith("Actor: silencing the 2 pairs chosen by AUROC changes J&F by −15.0")
    assert verdict.endswith(f"{words}.")


def test_the_largest_set_with_a_control_is_told_for_each_role():
    found = ablation_verdicts(
        results(
            chosen(1, estimate(-0.5, (-0.6, -0.4))), chosen(3, estimate(-0.1, (-0.2, -0.05))),
            chosen(4, None), chosen(2, estimate(-0.1, (-0.2, 0.1)), "target"),
            chosen(5, estimate(-0.9, (-1, -0.8)), group="least"), criterion=None, here=True,
        )
    )  # fmt: skip
    assert found[0].startswith("Actor: silencing the 3 pairs chosen changes")
    assert found[1].startswith("Target: silencing the 2 pairs") and "holds 0" in found[1]
    assert found[2].startswith("The pairs were chosen on the very videos") and len(found) == 3


def test_of_swapped_roles_the_pair_that_moves_most_is_told():
    def single(head, value, ci):
        return AblationEffect(
            f"L01H0{head}", "single", 1, ((1, head),), "actor", estimate(value, ci), None
        )

    (verdict,) = ablation_verdicts(
        results(
            single(0, 0.38, (0.3, 0.45)), single(1, 0.02, (-0.01, 0.04)),
            single(2, 0.1, (0.05, 0.2)),
            kind="role-swap",
        )
    )  # fmt: skip
    assert (
        "of 3 pairs L01H00 moves the mask towards the other role's object most, by 38.0" in verdict
    )
    assert "above 0 for 2 pairs" in verdict


def test_without_chosen_pairs_there_is_no_verdict():
    assert ablation_verdicts(results()) == ()
    assert ablation_verdicts(results(kind="role-swap")) == ()
