"""``reviosa score``: every fault by name, two systems, archives, and the paper's tables."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from reviosa.data.rle import encode
from reviosa.evaluation import encode_prediction, read_scores
from reviosa.io import write_json


def truths(dataset):
    """Predictions that are the truth, in ReVIOSa's form."""
    predictions: dict = {}
    for sample in dataset.samples:
        expression = sample.expression
        target = sample.masks(1) if expression.is_interaction else None
        record = encode_prediction(
            expression.text, sample.video.frame_names, "", sample.masks(0), target
        )
        predictions.setdefault(expression.video_id, {})[expression.exp_id] = record
    return predictions


@pytest.fixture
def perfect(tmp_path, dataset):
    path = tmp_path / "perfect.json"
    write_json(path, truths(dataset))
    return path


@pytest.fixture
def spoilt(tmp_path, dataset):
    """A call that writes predictions of which one was changed."""

    def write(change):
        predictions = truths(dataset)
        path = tmp_path / "spoilt.json"
        video = dataset.videos[0].video_id
        change(predictions, predictions[video], video)
        write_json(path, predictions)
        return path, video

    return write


def drop_video(all, own, video):
    del all[video]


def add_ids(all, own, video):
    all["ghost"] = {"0": own["0"]}
    own["99"] = own["0"]


def resize(all, own, video):
    own["0"]["prediction_masks_act"] = [encode(np.ones((5, 4), bool))] * 8


def shorten(all, own, video):
    own["0"]["prediction_masks_act"].pop()


def nullify(all, own, video):
    own["0"]["prediction_masks_act"][3] = None


def damage(all, own, video):
    own["0"]["prediction_masks_act"][2]["counts"] += "0"


FAULTS = {
    "lacks videos": (drop_video, "have no prediction and count as 0:\n  {video}/0\n  {video}/1"),
    "extra ids": (
        add_ids,
        "2 predictions are of no expression in the data set:\n  {video}/99\n  ghost/0\n",
    ),
    "wrong sizes": (
        resize,
        "1 fault:\n  {video}/0: actor: prediction_masks_act, frame 0: got a mask of 5x4 pixels, "
        "expected 96x128",
    ),
    "wrong lengths": (
        shorten,
        "1 fault:\n  {video}/0: actor: got 7 masks in prediction_masks_act, expected 8",
    ),
    "null masks": (
        nullify,
        "1 fault:\n  {video}/0: actor: got null for 1 of 8 masks in prediction_masks_act "
        "(first: frame 3)",
    ),
    "damaged RLE": (damage, "1 fault:\n  {video}/0: actor: frame 2: got an RLE whose runs"),
}
# Expressions of the first video's that count 0 in RVOS, as the fault takes their actor.
LOST = {"lacks videos": "all", "extra ids": 0, "wrong sizes": 1, "wrong lengths": 1,
        "null masks": None, "damaged RLE": 1}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_named_and_the_rest_is_scored(cli, dataset, spoilt, kind):
    change, told = FAULTS[kind]
    path, video = spoilt(change)
    result = cli("score", path, "--data", dataset.root, "--json")
    assert result.code == 1
    assert told.format(video=video) in result.err
    assert result.err.rstrip().endswith(f"incomplete: {path}")
    scores = json.loads(result.out)
    assert scores["complete"] is False
    n = len(dataset.samples)
    assert scores["rvos"]["n"] == n
    lost = LOST[kind]
    if lost == "all":
        lost = len(dataset.videos[0].expressions)
        assert [name.split("/")[0] for name in scores["missing"]] == [video] * lost
    if lost is None:  # one frame of eight is empty instead of true
        assert scores["rvos"]["J"] == pytest.approx(100 * (n - 1 / 8) / n)
    else:
        assert scores["rvos"]["J"] == pytest.approx(100 * (n - lost) / n)


def test_a_file_that_ends_in_the_middle(cli, dataset, perfect):
    content = perfect.read_bytes()
    first, second = (video.video_id for video in dataset.videos)
    cut = content.index(f'"{second}"'.encode()) + 40
    perfect.write_bytes(content[:cut])
    result = cli("score", perfect, "--data", dataset.root, "--json")
    assert result.code == 1
    assert f"perfect.json: ends too early at byte {cut:,}, in {second}" in result.err
    scores = json.loads(result.out)
    assert {name.split("/")[0] for name in scores["missing"]} == {second}
    whole = len(dataset.videos[0].expressions)
    assert scores["rvos"]["J"] == pytest.approx(100 * whole / len(dataset.samples))


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "got an empty file"), (b'{"a": 1}', "got no prediction with"), (b"GIF", "no JSON")],
)
def test_what_is_no_prediction_file_is_bad_input(cli, tmp_path, dataset, content, told):
    path = tmp_path / "other.json"
    path.write_bytes(content)
    result = cli("score", path, "--data", dataset.root)
    assert (result.code, result.out) == (2, "")
    assert told in result.err
    assert result.err.count("\n") == 1


