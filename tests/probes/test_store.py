import json
import shutil
import threading

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from probes import head_scores
from probes.criteria import SCORED
from probes.layout import FOLDERS, SHAPE_KEY, part
from probes.store import CaptureStore, CaptureWriter, MapRow
from probes.writer import SampleRow
from reviosa.errors import ConfigError, RunError
from tests.fixtures_capture import make_capture, set_status


@pytest.fixture
def fill(run, row, metrics):
    """A run of ``chunks`` chunks; chunk k holds video vk with actor and target."""

    def make(chunks=3, name="run"):
        directory, writer = run(name)
        for k in range(chunks):
            write(writer, k)
        return directory, writer

    def write(writer, k):
        rows = [row(f"v{k}", "0", "actor"), row(f"v{k}", "0", "target", jf=0.1)]
        maps = [MapRow(f"v{k}/0", "actor", np.full((1, 2, 3, 3), 0.01 * (k + 1)))]
        predictions = {f"v{k}": {"0": {"exp": "chases", "k": k}}}
        writer.write_chunk(
            k, rows, metrics(2, start=100 * k), maps=maps, pairs=[(1, 2)], predictions=predictions
        )

    make.write = write
    return make


def test_what_was_written_is_read_back(run, row, metrics):
    directory, writer = run()
    rows = [
        row("v0", "0", text='It\'s <b>"odd"</b>\n|', expression="\u732b chases"),
        row("v0", "0", "target"),
        row("v1", "3", emitted=False, jf=0.0, mask_area=float("nan"), query_position=-1),
    ]
    values = metrics(3)
    values["lift"][2] = np.nan
    writer.write_chunk(0, rows, values)
    store = CaptureStore(directory)
    frame = store.samples()
    assert list(frame.columns) == list(SampleRow.__dataclass_fields__)
    assert SampleRow(**frame.iloc[0].to_dict()) == rows[0]
    assert frame.iloc[1].role == "target" and frame.iloc[0].frame_indices == (0, 4, 8)
    assert np.isnan(frame.mask_area[2]) and not frame.emitted[2]
    assert (store.num_layers, store.num_heads, store.problems) == (2, 3, ())

    actor = store.head_array("lift", "actor")
    assert actor.sample_ids == ("v0/0", "v1/3") and actor.video_ids.tolist() == ["v0", "v1"]
    np.testing.assert_array_equal(actor.values[0], values["lift"][0])
    assert np.isnan(actor.values[1]).all() and actor.emitted.tolist() == [True, False]
    np.testing.assert_array_equal(
        store.head_array("text_mass", "target").values, values["text_mass"][1:2]
    )
    np.testing.assert_array_equal(
        store.sample_heads("v0/0", "target")["visual_mass"], values["visual_mass"][1]
    )
    assert np.isnan(store.sample_heads("v1/3", "actor")["lift"]).all()
    np.testing.assert_array_equal(
        store.pair_scores("lift", "actor", 1, 2), [values["lift"][0, 1, 2], np.nan]
    )


def test_a_layers_mean_is_that_of_the_heads_that_have_a_value(run, row, metrics):
    directory, writer = run()
    values = metrics(3)  # [row, layer 2, head 3]
    values["lift"][0] = [[1, 2, 6], [1, np.nan, 4]]
    values["lift"][2] = np.nan
    writer.write_chunk(0, [row("v0", "0"), row("v0", "0", "target"), row("v0", "1")], values)
    values = metrics(1)
    values["lift"][0] = [[np.nan] * 3, [0, 0, 3]]
    writer.write_chunk(1, [row("v1", "0")], values)
    store = CaptureStore(directory)
    table = store.layer_array("lift", "actor")
    assert table.sample_ids == ("v0/0", "v0/1", "v1/0")
    nan = np.nan
    # (1 + 2 + 6) / 3 and (1 + 4) / 2; nothing; nothing and (0 + 0 + 3) / 3.
    np.testing.assert_array_equal(table.values, [[[3], [2.5]], [[nan], [nan]], [[nan], [1]]])
    assert store.layer_array("lift", "target").values.shape == (1, 2, 1)


