"""Training as the released code does it (REVIOSA.md 1.4, 1.8, 2.5, 7)."""

import re

import numpy as np
import pytest
import torch

from reviosa.data.prompts import release_turn
from reviosa.losses import dice_loss, mask_bce_loss, pool_masks
from reviosa.training.config import LossConfig
from reviosa.training.data import (
    ConversationDataset,
    collate,
    release_expressions,
    release_frames,
)
from reviosa.training.objective import compute_losses
from tests.reviosa.training.test_objective import draw


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_frames_are_in_order_and_repeat_in_short_videos(rng):
    for _ in range(50):
        frames = release_frames(rng, 9, 4)
        assert frames == sorted(set(frames)) and len(frames) == 4
        # Five frames for four are drawn with replacement, too.
        assert len(release_frames(rng, 5, 4)) == 4
    assert any(len(set(release_frames(rng, 5, 4))) < 4 for _ in range(50))
    assert release_frames(rng, 1, 4) == [0, 0, 0, 0]


def test_the_interaction_comes_first(rng):
    acting = [False] * 6 + [True, True]
    seen_twice = 0
    for _ in range(200):
        chosen = release_expressions(rng, acting, 5)
        assert len(chosen) == 5 and acting[chosen[0]]
        assert len(set(chosen[1:])) == 4, "the others are drawn without replacement"
        seen_twice += chosen[0] in chosen[1:]
    # The first is among the other four of eight in half of the draws.
    assert 70 < seen_twice < 130
    assert release_expressions(rng, [False, True, False], 5)[:3] == [1, 0, 2]
    assert len(set(release_expressions(rng, [False] * 7, 5))) == 5


def test_questions_come_with_a_postfix_and_answers_in_five_forms(rng):
    turns = [release_turn(rng, "A Dog.", has_target=i % 2 == 0) for i in range(600)]
    heads = {q.split(" If both a subject and an object are present, ")[0] for q, _ in turns}
    tails = {q.split(" If both a subject and an object are present, ")[1] for q, _ in turns}
    assert (len(heads), len(tails)) == (16, 7)
    assert all("a dog" in head for head in heads)
    roles = re.compile(r"\[SEG_ACT\]( and \[SEG_TAR\])?")
    assert len({roles.sub("R", a) for _, a in turns}) == 5
    for index, (_, said) in enumerate(turns):
        assert ("[SEG_TAR]" in said) == (index % 2 == 0)


def test_an_expression_that_asks_is_the_question(rng):
    asked, said = release_turn(rng, "Who chases the ball?", has_target=True)
    assert asked == "Who chases the ball?"
    assert "[SEG_ACT] and [SEG_TAR]" in said


def test_the_first_question_follows_the_frames_at_once(planted_dataset, tiny_processor):
    data = ConversationDataset(planted_dataset, tiny_processor, 4, num_frames=2, style="release")
    item = data[0]
    text = tiny_processor.tokenizer.decode(item["input_ids"])
    compact = text.replace(" ", "")
    assert "</img>\n<img>" in compact and not re.search(r"</img>\n(?!<img>)", compact)
    assert item["input_ids"] == data[0]["input_ids"], "a draw is fixed by its index"
    plain = ConversationDataset(planted_dataset, tiny_processor, 4, num_frames=2)[0]
    assert re.search(
        r"</img>\n(?!<img>)", tiny_processor.tokenizer.decode(plain["input_ids"]).replace(" ", "")
    )


