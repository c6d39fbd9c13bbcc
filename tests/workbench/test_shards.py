"""A capture and an ablation in parts side by side equal those of one process."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from probes.share import share
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.heads import HeadSelection
from reviosa.run_record import read_run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """More than two chunks of 32 expressions, in small frames."""
    folder = tmp_path_factory.mktemp("shards") / "data"
    write_synthetic(folder, 12, 3, WorldConfig(height=64, width=64, frames=4))
    return folder


@pytest.fixture
def one_thread():
    """As the processes of the parts compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_parts_are_neighbours_and_together_the_whole():
    # 7 * (0, 1, 2, 3) // 3 = 0, 2, 4, 7
    assert [share("abcdefg", (i, 3)) for i in range(3)] == ["ab", "cd", "efg"]
    assert [share("a", (i, 2)) for i in range(2)] == ["", "a"]
    assert share("abc", None) == "abc"


def capture_command(data, checkpoint, out, *more):
    return ("capture", "--data", data, "--model", checkpoint, "--maps", "none", "--out", out,
            "--device", "cpu", "--no-gradients", *more)  # fmt: skip


def parts_of(run):
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for folder in ("samples", "heads", "predictions")
        for path in (run / folder).glob("part-*")
    }


@pytest.mark.slow
def test_a_capture_and_an_ablation_in_parts_equal_those_in_one(
    cli, data, checkpoint, tmp_path, one_thread
):
    one, two = tmp_path / "one", tmp_path / "two"
    assert cli(*capture_command(data, checkpoint, one)).code == 0
    result = cli(*capture_command(data, checkpoint, two, "--workers", 2, "--cpus", 1))
    assert result.code == 0, result.err
    assert len(parts_of(one)) >= 6
    assert parts_of(one) == parts_of(two)
    headers = [read_run(run) for run in (one, two)]
    for key in ("config", "data", "model", "summary", "kind", "status"):
        assert headers[0][key] == headers[1][key], key
    assert "parts" not in headers[0] and len(headers[1]["parts"]) == 2
    assert not (tmp_path / "two.parts").exists()
    again = cli(*capture_command(data, checkpoint, two, "--workers", 2))
    assert again.code == 2 and "resume the run" in again.err

    HeadSelection(((0, 1),), "by hand").save(tmp_path / "heads.json")
    for out, parts in (("ablated-one", ()), ("ablated-two", ("--workers", 2, "--cpus", 1))):
        result = cli("ablate", one, "--heads", tmp_path / "heads.json", "--draws", 1,
                     "--kind", "zero", "--out", tmp_path / out, *parts)  # fmt: skip
        assert result.code == 0, result.err
        assert "less random sets" in result.out
    lines = [(tmp_path / f"ablated-{n}" / "effects.jsonl").read_text() for n in ("one", "two")]
    assert lines[0] == lines[1] and lines[0].count("\n") > 32


@pytest.mark.slow
def test_a_capture_in_parts_that_is_killed_goes_on(data, checkpoint, tmp_path, cli):
    out = tmp_path / "run"
    command = [str(x) for x in capture_command(data, checkpoint, out, "--workers", 2)]
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", *command], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("run.parts/part-*/samples/part-*.parquet")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    # The parts end with the process that started them; as many as before go on, whatever is asked.
    deadline = time.monotonic() + 60
    while True:
        result = cli(*command[:-1], 5, "--resume")
        if result.code == 0 or time.monotonic() > deadline:
            break
        assert "in use" in result.err or "another process has it" in result.err, result.err
        time.sleep(1)
    assert result.code == 0, result.err
    rows = pd.concat(pd.read_parquet(p) for p in sorted((out / "samples").glob("part-*")))
    assert rows.groupby(["sample_id", "role"]).size().max() == 1
    header = read_run(out)
    assert len(header["parts"]) == 2 and rows.sample_id.nunique() == header["summary"]["samples"]


@pytest.mark.slow
def test_a_part_that_fails_is_named_and_the_others_are_kept(cli, data, checkpoint, tmp_path):
    out = tmp_path / "run"
    (tmp_path / "run.parts").mkdir()
    (tmp_path / "run.parts" / "part-1-2").write_text("in the way")
    result = cli(*capture_command(data, checkpoint, out, "--workers", 2, "--resume"))
    assert result.code == 2 and "1 of 2 parts failed" in result.err
    assert "FAILED: part 1 of 2" in result.err and "--resume" in result.err
    (tmp_path / "run.parts" / "part-1-2").unlink()
    result = cli(*capture_command(data, checkpoint, out, "--workers", 2, "--resume", "--json"))
    assert result.code == 0, result.err
    assert json.loads(result.out)["samples"] > 64


@pytest.mark.parametrize("text", ["4/4", "a/b", "1", "-1/2"])
def test_a_part_that_is_none_is_refused(cli, data, checkpoint, tmp_path, text):
    result = cli(*capture_command(data, checkpoint, tmp_path / "run", f"--shard={text}"))
    assert result.code == 2 and "expected I/N" in result.err
    assert not (tmp_path / "run").exists()