def test_tables_can_be_queried_and_hold_what_the_layout_says(fill):
    directory, _ = fill(2)
    store = CaptureStore(directory)
    found = store.query(
        "SELECT role, count(*) AS n FROM heads WHERE layer = ? GROUP BY role ORDER BY role", (1,)
    )
    assert found.role.tolist() == ["actor", "target"] and found.n.tolist() == [6, 6]
    assert {p.relative_to(directory).as_posix() for p in directory.rglob("part-*")} == {
        f"{folder}/part-0000{k}.{suffix}"
        for k in (0, 1)
        for folder, suffix in [
            ("samples", "parquet"),
            ("heads", "parquet"),
            ("maps", "safetensors"),
            ("predictions", "json"),
        ]
    }
    column = pq.ParquetFile(part(directory, "heads", 0)).metadata.row_group(0).column(5)
    assert column.compression == "ZSTD" and "BYTE_STREAM_SPLIT" in column.encodings
    with pytest.raises(RunError, match="cannot query the capture in"):
        store.query("SELECT nothing FROM heads")


def test_maps_return_the_raw_weights(run, row, metrics):
    directory, writer = run()
    rng = np.random.default_rng(0)
    # Peaked attention: most weights are far below what float16 can hold (6e-8).
    values = 10.0 ** rng.uniform(-12, -5, (2, 3, 4, 5))
    values[1] = 0.0
    writer.write_chunk(
        0, [row()], metrics(1), maps=[MapRow("v0/0", "actor", values)], pairs=[(0, 1), (1, 2)]
    )
    store = CaptureStore(directory)
    found = store.map("v0/0", "actor")
    assert found.pairs == ((0, 1), (1, 2)) and found.values.shape == (2, 3, 4, 5)
    # float16 keeps 11 bits; relative to the map's maximum nothing is lost beyond 2^-11.
    np.testing.assert_allclose(found.values[0], values[0], atol=values[0].max() * 2**-11)
    assert not found.values[1].any()
    assert store.map("v0/0", "target") is None
    assert store.map_keys() == {("v0/0", "actor")}


def test_predictions_are_merged_over_chunks(fill):
    directory, writer = fill(2)
    fill.write(writer, 2)
    store = CaptureStore(directory)
    assert set(store.predictions()) == {"v0", "v1", "v2"}
    assert store.prediction("v1", "0") == {"exp": "chases", "k": 1}
    assert store.prediction("v1", "9") is None and store.prediction("v9", "0") is None


def test_expressions_of_a_video_split_over_two_chunks_are_all_there(run, row, metrics):
    directory, writer = run()
    for k in (0, 1):
        writer.write_chunk(k, [row("v", str(k))], metrics(1), predictions={"v": {str(k): {"k": k}}})
    assert CaptureStore(directory).predictions() == {"v": {"0": {"k": 0}, "1": {"k": 1}}}


def test_a_chunk_without_its_samples_part_does_not_exist(fill):
    # Killed between the heads part and the samples part of chunk 1.
    directory, writer = fill(3)
    part(directory, "samples", 1).unlink()
    set_status(directory, "stopped")
    assert writer.done_chunks() == {0, 2}
    store = CaptureStore(directory)
    assert store.samples().video_id.unique().tolist() == ["v0", "v2"]
    assert store.head_array("lift", "actor").values.shape[0] == 2
    assert store.query("SELECT count(*) AS n FROM heads").n[0] == 2 * 2 * 6
    assert store.map("v1/0", "actor") is None and "v1" not in store.predictions()
    assert store.problems == ()


@pytest.mark.parametrize("stage", ["heads", "maps", "predictions", "samples"])
def test_killed_at_any_part_and_resumed_equals_uninterrupted(fill, monkeypatch, stage):
    whole = CaptureStore(fill(3, "whole")[0])
    directory, writer = fill(1, "killed")
    method = {
        "heads": "_parquet",
        "samples": "_parquet",
        "maps": "_maps",
        "predictions": "_predictions",
    }[stage]
    original = getattr(CaptureWriter, method)

    def die(self, *args):
        if method != "_parquet" or args[0] == stage:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(CaptureWriter, method, die)
    with pytest.raises(KeyboardInterrupt):
        fill.write(writer, 1)
    monkeypatch.undo()
    assert CaptureStore(directory).samples().video_id.unique().tolist() == ["v0"]

    resumed = CaptureWriter(directory)
    for k in range(3):
        if k not in resumed.done_chunks():
            fill.write(resumed, k)
    store = CaptureStore(directory)
    pd.testing.assert_frame_equal(store.samples(), whole.samples())
    for metric in SCORED:
        np.testing.assert_array_equal(
            store.head_array(metric, "actor").values, whole.head_array(metric, "actor").values
        )
    assert store.predictions() == whole.predictions() and store.map_keys() == whole.map_keys()
    assert not [p for p in directory.rglob("*") if p.name.startswith(".")]


