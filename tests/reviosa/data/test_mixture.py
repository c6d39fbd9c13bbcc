"""Several data sets as one."""

from pathlib import Path

import numpy as np
import pytest

from reviosa.data import open_dataset
from reviosa.data.mixture import MixtureDataset
from reviosa.errors import ConfigError, DataError
from tests.fixtures_expressions import make_mevis, make_revos

_PARTS = """\
parts:
  - {path: mevis, weight: 3}
  - {path: revos/meta_expressions_valid_.json, layout: revos}
  - {path: again, limit: 1}
"""


def mix(folder: Path, text: str = _PARTS) -> Path:
    make_mevis(folder / "mevis")
    make_mevis(folder / "again")
    make_revos(folder / "revos")
    (folder / "mix.yaml").write_text(text)
    return folder / "mix.yaml"


def test_parts_follow_one_another_and_ids_that_clash_say_their_part(tmp_path: Path) -> None:
    data = open_dataset(mix(tmp_path))
    assert isinstance(data, MixtureDataset) and data.has_truth
    # The first video of MeViS is in both of its parts; the second is in the one without limit.
    assert [video.video_id for video in data.videos] == [
        "mevis/0a43a414", "377b1c5f", "LVVIS/00012", "mevis-2/0a43a414",
    ]  # fmt: skip
    assert [(part.name, part.weight) for part in data.parts] == [
        ("mevis", 3.0), ("revos", 1.0), ("mevis-2", 1.0),
    ]  # fmt: skip
    assert len({s.expression.sample_id for s in data.samples}) == len(data.samples) == 7
    assert data.samples[0].expression.video_id == "mevis/0a43a414"
    mevis, revos = open_dataset(tmp_path / "mevis"), data.parts[1].dataset
    assert np.array_equal(data.samples[0].masks(0), mevis.samples[0].masks(0))
    assert np.array_equal(data.samples[3].masks(0, [1]), revos.samples[0].masks(0, [1]))
    assert data.rles("mevis/0a43a414", [1]) == mevis.rles("0a43a414", [1])
    assert data.size("377b1c5f") == mevis.size("377b1c5f") and list(data.faults()) == []
    assert data.samples[3].expression.group == "referring"
    data.check_frames()


def test_a_limit_counts_through_the_parts(tmp_path: Path) -> None:
    data = open_dataset(mix(tmp_path), limit=3)
    assert isinstance(data, MixtureDataset)
    assert [len(part.videos) for part in data.parts] == [2, 1]


def test_the_identity_follows_parts_and_weights(tmp_path: Path) -> None:
    path = mix(tmp_path)
    before = open_dataset(path).identity
    assert open_dataset(path).identity == before
    path.write_text(_PARTS.replace("weight: 3", "weight: 2"))
    assert open_dataset(path).identity != before
    path.write_text(_PARTS.replace(", limit: 1", ""))
    assert open_dataset(path).identity != before


def test_truth_is_missing_where_it_is_of_any_part(tmp_path: Path) -> None:
    path = mix(tmp_path, "parts: [{path: mevis}, {path: valid}]")
    make_mevis(tmp_path / "valid", truth=False)
    data = open_dataset(path)
    assert not data.has_truth
    with pytest.raises(DataError, match=r"mix\.yaml: got a split without masks"):
        data.require_truth()


def test_faults_say_their_part(tmp_path: Path) -> None:
    path = mix(tmp_path)
    (tmp_path / "mevis" / "JPEGImages" / "377b1c5f" / "00001.jpg").unlink()
    with pytest.raises(DataError, match="377b1c5f: got no file for 1 of 2 frames"):
        open_dataset(path)
    [fault] = open_dataset(path, strict=False).faults()
    assert str(fault).startswith("mevis: 377b1c5f: got no file for 1 of 2 frames")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("parts: []", ConfigError, r"mix\.yaml: parts: "),
        ("parts: [{path: mevis, wait: 1}]", ConfigError, r"parts\.0\.wait: Extra inputs"),
        ("parts: [{path: mevis, weight: 0}]", ConfigError, r"parts\.0\.weight: .* greater than 0"),
        ("parts: [{path: mevis, weight: .inf}]", ConfigError, r"parts\.0\.weight: .* finite"),
        ("parts: [{path: mevis, limit: 0}]", ConfigError, r"parts\.0\.limit: "),
        ("parts: [{weight: 1}]", ConfigError, r"parts\.0\.path: Field required"),
        ("parts: {", ConfigError, "got no readable YAML"),
        ("- mevis", ConfigError, "mix.yaml: file: "),
        ("", ConfigError, "mix.yaml: file: "),
        ("parts: [{path: mix.yaml}]", ConfigError, "got the mixture mix.yaml as a part"),
        ("parts: [{path: mevis, layout: coco}]", ConfigError, "got the layout 'coco'"),
        ("parts: [{path: nowhere}]", DataError, "nowhere: got no folder there"),
    ],
)
def test_a_file_that_is_no_mixture(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    path = mix(tmp_path, text)
    with pytest.raises(error, match=message) as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)
