import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from probes.metrics import (
    METRICS,
    head_metrics,
    lift,
    mask_area,
    mask_share,
    text_mass,
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


def test_head_metrics_holds_all_four_as_float32():
    attention = np.stack([np.stack([ROW, ROW[::-1]])] * 3)  # [layer 3, head 2, key]
    found = head_metrics(attention, IS_VISION, np.array([1, 0, 0, 0]))
    assert tuple(found) == METRICS
    assert all(v.shape == (3, 2) and v.dtype == np.float32 for v in found.values())
    # First patch: 0.1 / 0.5 and, reversed, 0.05 / 0.5; lift is 4 times that.
    np.testing.assert_allclose(found["mask_share"][0], [0.2, 0.1], rtol=1e-6)
    np.testing.assert_allclose(found["lift"][2], [0.8, 0.4], rtol=1e-6)


def test_without_a_truth_only_the_masses_are_defined():
    found = head_metrics(ROW[None, None], IS_VISION, None)
    assert np.isfinite(found["visual_mass"]).all()
    assert np.isnan(found["mask_share"]).all() and np.isnan(found["lift"]).all()


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


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one flag a key"):
        visual_mass(ROW, IS_VISION[:-1])
    with pytest.raises(ValueError, match="pool the mask"):
        head_metrics(ROW, IS_VISION, np.ones(5))
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