def test_a_chunk_killed_while_rewritten_counts_as_not_done(fill, monkeypatch):
    directory, writer = fill(2)

    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(CaptureWriter, "_maps", die)
    with pytest.raises(KeyboardInterrupt):
        fill.write(writer, 1)
    assert writer.done_chunks() == {0}


def test_rewriting_a_chunk_makes_no_doubles_and_leaves_no_stale_part(fill, row, metrics):
    directory, writer = fill(2)
    writer.write_chunk(1, [row("v1", "0")], metrics(1, start=500))
    store = CaptureStore(directory)
    assert store.samples().sample_id.tolist() == ["v0/0", "v0/0", "v1/0"]
    assert store.head_array("visual_mass", "actor").values[1, 0, 0] == 500
    assert store.map("v1/0", "actor") is None and store.prediction("v1", "0") is None


def test_a_part_that_is_gone_is_named_where_a_finished_run_had_it(planted_dataset, tmp_path):
    run = make_capture(tmp_path / "run", planted_dataset)
    assert CaptureStore(run).problems == ()
    for folder in FOLDERS:
        part(run, folder, 0).rename(tmp_path / "away")
        (line,) = CaptureStore(run).problems
        assert "chunk 0 left out" in line and f"{folder}/part-00000." in line and "missing" in line
        set_status(run, "running")
        # A chunk's samples are written last: while the run goes on, those of a chunk without them
        # are still to come.
        assert bool(CaptureStore(run).problems) == (folder == "heads")
        set_status(run, "done")
        (tmp_path / "away").rename(part(run, folder, 0))


def test_maps_that_were_not_kept_are_not_missed(planted_dataset, tmp_path):
    for more in ({"maps": False}, {"silent": True}):
        run = make_capture(tmp_path / next(iter(more)), planted_dataset, **more)
        assert not (run / "maps").exists() and CaptureStore(run).problems == ()
        shutil.rmtree(run / "predictions")
        assert CaptureStore(run).problems == (), "a copy that was made without them"


@pytest.mark.parametrize("folder", ["samples", "heads"])
@pytest.mark.parametrize("keep", [0, 4, 0.5, -1])
def test_a_part_that_was_cut_off_is_named_and_its_chunk_left_out(fill, folder, keep):
    directory, writer = fill(3)
    path = part(directory, folder, 1)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    store = CaptureStore(directory)
    assert store.samples().video_id.unique().tolist() == ["v0", "v2"]
    assert len(store.problems) == 1 and "chunk 1 left out" in store.problems[0]
    assert "\n" not in store.problems[0]
    assert writer.done_chunks() == {0, 2}


@pytest.mark.parametrize("folder", ["samples", "heads"])
@pytest.mark.parametrize("fill_with", [b"\xff", b"\0"])
def test_a_part_damaged_inside_is_named_and_its_chunk_left_out(fill, folder, fill_with):
    """The footer is whole, the pages are not."""
    directory, writer = fill(2)
    path = part(directory, folder, 0)
    content = bytearray(path.read_bytes())
    content[4:400] = fill_with * 396
    path.write_bytes(content)
    store = CaptureStore(directory)
    assert store.samples().video_id.unique().tolist() == ["v1"]
    assert np.isfinite(store.head_array("lift", "actor").values).all()
    (line,) = store.problems
    assert line.startswith(f"chunk 0 left out: {folder}/part-00000.parquet: it is damaged")
    assert line.endswith("capture again with --resume") and "\n" not in line
    assert writer.done_chunks() == {1}, "a resumed capture writes it again"


def test_one_wrong_byte_is_no_other_number(run, row, metrics):
    """Numbers that do not compress are kept as they are: only the checksum can tell."""
    directory, writer = run()
    noise = np.random.default_rng(0).random((40, 2, 3), dtype=np.float32)
    values = metrics(40) | {"lift": noise}
    writer.write_chunk(0, [row(f"v{k}") for k in range(40)], values)
    path = part(directory, "heads", 0)
    column = pq.read_metadata(path).row_group(0)
    place = next(column.column(k) for k in range(31) if column.column(k).path_in_schema == "lift")
    content = bytearray(path.read_bytes())
    middle = place.data_page_offset + place.total_compressed_size // 2
    content[middle] ^= 1
    path.write_bytes(content)
    assert len(pq.read_table(path)) == 240, "read without a word"
    store = CaptureStore(directory)
    assert not len(store.samples()) and "damaged" in store.problems[0]


