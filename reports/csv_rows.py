"""Rows of the CSV files about several runs: captures side by side, claims, arms of sweeps."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.comparison import SeedMean
    from probes.report import Contrast
    from probes.study import StudyResults

__all__ = [
    "agreement_rows", "arm_contrast_rows", "arm_rows", "claim_rows", "contrast_rows",
    "estimate_cells",
]  # fmt: skip

Row = dict[str, Any]


def contrast_rows(contrasts: "Sequence[Contrast]") -> Iterable[Row]:
    """Paired differences of captures in points of J&F."""
    for found in contrasts:
        for protocol, gap in found.gaps.items():
            yield {
                "run": found.second, "less": found.first, "protocol": protocol,
                **_mean_cells("difference", gap),
            }  # fmt: skip


def agreement_rows(contrasts: "Sequence[Contrast]") -> Iterable[Row]:
    """Agreement of the rankings of captures."""
    for found in contrasts:
        for one in found.agreements:
            yield {
                "run": found.second, "against": found.first, "criterion": one.criterion,
                "role": one.role, **estimate_cells("spearman", one.spearman), "k": one.k,
                "jaccard": one.best.jaccard, "kuncheva": one.best.kuncheva,
                "pairs": one.spearman.n, "n_videos": one.spearman.n_videos,
            }  # fmt: skip


def claim_rows(study: "StudyResults | None") -> Iterable[Row]:
    """Claims and their verdicts."""
    for claim in study.claims if study else ():
        low, high = claim.ci or (None, None)
        yield {
            "claim": claim.says, "source": claim.source, "verdict": claim.verdict,
            "paper": claim.paper, "least": claim.least, "value": claim.value, "low": low,
            "high": high, "unit": claim.unit,
            "seeds": " ".join(f"{seed}:{value!r}" for seed, value in claim.seeds.items()),
            "n": claim.n, "n_videos": claim.n_videos, "runs": " ".join(claim.runs),
        }  # fmt: skip


def arm_rows(study: "StudyResults | None") -> Iterable[Row]:
    """Scores of every arm of every sweep; split "selection" is what arms are chosen by."""
    for sweep in study.sweeps if study else ():
        answer = sweep.answer
        for arm in answer.arms:
            scores = [("report", name, mean) for name, mean in arm.scores.items()]
            if arm.selection is not None:
                scores.append(("selection", answer.choose, arm.selection))
            for split, score, mean in scores:
                yield {
                    "sweep": answer.name, "arm": arm.arm, "title": arm.title,
                    "status": arm.status, "split": split, "score": score,
                    **_mean_cells("J&F", mean),
                }  # fmt: skip


def arm_contrast_rows(study: "StudyResults | None") -> Iterable[Row]:
    """Paired differences of every arm of every sweep."""
    for sweep in study.sweeps if study else ():
        for arm in sweep.answer.arms:
            for found in (arm.to_baseline, arm.to_control):
                for score, one in found.items():
                    yield {
                        "sweep": sweep.answer.name, "arm": arm.arm, "less": one.than,
                        "score": score, **_mean_cells("difference", one.gap),
                        "corrected_p": one.corrected_p,
                    }  # fmt: skip


def estimate_cells(name: str, estimate: "Estimate | None") -> Row:
    """Value and ends of the interval."""
    low, high = (estimate and estimate.ci) or (None, None)
    return {name: estimate and estimate.value, f"{name}_low": low, f"{name}_high": high}


def _mean_cells(name: str, mean: "SeedMean") -> Row:
    low, high = mean.ci or (None, None)
    return {
        name: mean.value, f"{name}_low": low, f"{name}_high": high, "p": mean.p,
        "seeds": " ".join(f"{seed}:{value!r}" for seed, value in mean.seeds.items()),
        "n": mean.n, "n_videos": mean.n_videos,
    }  # fmt: skip
