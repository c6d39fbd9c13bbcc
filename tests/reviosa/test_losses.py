"""The losses against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn.functional import binary_cross_entropy

from reviosa.losses import (
    at_points,
    attention_mask_loss,
    dice_loss,
    mask_bce_loss,
    pool_masks,
    release_order,
    text_loss,
    uncertain_points,
)


def test_attention_mask_loss_is_equation_6():
    # One expression, two roles, one pair, four patches. BCE is the mean over patches:
    # actor: mask on patch 0, attention (.5, .25, 0, 0):
    #   (-ln .5 - ln .75 - ln 1 - ln 1) / 4 = (ln 2 + ln 4/3) / 4 = ln(8/3) / 4
    # target: mask on patches 1 and 3, attention (.5, .5, 0, .5):
    #   (-ln .5 - ln .5 - ln 1 - ln .5) / 4 = 3 ln 2 / 4
    attention = torch.tensor([[[0.5, 0.25, 0.0, 0.0]], [[0.5, 0.5, 0.0, 0.5]]])
    masks = torch.tensor([[[1.0, 0, 0, 0]], [[0.0, 1, 0, 1]]])
    wanted = math.log(8 / 3) / 4 + 3 * math.log(2) / 4
    assert attention_mask_loss(attention, masks).item() == pytest.approx(wanted, rel=1e-6)
    mean = attention_mask_loss(attention, masks, reduction="mean").item()
    assert mean == pytest.approx(wanted / 2, rel=1e-6)


def test_attention_mask_loss_sums_over_pairs_and_broadcasts_the_mask():
    # Two pairs: (.5, 0) on a mask of patch 0: -ln .5 / 2; (.25, .75): (-ln .25 - ln .25) / 2.
    attention = torch.tensor([[0.5, 0.0], [0.25, 0.75]])
    wanted = math.log(2) / 2 + math.log(4)
    got = attention_mask_loss(attention, torch.tensor([[1.0, 0.0]])).item()
    assert got == pytest.approx(wanted, rel=1e-6)


def test_an_absent_role_is_left_out():
    attention = torch.tensor([[0.5, 0.5], [math.nan, math.nan]])
    masks = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert attention_mask_loss(attention, masks).item() == pytest.approx(math.log(2), rel=1e-6)
    assert attention_mask_loss(attention[1:], masks[1:]).item() == 0


def test_logarithms_are_cut_at_minus_100_as_in_torch():
    assert attention_mask_loss(torch.tensor([0.0]), torch.tensor([1.0])).item() == 100
    attention, mask = torch.tensor([0.0, 1.0, 0.3]), torch.tensor([1.0, 0.0, 0.5])
    wanted = binary_cross_entropy(attention, mask)
    torch.testing.assert_close(attention_mask_loss(attention, mask), wanted)


def test_attention_mask_loss_runs_under_autocast_and_has_a_finite_gradient():
    attention = torch.tensor([[0.0, 0.4, 0.6]], requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = attention_mask_loss(attention, torch.tensor([[0.0, 1.0, 0.0]]))
    loss.backward()
    assert loss.dtype == torch.float32
    assert attention.grad.isfinite().all()


def test_the_optimum_over_m_patches_is_one_mth_each():
    logits = torch.zeros(6, requires_grad=True)
    mask = torch.tensor([1.0, 1, 1, 0, 0, 0])
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(600):
        optimizer.zero_grad()
        attention_mask_loss(logits.softmax(0), mask).backward()
        optimizer.step()
    torch.testing.assert_close(logits.softmax(0)[:3], torch.full((3,), 1 / 3), atol=2e-3, rtol=0)


def test_dice_and_bce_by_hand():
    # Logits of +-ln 3 are probabilities 3/4 and 1/4. Mask 1, 0:
    # BCE = -(ln 3/4 + ln 3/4) / 2 = ln 4/3;  Dice = 1 - (2 * 3/4 + 1) / (1 + 1 + 1) = 1/6.
    logits = torch.tensor([[[math.log(3), -math.log(3)]]])
    mask = torch.tensor([[[1.0, 0.0]]])
    assert mask_bce_loss(logits, mask).item() == pytest.approx(math.log(4 / 3), rel=1e-6)
    assert dice_loss(logits, mask).item() == pytest.approx(1 / 6, rel=1e-5)


def test_an_empty_prediction_of_an_empty_mask_costs_nothing():
    logits = torch.full((1, 4, 4), -50.0)
    assert dice_loss(logits, torch.zeros(1, 4, 4)).item() == pytest.approx(0, abs=1e-6)


def test_nothing_to_learn_from_gives_zero_with_a_gradient():
    logits = torch.zeros(0, 4, 4, requires_grad=True)
    for loss in (mask_bce_loss, dice_loss):
        value = loss(logits, torch.zeros(0, 4, 4))
        value.backward()
        assert value.item() == 0
    assert text_loss(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64)).item() == 0


def test_text_loss_by_hand():
    # Two tokens: uniform over 4 (ln 4) and certain of the right one (0).
    logits = torch.tensor([[0.0, 0, 0, 0], [100.0, 0, 0, 0]])
    wanted = math.log(4) / 2
    assert text_loss(logits, torch.tensor([2, 0])).item() == pytest.approx(wanted, rel=1e-5)


def test_pooling_by_area_keeps_the_covered_fraction():
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[0, 0] = mask[2:, 2:] = True
    assert pool_masks(mask, 2).tolist() == [[0.25, 0.0], [0.0, 1.0]]
    # The release's nearest pooling looks at the top left pixel of each patch alone.
    assert pool_masks(mask, 2, "nearest").tolist() == [[1.0, 0.0], [0.0, 1.0]]
    mask[0, 0], mask[1, 1] = False, True
    assert pool_masks(mask, 2, "nearest")[0, 0] == 0, "a small object vanishes"
    assert pool_masks(mask, 2)[0, 0] == 0.25


@given(arrays.arrays(bool, st.tuples(*[st.integers(1, 3)] * 2, *[st.integers(4, 9)] * 2)))
def test_pooling_by_area_keeps_the_mean_where_cells_are_equal(mask):
    tensor = torch.from_numpy(mask)
    height, width = mask.shape[-2:]
    if height == width:
        pooled = pool_masks(tensor, height)
        assert torch.equal(pooled, tensor.float())
    assert pool_masks(tensor, 1).flatten().numpy() == pytest.approx(
        mask.mean((-2, -1)).flatten(), abs=1e-6
    )


def test_values_at_points_are_bilinear():
    # Pixels 0 1 / 2 3 of a 2 x 2 picture have their middles at 1/4 and 3/4.
    picture = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]])
    middles = torch.tensor([[[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]])
    assert at_points(picture, middles)[0].tolist() == pytest.approx([0, 1, 2, 3])
    # Half-way between all four, and between the right two: 1.5 and 2. In the corner the one pixel
    # counts a quarter, as all around is zero: 3 / 4.
    between = torch.tensor([[[0.5, 0.5], [0.75, 0.5], [1.0, 1.0]]])
    assert at_points(picture, between)[0].tolist() == pytest.approx([1.5, 2.0, 0.75])


def test_three_quarters_of_the_points_are_uncertain_ones():
    """Logits rise from left to right and cross zero in the middle; 16 columns of it are near."""
    torch.manual_seed(0)
    logits = torch.linspace(-8, 8, 64).expand(2, 64, 64)
    points = uncertain_points(logits, 4000)
    assert points.shape == (2, 4000, 2) and points.min() >= 0 and points.max() <= 1
    distance = (points[..., 0] - 0.5).abs()
    # The 3,000 nearest of 12,000 random ones lie within 1/8 of the middle; a random one does so in
    # one case of four: 3,000 + 250.
    assert (distance < 0.125).sum(dim=1).tolist() == pytest.approx([3250, 3250], abs=60)
    # But for the corners, where half of the surroundings are zero.
    assert (distance[:, :3000] < 0.14).float().mean() > 0.99


def test_the_release_meets_attention_with_other_masks():
    """Four frames, five expressions (REVIOSA.md 7.1): expression 0 gets frame 0 of objects 0 to 3,
    expression 1 frame 0 of object 4 and frame 1 of objects 0 to 2."""
    # The mask of expression e, role r, frame f is the number 100 r + 10 e + f.
    e, r, f = torch.meshgrid(torch.arange(5), torch.arange(2), torch.arange(4), indexing="ij")
    masks = (100 * r + 10 * e + f)[..., None, None]
    got = release_order(masks)[..., 0, 0]
    assert got[0, 0].tolist() == [0, 10, 20, 30]
    assert got[1, 0].tolist() == [40, 1, 11, 21]
    assert got[1, 1].tolist() == [140, 101, 111, 121]
    assert sorted(got.flatten().tolist()) == sorted(masks.flatten().tolist())
    assert torch.equal(release_order(masks[:, :, :1]), masks[:, :, :1])
    assert torch.equal(release_order(masks[:1]), masks[:1])