def test_a_map_of_zeros_is_no_map(fill):
    """The largest weight of a kept map is 1 times its scale; zeros on the disk are damage."""
    directory, _ = fill(2)
    path = part(directory, "maps", 0)
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")  # the header's length, then the header
    first, last = json.loads(content[8:start])["v0/0|actor"]["data_offsets"]
    content[start + first : start + last] = bytes(last - first)
    path.write_bytes(content)
    store = CaptureStore(directory)
    assert store.map("v0/0", "actor") is None and store.map("v1/0", "actor") is not None
    assert store.problems[0].startswith("maps of chunk 0 left out: the map v0/0|actor is damaged")


def test_a_missing_heads_part_is_a_problem(fill):
    directory, writer = fill(2)
    part(directory, "heads", 0).unlink()
    store = CaptureStore(directory)
    assert store.samples().video_id.unique().tolist() == ["v1"]
    assert "chunk 0 left out" in store.problems[0] and "part-00000.parquet" in store.problems[0]
    assert writer.done_chunks() == {1}


def test_broken_maps_and_predictions_are_problems_of_their_own(fill):
    directory, _ = fill(2)
    part(directory, "maps", 0).write_bytes(b"\x10\x00")
    part(directory, "predictions", 0).write_text("{")
    store = CaptureStore(directory)
    assert set(store.predictions()) == {"v1"} and store.map_keys() == {("v1/0", "actor")}
    assert len(store.samples()) == 4
    assert [line.split(":")[0] for line in store.problems] == [
        "predictions of chunk 0 left out",
        "maps of chunk 0 left out",
    ]
    store.predictions()
    assert len(store.problems) == 2  # said once


def test_chunks_of_another_model_are_left_out(run, row, metrics):
    directory, writer = run()
    writer.write_chunk(0, [row("v0")], metrics(1, 2, 3))
    writer.write_chunk(1, [row("v1")], metrics(1, 3, 3))
    store = CaptureStore(directory)
    assert len(store.samples()) == 1 and "shape (3, 3)" in store.problems[0]


def test_a_sample_in_two_chunks_is_used_once(run, row, metrics):
    directory, writer = run()
    lift = {"lift": np.arange(12.0).reshape(2, 2, 3)}
    writer.write_chunk(0, [row("v0")], metrics(1) | {"lift": np.full((1, 2, 3), 0.5)})
    writer.write_chunk(1, [row("v0"), row("v1")], metrics(2) | lift)
    store = CaptureStore(directory)
    assert store.samples().sample_id.tolist() == ["v0/0", "v1/0"]
    assert "1 samples stand in two chunks" in store.problems[0]
    values = store.head_array("lift", "actor").values
    np.testing.assert_array_equal(values, [np.full((2, 3), 0.5), lift["lift"][1]])


def test_an_empty_run_and_an_empty_chunk(run, metrics):
    directory, writer = run()
    for _ in range(2):
        store = CaptureStore(directory)
        assert len(store.samples()) == 0 and store.predictions() == {} and not store.map_keys()
        assert store.head_array("lift", "actor").values.shape[0] == 0
        assert len(store.query("SELECT * FROM heads")) == 0
        writer.write_chunk(0, [], metrics(0))
    assert writer.done_chunks() == {0} and CaptureStore(directory).num_layers == 2


def test_a_role_without_rows(run, row, metrics):
    directory, writer = run()
    writer.write_chunk(0, [row()], metrics(1))
    target = CaptureStore(directory).head_array("lift", "target")
    assert target.values.shape == (0, 2, 3) and target.flat.shape == (0, 6)


@pytest.mark.parametrize("name", ["run*", "run[12]", "run?", "it's"])
def test_odd_folder_names(fill, name):
    # Patterns to DuckDB, a quote to SQL; the sibling is what the patterns would match.
    fill(3, "run1")
    store = CaptureStore(fill(1, name)[0])
    assert store.query("SELECT count(*) AS n FROM heads").n[0] == 2 * 6
    assert np.isfinite(store.head_array("lift", "actor").values).all()


def test_other_folders_are_refused_in_one_line(tmp_path, run):
    for directory in (tmp_path, tmp_path / "none"):
        with pytest.raises(RunError) as caught:
            CaptureStore(directory)
        assert str(directory) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(RunError, match="kind 'train', expected a capture"):
        CaptureStore(run("train", kind="train")[0])


