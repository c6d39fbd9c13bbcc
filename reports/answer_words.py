"""What a sweep answers, in words that its numbers decide."""

from typing import TYPE_CHECKING

from reports.style import (
    MISSING,
    PROTOCOL_TITLES,
    count,
    number,
    p_value,
    pair_label,
    signed,
    signed_interval,
    with_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.answer import ArmAnswer, Contrast, SweepAnswer
    from probes.comparison import SeedMean

__all__ = [
    "SCORE_TITLES", "SHORT_TITLES", "answer_words", "gap_n_words", "gap_words", "halving_words",
    "n_words", "pairs_words", "small_p", "state_words",
]  # fmt: skip

SCORE_TITLES = {**PROTOCOL_TITLES, "target_by_prompt": "Target, asked for in words"}
SHORT_TITLES = {**PROTOCOL_TITLES, "target_by_prompt": "Target in words"}


def answer_words(answer: "SweepAnswer") -> tuple[str, ...]:
    """The best arm on both splits, how many were cut, and what the intervals do not hold."""
    words = [*_best_words(answer), halving_words(answer)]
    if any(len(m.seeds) == 1 for arm in answer.arms for m in arm.scores.values()):
        words.append(
            "Where one seed is done, interval and p hold the chance of the videos alone: what "
            "another training would give they cannot tell."
        )
    return tuple(word for word in words if word)


def _best_words(answer: "SweepAnswer") -> list[str]:
    best = answer.best
    if best is None:
        return [f"No pairs are chosen: {answer.best_reason}."] if answer.metrics else []
    arm, base = answer.arm(best.arm), answer.arm(answer.baseline)
    score = SCORE_TITLES[answer.choose]
    pairs = ", ".join(pair_label(*pair) for pair in best.heads.pairs)
    drawn = "" if best.seed is None else f", as drawn for seed {best.seed}"
    there = f"{score} {with_interval(best.selection.value, best.selection.ci, 1)} there"
    text = f"Best on the selection split: “{arm.title}” ({pairs}{drawn}), {there}"
    if best.over_baseline is not None:
        text += (
            f", {_signed_gap(best.over_baseline)} over “{base.title}”{_finding(best.over_baseline)}"
        )
    words = [f"{text}."]
    if found := arm.scores.get(answer.choose):
        text = f"On the reporting split: {score} {with_interval(found.value, found.ci, 1)}"
        gap = arm.to_baseline.get(answer.choose)
        words.append(f"{text}, {gap_words(gap)} over “{base.title}”." if gap else f"{text}.")
    return words


def _finding(gap: "SeedMean") -> str:
    """What the best arm's difference on the selection split says."""
    if gap.ci is None:
        return ""
    if gap.ci[0] > 0:
        return ": better, though as the largest of several it flatters"
    if gap.ci[1] < 0:
        return ": even the best arm is worse than none"
    return ": the interval holds 0, so nothing shows that it helps"


def halving_words(answer: "SweepAnswer") -> str:
    """How many arms were cut, when and on what; empty where none could be."""
    if answer.halving is None:
        return ""
    cuts = [(rung.step, len(rung.cut)) for rung in answer.halving.rungs if rung.cut]
    when = ", ".join(f"{arms} at step {step:,}" for step, arms in cuts)
    total = sum(arms for _, arms in cuts)
    return (
        f"{total} of {count(len(answer.arms), 'arm')} cut early, by "
        f"{SCORE_TITLES[answer.halving.metric]} on the selection split"
        f"{f': {when}' if when else ''}."
    )


def state_words(arm: "ArmAnswer", answer: "SweepAnswer") -> str:
    """How far an arm came, where it did not come to its end; empty where it did."""
    if arm.status == "cut":
        score = "" if arm.cut_score is None else f", {number(arm.cut_score, 1)} on selection"
        return f"cut at step {arm.cut_step:,}{score}"
    if arm.status == "missing":
        return "no finished trial"
    if arm.status == "partial":
        return f"{len(arm.trials)} of {count(len(answer.seeds), 'seed')}"
    return ""


def pairs_words(arm: "ArmAnswer") -> str:
    """The supervised pairs of an arm."""
    choices = list(dict.fromkeys(arm.pairs.values()))
    if not choices:
        return MISSING
    if choices == [()]:
        return "none"
    if len(choices) > 1:
        return f"{len(choices[0])} drawn for each seed"
    return ", ".join(pair_label(*pair) for pair in choices[0])


def n_words(answer: "SweepAnswer") -> str:
    """Expressions and videos by score, and seeds."""
    return _n_words(
        answer, [(score, mean) for arm in answer.arms for score, mean in arm.scores.items()]
    )


def gap_n_words(answer: "SweepAnswer") -> str:
    """The same of the paired differences, which may have fewer seeds."""
    contrasts = [of for arm in answer.arms for of in (arm.to_baseline, arm.to_control)]
    return _n_words(answer, [(score, found.gap) for of in contrasts for score, found in of.items()])


def _n_words(answer: "SweepAnswer", scored: "Sequence[tuple[str, SeedMean]]") -> str:
    found: dict[int, list[str]] = {}
    videos = seeds = 0
    for score in answer.metrics:
        means = [mean for of, mean in scored if of == score]
        if not means:
            continue
        most = max(means, key=lambda mean: mean.n)
        found.setdefault(most.n, []).append(SHORT_TITLES[score])
        videos = max(videos, most.n_videos)
        seeds = max(seeds, *(len(mean.seeds) for mean in means))
    parts = [
        count(n, "expression") + (f" ({', '.join(scores)})" if len(found) > 1 else "")
        for n, scores in found.items()
    ]
    return f"{'; '.join(parts)} of {count(videos, 'video')}, {count(seeds, 'seed')}"


def gap_words(contrast: "Contrast") -> str:
    """``+1.2 [+0.4, +2.0], p 0.004 (0.012)``; in brackets the corrected p."""
    text = _signed_gap(contrast.gap)
    if contrast.gap.p is None:
        return text
    return f"{text}, p {small_p(contrast.gap.p)} ({small_p(contrast.corrected_p)})"


def small_p(p: float | None) -> str:
    """A p that rests on a bootstrap of some thousand draws; what is smaller is not told apart."""
    return "<0.001" if p is not None and p < 0.001 else p_value(p)


def _signed_gap(gap: "SeedMean") -> str:
    return " ".join((signed(gap.value, 1), signed_interval(gap.ci, 1))).strip()
