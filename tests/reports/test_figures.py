import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from probes.bootstrap import Estimate
from reports.figures import head_map, layer_profile, ranking_plot
from reports.outcome_figures import correlation_by_layer, share_against_jf

DRAWERS = {
    "profile": layer_profile,
    "map": lambda results: head_map(results, "mask_share"),
    "lift": lambda results: head_map(results, "lift"),
    "ranking": lambda results: ranking_plot(results, "visual_mass"),
    "scatter": share_against_jf,
    "layers": correlation_by_layer,
}


@pytest.fixture(params=DRAWERS)
def draw(request):
    return DRAWERS[request.param]


def without_target(results):
    """As of a data set without interactions: no row has a target."""
    none = Estimate(None, None, 0, 0, "no sample with a defined value")
    empty = replace(
        results.correlations["target"],
        overall=replace(results.correlations["target"].overall, spearman=none, partial=none),
        layers=(), pairs=(), n=0, n_videos=0,
    )  # fmt: skip
    blank = tuple((None,) * results.num_heads for _ in range(results.num_layers))
    return replace(
        results,
        layer_profile={**results.layer_profile, "target": ()},
        top_layer={**results.top_layer, "target": None},
        maps={name: {**maps, "target": blank} for name, maps in results.maps.items()},
        correlations={**results.correlations, "target": empty},
        scatter={**results.scatter, "target": ()},
        bins={**results.bins, "target": ()},
    )


def test_svg_is_whole_and_the_same_each_time(draw, planted_results):
    figure = draw(planted_results)
    svg = figure.svg()
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert svg == figure.svg() == draw(planted_results).svg()
    assert "metadata" not in svg and "date" not in svg


def test_ids_belong_to_the_figure_and_resolve(draw, planted_results):
    figure = draw(planted_results)
    svg = figure.svg()
    ids = set(re.findall(r'\bid="([^"]+)"', svg))
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
    assert all(name.startswith(figure.name) for name in ids)
    assert {a or b for a, b in used} <= ids


def test_nothing_is_fetched(draw, planted_results):
    svg = draw(planted_results).svg()
    assert not re.search(r'(?:href|src)="(?!#|data:)', svg)


def test_caption_says_n_and_what_the_interval_is(draw, planted_results):
    figure = draw(planted_results)
    said = figure.caption + figure.alt + "".join(re.findall(r">([^<>]+)</text>", figure.svg()))
    n = planted_results.correlations["actor"].n
    assert re.search(rf"n = ({n}|{n + planted_results.correlations['target'].n}) ", said)
    if "map" not in figure.name:  # a map has no room for intervals and says where they are
        assert "200 resamples" in figure.caption and "bootstrap over videos" in figure.caption
    else:
        assert "rankings.csv" in figure.caption


def test_a_role_without_samples_is_said_not_drawn(draw, planted_results):
    figure = draw(without_target(planted_results))
    assert ElementTree.fromstring(figure.svg()) is not None
    assert "nan" not in figure.svg().lower().replace("nance", "")


def test_undefined_pairs_are_hatched_and_said(planted_results):
    assert "Hatched" not in head_map(planted_results, "lift").caption
    figure = head_map(without_target(planted_results), "lift")
    assert "Hatched: undefined." in figure.caption
    assert "<pattern" in figure.svg()
    assert "Target: no value" in figure.alt


def test_alt_names_the_planted_heads(planted_results):
    assert "L01H00" in head_map(planted_results, "visual_mass").alt
    assert "L02H01" in head_map(planted_results, "lift").alt
    assert "Highest is L02H01" in ranking_plot(planted_results, "mask_share").alt
    assert "layer 1" in layer_profile(planted_results).alt


def test_supervised_pairs_are_said(planted_results):
    assert "Outlined" in head_map(planted_results, "lift").caption
    bare = replace(planted_results, supervised_pairs=())
    assert "Outlined" not in head_map(bare, "lift").caption


def test_one_video_draws_points_and_says_why_there_is_no_interval(planted_results):
    reason = "1 video: an interval over videos needs at least 2"
    ranking = planted_results.rankings["lift"]["both"]
    pairs = tuple(replace(p, ci=None, rank_ci=None, p_top_k=None) for p in ranking.pairs)
    ranking = replace(ranking, pairs=pairs, reason=reason)
    rankings = {**planted_results.rankings, "lift": {"both": ranking}}
    assert reason in ranking_plot(replace(planted_results, rankings=rankings), "lift").caption
