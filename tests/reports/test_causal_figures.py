"""What silenced heads cost, drawn and in a table."""

import re

import pytest

from probes.beside import Beside
from probes.bootstrap import Estimate
from probes.causal import AblationEffect, AblationResults, HeadEffect, SubsetRegression
from reports.causal_figures import (
    dose_curve,
    effect_map,
    kept_curve,
    paired_changes,
    subset_map,
)
from reports.causal_tables import ablation_table, subset_table
from tests.fixtures_report import html_of


def estimate(value, spread=0.01):
    return Estimate(value, (value - spread, value + spread), 20, 8)


def effect(name, group, pairs, value, role="actor", over=None):
    return AblationEffect(name, group, max(1, len(pairs)), pairs, role, estimate(value), over)


@pytest.fixture
def every_pair():
    """Two layers of three heads; L01H02 costs the actor 0.3, the target was never named."""
    effects = [
        effect(f"L{i:02d}H{j:02d}", "single", ((i, j),), -0.3 if (i, j) == (1, 2) else 0.01 * j)
        for i in range(2)
        for j in range(3)
    ]
    nothing = Estimate(None, None, 0, 0, "no sample with a defined value")
    whole = {"actor": estimate(0.7), "target": nothing}
    return AblationResults("mean", whole, tuple(effects), 3, 200, 0)


@pytest.fixture
def sets():
    effects = []
    for role in ("actor", "target"):
        for k in (1, 2):
            pairs = tuple((0, i) for i in range(k))
            effects.append(
                effect(f"chosen {k}", "chosen", pairs, -0.1 * k, role, estimate(-0.05 * k))
            )
            effects.append(
                AblationEffect(f"random {k}", "random", k, (), role, estimate(-0.05 * k), None)
            )
    whole = {role: estimate(0.7) for role in ("actor", "target")}
    return AblationResults("resample", whole, tuple(effects), 0, 200, 0)


def regression(r2, note=None):
    """Two layers of two heads; L01H00 costs 20 points, one head was in no subset."""
    values = {(0, 0): 0.002, (0, 1): None, (1, 0): -0.2, (1, 1): 0.004}
    nothing = Estimate(None, None, 0, 0, "silenced in no subset, or in all of them")
    effects = tuple(
        HeadEffect(*pair, nothing if value is None else estimate(value))
        for pair, value in values.items()
    )
    fit = Estimate(None, None, 0, 0, "all alike") if r2 is None else estimate(r2)
    return SubsetRegression("actor", effects, estimate(-0.3), fit, 40, 0.5, 1.0, 0.8, note)


def with_subsets(model):
    whole = {"actor": estimate(0.7), "target": Estimate(None, None, 0, 0, "none")}
    return AblationResults("mean", whole, (), 3, 200, 0, (model,), plan_seed=7)


@pytest.fixture
def all_sets():
    """The first two pairs silenced and kept, the two least, in three videos."""

    def of(name, group, k, value, by_video=(), over=None):
        pairs = () if "random" in group else tuple((0, i) for i in range(k))
        return AblationEffect(
            name,
            group,
            k,
            pairs,
            "actor",
            estimate(value),
            over,
            0.25 if over else None,
            20,
            by_video,
        )

    effects = [of("kept 0", "kept", 0, -0.6)]
    for k in (1, 2):
        effects += [
            of(f"chosen {k}", "chosen", k, -0.1 * k, (-0.3, -0.2, -0.1), estimate(-0.05 * k)),
            of(f"least {k}", "least", k, -0.01, (-0.02, -0.01, 0.0), estimate(0.04 * k)),
            of(f"random {k}", "random", k, -0.05 * k, (-0.1, -0.1, -0.1)),
            of(f"kept {k}", "kept", k, -0.3, (-0.4, -0.3, -0.2), estimate(0.25)),
            of(f"random kept {k}", "random kept", k, -0.55, (-0.6, -0.5, -0.55)),
        ]
    whole = {"actor": estimate(0.7), "target": Estimate(None, None, 0, 0, "none")}
    return AblationResults("mean", whole, tuple(effects), 0, 200, 0)


def test_the_map_of_subsets_says_how_far_it_can_be_trusted():
    figure = subset_map(with_subsets(regression(0.5, "40 subsets for 48 heads: too few")))
    assert "L01H00 changes most (\N{MINUS SIGN}20.0 points)" in figure.alt
    assert "R\N{SUPERSCRIPT TWO} on subsets left out: 0.50 [0.49, 0.51]" in figure.svg()
    assert "Target: no value" in figure.alt and "this role was never named" in figure.svg()
    assert "40 random subsets of all heads (seed 7), 50 % silenced" in figure.caption
    assert "the penalty leaves 0.80 of an effect" in figure.caption
    assert "Actor: 40 subsets for 48 heads: too few." in figure.caption
    table = subset_table(with_subsets(regression(0.5)), top=2)
    assert [row[1] for row in table.rows] == ["L01H00", "L01H01"]


