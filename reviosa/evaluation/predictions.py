"""Prediction files in ReVIOSa's JSON form, checked when read and when written.

``{video_id: {exp_id: {"exp", "frames", "text_prediction", "prediction_masks_act": [RLE],
"prediction_masks_tar": [RLE]}}}``. Only the two mask lists are needed for a score, so only they
must be there. An empty list says that the system named no such role; a null in a list is an empty
mask, as in the annotations.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reviosa.data.rle import decode, encode, rle_size
from reviosa.errors import DataError
from reviosa.io import write_json

__all__ = [
    "MASK_KEYS",
    "Predictions",
    "decode_masks",
    "encode_prediction",
    "join_prediction",
    "mask_list",
    "read_predictions",
    "write_predictions",
]

Predictions = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""video id -> expression id -> prediction."""

MASK_KEYS: Final = {"actor": "prediction_masks_act", "target": "prediction_masks_tar"}
"""The key of each role's mask list."""


def encode_prediction(
    expression: str,
    frames: Sequence[str],
    text: str,
    actor: NDArray[np.bool_] | None,
    target: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Give the record of one answered expression.

    Args:
        expression: what was asked.
        frames: the names of the frames, in order.
        text: what the system answered.
        actor: bool [frame, height, width], or None if the answer names no actor.
        target: likewise for the target.

    Raises:
        DataError: a role has another number of masks than there are frames.
    """
    tracks = [None if masks is None else [encode(m) for m in masks] for masks in (actor, target)]
    return join_prediction(expression, frames, text, tracks)


def join_prediction(
    expression: str, frames: Sequence[str], text: str, tracks: Sequence[list[dict] | None]
) -> dict[str, Any]:
    """As :func:`encode_prediction`, of masks that are compressed already.

    Raises:
        DataError: a role has another number of masks than there are frames.
    """
    record: dict[str, Any] = {"exp": expression, "frames": list(frames), "text_prediction": text}
    record |= dict(zip(MASK_KEYS.values(), (track or [] for track in tracks), strict=True))
    _check_record(record, f"prediction for {expression!r}")
    return record


def decode_masks(
    prediction: Mapping[str, Any], role: str, shape: tuple[int, int, int], where: str
) -> NDArray[np.bool_]:
    """Give the masks of a role, bool [frame, height, width]; all empty if it was not named.

    Args:
        prediction: one record of a prediction file.
        role: "actor" or "target".
        shape: the frames, height and width of the video.
        where: the video and expression, for the error.

    Raises:
        DataError: the number of masks, the size of one, or a record is not as expected.
    """
    key = MASK_KEYS[role]
    rles = mask_list(prediction, role, shape[0], where)
    masks = np.zeros(shape, bool)
    for frame, rle in enumerate(rles):
        if rle is None:
            continue
        try:
            masks[frame] = decode(rle, shape[1:])
        except DataError as error:
            raise DataError(f"{where}, {key}, frame {frame}: {error}") from None
    return masks


def mask_list(prediction: Mapping[str, Any], role: str, frames: int, where: str) -> list[Any]:
    """Give the RLE masks of a role, one a frame or null, or none if it was not named.

    Raises:
        DataError: there is no list, or one of another length than ``frames``.
    """
    key = MASK_KEYS[role]
    rles = prediction.get(key)
    if not isinstance(rles, list):
        raise DataError(_no_list(where, key, prediction))
    if rles and len(rles) != frames:
        raise DataError(
            f"{where}: got {len(rles)} masks in {key}, expected {frames}, one for each frame of "
            "the video (or none at all); predict every frame"
        )
    return rles


def read_predictions(path: str | Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Read a prediction file.

    Raises:
        DataError: the file is missing or no JSON, or a record lacks a mask list, holds something
            that is no RLE, or has another number of masks than of frames.
    """
    path = Path(path)
    try:
        predictions = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: got no readable file ({error.strerror}), expected predictions as JSON; "
            "check the path"
        ) from None
    except ValueError as error:
        # UnicodeDecodeError is one of these too.
        raise DataError(
            f"{path}: got broken JSON ({error}), expected predictions; write the file again"
        ) from None
    _check(predictions, f"{path}: ")
    return predictions


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write a prediction file, whole or not at all.

    Raises:
        DataError: as :func:`read_predictions`; then nothing is written.
    """
    _check(predictions, "")
    write_json(path, predictions, indent=None)


def _check(predictions: Any, prefix: str) -> None:
    if not isinstance(predictions, Mapping):
        raise DataError(
            f"{prefix}got a JSON {_kind(predictions)}, expected {{video id: {{expression id: "
            "prediction}}; convert the file to ReVIOSa's form"
        )
    for video_id, expressions in predictions.items():
        if not isinstance(expressions, Mapping):
            raise DataError(
                f"{prefix}{video_id}: got a {_kind(expressions)}, expected {{expression id: "
                "prediction}; convert the file to ReVIOSa's form"
            )
        for exp_id, record in expressions.items():
            _check_record(record, f"{prefix}{video_id}/{exp_id}")


def _check_record(record: Any, where: str) -> None:
    if not isinstance(record, Mapping):
        raise DataError(
            f"{where}: got a {_kind(record)}, expected a prediction with "
            f"{' and '.join(MASK_KEYS.values())}; write it again"
        )
    frames = record.get("frames")
    if frames is not None and not isinstance(frames, list):
        raise DataError(
            f'{where}: got a {_kind(frames)} in "frames", expected a list of names; write it again'
        )
    for key in MASK_KEYS.values():
        rles = record.get(key)
        if not isinstance(rles, list):
            raise DataError(_no_list(where, key, record))
        if frames is not None and rles and len(rles) != len(frames):
            raise DataError(
                f"{where}: got {len(rles)} masks in {key}, expected {len(frames)} as in its "
                '"frames" (or none at all); predict every frame'
            )
        for frame, rle in enumerate(rles):
            if rle is None:
                continue
            try:
                rle_size(rle)
            except DataError as error:
                raise DataError(f"{where}, {key}, frame {frame}: {error}") from None


def _no_list(where: str, key: str, record: Mapping[str, Any]) -> str:
    got = f"a {_kind(record[key])} in {key}" if key in record else f"no {key}"
    return (
        f"{where}: got {got}, expected a list of RLE masks (an empty one if the system names no "
        "such role); write the predictions with masks"
    )


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