def test_a_capture_of_an_earlier_version_is_read(fill, tmp_path):
    """It was scored by fewer criteria: those are there, the others are told apart from unknown."""
    folder = fill(2)[0]
    four = ("visual_mass", "text_mass", "mask_share", "lift")
    for kind in ("samples", "heads"):
        path = part(folder, kind, 0)
        table = pq.read_table(path)
        metadata = {
            SHAPE_KEY: table.schema.metadata[SHAPE_KEY].replace(b'"schema": 5', b'"schema": 2')
        }
        kept = [c for c in table.column_names if c not in SCORED or c in four]
        pq.write_table(table.select(kept).replace_schema_metadata(metadata), path)
    store = CaptureStore(folder)
    # Correlations of one of the four with J&F can be computed of it, too.
    known = (*four, "jf_correlation", "jf_correlation_area")
    assert not store.problems and store.criteria == known
    assert list(store.head_tables("actor")) == list(known)
    sample = store.samples().sample_id[0]
    assert list(store.sample_heads(sample, "actor")) == list(four)
    with pytest.raises(ConfigError, match="not scored by auroc, which came later or needs"):
        store.head_array("auroc", "actor")


def test_unknown_names_are_refused(fill):
    store = CaptureStore(fill(1)[0])
    with pytest.raises(ConfigError, match="unknown criterion 'size'"):
        store.head_array("size", "actor")
    with pytest.raises(ConfigError, match="unknown role 'both'; choose one of actor, target"):
        store.head_array("lift", "both")
    with pytest.raises(ConfigError, match="unknown role 'both'"):
        store.layer_array("lift", "both")
    with pytest.raises(ConfigError, match="jf_correlation is no score of single samples"):
        store.layer_array("jf_correlation", "actor")
    with pytest.raises(RunError, match="no sample 'v9/0' with role 'actor'"):
        store.sample_heads("v9/0", "actor")


def test_what_a_caller_changes_does_not_reach_the_store(fill):
    store = CaptureStore(fill(1)[0])
    frame = store.samples()
    frame["jf"] = -1.0
    table = store.head_array("lift", "actor")
    table.values[:] = -1
    table.jf[:] = -1
    assert (store.samples().jf >= 0).all() and (store.head_array("lift", "actor").jf >= 0).all()


def test_several_threads_may_read_at_once(fill):
    store = CaptureStore(fill(3)[0])
    failures = []

    def read():
        try:
            for _ in range(5):
                assert store.head_array("lift", "target").values.shape == (3, 2, 3)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_read_in_between_does_not_change_the_numbers_of_another(fill, monkeypatch):
    store = CaptureStore(fill(3)[0])
    alone = store.head_array("lift", "actor").values
    defined_mean = head_scores.defined_mean

    def interrupted(values, axis):  # between the parts of a read
        store.head_array("visual_mass", "target")
        return defined_mean(values, axis)

    monkeypatch.setattr(head_scores, "defined_mean", interrupted)
    found = store.layer_array("lift", "actor").values[..., 0]
    np.testing.assert_allclose(found, alone.mean(axis=2))


def test_writer_refuses_what_does_not_fit_and_leaves_nothing(run, row, metrics):
    directory, writer = run()
    good = metrics(1)
    with pytest.raises(ValueError, match="expected a name without"):
        row(role="an|object")
    cases = [
        ([row()], metrics(2), {}, "for 1 rows"),
        ([row()], {"lift": good["lift"]}, {}, "metrics .'lift'.; expected"),
        ([row()], {**good, "lift": good["lift"][:, :1]}, {}, r"expected \[row, layer, head\]"),
        ([row(), row()], metrics(2), {}, "a sample and role twice"),
        ([row()], good, {"maps": [MapRow("v9/0", "actor", np.ones((1, 1, 1, 1)))]}, "not in chunk"),
        ([row()], good, {"maps": [MapRow("v0/0", "actor", np.ones((1, 1, 1, 1)))]}, "for 0 pairs"),
    ]
    for rows, values, more, message in cases:
        with pytest.raises(ValueError, match=message):
            writer.write_chunk(0, rows, values, **more)
    with pytest.raises(ValueError, match="chunk -1"):
        writer.write_chunk(-1, [], metrics(0))
    assert [p.name for p in directory.iterdir()] == ["run.json"]


def test_a_copied_run_opens_elsewhere(fill, tmp_path):
    directory, _ = fill(2)
    shutil.copytree(directory, tmp_path / "elsewhere" / "copy")
    shutil.rmtree(directory)
    store = CaptureStore(tmp_path / "elsewhere" / "copy")
    assert len(store.samples()) == 4 and store.run == json.loads(
        (store.directory / "run.json").read_text()
    )
