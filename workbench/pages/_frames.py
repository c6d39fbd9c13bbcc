"""Frames of a video on a page: which one is shown, all in a strip, and what can be taken away."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from reports.overlay import encode_jpeg, encode_png
from workbench.pages._shell import from_address, to_address
from workbench.pages._view import csv_button, file_stem, picture_button, take_away

__all__ = [
    "BIG",
    "SMALL",
    "brightest",
    "frame_files",
    "frame_slider",
    "frame_strip",
    "patches_frame",
]

BIG, SMALL = 400, 84
"""Heights in pixels of the chosen frame and of the frames of the strip."""


def brightest(attention: NDArray, indices: Sequence[int]) -> int:
    """Index in the video of the frame with the most of ``attention``, [frame, row, column]."""
    return indices[int(attention.sum(axis=(1, 2)).argmax())]


def frame_slider(
    key: str, frames: Sequence[int], first: int, of: Hashable, words: str | None = None
) -> int:
    """The scrubber; a frame other than ``first`` stands in the address.

    To write the first one, too, would send a reader who goes back forward again.

    Args:
        key: in the address and in the state of the session.
        frames: to choose from.
        first: shown where none was asked for, and where ``of`` changes.
        of: what the frames are of.
        words: help.
    """
    if len(frames) == 1:
        return frames[0]
    known = {str(frame): frame for frame in frames}
    left = st.session_state.get(f"{key}_in_address") and key not in st.query_params
    if left or st.session_state.get(f"{key}_of", of) != of:
        st.session_state[key] = str(first)
    st.session_state[f"{key}_of"] = of
    from_address(key, known.__contains__, str(first))
    frame = st.select_slider("Frame", list(known), key=key, help=words)
    to_address(key, "" if frame == str(first) else frame)
    return known[frame]


def frame_strip(images: Sequence[NDArray[np.uint8]], indices: Sequence[int]) -> None:
    """All frames beside each other, small."""
    width = round(SMALL * images[0].shape[1] / images[0].shape[0])
    with st.container(horizontal=True, gap="xsmall"):
        for image, index in zip(images, indices, strict=True):
            st.image(
                encode_jpeg(image), caption=f"frame {index}", width=width, alt=f"Frame {index}"
            )


def frame_files(
    key: str, name: str, picture: Callable[[], NDArray[np.uint8]], data: Mapping[str, pd.DataFrame]
) -> None:
    """What is drawn of a frame, to take away: itself (PNG) and the numbers behind it (CSV).

    Args:
        key: of the elements, unique on the page.
        name: of the files, without their endings; any text.
        picture: draws the frame; called when it is asked for.
        data: tables by what they hold, not rounded.
    """
    file = file_stem(name)
    with take_away():
        picture_button("png", lambda: encode_png(picture()), file, key)
        for what, table in data.items():
            csv_button(table, f"{file}-{what}.csv", what, key=f"csv_{what}_{key}")


def patches_frame(indices: Sequence[int], attention: NDArray) -> pd.DataFrame:
    """``attention`` [frame, row, column] as a row a patch; ``frame`` is its index in the video."""
    frames, rows, columns = np.indices(attention.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "frame": np.asarray(indices)[frames], "row": rows, "column": columns,
            "attention": attention.reshape(-1),
        }
    )  # fmt: skip
