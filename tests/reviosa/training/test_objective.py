"""Each expression meets its own masks; parts of a batch add up to the whole."""

import copy

import pytest
import torch

from reviosa.errors import ReviosaError
from reviosa.losses import attention_mask_loss
from reviosa.model import record_role_attention
from reviosa.model.lora import freeze_for_training
from reviosa.training.config import LossConfig
from reviosa.training.data import collate
from reviosa.training.objective import LossCounts, compute_losses, count_batch

LOSS = LossConfig.model_validate({"preset": "paper"})
FRAMES, EXPRESSIONS = 4, 5


def draw(processor, seed, targets=(True, False, False, True, False)):
    """A draw of five expressions over four frames, each expression with masks of its own."""
    generator = torch.Generator().manual_seed(seed)
    replies = [f"It is [SEG_ACT]{' and [SEG_TAR]' if t else ''}." for t in targets]
    ids, labels = processor.conversation([f"object {i}" for i in range(5)], replies, FRAMES)
    masks = torch.rand(EXPRESSIONS, 2, FRAMES, 8, 8, generator=generator).round()
    # Expressions differ in size by far, so that swapped masks cannot cost the same by chance.
    scale = torch.arange(1, EXPRESSIONS + 1).view(-1, 1, 1, 1, 1) / EXPRESSIONS
    patches = torch.rand(EXPRESSIONS, 2, FRAMES, 2, 2, generator=generator) * scale
    return {
        "input_ids": ids,
        "labels": labels,
        "pixel_values": torch.randn(FRAMES, 3, 32, 32, generator=generator),
        "sam_pixel_values": torch.randn(FRAMES, 3, 32, 32, generator=generator),
        "mask_targets": masks,
        "patch_targets": patches,
        "has_target": torch.tensor(targets),
    }


def test_with_4_frames_and_5_expressions_each_meets_its_own_mask(tiny_model, tiny_processor):
    batch = collate([draw(tiny_processor, 0)], tiny_processor)
    pairs = ((1, 2), (2, 0))
    with record_role_attention(tiny_model) as record, torch.no_grad():
        tiny_model(
            batch["input_ids"],
            attention_mask=batch["attention_mask"],
            pixel_values=batch["pixel_values"],
        )
    attention = record.on_patches()

    def by_hand(order):
        total = 0.0
        for expression in range(EXPRESSIONS):
            for role in (0, 1) if batch["has_target"][expression] else (0,):
                truth = order[expression, role].flatten()
                for layer, head in pairs:
                    seen = attention[expression, role, layer, head].flatten()
                    total += float(attention_mask_loss(seen, truth))
        return total / EXPRESSIONS

    masks = batch["patch_targets"]
    with torch.no_grad():
        got = float(compute_losses(tiny_model, batch, LOSS, pairs).aml)
    # Measured relative difference 2e-8, the order of summation.
    assert got == pytest.approx(by_hand(masks), rel=1e-5)

    # The release flattens (frame, expression) and views it as (expression, frame), REVIOSA.md 7.1.
    scrambled = masks.transpose(0, 2).reshape(masks.shape)
    assert scrambled.shape == masks.shape
    assert got != pytest.approx(by_hand(scrambled), rel=1e-2)


