"""Converted weights compute what they computed in their own layout.

The reference is ``tests/plain_reviosa.py``. All in fp32 on the CPU; largest differences measured
(torch 2.13): patches 1.0e-6, logits 8.8e-6, prompts 4.2e-6, mask logits 1.8e-7.
The tolerance is three times the worst; a swapped axis or a missing bias gives 1e-2 and more.
"""

import numpy as np
import pytest
import torch

from reviosa.conversion import convert
from reviosa.model import load
from reviosa.model.segmenter import build_sam2
from tests import plain_reviosa as plain
from tests.fixtures_published import (
    LANGUAGE,
    SAM2,
    VISION,
    internvl_folder,
    internvl_tensors,
    reviosa_folder,
    sam2_file,
    sam2_tensors,
    training_file,
    training_tensors,
)

TOLERANCE = 3e-5


def differ(a, b):
    """Largest difference, of values that are not all near zero."""
    assert b.abs().max() > 0.1
    return float((a - b).abs().max())


def in_hf_terms(base, sam2, trained, scale=2.0):
    """A training checkpoint on its base as one model: adapters merged, names of the HF layout."""
    weights = {k: v.clone() for k, v in base.items()}
    at = "mllm.model.language_model.base_model.model."
    for key, value in trained.items():
        if ".lora_A." in key:
            b = trained[key.replace("lora_A", "lora_B")]
            stem = key.removeprefix(at).removesuffix(".lora_A.default.weight")
            weights[f"language_model.{stem}.weight"] += scale * (b @ value)
        elif ".lora_B." not in key and key.startswith(at):
            weights[f"language_model.{key.removeprefix(at)}"] = value
        elif key.startswith("mllm.model.mlp1"):
            weights[key.removeprefix("mllm.model.")] = value
        elif key.startswith("text_hidden_fcs"):
            weights[key] = value
    decoder = "grounding_encoder.sam2_model."
    changed = {k.removeprefix(decoder): v for k, v in trained.items() if k.startswith(decoder)}
    return weights, sam2 | changed


def sources(tmp_path, layout):
    """Arguments of ``convert``, and the same weights for the plain forward pass."""
    sam2 = sam2_tensors()
    if layout == "internvl":
        tensors = internvl_tensors()
        folder = internvl_folder(tmp_path / "source", tensors, shards=3)
        return {"source": folder, "sam2": sam2_file(tmp_path / "sam2.pt")}, tensors, sam2
    if layout in ("sa2va", "reviosa"):
        folder, tensors = reviosa_folder(tmp_path / "source", f"{layout}_chat")
        return {"source": folder}, tensors, sam2
    base = internvl_tensors()
    folder = internvl_folder(tmp_path / "base", base)
    weights, sam2 = in_hf_terms(base, sam2, training_tensors())
    files = {
        "source": training_file(tmp_path / "iter_20000.pth"),
        "base": folder,
        "sam2": sam2_file(tmp_path / "sam2.pt"),
    }
    return files, weights, sam2


@pytest.mark.parametrize("layout", ["internvl", "sa2va", "reviosa", "training"])
def test_a_converted_model_computes_what_its_source_computes(tmp_path, layout):
    files, weights, sam2 = sources(tmp_path, layout)
    done = convert(destination=tmp_path / "ours", sam2_shape=SAM2, **files)
    assert done.layout == layout and not done.unknown + done.missing + done.misshapen
    model, processor = load(tmp_path / "ours", device="cpu")
    video = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), dtype=np.uint8)
    batch = processor(video, "a rider jumping a horse", has_target=[True])
    batch.pop("labels")
    with torch.no_grad():
        got = model(**batch)
        features = model.image_features(batch["pixel_values"])

        ids = batch["input_ids"][0]
        visual = plain.patches(weights, batch["pixel_values"][0], VISION["num_attention_heads"])
        assert differ(features[0], visual.flatten(0, 1)) <= TOLERANCE
        # A source has no rows for tokens that are new in ReVIOSa: read up to the first of them.
        known = (ids < len(weights["language_model.lm_head.weight"])).cumprod(0).sum()
        ids = ids[:known]
        states, scores = plain.answer_states(
            weights,
            ids,
            visual,
            model.config.image_token_id,
            LANGUAGE["num_attention_heads"],
            LANGUAGE["num_key_value_heads"],
        )
        mine = got.logits[0, : len(ids), : scores.shape[-1]]
        assert differ(mine, scores) <= TOLERANCE
        if layout == "internvl":
            return
        vectors = plain.prompts(weights, states)
        reference = build_sam2(*SAM2).eval()
        reference.load_state_dict(sam2)
        tokens = (model.config.actor_token_id, model.config.target_token_id)
        for role in (0, 1) if layout != "sa2va" else (0,):
            position = int((ids == tokens[role]).nonzero()[0, 0])
            assert differ(got.prompts[role], vectors[position]) <= TOLERANCE
            for frame in (0, 1):
                picture = batch["sam_pixel_values"][0, frame]
                wanted = plain.masks(reference, picture, vectors[position])
                assert differ(got.mask_logits[role, frame], wanted) <= TOLERANCE
                # The language vector counts, so the line above would see it misplaced.
                without = plain.masks(reference, picture, torch.zeros_like(vectors[position]))
                assert differ(wanted, without) > 100 * TOLERANCE
