import numpy as np
import pytest
import torch

from reviosa.annotation import tracking
from reviosa.annotation.prompt_fit import box_loss, filled, fit_prompt
from reviosa.annotation.settings import TrackingSettings
from reviosa.annotation.tracking import BoxTracker, open_box_tracker, tracker_header
from reviosa.data.rle import decode
from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.world import generate_video
from reviosa.errors import CheckpointError
from reviosa.inference.frames import ArrayFrames
from reviosa.model.segmenter import build_sam2, decode_prompts


@pytest.fixture(scope="module")
def nano():
    return open_box_tracker(TrackingSettings(), "cpu")


def boxes_of(masks):
    """The boxes around masks, bool [frame, height, width], as VidOR has them."""
    boxes = np.full((len(masks), 4), np.nan)
    for frame, mask in enumerate(masks):
        if mask.any():
            rows, columns = np.nonzero(mask)
            boxes[frame] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return boxes


def mean_iou(tracker, video):
    """Of each object, over the frames on which it is visible."""
    boxes = {key: boxes_of(masks) for key, masks in enumerate(video.masks) if masks.any()}
    found = tracker(ArrayFrames(video.frames), boxes)
    scores = []
    for key in boxes:
        ious = []
        for mask, rle in zip(video.masks[key], found[key], strict=True):
            if not mask.any():
                assert rle is None
                continue
            got = np.zeros_like(mask) if rle is None else decode(rle, mask.shape)
            ious.append((got & mask).sum() / (got | mask).sum())
        scores.append(np.mean(ious))
    return scores


def test_the_nano_segmenter_makes_masks_of_boxes(nano):
    # The default world but for the number of frames, which is what takes the time.
    video = generate_video(0, 900, WorldConfig(frames=6, max_objects=3))
    filled_boxes = []
    for masks in video.masks:
        for mask, box in zip(masks, boxes_of(masks), strict=True):
            if mask.any():
                left, top, right, bottom = box.astype(int)
                filled_boxes.append(mask.sum() / ((right - left) * (bottom - top)))
    scores = mean_iou(nano, video)
    assert np.mean(scores) >= 0.7
    assert np.mean(scores) > np.mean(filled_boxes) + 0.05, "better than the boxes themselves"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_mean_iou_over_twenty_synthetic_videos(nano):
    scores = [score for index in range(20) for score in mean_iou(nano, generate_video(index, 901))]
    assert len(scores) > 60
    assert np.mean(scores) >= 0.7


def test_masks_stay_in_their_boxes_and_absence_has_none(nano):
    video = generate_video(1, 900, WorldConfig(frames=5))
    boxes = boxes_of(video.masks[0])
    boxes[[0, 3]] = np.nan
    quick = TrackingSettings(every=2, fit_steps=2, grow=0.0)
    # Whatever the prompt, of language or the box itself, which means little to this decoder.
    for fitted in (True, False):
        tracker = BoxTracker(nano.sam2, nano.squash, quick, fitted)
        found = tracker(ArrayFrames(video.frames), {4: boxes, 6: np.full((5, 4), np.nan)})
        assert found[6] == [None] * 5
        assert [rle is None for rle in found[4]][0] and found[4][3] is None
        for rle, box in zip(found[4], boxes, strict=True):
            if rle is not None:
                rows, columns = np.nonzero(decode(rle))
                left, top, right, bottom = box
                assert left <= columns.min() and columns.max() < right
                assert top <= rows.min() and rows.max() < bottom


def test_a_fitted_prompt_changes_no_weight_and_lowers_the_loss(nano):
    video = generate_video(2, 900, WorldConfig(frames=4))
    boxes = torch.tensor(boxes_of(video.masks[0]) / 128, dtype=torch.float32)
    before = {name: value.clone() for name, value in nano.sam2.state_dict().items()}
    with torch.inference_mode():
        features, _ = nano.encode(ArrayFrames(video.frames), [0, 1, 2, 3])
        prompt = fit_prompt(nano.sam2, features, boxes, steps=15, rate=0.15)
        losses = []
        for vector in (torch.zeros_like(prompt), prompt):
            logits = decode_prompts(nano.sam2, features, vector.expand(4, -1)).masks()
            losses.append(box_loss(logits, filled(boxes, logits.shape[-2:])).mean())
    assert losses[1] < 0.7 * losses[0]
    assert all(torch.equal(value, before[k]) for k, value in nano.sam2.state_dict().items())
    assert all(value.grad is None for value in nano.sam2.parameters())


def test_boxes_as_masks():
    boxes = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.3, 0.0, 0.3, 0.1]])
    found = filled(boxes, (4, 8))
    np.testing.assert_array_equal(np.argwhere(found[0].numpy()), [[2, 2], [2, 3], [3, 2], [3, 3]])
    # Even a box of no width touches a cell.
    np.testing.assert_array_equal(np.argwhere(found[1].numpy()), [[0, 2]])


def test_the_loss_wants_the_box_touched_and_nothing_outside():
    inside = torch.zeros(1, 8, 8)
    inside[:, 2:6, 2:6] = 1

    def loss(mask):
        return box_loss((mask * 2 - 1) * 30, inside).item()

    cross = torch.zeros(1, 8, 8)
    cross[:, 3, 2:6] = cross[:, 2:6, 4] = 1
    # A cross that reaches all four sides casts the box's shadows.
    assert loss(inside) == pytest.approx(0, abs=1e-5) == loss(cross)
    short = cross.clone()
    short[:, 2, 4] = 0
    # The box's shadow down is 4 long, the mask's 3: 1 - (2 * 3 + 1) / (3 + 4 + 1).
    assert loss(short) == pytest.approx(1 - 7 / 8, abs=1e-5)
    assert loss(torch.ones(1, 8, 8)) > 10


def test_weights_of_sam2_are_loaded_and_others_refused(nano, tmp_path, monkeypatch):
    from reviosa.model import model_config

    config = model_config("nano")

    def small(base):
        torch.manual_seed(3)
        return build_sam2(config.sam2_base, config.sam2_overrides)

    monkeypatch.setattr(tracking, "build_sam2", small)
    weights = nano.sam2.state_dict()
    path = tmp_path / "sam2.pt"
    torch.save({"model": weights}, path)
    settings = TrackingSettings(model=str(path))
    tracker = open_box_tracker(settings, "cpu")
    assert not tracker.fitted
    loaded = tracker.sam2.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())
    header = tracker_header(settings)
    assert header["name"] == "sam2.pt" and len(header["identity"]) == 16
    torch.save({"model": {"other": torch.zeros(1)}}, path)
    with pytest.raises(CheckpointError, match="no weights of sam2/sam2_hiera_l"):
        open_box_tracker(settings, "cpu")
    assert tracker_header(settings) != header
    path.write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="check tracking.model"):
        open_box_tracker(settings, "cpu")
    path.unlink()
    for call in (lambda: open_box_tracker(settings, "cpu"), lambda: tracker_header(settings)):
        with pytest.raises(CheckpointError, match="sam2.pt: got"):
            call()
