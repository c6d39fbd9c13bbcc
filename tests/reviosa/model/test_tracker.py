"""The tracker against SAM2's own tracking step, and in the types that published weights come in."""

import pytest
import torch

from reviosa import ReviosaConfig
from reviosa.model.segmenter import build_sam2, encode_frames
from reviosa.model.tracker import MemoryTracker

_NANO = ReviosaConfig.preset("nano")
PRESENCE = {"pred_obj_scores": True, "pred_obj_scores_mlp": True, "fixed_no_obj_ptr": True}
NEWER = {
    **PRESENCE,
    "add_tpos_enc_to_obj_ptrs": True,
    "proj_tpos_enc_in_obj_ptrs": True,
    "use_signed_tpos_enc_to_obj_ptrs": True,
    "no_obj_embed_spatial": True,
}
"""What SAM 2.1 adds to SAM 2.0 (yaml files of the sam2 package)."""


def sam2(presence: float, **overrides):
    """Random weights; the presence score is ``presence`` on every frame."""
    torch.manual_seed(0)
    built = build_sam2(_NANO.sam2_base, {**_NANO.sam2_overrides, "image_size": 64, **overrides})
    torch.nn.init.normal_(built.no_obj_ptr, std=0.5)
    last = built.sam_mask_decoder.pred_obj_score_head.layers[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, presence)
    return built.eval()


@pytest.fixture
def frames():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def vectors():
    return torch.randn(2, 96, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def conditioned(model, frames, vectors):
    """A tracker that has seen frame 0, and the features of frame 1, for two objects."""
    features = encode_frames(model, frames)
    tracker = MemoryTracker(model, 2)
    tracker.condition(0, features.take(torch.tensor([0, 0])), vectors)
    return tracker, features.take(torch.tensor([1, 1]))


@torch.no_grad()
@pytest.mark.parametrize("switches", [PRESENCE, NEWER], ids=["2.0", "2.1"])
@pytest.mark.parametrize("presence", [3.0, -3.0])
def test_a_tracked_frame_is_sam2s_own_step(frames, vectors, switches, presence):
    """The difference measured is 0; where SAM2 calls the object absent, it also empties the mask,
    which the release switches off: there the pointer alone is compared."""
    model = sam2(presence, **switches)
    tracker, features = conditioned(model, frames, vectors)
    maps, position, sizes = features.flat()
    own = model.track_step(
        frame_idx=1,
        is_init_cond_frame=False,
        current_vision_feats=maps,
        # SAM2 looks at the last encoding alone.
        current_vision_pos_embeds=[position] * 3,
        feat_sizes=sizes,
        point_inputs=None,
        mask_inputs=None,
        output_dict=tracker._bank,
        num_frames=2,
    )
    mine = tracker.track(1, features)
    remembered = tracker._bank["non_cond_frame_outputs"][1]
    assert torch.allclose(remembered["obj_ptr"], own["obj_ptr"], atol=1e-6)
    if presence > 0:
        assert torch.allclose(mine.masks()[:, None], own["pred_masks"], atol=1e-6)
        assert torch.allclose(
            remembered["maskmem_features"].float(), own["maskmem_features"].float(), atol=1e-5
        )
    else:
        assert (own["pred_masks"] == -1024).all() and mine.masks().abs().max() < 100
        assert torch.allclose(remembered["obj_ptr"], model.no_obj_ptr.expand(2, -1), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("switches", [PRESENCE, NEWER], ids=["2.0", "2.1"])
def test_bf16_weights_track(frames, vectors, switches):
    """bf16 keeps 8 bits of a number; logits are about 0.3 here, and differ by up to 0.006."""
    masks = {}
    for dtype in (torch.float32, torch.bfloat16):
        model = sam2(3.0, **switches).to(dtype)
        model.sam_prompt_encoder.pe_layer.float()
        tracker, features = conditioned(model, frames.to(dtype), vectors)
        masks[dtype] = tracker.track(1, features).masks()
    assert masks[torch.float32].abs().max() > 0.1
    assert torch.allclose(masks[torch.bfloat16], masks[torch.float32], atol=0.05)
