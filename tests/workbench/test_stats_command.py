"""``reviosa stats``: counts, the published rows beside them, files, and faults."""

import csv
import json
import shutil

import pytest
from PIL import Image

from reports.canvas import write_figure
from reports.data_figures import data_figure
from reports.data_tables import TABLE_1
from reviosa.data import InterRVOSDataset
from reviosa.data.statistics import data_statistics
from reviosa.errors import ConfigError
from workbench.commands.stats import SHOWN


@pytest.fixture
def faulty(dataset, tmp_path):
    """A copy with a frame that is no picture, and seven of another size."""
    folder = shutil.copytree(dataset.root, tmp_path / "faulty")
    first, second = dataset.videos
    (folder / first.frame_paths[1].relative_to(dataset.root)).write_bytes(b"no picture")
    for path in second.frame_paths[1:]:
        Image.new("RGB", (7, 5)).save(folder / path.relative_to(dataset.root))
    return folder


def test_counts_beside_the_published_table(cli, dataset):
    result = cli("stats", dataset.root, "--json")
    assert result.code == 0
    value = json.loads(result.out)
    (found,) = value["counted"]
    summary = dataset.summary
    assert {k: found[k] for k in summary} == summary
    assert found["name"] == dataset.root.name and found["layout"] == "interrvos"
    ids = {(e.expression.video_id, i) for e in dataset.samples
           for i in e.expression.actor_ids + e.expression.target_ids}  # fmt: skip
    assert found["objects"] == len(ids)
    assert sum(found["areas"]["counts"]) == found["areas"]["n"] > 0
    assert value["published"][-1] == {
        "name": "InterRVOS-127K", "multiple": True, "videos": 8738, "objects": 35247,
        "expressions": 127236, "objects_per_video": 4.03, "interactions": 17604,
    }  # fmt: skip
    text = cli("stats", dataset.root)
    assert text.code == 0 and "published" in text.out and "17,604" in text.out


def test_published_rows_are_those_of_the_paper():
    """Table 1 as printed; of two sets its ratio is not that of its own columns."""
    assert sum(row.videos for row in TABLE_1) == 57_875
    assert sum(row.expressions for row in TABLE_1) == 287_526
    other = {
        row.name for row in TABLE_1 if abs(row.objects / row.videos - row.objects_per_video) > 0.01
    }
    assert other == {"MeViS", "Ref-Youtube-VOS"}


def test_files(cli, dataset, tmp_path):
    twice = [dataset.root, dataset.root]
    result = cli("stats", *twice, "--csv", tmp_path / "s.csv", "--figure", tmp_path / "s.png")
    assert result.code == 0, result.err
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    videos = [r["value"] for r in rows if r["statistic"] == "videos" and r["source"] == "counted"]
    assert videos == ["2", "2"]
    assert {r["data"] for r in rows if r["source"] == "counted"} == {str(dataset.root)}
    areas = [r for r in rows if r["statistic"] == "mask_area"]
    assert areas[0]["from"] == "0.0" and areas[0]["to"] == "0.001"
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (1440, 825)


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_a_figure_has_the_same_bytes_again(dataset, tmp_path, suffix):
    found = data_statistics(InterRVOSDataset(dataset.root), "a $data$ set" + "x" * 80)
    for name in ("one", "two"):
        write_figure(data_figure([found]), tmp_path / f"{name}.{suffix}")
    one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two"))
    assert one == two and len(one) > 5000


def test_bars_carry_their_counts(dataset):
    found = data_statistics(InterRVOSDataset(dataset.root), "data")
    figure = data_figure([found])
    drawn = [[text.get_text() for text in axes.texts] for axes in figure.plot.axes]
    wanted = [found.caption_types.values(), found.areas.counts, found.tracks.counts]
    assert drawn == [[f"{n:,}" for n in counts] for counts in wanted]
    assert f"data: 2 videos, {found.frames} frames" in figure.caption


def test_every_fault_is_listed(cli, dataset, faulty):
    count = len(dataset.videos[1].frame_paths) - 1
    assert count > SHOWN
    result = cli("stats", faulty, "--check")
    assert result.code == 1
    assert f"{faulty}: {count + 1} faults\n  {count} x got a frame of 7x5 pixels" in result.out
    assert f"and {count - SHOWN} more" in result.out and "1 x got an unreadable frame" in result.out
    value = json.loads(cli("stats", faulty, "--check", "--json").out)
    assert value["faults"] == count + 1 == len(value["data"][str(faulty)])
    assert all(set(fault) == {"where", "what"} for fault in value["data"][str(faulty)])


def test_a_whole_set_has_no_fault(cli, dataset):
    result = cli("stats", dataset.root, "--check")
    assert result.code == 0 and result.out == f"{dataset.root}: no fault\n"


def test_faults_of_one_set_are_kept_where_the_next_cannot_be_opened(cli, faulty, tmp_path):
    result = cli("stats", faulty, tmp_path / "nowhere", "--check")
    assert result.code == 2 and "nowhere: got no folder there" in result.err
    assert "got an unreadable frame" in result.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--figure", "s.jpg"], "got the suffix '.jpg'"),
        (["--check", "--csv", "s.csv"], "one or the other"),
        (["--layout", "nonsense"], "got the layout 'nonsense'"),
    ],
)
def test_bad_input_is_one_line(cli, dataset, options, said):
    result = cli("stats", dataset.root, *options)
    assert result.code == 2 and said in result.err and result.err.count("\n") == 1
    assert cli("stats", dataset.root / "nowhere").code == 2


def test_no_figure_without_a_form(dataset, tmp_path):
    found = data_statistics(InterRVOSDataset(dataset.root), "data")
    with pytest.raises(ConfigError, match="rename the figure"):
        write_figure(data_figure([found]), tmp_path / "x.bmp")
