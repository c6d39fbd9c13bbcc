"""What silenced heads cost, drawn and in a table."""

import pytest

from probes.bootstrap import Estimate
from probes.causal import AblationEffect, AblationResults
from reports.causal_figures import dose_curve, effect_map
from reports.html import render_report
from reports.tables import ablation_table


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
    page = render_report(planted_results, ablations=[every_pair, sets])
    assert 'id="causes"' in page and "effects-mean" in page and "dose-resample" in page
    assert 'id="causes"' not in render_report(planted_results)