def test_long_lists_are_cut_in_print_and_whole_in_json(cli, tmp_path, dataset):
    path = tmp_path / "p.json"
    write_json(path, {"ghost": {str(i): {"prediction_masks": []} for i in range(30)}})
    result = cli("score", path, "--data", dataset.root, "--json")
    assert "30 predictions are of no expression" in result.err
    assert "  and 10 more; --json and --out give all" in result.err
    assert len(json.loads(result.out)["unknown"]) == 30


def test_png_folders_have_the_actor_alone(cli, tmp_path, dataset):
    for sample in dataset.samples:
        folder = tmp_path / "out" / "Annotations" / sample.expression.sample_id
        folder.mkdir(parents=True)
        for name, mask in zip(sample.video.frame_names, sample.masks(0), strict=True):
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{name}.png")
    result = cli("score", tmp_path / "out", "--data", dataset.root, "--json")
    assert result.code == 0
    scores = json.loads(result.out)
    assert scores["rvos"]["J&F"] == scores["actor"]["J&F"] == 100
    assert scores["target"] == {"J": None, "F": None, "J&F": None, "n": 0}
    assert scores["predictions"]["form"] == "png"
    assert "taken as the actor's" in result.err
    for option in (("--protocol", "target"), ("--table", 4)):
        result = cli("score", tmp_path / "out", "--data", dataset.root, *option)
        assert result.code == 2
        assert "got predictions of the actor alone" in result.err
    # A frame that is not there costs its expression, and it is named.
    sample = dataset.samples[0]
    (folder,) = {tmp_path / "out" / "Annotations" / sample.expression.sample_id}
    (folder / f"{sample.video.frame_names[2]}.png").unlink()
    result = cli("score", tmp_path / "out", "--data", dataset.root, "--json")
    assert result.code == 1
    assert f"{sample.expression.sample_id}: actor: got no mask for 1 of 8 frames" in result.err


def test_against_other_predictions_and_against_a_folder_of_scores(cli, tmp_path, dataset, perfect):
    other = tmp_path / "other.json"
    predictions = truths(dataset)
    gone = dataset.samples[0].expression
    del predictions[gone.video_id][gone.exp_id]
    write_json(other, predictions)
    out = tmp_path / "scores"
    assert cli("score", other, "--data", dataset.root, "--out", out).code == 1
    assert sorted(path.name for path in out.iterdir()) == ["score.json", "scores.parquet"]
    assert len(read_scores(out / "scores.parquet")) > len(dataset.samples)

    n = len(dataset.samples)
    for reference, code in ((other, 1), (out, 0)):
        arguments = ("score", perfect, "--data", dataset.root, "--against", reference)
        result = cli(*arguments, "--json")
        assert result.code == code  # the earlier scores were told as incomplete when they were made
        against = json.loads(result.out)["against"]
        rvos = against["difference"]["rvos"]["J&F"]
        # One expression is 100 points better, all others are equal.
        assert rvos["value"] == pytest.approx(100 / n)
        assert (rvos["n"], rvos["n_videos"]) == (n, len(dataset.videos))
        assert rvos["ci"][0] <= rvos["value"] <= rvos["ci"][1]
        assert against["alone"] == 0
        assert (against["complete"], against["missing"]) == (False, [gone.sample_id])
        assert gone.sample_id in result.err
        shown = cli(*arguments, "--table", 2)
        assert "Warning: predictions are incomplete" in shown.out
        assert "RVOS, J&F" in shown.out and f"+{100 / n:.2f}" in shown.out
    assert against["difference"]["target"]["J"]["n"] == len(dataset.interactions)

    # The scores of a run of evaluate lie beside its header.
    (out / "score.json").rename(out / "run.json")
    assert cli("score", perfect, "--data", dataset.root, "--against", out).code == 0
    write_json(out / "score.json", {"data": {"identity": "0" * 16}})
    result = cli("score", perfect, "--data", dataset.root, "--against", out)
    assert result.code == 2
    assert f"expected {dataset.identity}" in result.err


def test_a_comparison_shows_the_protocol_that_was_asked_for(cli, dataset, perfect):
    arguments = ("score", perfect, "--data", dataset.root, "--against", perfect)
    result = cli(*arguments, "--protocol", "target", "--json")
    against = json.loads(result.out)["against"]
    assert list(against["difference"]) == ["target"]
    assert "rvos" not in against and against["target"]["J&F"] == 100