def test_the_release_takes_the_mean_over_the_pairs_and_roles_of_each_video(
    tiny_model, tiny_processor
):
    """REVIOSA.md 1.8: a video's targets are averaged among themselves, then all videos."""
    acting = ((True, False, False, True, False), (False,) * 5, (False, True, False, False, False))
    draws = [draw(tiny_processor, i, targets=t) for i, t in enumerate(acting)]
    batch = collate(draws, tiny_processor)
    pairs = ((1, 2), (2, 0))
    release = LossConfig.model_validate({"preset": "release", "aml_order": "expression"})
    with torch.no_grad():
        got = float(compute_losses(tiny_model, batch, release, pairs).aml)
        parts = [
            compute_losses(
                tiny_model, collate([d], tiny_processor), release, pairs, count_batch(batch)
            )
            for d in draws
        ]
        with record_role_attention(tiny_model) as record:
            tiny_model(
                batch["input_ids"],
                attention_mask=batch["attention_mask"],
                pixel_values=batch["pixel_values"],
            )
    attention, masks = record.on_patches(), batch["patch_targets"]

    def loss(row, role, layer, head):
        seen = attention[row, role, layer, head].flatten()
        return float(attention_mask_loss(seen, masks[row, role].flatten()))

    # Rows 0 to 4 are of the first video, 5 to 9 of the second, 10 to 14 of the third.
    actors = [loss(row, 0, *pair) for row in range(15) for pair in pairs]
    first = [loss(row, 1, *pair) for row in (0, 3) for pair in pairs]
    third = [loss(11, 1, *pair) for pair in pairs]
    wanted = sum(actors) / 30 + (sum(first) / 4 + 0 + sum(third) / 2) / 3
    assert got == pytest.approx(wanted, rel=1e-5)
    assert sum(float(p.aml) for p in parts) == pytest.approx(wanted, rel=1e-5)


def test_parts_of_a_batch_add_up_to_the_whole(tiny_model, tiny_processor):
    draws = [
        draw(tiny_processor, 1),
        draw(tiny_processor, 2, targets=(False,) * 5),
        draw(tiny_processor, 3, targets=(True,) * 5),
    ]
    whole = collate(draws, tiny_processor)
    counts = count_batch(whole)
    assert counts == LossCounts(float((whole["labels"][:, 1:] >= 0).sum()), 15.0, 7.0, 3.0)
    with torch.no_grad():
        wanted = compute_losses(tiny_model, whole, LOSS, ((1, 1),))
        parts = [
            compute_losses(tiny_model, collate([d], tiny_processor), LOSS, ((1, 1),), counts)
            for d in draws
        ]
    for name in ("total", "text", "bce", "dice", "aml"):
        got = sum(float(getattr(p, name)) for p in parts)
        assert got == pytest.approx(float(getattr(wanted, name)), rel=1e-5), name


def test_gradients_of_the_parts_add_up_to_that_of_the_whole(tiny_model, tiny_processor):
    """What the optimiser gets; its own division would blow up rounding (see test_run.py)."""
    draws = [draw(tiny_processor, i, targets=(i % 2 == 0,) * 5) for i in range(4)]
    whole = collate(draws, tiny_processor)
    freeze_for_training(tiny_model)

    def gradients(parts):
        tiny_model.zero_grad()
        for part in parts:
            batch = collate(part, tiny_processor)
            compute_losses(tiny_model, batch, LOSS, ((1, 1),), count_batch(whole)).total.backward()
        return {n: p.grad.clone() for n, p in tiny_model.named_parameters() if p.grad is not None}

    one, four = gradients([draws]), gradients([[d] for d in draws])
    assert one.keys() == four.keys()
    largest = max(float(g.abs().max()) for g in one.values())
    off = max(float((one[k] - four[k]).abs().max()) for k in one)
    # Measured 4e-7 of the largest gradient, the order of summation.
    assert off <= 5e-6 * largest


def test_attention_mask_loss_moves_attention_onto_the_mask(tiny_model, tiny_processor):
    """The loss reaches the queries and keys of the supervised pair."""
    model = copy.deepcopy(tiny_model).train()
    freeze_for_training(model)
    batch = collate([draw(tiny_processor, 4, targets=(True,) * 5)], tiny_processor)
    only_aml = LossConfig.model_validate({"text": 0, "bce": 0, "dice": 0, "aml": 1})
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    seen = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = compute_losses(model, batch, only_aml, ((1, 1),)).total
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert seen[-1] < 0.97 * seen[0]


def test_text_and_truth_that_disagree_are_refused(tiny_model, tiny_processor):
    batch = collate([draw(tiny_processor, 0)], tiny_processor)
    batch["has_target"] = torch.tensor([True, True, False, True, False])
    with pytest.raises(ReviosaError, match="7 role tokens but the truth has masks for 8 roles"):
        compute_losses(tiny_model, batch, LOSS)