def test_small_objects_vanish_from_nearest_truth(planted_dataset, tiny_processor):
    """Truth at the top left pixel of each cell, of a truth that was shrunk before."""
    dots = torch.zeros(2, 32, 32)
    dots[0, 1, 1] = dots[1, 0, 4] = 1  # beside, and on, the corner of a 4 x 4 cell
    assert pool_masks(dots, 8, "nearest").sum(dim=(1, 2)).tolist() == [0, 1]
    assert pool_masks(dots, 8, "area").sum(dim=(1, 2)).tolist() == [1 / 16, 1 / 16]
    of = {"num_frames": 2, "mask_size": 8}
    area = ConversationDataset(planted_dataset, tiny_processor, 4, **of)[1]
    nearest = ConversationDataset(planted_dataset, tiny_processor, 4, truth="nearest", **of)[1]
    for name in ("mask_targets", "patch_targets"):
        assert set(nearest[name].unique().tolist()) <= {0.0, 1.0}
        assert nearest[name].shape == area[name].shape
    cells = nearest["mask_targets"][..., ::4, ::4]
    assert torch.equal(nearest["patch_targets"], cells)


def test_the_targets_loss_is_divided_by_all_expressions(tiny_model, tiny_processor):
    """Two targets among five expressions: two fifths of the target's loss, all of the actor's."""
    batch = collate([draw(tiny_processor, 0)], tiny_processor)
    with torch.no_grad():
        paper, release = (
            compute_losses(
                tiny_model, batch, LossConfig.model_validate({"target_normaliser": name})
            )
            for name in ("targets", "expressions")
        )
        output = tiny_model(
            **{k: batch[k] for k in ("input_ids", "pixel_values", "sam_pixel_values")}
        )
    truth = batch["mask_targets"][output.prompt_row, output.prompt_role]
    for name, loss in (("bce", mask_bce_loss), ("dice", dice_loss)):
        actor, target = (
            float(loss(output.mask_logits[output.prompt_role == r], truth[output.prompt_role == r]))
            for r in (0, 1)
        )
        assert float(getattr(paper, name)) == pytest.approx(actor + target, rel=1e-5)
        assert float(getattr(release, name)) == pytest.approx(actor + 2 / 5 * target, rel=1e-5)


def test_points_in_the_middle_of_every_pixel_give_the_whole_loss(
    tiny_model, tiny_processor, monkeypatch
):
    def middles(logits, count):
        place = (torch.arange(8) + 0.5) / 8
        y, x = torch.meshgrid(place, place, indexing="ij")
        assert count == 64
        return torch.stack([x, y], dim=-1).view(1, 64, 2).expand(len(logits), -1, -1)

    monkeypatch.setattr("reviosa.training.objective.uncertain_points", middles)
    batch = collate([draw(tiny_processor, 0)], tiny_processor)
    with torch.no_grad():
        whole, points = (
            compute_losses(tiny_model, batch, LossConfig.model_validate({"mask_points": count}))
            for count in (None, 64)
        )
    assert float(points.bce) == pytest.approx(float(whole.bce), rel=1e-5)
    assert float(points.dice) == pytest.approx(float(whole.dice), rel=1e-5)


def test_point_losses_train(tiny_model, tiny_processor):
    """The loss at points falls, and so does the loss at all pixels."""
    from reviosa.model.lora import freeze_for_training

    freeze_for_training(tiny_model)
    batch = collate([draw(tiny_processor, 3)], tiny_processor)
    batch["mask_targets"] = torch.zeros_like(batch["mask_targets"])
    batch["mask_targets"][..., :4] = 1
    release = LossConfig.model_validate({"preset": "release", "text": 0.0, "mask_points": 32})
    everywhere = LossConfig.model_validate({"preset": "paper"})
    optimizer = torch.optim.Adam([p for p in tiny_model.parameters() if p.requires_grad], lr=3e-3)
    torch.manual_seed(0)
    with torch.no_grad():
        before = compute_losses(tiny_model, batch, everywhere)
    for _ in range(25):
        optimizer.zero_grad()
        compute_losses(tiny_model, batch, release, ((1, 1),)).total.backward()
        optimizer.step()
    with torch.no_grad():
        after = compute_losses(tiny_model, batch, everywhere)
    assert float(after.bce + after.dice) < 0.97 * float(before.bce + before.dice)
