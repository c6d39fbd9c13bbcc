"""The best and the worst samples as pictures: frames with masks, and attention under them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.report import Picture
from reports.overlay import compose_frame, encode_jpeg, heat_scale, label_frame
from reports.sample_pictures import SamplePictures, load_pictures, shown_pair
from reports.style import ROLE_TITLES, number, pair_label, per_cent
from reviosa.errors import DataError

if TYPE_CHECKING:
    from probes.results import AnalysisResults, SampleCard
    from probes.store import AttentionMap, CaptureStore
    from reviosa.data.dataset import VideoDataset

__all__ = ["build_gallery", "sample_strip"]

COLUMNS = 5
"""Frames in a strip; more would be too small to judge a mask by."""
STRIP_WIDTH = 960
"""Pixels, about the width of a page."""
FRAME_HEIGHTS = (90, 260)
"""Least and most pixels of a frame's height."""
GAP = 4

NO_DATA = "The data set is not at hand, so its frames cannot be shown."


def sample_strip(
    frames: NDArray[np.uint8],
    truth: Mapping[str, NDArray[np.bool_]],
    predicted: Mapping[str, NDArray[np.bool_]],
    attention: Sequence[NDArray] = (),
    *,
    role: str = "actor",
    labels: Sequence[str] = (),
    names: Sequence[str] = (),
    width: int = STRIP_WIDTH,
) -> NDArray[np.uint8]:
    """Frames side by side: a row with predicted masks, then one row for each attention map.

    Args:
        frames: uint8 [frame, height, width, 3].
        truth: role to bool [frame, height, width]; outlined in white, under attention only
            ``role``'s.
        predicted: role to bool [frame, height, width]; filled in the role's colour.
        attention: maps of ``role``'s token, weights [frame, row, column] each; every map has its
            own colour scale (:func:`reports.overlay.heat_scale`).
        role: whose attention is drawn.
        labels: one a frame, written into its corner.
        names: one a map, written into the corner of its first frame.
        width: of the picture in pixels; a little less where frames are high.

    Returns:
        uint8 [height, width, 3], rows of frames on white.
    """
    height = _frame_height(frames.shape, width)
    first = []
    for index, frame in enumerate(frames):
        drawn = compose_frame(
            frame,
            predicted={name: masks[index] for name, masks in predicted.items()},
            truth={name: masks[index] for name, masks in truth.items()},
            height=height,
        )
        first.append(label_frame(drawn, labels[index]) if labels else drawn)
    rows = [_join(first, axis=1)]
    for row, values in enumerate(attention):
        peak = heat_scale(values)
        drawn = [
            compose_frame(
                frame,
                truth={role: truth[role][index]} if role in truth else {},
                attention=values[index],
                peak=peak,
                height=height,
            )
            for index, frame in enumerate(frames)
        ]
        if names:
            drawn[0] = label_frame(drawn[0], names[row])
        rows.append(_join(drawn, axis=1))
    return _join(rows, axis=0)


def build_gallery(
    store: "CaptureStore",
    results: "AnalysisResults",
    dataset: "VideoDataset | None",
    count: int = 3,
) -> tuple[Picture, ...]:
    """Pictures of the ``count`` best and ``count`` worst samples of each role.

    The attention drawn is that of two pairs among those whose maps were kept: the one with the
    most visual attention for the role, and the one with the highest lift, which knows the truth.
    Without the data set, or where a file of it cannot be read, the item has no picture and says
    why.
    """
    return tuple(
        _item(store, results, dataset, kind, card)
        for role in ("actor", "target")
        for kind, cards in (("best", results.best[role]), ("worst", results.worst[role]))
        for card in cards[:count]
    )


def _item(
    store: "CaptureStore",
    results: "AnalysisResults",
    dataset: "VideoDataset | None",
    kind: str,
    card: "SampleCard",
) -> Picture:
    if dataset is None:
        return Picture(kind, card, None, (), "", "", NO_DATA)
    try:
        pictures = load_pictures(store, dataset, card.sample_id, card.frame_indices)
    except DataError as error:
        return Picture(kind, card, None, (), "", "", str(error))
    chosen = np.unique(np.linspace(0, len(pictures.frames) - 1, COLUMNS).round().astype(int))
    maps = pictures.attention.get(card.role)
    rows = _attention_rows(results, card.role, maps) if maps else {}
    strip = sample_strip(
        pictures.frames[chosen],
        _rows(pictures.truth, chosen),
        _rows(pictures.predicted, chosen),
        [values[chosen] for _, values in rows.values()],
        role=card.role,
        labels=[f"frame {pictures.frame_indices[index]}" for index in chosen],
        names=[pair_label(*pair) for pair in rows],
    )
    return Picture(
        kind=kind,
        card=card,
        image=encode_jpeg(strip),
        pairs=tuple(rows),
        caption=_caption(pictures, {pair: (why, v[chosen]) for pair, (why, v) in rows.items()}),
        alt=(
            f"{len(chosen)} frames of {card.sample_id} with the predicted masks and the outline of "
            f"the true {card.role}; J&F {per_cent(card.jf)}"
        ),
    )


def _attention_rows(
    results: "AnalysisResults", role: str, maps: "AttentionMap"
) -> dict[tuple[int, int], tuple[str, NDArray]]:
    """The pairs to draw, why each was chosen, and its map [frame, row, column]."""
    rows: dict[tuple[int, int], tuple[str, NDArray]] = {}
    for criterion, why in (("visual_mass", "most visual attention"), ("lift", "highest lift")):
        pair = shown_pair(results.rankings[criterion][role], maps.pairs)
        if pair is not None:
            reason = f"{rows[pair][0]} and {why}" if pair in rows else why
            rows[pair] = (reason, maps.values[maps.pairs.index(pair)])
    return rows


def _caption(pictures: SamplePictures, rows: Mapping[tuple[int, int], tuple[str, NDArray]]) -> str:
    named = [ROLE_TITLES[name].lower() for name in pictures.predicted]
    text = f"Predicted: {' and '.join(named) or 'no mask'}."
    if not rows:
        return f"{text} No attention map of this sample was found."
    for pair, (why, values) in rows.items():
        mean = float(np.nan_to_num(values).mean())
        peak = float(np.nanmax(values, initial=0.0))
        times = f", {number(peak / mean, 1)} times the mean patch" if mean > 0 else ""
        text += (
            f" {pair_label(*pair)}, {why} of the kept pairs: brightest patch {per_cent(peak, 2)} % "
            f"of the token's attention{times}."
        )
    return text


def _rows(masks: Mapping[str, NDArray], chosen: NDArray) -> dict[str, NDArray]:
    return {role: values[chosen] for role, values in masks.items()}


def _frame_height(shape: Sequence[int], width: int) -> int:
    """Height at which the frames [frame, height, width, 3] fill the width side by side."""
    columns = max(shape[0], 3)
    inner = (width - GAP * (columns - 1)) / columns
    return int(np.clip(inner * shape[1] / shape[2], *FRAME_HEIGHTS))


def _join(images: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Images in a line with a white gap between them."""
    shape = list(images[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, dtype=np.uint8)
    parts = [part for image in images for part in (gap, image)][1:]
    return np.concatenate(parts, axis=axis)
