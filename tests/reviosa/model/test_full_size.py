"""The published 1B shape, whole: one optimizer step in 24 GiB, minutes on two cores."""

import resource

import pytest
import torch

from reviosa import ReviosaConfig, ReviosaModel
from reviosa.model.lora import freeze_for_training, inject_lora, recompute_activations
from reviosa.training.config import LossConfig
from reviosa.training.objective import compute_losses

FRAMES, EXPRESSIONS = 4, 5
TRAINED = {
    "adapters": "lora_B",
    "token embeddings": "embed_tokens",
    "head": "lm_head",
    "projector": "multi_modal_projector",
    "MLP_seg": "seg_projector",
    "mask decoder": "sam2.sam_mask_decoder",
}
"""REVIOSA.md 1.5: what trains, and a part of its parameters' names."""


def batch(config):
    """One video of four frames, five questions, every second with a target; words are any ids."""
    generator = torch.Generator().manual_seed(0)
    word = 100
    ids, labels = [], []

    def add(tokens, supervised=False):
        ids.extend(tokens)
        labels.extend(tokens if supervised else [-100] * len(tokens))

    for _ in range(FRAMES):
        add([word, *[config.image_token_id] * config.grid**2, word, word])
    targets = [index % 2 == 0 for index in range(EXPRESSIONS)]
    for target in targets:
        add([word] * 16)
        add([word, config.actor_token_id], supervised=True)
        add([word, config.target_token_id] if target else [], supervised=True)
        add([word, word], supervised=True)
    rows = (EXPRESSIONS, 2, FRAMES)
    return {
        "input_ids": torch.tensor([ids]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.int64),
        "labels": torch.tensor([labels]),
        "pixel_values": torch.randn(1, FRAMES, 3, 448, 448, generator=generator),
        "sam_pixel_values": torch.randn(1, FRAMES, 3, 1024, 1024, generator=generator),
        "mask_targets": (torch.rand(*rows, 256, 256, generator=generator) < 0.1).float(),
        "patch_targets": (torch.rand(*rows, 16, 16, generator=generator) < 0.1).float(),
        "has_target": torch.tensor(targets),
    }


def fingerprint(tensor):
    """Changes with any bit, and takes no memory: sums of the bits by two strides."""
    bits = tensor.detach().contiguous().view(torch.int32).flatten()
    return int(bits.sum(dtype=torch.int64)), int(bits[::3].sum(dtype=torch.int64))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_one_step_of_the_1b_changes_what_the_release_trains_and_nothing_else():
    torch.manual_seed(0)
    config = ReviosaConfig.preset("1b")
    model = ReviosaModel(config).train()
    inject_lora(model, rank=128, alpha=256, dropout=0.05)
    freeze_for_training(model)
    recompute_activations(model)
    before = {name: fingerprint(p) for name, p in model.named_parameters()}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=4e-5, weight_decay=0.05)
    pairs = [tuple(pair) for pair in config.aml_pairs]
    assert pairs == [(22, 5), (22, 7), (22, 10), (22, 11)]
    terms = compute_losses(model, batch(config), LossConfig.model_validate({}), pairs)
    terms.total.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()

    for name in ("total", "text", "bce", "dice", "aml"):
        assert getattr(terms, name).isfinite(), name
    assert float(terms.aml.detach()) > 0
    changed = {name for name, p in model.named_parameters() if fingerprint(p) != before[name]}
    for what, part in TRAINED.items():
        assert any(part in name for name in changed), f"{what} did not change"
    allowed = (*TRAINED.values(), "lora_A")
    assert [name for name in changed if not any(part in name for part in allowed)] == []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nlosses {terms}\npeak memory {peak:.1f} GiB")
    assert peak < 24
