"""The benchmarks measure alternatives in turn and write what they measured."""

import time

import pytest
import torch

from benchmarks import opening
from benchmarks.big_run import Size, write_big_run
from benchmarks.report import write_table
from benchmarks.timing import compare
from probes.store import CaptureStore
from reports.sample_pictures import load_pictures
from reviosa.data import InterRVOSDataset


def test_alternatives_are_run_in_turn_and_their_medians_kept():
    order = []

    def pause(name, seconds):
        def run():
            order.append(name)
            time.sleep(seconds)

        return run

    costs = compare({"short": pause("short", 0.01), "long": pause("long", 0.05)}, rounds=3)
    assert order == ["short", "long"] * 4, "one round to warm up, three that count"
    assert costs["long"].seconds > 2 * costs["short"].seconds
    low, high = costs["long"].spread
    assert low <= costs["long"].seconds <= high


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures the process, not a GPU")
def test_memory_in_use_while_running_is_seen():
    def hold(mebibytes):
        block = torch.ones(mebibytes * 2**18)
        time.sleep(0.02)
        return float(block[0])

    costs = compare({"little": lambda: hold(8), "much": lambda: hold(96)}, rounds=2)
    assert 80 < costs["much"].peak_mib - costs["little"].peak_mib < 100


def test_the_table_has_ratios_to_the_plain_way(tmp_path):
    cost = {"seconds": 2.0, "spread": [1.9, 2.2], "peak_mib": 100.0}
    record = {
        "device": {"name": "a device", "torch": "2.13", "transformers": "5.23"},
        "part": "role-rows",
        "shape": "1b",
        "layers": 4,
        "frames": 4,
        "difference": 3e-8,
        "weights_mib": 400.0,
        "costs": {"sdpa": cost, "role rows": {**cost, "seconds": 2.1, "peak_mib": 101.0}},
    }
    memory = {**record, "part": "memory", "shape": "nano", "layers": None}
    memory["peak_mib"] = {"50": 800.0, "500": 880.0}
    write_table([record, memory], tmp_path / "table.md")
    text = (tmp_path / "table.md").read_text()
    assert "1b, 4 layers" in text and "a device; torch 2.13" in text
    # 2.1 / 2 and 101 / 100; 880 / 800.
    assert "| role rows | 2.100 | 1.900 to 2.200 | 1.050 | 101 | 1.01 |" in text
    assert "1.10 times" in text
    # 501 / 500.
    assert "recording takes 1.002 times the memory" in text


def test_the_table_says_what_was_not_measured(tmp_path):
    cost = {"seconds": 2.0, "spread": [1.9, 2.2], "peak_mib": 100.0}
    record = {
        "device": {"name": "a CPU, 2 threads of 2 cores", "torch": "2.13", "transformers": "5"},
        "part": "aml-step",
        "shape": "1b",
        "layers": 4,
        "costs": {"no AML": cost, "AML": cost},
    }
    write_table(
        [record, {**record, "device": {**record["device"], "name": "H100"}}], tmp_path / "t"
    )
    lacking = (tmp_path / "t").read_text().split("## Not measured")[1]
    assert "* aml-step, 4b: on a GPU\n" in lacking and "aml-step, 1b" not in lacking
    assert "* role-rows, 1b: on a CPU and on a GPU\n" in lacking


def test_the_dashboards_table_has_every_view(tmp_path):
    view = {"page": "heads", "view": "pair", "seconds": 0.21, "processor_s": 0.2, "sent_mib": 0.5,
            "shards": 1}  # fmt: skip
    record = {
        "device": {"name": "a CPU, 2 threads of 2 cores", "torch": "2.13", "transformers": "5"},
        "part": "dashboard", "shape": "1b", "layers": None, "sample_roles": 10_096, "pairs": 336,
        "criteria": 28, "parts": 40, "seconds": {"analyse it": 77.5}, "views": [view],
        "peak_mib": {"heads": 424.0},
    }  # fmt: skip
    write_table([record], tmp_path / "t")
    text = (tmp_path / "t").read_text()
    assert "10,096 samples and roles of 336 pairs by 28 criteria" in text
    assert "| heads | pair | 0.21 | 0.20 | 0.50 | 1 |" in text and "heads 424." in text


def test_a_large_run_is_one_that_pages_can_open(tmp_path):
    size = Size(expressions=6, videos=2, layers=2, heads=2, chunks=2, kept_every=2)
    run = write_big_run(tmp_path, size)
    store = CaptureStore(run)
    assert not store.problems and len(store.samples()) == 12
    # Of expressions 0, 2 and 4 both roles are kept, as far as they were emitted.
    emitted = store.samples().set_index(["sample_id", "role"]).emitted
    kept = store.map_keys()
    assert kept and all(emitted[key] and int(key[0].split("/")[1]) in (0, 1, 2) for key in kept)
    data = InterRVOSDataset(tmp_path / "data")
    assert len(data.samples) == 6 and data.identity == store.run["data"]["identity"]
    sample = data.samples[0]
    assert load_pictures(store, data, sample.expression.sample_id, (0, 4)).frames.shape[0] == 2


def test_a_data_set_made_up_for_opening_is_opened_in_a_new_process():
    found = opening.measure(opening.Counts(5, 20, 30, 6, (2, 4)))
    assert (found["videos"], found["expressions"], found["interactions"]) == (5, 30, 6)
    assert found["seconds"]["open"] > 0 and 20 < found["peak_mib"] < 1000
