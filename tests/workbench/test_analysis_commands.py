"""rank, select, correlate and report on a made-up capture with planted heads.

Planted (tests/fixtures_capture.py): L1H0 has the most visual attention, L2H1 looks at the object.
"""

import json

import pytest

from probes.selection import STRATEGIES
from reviosa.heads import HeadSelection
from tests.fixtures_capture import make_capture, make_dataset, set_status


def test_rank_finds_the_planted_pairs(cli, capture_run):
    result = cli("rank", capture_run, "--criterion", "visual_mass", "--resamples", 50, "--json")
    ranking = json.loads(result.out)
    assert (ranking["criterion"], ranking["role"]) == ("visual_mass", "both")
    best = ranking["pairs"][0]
    assert (best["layer"], best["head"]) == (1, 0)
    low, high = best["ci"]
    # Planted: 0.9 of the attention, the same in each sample. Stored in single precision.
    assert low == pytest.approx(0.9) and high == pytest.approx(0.9)
    assert best["rank_ci"] == [1, 1]
    assert len(ranking["pairs"]) == 16

    result = cli("rank", capture_run, "--criterion", "mask_share", "--role", "tar", "--json")
    assert [json.loads(result.out)["pairs"][0][key] for key in ("layer", "head")] == [2, 1]


def test_rank_prints_a_table(cli, capture_run):
    result = cli("rank", capture_run, "--top", 3, "--resamples", 50)
    assert result.code == 0
    assert "Visual attention" in result.out and "95% CI" in result.out
    assert result.out.count("│ 0.") + result.out.count(" 0.9") >= 1
    assert "of 2 videos" in result.out


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        (["--strategy", "top-pairs", "--k", 1], [[1, 0]]),
        (["--strategy", "top-pairs", "--k", 1, "--criterion", "mask_share"], [[2, 1]]),
        (["--strategy", "top-pairs", "--k", 1, "--criterion", "lift", "--role", "act"], [[2, 1]]),
        (["--strategy", "layer", "--layer", 1, "--k", 1], [[1, 0]]),
    ],
)
def test_select_writes_what_it_prints(cli, capture_run, dataset, tmp_path, options, pairs):
    file = tmp_path / "heads.json"
    result = cli("select", capture_run, *options, "-o", file, "--json")
    assert result.code == 0
    assert json.loads(result.out)["pairs"] == pairs
    selection = HeadSelection.load(file)
    assert [list(pair) for pair in selection.pairs] == pairs
    assert (selection.run, selection.data) == ("capture", dataset.identity)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--strategy", "best"], "unknown strategy 'best'"),
        (["--strategy", "top-pairs", "--k", 99], "k is 99"),
        (["--strategy", "layer", "--layer", 4], "the model has layers 0 to 3"),
        (["--strategy", "published"], "1b, 4b"),
        # The run has 4 layers, the published pairs of the 1B are of layer 22.
        (["--strategy", "published", "--preset", "1b"], "layer 22 does not exist"),
        (["--strategy", "top-pairs", "--criterion", "beauty"], "unknown criterion"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(cli, capture_run, tmp_path, options, words):
    result = cli("select", capture_run, *options, "-o", tmp_path / "heads.json")
    assert result.code == 2
    assert words in result.err
    assert list(tmp_path.iterdir()) == []


def test_select_explains_every_strategy(cli):
    # The page wraps its lines, between words and at hyphens.
    said = "".join(cli("select", "--help").out.split())
    assert [name for name in STRATEGIES if name not in said] == []


def test_correlate_gives_both_roles_with_intervals(cli, capture_run):
    result = cli("correlate", capture_run, "--resamples", 100, "--json")
    found = json.loads(result.out)
    assert list(found) == ["actor", "target"]
    assert -1 <= found["actor"]["overall"]["spearman"]["value"] <= 1
    assert len(found["actor"]["layers"]) == 4

    result = cli("correlate", capture_run, "--role", "act", "--resamples", 100)
    assert "actor" in result.out and "target" not in result.out
    assert "control: mask_area" in result.out


def test_asking_for_targets_that_are_not_there_is_an_error(cli, tmp_path, dataset):
    class OnlyOthers:
        root, identity = dataset.root, dataset.identity
        samples = tuple(s for s in dataset.samples if not s.expression.is_interaction)
        interactions = dataset.interactions

    run = make_capture(tmp_path / "run", OnlyOthers)
    result = cli("rank", run, "--role", "tar")
    assert result.code == 2
    assert "no sample with a visual_mass of role target" in result.err


def test_an_unfinished_run_is_used_and_named(cli, tmp_path, dataset):
    run = make_capture(tmp_path / "run", dataset, maps=False)
    set_status(run, "stopped")
    result = cli("rank", run, "--resamples", 20, "--json")
    assert result.code == 0
    assert "not complete (status stopped)" in result.err
    json.loads(result.out)


def test_report_writes_one_file_and_tables(cli, tmp_path, capture_run):
    file = tmp_path / "deep" / "report.html"
    result = cli("report", capture_run, "-o", file, "--csv", tmp_path / "csv", "--resamples", 50)
    assert result.code == 0
    text = file.read_text()
    assert "data:image/jpeg;base64," in text
    assert f"reviosa report {capture_run}" in text
    assert (tmp_path / "csv" / "rankings.csv").is_file()


def test_a_report_without_its_data_says_so(cli, tmp_path):
    dataset = make_dataset(tmp_path / "data", videos=1)
    run = make_capture(tmp_path / "runs" / "run", dataset)
    (tmp_path / "data").rename(tmp_path / "gone")
    result = cli("report", run, "-o", tmp_path / "report.html", "--resamples", 20)
    assert result.code == 0
    assert "not at hand" in result.err
    assert "data:image/jpeg" not in (tmp_path / "report.html").read_text()


def test_data_that_moved_with_its_run_is_found(cli, tmp_path):
    dataset = make_dataset(tmp_path / "here" / "data", videos=1)
    run = make_capture(tmp_path / "here" / "run", dataset)
    (tmp_path / "here").rename(tmp_path / "there")
    run = tmp_path / "there" / "run"
    result = cli("report", run, "-o", tmp_path / "report.html", "--resamples", 20)
    assert "not at hand" not in result.err
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text()


def test_rank_against_another_capture(cli, capture_run, dataset, tmp_path):
    other = make_capture(tmp_path / "other", dataset, seed=1)
    options = ("--criterion", "auroc", "--role", "act", "--resamples", 50)
    result = cli("rank", capture_run, *options, "--against", other)
    assert f"against {other}: rank correlation over 16 pairs" in result.out
    found = json.loads(cli("rank", capture_run, *options, "--against", other, "--json").out)
    against = found["against"]
    assert (against["criterion"], against["role"], against["k"]) == ("auroc", "actor", 4)
    assert -1 <= against["spearman"]["value"] <= 1 and 0 <= against["best"]["jaccard"] <= 1
    same = cli("rank", capture_run, *options, "--against", capture_run, "--json")
    assert json.loads(same.out)["against"]["spearman"]["value"] == 1


def test_rank_json_carries_all_that_a_reviewer_asks(cli, capture_run, dataset):
    ranking = json.loads(cli("rank", capture_run, "--criterion", "auroc", "--json").out)
    for key in ("equation", "n_videos", "n_expressions", "n_failed", "run", "split_half"):
        assert key in ranking, key
    assert ranking["run"]["data"] == dataset.identity
    for key in ("score", "ci", "rank", "rank_ci", "p_top_k", "p", "q", "shrunk"):
        assert all(key in pair for pair in ranking["pairs"]), key


def test_correlate_takes_any_criterion_of_samples(cli, capture_run):
    found = json.loads(
        cli("correlate", capture_run, "--criterion", "auroc", "--resamples", 30, "--json").out
    )
    assert found["actor"]["metric"] == "auroc"
    assert {"mask_area", "centre_share", "mask_share_shifted"} <= set(found["actor"]["controls"])
    assert {x["variable"] for x in found["actor"]["strata"]} >= {"caption_type", "mask_area"}
    text = cli("correlate", capture_run, "--role", "act", "--resamples", 30).out
    assert "Held fixed together: log of the mask's area" in text and "mask area: low" in text
    refused = cli("correlate", capture_run, "--criterion", "jf_correlation")
    assert refused.code == 2 and "is a correlation with J&F itself" in refused.err