def test_two_systems_of_one_name_have_a_row_each(cli, dataset, perfect):
    result = cli(
        "score", perfect, "--data", dataset.root, "--table", 2, "--against", perfect,
        "--name", perfect, "--json",
    )  # fmt: skip
    rows = json.loads(result.out)["table"]["rows"]
    assert [row[0] for row in rows[-2:]] == [str(perfect)] * 2


def test_table_2_beside_the_paper(cli, tmp_path, dataset, perfect):
    out = tmp_path / "scores"
    result = cli(
        "score", perfect, "--data", dataset.root, "--table", 2, "--name", "My model", "--out", out
    )
    assert result.code == 0
    assert "My model" in result.out and "scored here" in result.out
    assert "ReVIOSa-4B" in result.out and "74.5" in result.out
    assert f"identity {dataset.identity}" in result.out
    assert "Warning: this is not the paper's evaluation split, which has 5,048" in result.out
    assert "incomplete" not in result.out
    markdown = (out / "table.md").read_text()
    assert "| My model | 100.0 | 100.0 | 100.0 |" in markdown
    assert "Warning: this is not" in markdown
    lines = (out / "table.csv").read_text().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "My model," + "100.0," * 9 + "scored here"
    table = json.loads((out / "score.json").read_text())["table"]
    assert table["rows"][-1][0] == "My model"


def test_a_table_says_that_predictions_are_incomplete(cli, dataset, spoilt):
    path, _ = spoilt(drop_video)
    result = cli("score", path, "--data", dataset.root, "--table", 2)
    assert result.code == 1
    assert "Warning: predictions are incomplete" in result.out
    result = cli("score", path, "--data", dataset.root, "--table", 2, "--json")
    assert "Warning: predictions are incomplete" in json.loads(result.out)["table"]["notes"][1]


def test_table_4_with_both_systems(cli, dataset, perfect, tmp_path):
    other = tmp_path / "other.json"
    other.write_bytes(perfect.read_bytes())
    result = cli("score", perfect, "--data", dataset.root, "--table", 4, "--against", other)
    assert result.code == 0
    rows = [line for line in result.out.splitlines() if "scored here" in line]
    assert len(rows) == 2
    assert "perfect" in rows[0] and str(other) in rows[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--table", 3), "got --table 3, expected one of 2, 4, 5"),
        (("--table", 5), "got --table 5 for the layout interrvos"),
        (("--name", "x"), "got --name without --table"),
        (("--archive", "a.zip"), "got the layout interrvos, expected one whose server"),
        (("--archive", "a.zip", "--table", 2), "got --archive with --table"),
        (("--out", "."), "got a place that is taken"),
        (("--against", "/nowhere.json"), "/nowhere.json: got no readable file"),
    ],
)
def test_options_that_cannot_be(cli, tmp_path, monkeypatch, dataset, perfect, arguments, told):
    monkeypatch.chdir(tmp_path)
    result = cli("score", perfect, "--data", dataset.root, *arguments)
    assert result.code == 2
    assert told in result.err
    assert not (tmp_path / "a.zip").exists()


@pytest.fixture
def mevis(tmp_path, dataset):
    """The frames of the data set as MeViS valid, whose truth is at the server."""
    root = tmp_path / "valid"
    root.mkdir()
    (root / "JPEGImages").symlink_to(dataset.root / "JPEGImages")
    videos = {
        video.video_id: {
            "frames": list(video.frame_names),
            "expressions": {e.exp_id: {"exp": e.text} for e in video.expressions},
        }
        for video in dataset.videos
    }
    write_json(root / "meta_expressions.json", {"videos": videos})
    return root


def test_archive_of_a_split_without_truth(cli, tmp_path, dataset, perfect, mevis):
    result = cli("score", perfect, "--data", mevis)
    assert result.code == 2
    assert "got a split without masks" in result.err

    path = tmp_path / "submission.zip"
    result = cli("score", perfect, "--data", mevis, "--archive", path)
    assert result.code == 0
    assert f"{len(dataset.samples)} expressions in {path}" in result.out
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 8 * len(dataset.samples)
    first = path.read_bytes()
    assert cli("score", perfect, "--data", mevis, "--archive", path).code == 0
    assert path.read_bytes() == first

    predictions = truths(dataset)
    video = dataset.videos[1].video_id
    del predictions[video]["0"]
    write_json(perfect, predictions)
    path.unlink()
    result = cli("score", perfect, "--data", mevis, "--archive", path, "--json")
    assert result.code == 1
    assert json.loads(result.out) == {
        "archive": None, "faults": [{"where": f"{video}/0", "what": "got no prediction"}]
    }  # fmt: skip
    assert "no archive was written" in result.err
    assert not path.exists()
