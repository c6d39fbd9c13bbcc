from pathlib import Path

import pytest

from tests.fixtures_annotation import Truth, Videos, make_videos


@pytest.fixture(scope="session")
def few_videos(tmp_path_factory) -> Videos:
    """Three short videos with given tracks."""
    return make_videos(tmp_path_factory.mktemp("few"), 3)


@pytest.fixture(scope="session")
def few_truth(few_videos, tmp_path_factory) -> Truth:
    return Truth(few_videos, Path(tmp_path_factory.mktemp("truth")))
