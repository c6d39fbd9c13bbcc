"""Every criterion on rows small enough to work out by hand, and what must not change its value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from probes.criteria import (
    CRITERIA,
    KINDS,
    SCORED,
    HeadOutputs,
    View,
    centrality,
    centre_share,
    head_metrics,
    mask_area,
    sink_patches,
)
from probes.criteria.gradient import (
    attribution_patching,
    gradient_attention,
    head_importance,
    vision_sensitivity,
    write_projection,
)
from probes.criteria.truth import (
    auroc,
    average_precision,
    lift,
    mask_share,
    pointing,
    role_contrast,
    shifted,
    soft_iou,
    without_sinks,
)
from probes.criteria.where import (
    role_divergence,
    sink_share,
    spatial_entropy,
    temporal_consistency,
    text_mass,
    token_entropy,
    visual_mass,
)

# Keys: text, patch, patch, patch, patch, text.
IS_VISION = np.array([0, 1, 1, 1, 1, 0], dtype=bool)
ROW = np.array([0.25, 0.1, 0.2, 0.15, 0.05, 0.25])


def test_masses_of_one_row():
    # Vision: 0.1 + 0.2 + 0.15 + 0.05 = 0.5; text: 0.25 + 0.25 = 0.5.
    assert visual_mass(ROW, IS_VISION) == pytest.approx(0.5)
    assert text_mass(ROW, IS_VISION) == pytest.approx(0.5)


def test_mask_share_and_lift_of_one_row():
    # Patches (0.1, 0.2, 0.15, 0.05) sum to 0.5. Mask (0, 1, 0.5, 0): 0.2 + 0.075 = 0.275,
    # so the share is 0.275 / 0.5 = 0.55; the area is 1.5 / 4 = 0.375; the lift 0.55 / 0.375.
    mask = np.array([0, 1, 0.5, 0])
    share = mask_share(ROW[IS_VISION], mask)
    assert share == pytest.approx(0.55)
    assert mask_area(mask) == pytest.approx(0.375)
    assert lift(share, mask_area(mask)) == pytest.approx(0.55 / 0.375)


def test_token_entropy_of_one_row():
    # Shares 1/2, 1/4, 1/4, 0: -(1/2 ln 1/2 + 2/4 ln 1/4) = 1.5 ln 2, over ln 4 = 2 ln 2: 0.75.
    assert token_entropy(np.array([0.4, 0.2, 0.2, 0.0])) == pytest.approx(0.75)
    assert token_entropy(np.full(8, 0.01)) == pytest.approx(1.0)
    assert token_entropy(np.array([0.0, 0.3])) == 0.0


def test_spatial_entropy_counts_places():
    # The mean is (3 + 3 + 1 + 1) / 16 = 0.5. Above it: two corners of 2.5 that touch nothing, and a
    # pair of 0.5 each that touches at a corner: places of 2.5, 2.5 and 1.
    frame = np.zeros((4, 4))
    frame[0, 0] = frame[0, 3] = 3
    frame[2, 0] = frame[3, 1] = 1
    above = np.array([2.5, 2.5, 1.0]) / 6.0
    wanted = -(above * np.log(above)).sum()
    assert spatial_entropy(frame.ravel(), (1, 4, 4)) == pytest.approx(wanted)
    # Two frames: the second has one place, entropy 0; the mean is half.
    one = np.zeros((4, 4))
    one[1, 1] = one[1, 2] = one[2, 2] = 1
    both = np.stack([frame, one]).ravel()
    assert spatial_entropy(both, (2, 4, 4)) == pytest.approx(wanted / 2)
    # Places of neighbouring frames do not touch, nor do those of neighbouring heads.
    heads = np.stack([both, np.roll(both, 16)])
    np.testing.assert_allclose(spatial_entropy(heads, (2, 4, 4)), [wanted / 2, wanted / 2])


def test_temporal_consistency_is_the_mean_correlation_of_frames():
    first, second, third = [1, 0, 0, 0], [0, 1, 0, 0], [2, 1, 1, 1]
    # corr(first, third) = 1 (third = first + 1); corr(first, second) = corr(second, third) =
    # (0 - 1/16 * 4) / (12/16) = -1/3.
    row = np.array([first, second, third], float).ravel()
    assert temporal_consistency(row, (3, 2, 2)) == pytest.approx((1 - 1 / 3 - 1 / 3) / 3)
    assert temporal_consistency(np.array(first + first, float), (2, 2, 2)) == pytest.approx(1.0)
    # A flat frame says nothing: the two others are left.
    flat = np.array([first, [5, 5, 5, 5], third], float).ravel()
    assert temporal_consistency(flat, (3, 2, 2)) == pytest.approx(1.0)


def test_sinks_are_longer_than_thrice_the_median():
    norms = np.array([[1, 1, 2, 3.1], [1, 1, 1, 2.9]])
    sinks = sink_patches(norms)  # medians 1.5 and 1
    assert sinks.tolist() == [[False, False, False, False], [False, False, False, False]]
    sinks = sink_patches(np.array([[1, 1, 1, 3.1], [4, 1, 1, 2.9]]))  # medians 1 and 1.95
    assert sinks.tolist() == [[False, False, False, True], [False, False, False, False]]
    attention = np.array([[[0.1, 0.1, 0.1, 0.1], [0.0, 0.0, 0.1, 0.3]]] * 2)
    np.testing.assert_allclose(sink_share(attention, sinks), [[0.25, 0.75], [0, 0]])
    np.testing.assert_allclose(without_sinks(attention, sinks)[0, 1], [0, 0, 0.1, 0])


def test_role_divergence_of_known_rows():
    # No patch in common: 1 bit. Alike up to a factor: 0.
    assert role_divergence([0.2, 0.0, 0.0], [0.0, 0.3, 0.1]) == pytest.approx(1.0)
    assert role_divergence([0.2, 0.1], [0.4, 0.2]) == pytest.approx(0.0, abs=1e-12)
    # a = (1, 0), b = (1/2, 1/2): H(3/4, 1/4) - (0 + 1) / 2 bits.
    middle = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert role_divergence([1.0, 0.0], [0.5, 0.5]) == pytest.approx(middle - 0.5)


def test_pointing_and_its_lift():
    mask = np.array([0, 1, 0.5, 0])
    assert pointing([0.1, 0.3, 0.2, 0.0], mask) == 1
    assert pointing([0.3, 0.1, 0.2, 0.0], mask) == 0
    assert pointing([0.1, 0.2, 0.3, 0.0], mask) == 0.5, "half of the patch is covered"
    assert pointing([0.2, 0.2, 0.0, 0.0], mask) == 0.5, "one of two equally bright patches"
    # The area is 1.5 / 4 = 0.375.
    view = View(np.array([[[0.1, 0.3, 0.2, 0.0]]]), np.ones(4, bool), (1, 2, 2), mask)
    assert head_metrics(view)["pointing_lift"][0, 0] == pytest.approx(1 / 0.375)


def test_auroc_by_counting_pairs():
    # Object: patches of 0.4 and 0.1; beside it 0.3, 0.1, 0.05. Of six pairs 0.4 wins three, 0.1
    # loses to 0.3, ties with 0.1 and beats 0.05: 3 + 0 + 0.5 + 1 = 4.5 of 6.
    attention = np.array([0.4, 0.3, 0.1, 0.1, 0.05])
    mask = np.array([1, 0, 1, 0, 0])
    assert auroc(attention, mask) == pytest.approx(4.5 / 6)
    assert auroc(np.full(5, 0.2), mask) == pytest.approx(0.5)
    # In parts: M = (0.5, 1), A = (0.1, 0.2). Inside weights 0.5 and 1, outside 0.5 and 0, 1.5 * 0.5
    # in all. The second beats the first's rest: 0.5; the first ties with its own rest: 0.125.
    assert auroc([0.1, 0.2], [0.5, 1.0]) == pytest.approx((0.5 + 0.125) / 0.75)


def test_average_precision_by_hand():
    attention = np.array([0.4, 0.3, 0.1, 0.1, 0.05])
    # Object at 0.4: precision 1 at recall 1/2. The two of 0.1 come together: 2 hits of 4 at recall
    # 1: AP = 1/2 * 1 + 1/2 * 2/4 = 0.75.
    assert average_precision(attention, [1, 0, 1, 0, 0]) == pytest.approx(0.75)
    # Even attention: all at once, the area.
    assert average_precision(np.full(5, 0.2), [1, 0, 1, 0, 0]) == pytest.approx(0.4)


def test_soft_iou_by_hand():
    # b = (1, 0.5, 0): minima with (1, 0, 1) are 1, 0, 0, maxima 1, 0.5, 1: 1 / 2.5.
    assert soft_iou([0.2, 0.1, 0.0], [1, 0, 1]) == pytest.approx(0.4)


def test_role_contrast_by_hand():
    # Shares of (0.1, 0.3): 0.25 on the first patch, 0.75 on the second.
    assert role_contrast([0.1, 0.3], [0, 1], [1, 0]) == pytest.approx(0.5)
    assert np.isnan(role_contrast([0.1, 0.3], [0, 1], [0, 0])), "the other object is not visible"


def test_controls_keep_the_area_and_lose_the_object():
    # One frame of 2 x 2: the object at the top left moves to the bottom right.
    assert shifted([1, 0.5, 0, 0], (1, 2, 2)).tolist() == [0, 0, 0.5, 1]
    # Each frame by itself.
    assert shifted([1, 0, 0, 0, 0, 1, 0, 0], (2, 2, 2)).tolist() == [0, 0, 0, 1, 0, 0, 1, 0]
    row = np.array([[[0.25, 0.1, 0.2, 0.15, 0.05, 0.25]]])
    found = head_metrics(
        View(row, IS_VISION, (1, 2, 2), np.array([0, 1, 0, 0]), np.array([1, 0, 0, 0]))
    )
    # Shares (0.2, 0.4, 0.3, 0.1): the second patch, shifted to the third, swapped for the first.
    for name, wanted in (("mask_share", 0.4), ("mask_share_shifted", 0.3)):
        assert found[name][0, 0] == pytest.approx(wanted)
    assert found["mask_share_swapped"][0, 0] == pytest.approx(0.2)


def test_controls_of_other_videos_by_hand():
    # Shares (0.2, 0.4, 0.3, 0.1); the other video's object on the last two patches: 0.3 + 0.1 / 2.
    row = np.array([[[0.25, 0.1, 0.2, 0.15, 0.05, 0.25]]])
    typical = np.array([[[1.0, 3.0, 0.0, 0.0]]])
    mask, elsewhere = np.array([0, 1, 0, 0]), np.array([0, 0, 1, 0.5])
    found = head_metrics(
        View(
            row,
            IS_VISION,
            (1, 2, 2),
            mask,
            elsewhere=elsewhere,
            anywhere=row[..., ::-1],
            typical=typical,
        )  # fmt: skip
    )
    # The other token's row, the same one backwards: (0.05, 0.15, 0.2, 0.1) of 0.5 on the patches.
    assert found["mask_share_any_token"][0, 0] == pytest.approx(0.3)
    assert found["mask_share_elsewhere"][0, 0] == pytest.approx(0.35)
    # In other videos the head has three quarters of its attention where this object is.
    assert found["mask_share_typical"][0, 0] == pytest.approx(0.75)


def test_centrality_by_hand():
    # 2 x 4 patches: row middles at -0.5 and 0.5, column middles at -0.75, -0.25, 0.25, 0.75.
    corner = np.zeros((1, 2, 4))
    corner[0, 0, 0] = 1
    wanted = 1 - np.hypot(0.5, 0.75) / np.sqrt(2)
    assert centrality(corner, (1, 2, 4)) == pytest.approx(wanted)
    # All of the second frame has its middle in the middle; an empty third one does not count.
    frames = np.concatenate([corner, np.ones((1, 2, 4)), np.zeros((1, 2, 4))])
    assert centrality(frames, (3, 2, 4)) == pytest.approx((wanted + 1) / 2)
    assert np.isnan(centrality(np.zeros(8), (1, 2, 4)))


def test_the_middle_has_more_of_the_prior_than_the_rim():
    # 2 x 2 patches are alike by symmetry: a quarter each.
    assert centre_share([1, 0, 0, 0], (1, 2, 2)) == pytest.approx(0.25)
    # 1 x 4: exp(-x^2 / 0.5) at 0.25 and 0.75, of both sides.
    inner, outer = np.exp(-(0.25**2) / 0.5), np.exp(-(0.75**2) / 0.5)
    middle = centre_share([0, 1, 0, 0], (1, 1, 4))
    assert middle == pytest.approx(inner / (2 * inner + 2 * outer))
    assert np.isnan(centre_share(np.zeros(4), (1, 2, 2)))


def test_gradient_criteria_by_hand():
    # A = (0.1, 0.2, 0.3), -dL/dA = (2, -1, 1): 0.2 + 0 + 0.3.
    assert gradient_attention([0.1, 0.2, 0.3], [2, -1, 1]) == pytest.approx(0.5)
    # z = (1, 2), -dL/dz = (3, -2): 3 - 4 = -1, so importance 1; blank z = (0, 1): 1 * 3 + 1 * -2.
    assert head_importance([1, 2], [3, -2]) == pytest.approx(1)
    assert attribution_patching([1, 2], [0, 1], [3, -2]) == pytest.approx(1)
    assert vision_sensitivity([3, 4], [0, 0]) == pytest.approx(5)
    # A w = (0.2, -0.2, 0.3); M = (1, 0.5, 0): 0.2 * 1 - 0.2 * 0 - 0.3 * 1.
    written = write_projection([0.1, 0.2, 0.3], [2, -1, 1], [1, 0.5, 0])
    assert written == pytest.approx(0.2 - 0.3)
    assert np.isnan(write_projection([0.1], [1], [0])), "nothing to write of"
    with pytest.raises(ValueError, match="one is asked"):
        gradient_attention([0.1, 0.2], [1.0])


def view_of(attention, mask=None, **more):
    return View(attention, IS_VISION, (1, 2, 2), mask, **more)


def test_all_criteria_come_as_float32_in_the_order_of_the_registry():
    attention = np.stack([np.stack([ROW, ROW[::-1]])] * 3)  # [layer 3, head 2, key]
    found = head_metrics(view_of(attention, np.array([1, 0, 0, 0])))
    assert tuple(found) == tuple(SCORED)
    assert all(v.shape == (3, 2) and v.dtype == np.float32 for v in found.values())
    # First patch: 0.1 / 0.5 and, reversed, 0.05 / 0.5; lift is 4 times that.
    np.testing.assert_allclose(found["mask_share"][0], [0.2, 0.1], rtol=1e-6)
    np.testing.assert_allclose(found["lift"][2], [0.8, 0.4], rtol=1e-6)


def test_what_is_not_known_is_not_defined():
    found = head_metrics(view_of(ROW[None, None]))
    unknown = {name for name, value in found.items() if np.isnan(value).all()}
    needs_truth = {c.name for c in SCORED.values() if c.kind != "where"}
    # One frame has no consistency; sinks, the other role and head outputs were not given.
    assert unknown == needs_truth | {
        "temporal_consistency", "sink_share", "role_divergence", "vision_sensitivity"
    }  # fmt: skip


def test_every_criterion_says_what_it_is():
    for name, criterion in CRITERIA.items():
        assert criterion.name == name and criterion.kind in KINDS
        for words in (criterion.title, criterion.description, criterion.unit):
            assert words
        assert criterion.equation and criterion.source


@pytest.mark.parametrize("name", [c.name for c in SCORED.values() if c.even is not None])
def test_even_attention_scores_what_the_registry_says(name):
    attention = np.full((2, 3, 6), 1 / 6)
    mask = np.array([1, 0.25, 0, 0])
    view = view_of(
        attention, mask, other=attention, sinks=np.zeros((2, 4), bool), anywhere=attention,
        typical=attention[..., :4],
    )  # fmt: skip
    even = SCORED[name].even
    wanted = mask.mean() if even == "area" else even
    if name == "soft_iou":
        wanted = 1.25 / 4  # (1 + 0.25) / (1 + 1 + 1 + 1), the area
    np.testing.assert_allclose(head_metrics(view)[name], wanted, rtol=1e-6, atol=1e-7)


ROWS = arrays(np.float64, (2, 3, 16), elements=st.floats(1e-3, 1.0))
MASKS = arrays(np.float64, 8, elements=st.floats(0.0, 1.0)).filter(lambda m: 0.01 < m.sum() < 7.9)


def scored(rows, mask, other_mask, sinks, order=None, padding=0):
    """All criteria of rows [layer, head, key]: eight patches of two frames, then eight words."""
    attention = rows / rows.sum(axis=-1, keepdims=True)
    is_vision = np.arange(16) < 8
    if padding:
        attention = np.concatenate([attention, np.zeros((2, 3, padding))], axis=-1)
        is_vision = np.concatenate([is_vision, np.zeros(padding, bool)])
    outputs = np.stack([rows[..., :4] - 0.5, rows[..., 4:8] - 0.5, rows[..., 8:12]])
    slopes, written = rows[..., 8:] - 0.3, rows[..., 8:] ** 2 - 0.1
    if order is not None:
        attention, outputs = attention[:, order], outputs[:, :, order]
        slopes, written = slopes[:, order], written[:, order]
    view = View(
        attention, is_vision, (2, 2, 2), mask, other_mask, attention[:, ::-1], sinks,
        elsewhere=other_mask, anywhere=attention**2, typical=attention[..., :8] ** 2,
        written=HeadOutputs(*outputs, slopes, written),
    )  # fmt: skip
    return head_metrics(view)


@given(ROWS, MASKS, MASKS, arrays(bool, (2, 8)), st.integers(1, 5))
def test_padding_changes_nothing(rows, mask, other_mask, sinks, padding):
    plain = scored(rows, mask, other_mask, sinks)
    padded = scored(rows, mask, other_mask, sinks, padding=padding)
    for name in SCORED:
        np.testing.assert_allclose(padded[name], plain[name], rtol=1e-5, atol=1e-7)


@given(ROWS, MASKS, MASKS, arrays(bool, (2, 8)), st.permutations(range(3)))
def test_heads_keep_their_scores_wherever_they_stand(rows, mask, other_mask, sinks, order):
    plain = scored(rows, mask, other_mask, sinks)
    moved = scored(rows, mask, other_mask, sinks, order=order)
    for name in set(SCORED) - {"role_divergence"}:  # the other role's heads are moved there, too
        np.testing.assert_allclose(moved[name], plain[name][:, order], rtol=1e-5, atol=1e-7)


@given(arrays(np.float64, 12, elements=st.floats(0, 1)), arrays(bool, 12))
def test_auroc_is_the_share_of_pairs_won(attention, mask):
    inside, outside = attention[mask], attention[~mask]
    if not len(inside) or not len(outside) or not attention.sum():
        assert np.isnan(auroc(attention, mask))
        return
    won = (inside[:, None] > outside).mean() + (inside[:, None] == outside).mean() / 2
    assert auroc(attention, mask) == pytest.approx(won)


@given(arrays(np.float64, 12, elements=st.sampled_from([0, 0.25, 0.5, 1])), arrays(bool, 12))
def test_average_precision_is_the_sum_over_thresholds(attention, mask):
    if not mask.any() or not attention.sum():
        assert np.isnan(average_precision(attention, mask))
        return
    wanted, before = 0.0, 0.0
    for threshold in sorted(set(attention), reverse=True):
        taken = attention >= threshold
        recall = mask[taken].sum() / mask.sum()
        wanted += (recall - before) * mask[taken].mean()
        before = recall
    assert average_precision(attention, mask) == pytest.approx(wanted)


def test_degenerate_values():
    nan = np.full(6, np.nan)
    assert np.isnan(visual_mass(nan, IS_VISION))
    assert np.isnan(visual_mass(nan, np.zeros(6, bool)))  # not 0: the role is absent
    assert visual_mass(ROW, np.zeros(6, bool)) == 0
    assert np.isnan(mask_share(np.zeros(4), np.ones(4)))  # looks at no patch
    assert np.isnan(mask_share(np.ones(4), np.zeros(4)))  # nothing to look at
    assert np.isnan(mask_share(nan[:4], np.ones(4)))
    assert np.isnan(lift(0.5, 0.0))
    assert np.isnan(mask_area(np.zeros(0)))
    for score in (pointing, auroc, average_precision, soft_iou):
        assert np.isnan(score(np.zeros(4), np.array([1, 0, 0, 0]))), "looks at no patch"
        assert np.isnan(score(np.ones(4), np.zeros(4))), "nothing to look at"
        assert np.isnan(score(nan[:4], np.array([1, 0, 0, 0])))
    assert np.isnan(auroc(np.ones(4), np.ones(4))), "nothing beside the object"
    assert np.isnan(token_entropy(np.zeros(4))) and np.isnan(token_entropy(np.ones(1)))
    assert np.isnan(spatial_entropy(np.ones(4), (1, 2, 2))), "no place is brighter than others"
    assert np.isnan(spatial_entropy(nan[:4], (1, 2, 2)))
    assert np.isnan(temporal_consistency(np.arange(4.0), (1, 2, 2))), "one frame"
    assert np.isnan(temporal_consistency(np.ones(8), (2, 2, 2))), "flat frames"
    assert np.isnan(role_divergence(nan[:4], np.ones(4)))


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one flag a key"):
        visual_mass(ROW, IS_VISION[:-1])
    with pytest.raises(ValueError, match="pool the mask"):
        head_metrics(view_of(ROW[None, None], np.ones(5)))
    with pytest.raises(ValueError, match="give the grid of all sampled frames"):
        spatial_entropy(np.ones(4), (2, 2, 2))
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        mask_share(np.ones(4), np.array([0, 255, 0, 0]))


weights = arrays(np.float64, (3, 12), elements=st.floats(1e-3, 1.0))
masks = arrays(np.float64, 12, elements=st.floats(0.0, 1.0)).filter(lambda m: m.sum() > 1e-3)


@given(weights, masks, st.floats(0.01, 100.0))
def test_mask_share_depends_on_the_shape_alone(attention, mask, factor):
    share = mask_share(attention, mask)
    assert ((share >= 0) & (share <= 1 + 1e-12)).all()
    np.testing.assert_allclose(mask_share(attention * factor, mask), share)


@given(weights, masks, st.permutations(range(12)))
def test_metrics_ignore_the_order_of_patches(attention, mask, order):
    before = attention.copy(), mask.copy()
    moved = mask_share(attention[:, order], mask[order])
    np.testing.assert_allclose(moved, mask_share(attention, mask))
    np.testing.assert_array_equal(attention, before[0])
    np.testing.assert_array_equal(mask, before[1])


@given(masks)
def test_even_attention_has_lift_one(mask):
    share = mask_share(np.full(12, 0.03), mask)
    assert share == pytest.approx(mask.mean())
    assert lift(share, mask_area(mask)) == pytest.approx(1.0)


@given(arrays(np.float64, 6, elements=st.floats(0.0, 1.0)))
def test_vision_and_text_sum_to_the_row(row):
    total = visual_mass(row, IS_VISION) + text_mass(row, IS_VISION)
    assert total == pytest.approx(row.sum())