@pytest.mark.parametrize("r2", [-0.2, 0.0, None])
def test_a_model_that_predicts_nothing_is_not_drawn(r2):
    figure = subset_map(with_subsets(regression(r2)))
    assert "predicts no other subset" in figure.svg() and "Actor: no value" in figure.alt
    assert "\N{MINUS SIGN}20.0" not in figure.svg()


def test_no_effect_at_all_is_drawn(every_pair):
    """A scale from 0 to 0 has no colours to give."""
    effects = tuple(effect(e.name, "single", e.pairs, 0.0) for e in every_pair.effects)
    figure = effect_map(AblationResults("mean", every_pair.whole, effects, 0, 200, 0))
    assert "0.0" in figure.svg()


def test_bold_is_what_differs_from_0(every_pair):
    """Of the pairs of this map 0.02 and -0.3 lie further from 0 than their intervals reach."""
    texts = {t.get_text(): t.get_fontweight() for t in effect_map(every_pair).plot.axes[0].texts}
    assert texts["\N{MINUS SIGN}30.0"] == texts["2.0"] == "bold"
    assert texts["0.0"] == texts["1.0"] == "normal"


def test_what_is_kept_climbs_from_nothing(all_sets):
    figure = kept_curve(all_sets)
    kept, random = figure.plot.axes[0].lines[:2]
    assert kept.get_xydata().tolist() == [[0, -60], [1, -30], [2, -30]]
    assert random.get_xdata().tolist() == [0, 1, 2] and random.get_ydata()[0] == -60
    assert "2 heads kept change it by \N{MINUS SIGN}30.0 points" in figure.alt
    least = dose_curve(all_sets).plot.axes[0].lines[1]
    assert "Random: mean over 20 sets" in figure.caption
    assert least.get_label() == "from the other end" and least.get_ydata().tolist() == [-1, -1]


def test_each_video_is_a_line_through_the_sets(all_sets):
    figure = paired_changes(all_sets)
    lines = [x.get_ydata().tolist() for x in figure.plot.axes[0].lines[:3]]
    assert lines == [pytest.approx(x) for x in ([-2, -10, -30], [-1, -10, -20], [0, -10, -10])]
    names = [t.get_text() for t in figure.plot.axes[0].get_xticklabels()]
    assert names == ["2 from the other end", "2 random, mean of sets", "2 chosen"]
    assert "2 chosen \N{MINUS SIGN}20.0" in figure.alt


def test_figures_that_the_run_has_nothing_for(every_pair, sets):
    assert subset_map(every_pair) is None and kept_curve(sets) is None
    assert paired_changes(every_pair) is None and subset_table(sets) is None


def test_the_map_names_the_pair_that_matters(every_pair):
    figure = effect_map(every_pair)
    assert figure is not None and "J&F" in figure.title
    assert "Actor: L01H02 changes most (\N{MINUS SIGN}30.0 points)" in figure.alt
    assert "Target: no value" in figure.alt and "this role was never named" in figure.svg()
    assert "actor 70.0 whole, 20 expressions of 8 videos" in figure.caption
    assert "\N{MINUS SIGN}30.0" in figure.svg()
    assert dose_curve(every_pair) is None


def test_the_curve_has_its_control(sets):
    figure = dose_curve(sets)
    assert figure is not None and "2 heads change it by \N{MINUS SIGN}20.0 points" in figure.alt
    assert "random, same layers" in figure.svg() and "chosen pairs" in figure.svg()
    assert effect_map(sets) is None, "no single pair was tried"


def test_a_map_of_some_pairs_is_not_drawn(every_pair):
    some = AblationResults("mean", every_pair.whole, every_pair.effects[3:], 0, 200, 0)
    assert effect_map(some) is None


def test_the_table_has_what_changes_most_first(every_pair, sets):
    table = ablation_table(every_pair, top=2)
    assert [row[1] for row in table.rows] == ["L01H02", "L00H02"]
    assert table.rows[0][3] == "\N{MINUS SIGN}30.0 [\N{MINUS SIGN}31.0, \N{MINUS SIGN}29.0]"
    assert "3 roles not named" in table.caption
    rows = {(row[0], row[1]): row for row in ablation_table(sets).rows}
    assert rows["Actor", "chosen 2"][4].startswith("\N{MINUS SIGN}10.0")
    assert rows["Target", "random 1"][4] == "n/a"


def test_the_report_has_a_section_of_causes(planted_results, every_pair, sets):
    page = html_of(planted_results, beside=Beside((every_pair, sets)))
    assert 'id="causes"' in page and "effects-mean" in page and "dose-resample" in page
    assert 'id="causes"' not in html_of(planted_results)


def test_the_report_draws_what_each_run_has(planted_results, all_sets):
    page = html_of(planted_results, beside=Beside((all_sets, with_subsets(regression(0.5)))))
    for name in ("dose-mean", "kept-mean", "paired-mean", "subsets-mean"):
        assert f'id="{name}-' in page
    assert "random sets below, %" in page and "effect [interval]" in page
    # One table of the data, one of sets and one of subsets: no empty one of sets beside these.
    assert page.count('<th scope="col">role</th>') == 3


def test_two_runs_of_one_kind_share_no_id(planted_results, all_sets):
    page = html_of(planted_results, beside=Beside((all_sets, all_sets)))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
