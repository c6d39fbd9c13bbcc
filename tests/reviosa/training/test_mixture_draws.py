"""Draws from a mixture by weight, and from the frames of a video that have truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviosa.data import open_dataset
from reviosa.errors import DataError
from reviosa.training.data import ConversationDataset, mixture_turns, sample_frames
from tests.fixtures_expressions import make_mevis, make_revos


@pytest.fixture(scope="module")
def mixture(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mix")
    make_mevis(folder / "mevis")
    make_revos(folder / "revos")
    path = folder / "mix.yaml"
    path.write_text(
        "parts: [{path: mevis, weight: 1}, {path: revos/meta_expressions_valid_.json, weight: 3}]"
    )
    return path


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=5),
    few=st.integers(0, 50),
    more=st.integers(50, 100),
    seed=st.integers(0, 5),
)
def test_more_draws_begin_with_the_same_and_count_each_part(weights, few, more, seed):
    parts, turns = mixture_turns(weights, more, seed)
    first_parts, first_turns = mixture_turns(weights, few, seed)
    assert np.array_equal(parts[:few], first_parts) and np.array_equal(turns[:few], first_turns)
    for index in range(more):
        assert 0 <= parts[index] < len(weights)
        assert turns[index] == np.count_nonzero(parts[:index] == parts[index])


def test_parts_are_drawn_by_weight():
    parts, _ = mixture_turns([1, 3], 4000, 0)
    # 3000 expected of the second; its standard deviation is (4000 * 3/16) ** 0.5 = 27.
    assert abs(np.count_nonzero(parts) - 3000) < 5 * 27


def test_a_draw_depends_on_seed_and_index_alone(mixture, tiny_processor):
    data = open_dataset(mixture)

    def drawn(draws, seed=0):
        clips = ConversationDataset(data, tiny_processor, draws, num_frames=2, seed=seed)
        return [(clips.draw(i)[0].video_id, clips.draw(i)[1]) for i in range(20)]

    assert drawn(20) == drawn(100)
    assert drawn(20) != drawn(20, seed=1)
    clips = ConversationDataset(data, tiny_processor, 400, num_frames=2)
    ids = [clips.draw(i)[0].video_id for i in range(400)]
    mevis = [name for name in ids if name != "LVVIS/00012"]
    # Every two draws of a part with two videos are both of them.
    assert all(a != b for a, b in zip(mevis[::2], mevis[1::2], strict=False))
    assert 60 < len(mevis) < 140
    assert clips[0]["mask_targets"].any()


def test_a_share_is_taken_of_each_part(mixture, tiny_processor):
    clips = ConversationDataset(open_dataset(mixture), tiny_processor, 50, 2, fraction=0.5)
    assert len({clips.draw(i)[0].video_id for i in range(50)}) == 2


def test_a_part_without_expressions_is_named(mixture, tiny_processor):
    data = open_dataset(mixture)
    data.parts = (  # type: ignore[attr-defined]
        data.parts[0],  # type: ignore[attr-defined]
        replace(data.parts[1], videos=()),  # type: ignore[attr-defined]
    )
    with pytest.raises(DataError, match=r"mix\.yaml, revos: no video has an expression"):
        ConversationDataset(data, tiny_processor, 5)


@pytest.mark.parametrize("draws", [5, 50])
def test_one_data_set_alone_is_drawn_as_before_there_were_mixtures(tmp_path, tiny_processor, draws):
    make_mevis(tmp_path)
    clips = ConversationDataset(open_dataset(tmp_path), tiny_processor, draws, num_frames=2, seed=7)
    for index in range(5):
        order = np.random.default_rng([7, index // 2, 0]).permutation(2)
        rng = np.random.default_rng([7, index, 1])
        video, frames, _ = clips.draw(index)
        assert video is clips.dataset.videos[order[index % 2]]
        assert frames == sample_frames(rng, video.num_frames, 2)


@pytest.mark.parametrize("style", ["plain", "release"])
def test_frames_are_drawn_from_those_with_truth(tmp_path, tiny_processor, style):
    make_mevis(tmp_path)
    data = open_dataset(tmp_path)
    data.videos = tuple(
        replace(video, annotated=(0, video.num_frames - 1)) for video in data.videos
    )
    clips = ConversationDataset(data, tiny_processor, 20, num_frames=2, style=style)
    for index in range(20):
        video, frames, _ = clips.draw(index)
        assert set(frames) <= {0, video.num_frames - 1}
    data.videos = tuple(replace(video, annotated=()) for video in data.videos)
    with pytest.raises(DataError, match="nothing to train on"):
        ConversationDataset(data, tiny_processor, 20, num_frames=2, style=style)
