"""The key numbers of a run in sentences."""

from typing import TYPE_CHECKING, Any

from reports.style import (
    ROLE_TITLES,
    count,
    pair_label,
    with_interval,
)

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.results import AnalysisResults

__all__ = ["model_name", "score_words", "summary"]


def model_name(run: dict[str, Any]) -> str:
    """What the header calls the model, as short as it can be said."""
    model = run.get("model")
    if isinstance(model, dict):
        for key in ("name", "preset", "path"):
            if model.get(key):
                return str(model[key])
    config = run.get("config")
    named = config.get("model") if isinstance(config, dict) else None
    return str(named) if isinstance(named, str) else "without a name"


def summary(results: "AnalysisResults") -> tuple[str, ...]:
    """The sentences of the summary, most important first; only what is defined is said."""
    counts = results.counts
    if not counts.expressions:
        return ("The run holds no sample yet, so there is nothing to report.",)
    text = [
        f"{count(counts.expressions, 'expression')} about {count(counts.videos, 'video')} were "
        f"asked, {counts.interactions:,} of them interactions with an actor and a target."
    ]
    if not any(role.emitted for role in counts.roles.values()):
        text.append("The model gave no role token at all, so there is no attention to report.")
    return tuple(
        text + score_words(results) + _layers(results) + _pair(results) + _outcome(results)
    )


def score_words(results: "AnalysisResults") -> list[str]:
    """J&F of every protocol in one sentence; none where no expression was asked."""
    names = {"actor": "actors", "target": "targets", "rvos": "all expressions"}
    parts = [
        f"{with_interval(score.jf, score.jf_ci, 1)} for {names[name]}"
        for name, score in results.protocols.items()
        if score.jf is not None
    ]
    note = " (in brackets: 95 % intervals over videos)"
    shown = any(score.jf_ci for score in results.protocols.values())
    return [f"J&F is {_list(parts)}{note if shown else ''}."] if parts else []


def _layers(results: "AnalysisResults") -> list[str]:
    parts = []
    for role, layer in results.top_layer.items():
        if layer is not None:
            vision = results.layer_profile[role][layer].vision
            parts.append(
                f"the {role} token looks most at the video in layer {layer} "
                f"({with_interval(vision.value, vision.ci, 2)} of its attention)"
            )
    return [f"{_list(parts)[:1].upper()}{_list(parts)[1:]}."] if parts else []


def _pair(results: "AnalysisResults") -> list[str]:
    ranking = results.rankings["visual_mass"]["both"]
    first = ranking.pairs[0] if ranking.pairs else None
    if first is None or first.score is None:
        return []
    rank = ""
    if first.rank_ci is not None:
        rank = f", rank {first.rank_ci[0]:g} to {first.rank_ci[1]:g} of {len(ranking.pairs)}"
    return [
        f"By visual attention the first pair is {pair_label(first.layer, first.head)} "
        f"({with_interval(first.score, first.ci, 2)}{rank})."
    ]


def _outcome(results: "AnalysisResults") -> list[str]:
    sentences = []
    for role, correlation in results.correlations.items():
        overall = correlation.overall
        if overall.spearman.value is not None:
            sentences.append(
                f"{ROLE_TITLES[role]}: mask share goes with J&F at Spearman "
                f"{_words(overall.spearman)}, given mask area at {_words(overall.partial)} "
                f"(n = {correlation.n:,})."
            )
    return sentences


def _words(estimate: "Estimate") -> str:
    return with_interval(estimate.value, estimate.ci, 2)


def _list(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)
