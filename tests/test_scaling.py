"""What large captures, trials and sweeps cost follows from single items by sums and products."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report import write_table
from benchmarks.scaling import write_page
from benchmarks.scaling.sums import (
    EVALUATION,
    Cost,
    Plan,
    Split,
    capture_parts,
    evaluation_time,
    feature_bytes,
    halving_cost,
    in_waves,
    step_time,
    stored_bytes,
    total,
    trial_bytes,
    trial_time,
    worthwhile_mib_s,
)

DOCS = Path(__file__).parent.parent / "docs"
MIB = 2**20
ITEMS = {
    "encoders": {
        "tower_s": {"1": 1.0, "4": 0.5, "8": 0.5},
        "sam_s": {"1": 10.0, "4": 9.0, "8": 9.0},
        "tower_bytes": MIB,
        "sam_bytes": 10 * MIB,
    },
    "answer": {
        "opening_s": 100.0, "answer_s": {"1": 20.0, "8": 90.0}, "read_s": {"1": 1.0, "8": 8.0},
    },
    "recording": {"recorded_s": 2.0, "gradients_s": 5.0, "blank_s": 3.0},
    "criteria": {"criteria_s": 0.25, "criteria_gradients_s": 0.5},
    "tracking": {"track_s": {"1": 2.0, "2": 3.0, "8": 9.0}},
    "frames": {"jpeg_s": 0.1, "squash_vision_s": 0.2, "squash_sam_s": 0.3},
    "scoring": {
        "pack_s": 0.01, "truth_s": 0.02, "j_s": {"video": 0.03}, "f_s": {"video": 0.05},
        "mask_bytes": 100.0,
    },
    "start": {"import_s": 7.0, "load_s": 3.0, "disk_read_mib_s": 110.0},
    "whole": {
        "expressions": 8, "rows": 10, "frames": 10, "seen": 4,
        "capture_s": {"gradients": 800.0, "plain": 400.0},
        "stored_bytes_gradients": {"heads": 1000.0, "samples": 250.0, "maps": 1.0},
    },
    "training": {
        "batch_size": 2, "frames": 4, "micro_s": 100.0, "encoders_s": 90.0, "data_s": 8.0,
        "optimizer_s": 1.0, "parameters": 50, "trained_parameters": 10,
    },
}  # fmt: skip
ONE = Split(videos=1, expressions=2, interactions=0.5, frames=10, seen=4)
"""One video, two expressions, three roles."""


def test_an_evaluation_is_the_sum_of_its_items():
    time = evaluation_time(ITEMS, ONE)
    # Tower 4 x 1, SAM2 10 x 10, opening 100, two answers 20 + (90 - 20) / 7 = 30, reading them
    # 1 + (8 - 1) / 7 = 2, ten frames of three objects 2 + 2 x (9 - 2) / 7 = 4 each.
    assert time.device == pytest.approx(4 + 100 + 100 + 30 + 2 + 40)
    # Ten frames read and squashed 0.4 each, four squashed for the tower 0.2 each; of three roles
    # and ten frames: packed 0.01, truth, J and F 0.1.
    assert time.host == pytest.approx(4 + 0.8 + 30 * 0.11)


def test_features_on_disk_save_the_encoders_and_the_reading_of_frames():
    time = evaluation_time(ITEMS, ONE, cached=True)
    assert time.device == pytest.approx(100 + 30 + 2 + 40)
    # 10 x 10 MiB and 4 x 1 MiB at 110 MiB a second; what masks cost stays.
    assert time.host == pytest.approx(104 / 110 + 30 * 0.11)


def test_a_capture_reads_each_expression_by_itself_and_scores_each_role():
    plain, full = (total(capture_parts(ITEMS, ONE, gradients)) for gradients in (False, True))
    # As an evaluation, but for the reading of answers, 2: two expressions of 2 recorded; three
    # roles of 0.25 for the criteria.
    assert plain.device == pytest.approx(276 - 2 + 2 * 2)
    assert plain.host == pytest.approx(8.1 + 3 * 0.25)
    # 5 with gradients and 3 of blank frames; 0.5 for the criteria.
    assert full.device - plain.device == pytest.approx(2 * (8 - 2))
    assert full.host - plain.host == pytest.approx(3 * 0.25)


def test_a_video_that_lies_in_two_chunks_is_encoded_twice():
    # 66 expressions are cut after 32 and 64; a cut falls between two videos once in 33 times.
    long = replace(ONE, videos=2, expressions=66, interactions=0.0)
    once = capture_parts(ITEMS, replace(ONE, videos=1, expressions=32))["frames encoded"].device
    twice = capture_parts(ITEMS, long)["frames encoded"].device
    assert twice / once == pytest.approx(2 + 2 * (1 - 2 / 66))


def test_batches_are_no_larger_than_the_segmenter_makes_them():
    many = replace(ONE, expressions=20, interactions=0.0, frames=0, seen=0)
    # 16 answers cost 20 + 15 x 10 = 170, the other four 50; read 16 + 4.
    assert evaluation_time(ITEMS, many).device == pytest.approx(100 + 170 + 50 + 20)


def test_a_step_counts_encoders_and_frames_anew():
    # Two micro-batches of eight frames. Without its encoders one takes 10, with them frame by frame
    # 10 + 8 x 11; data 8 of which 8 x 0.6 are frames.
    fresh = step_time(ITEMS, videos=4)
    assert (fresh.device, fresh.host) == pytest.approx((2 * 98 + 1, 2 * 8))
    # From disk: 8 x 11 MiB at 110 MiB a second.
    cached = step_time(ITEMS, videos=4, cached=True)
    assert (cached.device, cached.host) == pytest.approx((2 * 10 + 1, 2 * (8 - 4.8 + 0.8)))


def test_a_trial_is_its_steps_its_evaluations_and_its_start():
    plan = Plan(steps=3, videos=4, selection=ONE, report=ONE)
    one = evaluation_time(ITEMS, ONE).total
    assert trial_time(ITEMS, plan).total == pytest.approx(3 * (197 + 16) + 2 * one + 7 + 3 * 3)
    assert trial_bytes(ITEMS) == {"model": 200, "checkpoints": 240}


def test_waves_are_whole():
    # 15 on 8: two waves, 15 trials' worth of GPU.
    assert in_waves(15, 8, 10.0) == Cost(gpu_s=150.0, wall_s=20.0)
    assert in_waves(15, 64, 10.0) == Cost(gpu_s=150.0, wall_s=10.0)


@given(st.integers(1, 300), st.integers(1, 64), st.floats(0.1, 1e5))
def test_a_sweep_is_never_faster_than_its_gpu_hours_shared_out(jobs, gpus, seconds):
    cost = in_waves(jobs, gpus, seconds)
    assert cost.wall_s * gpus >= cost.gpu_s * (1 - 1e-12)
    assert cost.wall_s <= cost.gpu_s * (1 + 1e-12)


def test_halving_trains_fewer_and_fewer():
    empty = Split(1, 0, 0.0, 0, 0)
    plan = Plan(steps=8, videos=4, selection=empty, report=None)
    # Four trials to step 2, two on to 4, one on to 8: 8 + 4 + 4 steps of 213. Each of the seven
    # parts imports, 7, loads twice, 3 each, and reads an opening, 100.
    cost = halving_cost(ITEMS, plan, 4, gpus=1)
    assert cost.gpu_s == pytest.approx(16 * 213 + 7 * 113)
    assert cost.wall_s == pytest.approx(cost.gpu_s)
    # On four GPUs every rung is one wave: 2 + 2 + 4 steps.
    assert halving_cost(ITEMS, plan, 4, gpus=4).wall_s == pytest.approx(8 * 213 + 3 * 113)
    with pytest.raises(ValueError, match="selection split"):
        halving_cost(ITEMS, replace(plan, selection=None), 4, gpus=1)


def test_a_capture_keeps_scalars_and_maps_by_role():
    kept = stored_bytes(ITEMS, ONE, layers=6, heads=5, grid=8)
    # 1,250 bytes an expression, of which eight had ten roles: 1,000 a role, three roles.
    assert kept["scalars"] == pytest.approx(3000)
    # Of a pair: four frames of 64 weights in fp16 and a scale.
    assert kept["maps of four pairs"] == pytest.approx(3 * 4 * 516)
    assert kept["maps of all pairs"] == pytest.approx(3 * 30 * 516)
    assert kept["predictions"] == pytest.approx(3 * 10 * 100)


def test_features_are_worth_a_disk_that_outruns_the_encoder():
    # 10 MiB a frame, made in 10 + 0.1 + 0.3.
    assert worthwhile_mib_s(ITEMS) == pytest.approx(10 / 10.4)
    # Ten frames for SAM2, four for the tower.
    assert feature_bytes(ITEMS, ONE) == 104 * MIB


def test_a_part_of_a_split_has_its_share_of_the_expressions():
    assert EVALUATION.of(369).expressions == 2524


def test_the_pages_are_those_of_the_kept_measurements(tmp_path):
    results = json.loads((DOCS / "benchmarks.json").read_text())
    for name, write in (("benchmarks.md", write_table), ("scaling.md", write_page)):
        write(results, tmp_path / name)
        made = (tmp_path / name).read_text(encoding="utf-8")
        assert made == (DOCS / name).read_text(encoding="utf-8"), (
            f"run python -m benchmarks table: {name}"
        )


def test_the_page_shows_every_size_that_was_measured(tmp_path):
    items = {
        **ITEMS,
        "training": {**ITEMS["training"], "micro_plain_s": 99.0, "peak_mib": 2048.0},
    }
    split = {"videos": 1, "expressions": 2, "interactions": 0.5, "frames": 10, "seen": 4}
    device = {"name": "a GPU", "torch": "2.11", "transformers": "5.17"}
    record = {
        "device": device, "part": "scaling", "shape": "1b", "layers": None, "items": items,
        "errors": {}, "cores": 16,
    }  # fmt: skip
    sweep = {
        "part": "sweep", "name": "figure-6c", "device": device, "seconds": 1000.0,
        "setting": {
            "trials": 15, "workers": 2, "steps": 3, "videos": 4, "cached": False,
            "selection": split, "report": None,
        },
    }  # fmt: skip
    write_page([record, {**record, "shape": "nano"}, sweep], tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "| vision tower, one frame alone | 1e+03 |" in text and "2.0 |" in text
    # One video of ten roles: frames and reading them 108.8, opening 100, eight answers 90,
    # tracked 10 x (2 + 9) and scored 11, eight times 8 recorded, ten times 0.5: 488.8.
    assert "| nano | with gradients | 489 | 800 | 1.64 |" in text
    assert "4B" not in text.split("## Costs of single items")[1].split("## Trials")[0]
    # 3 x 213 + 284.1 + 7 + 2 x 3 = 936.1 s a trial, in eight waves.
    assert "| figure-6c | 15 on 2 processors | no | 7489 | 1000 | 0.13 |" in text
