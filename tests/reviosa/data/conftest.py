"""Synthetic videos that several tests look at, made once."""

import pytest

from reviosa.data.synthetic import SyntheticVideo, generate_video


@pytest.fixture(scope="session")
def synthetic_videos() -> tuple[SyntheticVideo, ...]:
    """A hundred videos of the default world."""
    return tuple(generate_video(index, seed=11) for index in range(100))
