"""Effects of a run of ablations, with intervals over videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probes._json import plain
from probes.bootstrap import Estimate, defined_mean, estimate_means, video_codes, video_means
from probes.causal.effects import plan_from_json, read_effects
from probes.causal.plan import Ablation, Pair
from probes.causal.regression import SubsetRegression, regress_subsets
from reviosa.data.records import ROLES
from reviosa.errors import RunError
from reviosa.run_record import read_run

__all__ = ["CONTROLS", "AblationEffect", "AblationResults", "summarise"]

CONTROLS = {"chosen": "random", "least": "random", "kept": "random kept"}
"""Which random sets a group is compared with: those of the same number of heads."""


@dataclass(frozen=True)
class AblationEffect:
    """What one ablation, or the mean of a group of them, costs."""

    name: str
    group: str
    k: int
    """Heads that were silenced; of ``kept`` and ``random kept``, that were not."""
    pairs: tuple[Pair, ...]
    """Empty for a mean over random sets."""
    role: str
    change: Estimate
    """Mean change of that score, silenced less whole, on the frames the language model saw."""
    over_random: Estimate | None
    """The same less the mean of the random sets of this k, video by video; None where there are
    none."""
    random_below: float | None = None
    """Share of the random sets of this k whose mean change is lower, equal ones counted half: how
    the set stands among random ones; None where there are none."""
    n_random: int = 0
    """Random sets of this k: that it is compared with, or the mean of."""
    by_video: tuple[float, ...] = ()
    """Mean change of each video, in the order of :attr:`AblationResults.videos`."""


@dataclass(frozen=True)
class AblationResults:
    """All effects of a run of :func:`ablate`."""

    kind: str
    """What :func:`ablate` did to the heads."""
    whole: dict[str, Estimate]
    """Score of each role without any ablation: J&F, 0 to 1, and for ``role-swap`` how far the mask
    lies on the other role's object, ``(1 + J_other - J_own) / 2``: 0 on its own, 1 on the other."""
    effects: tuple[AblationEffect, ...]
    """Ablation by ablation, actor and target; means of the random sets after them."""
    n_failed: int
    """Roles left out, as the model did not name them or nobody who could lend to them did."""
    resamples: int
    seed: int
    subsets: tuple[SubsetRegression, ...] = ()
    """The model of random subsets, of each role that was named; empty without subsets."""
    videos: dict[str, tuple[str, ...]] | None = None
    """Videos in which each role was named, sorted."""
    plan_seed: int | None = None
    """Seed of the run, which random sets and subsets were drawn with."""
    criterion: str | None = None
    """By what the ``chosen`` pairs were chosen, where their file says so."""
    chosen_here: bool | None = None
    """Whether they were chosen on the very data that they are silenced on; None if unknown."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def summarise(directory: str | Path, resamples: int = 2000, seed: int = 0) -> AblationResults:
    """Effects of a run of :func:`ablate`, with intervals from a cluster bootstrap over videos.

    Raises:
        RunError: no such run, or one of another kind.
    """
    header = read_run(directory)
    if header.get("kind") != "ablate":
        raise RunError(
            f"{directory} is a run of kind {header.get('kind')!r}, expected an ablation; give a "
            "folder that reviosa ablate wrote"
        )
    config = header["config"]
    ablations = plan_from_json(config["ablations"])
    in_subsets = np.array([a.group == "subset" for a in ablations], dtype=bool)
    subsets = [a.silenced(tuple(config["shape"])) for a in ablations if a.group == "subset"]
    others = [a for a in ablations if a.group != "subset"]
    lines = read_effects(directory)
    whole: dict[str, Estimate] = {}
    names: dict[str, tuple[str, ...]] = {}
    effects: list[AblationEffect] = []
    regressions: list[SubsetRegression] = []
    for role in ROLES:
        rows = [line for line in lines if role in line["scores"]]
        videos = np.array([line["video_id"] for line in rows], dtype=str)
        jf = np.array([line["scores"][role] for line in rows]).reshape(
            len(rows), 1 + len(ablations)
        )
        (whole[role],) = estimate_means(jf[:, :1], videos, resamples, seed)
        names[role] = tuple(sorted(set(videos.tolist())))
        change = jf[:, 1:] - jf[:, :1]
        effects += _of_role(role, others, change[:, ~in_subsets], videos, resamples, seed)
        if subsets and rows:
            regressions.append(
                regress_subsets(
                    np.stack(subsets), change[:, in_subsets], videos, role, resamples, seed
                )
            )
    named = sum(len(line["scores"]) for line in lines)
    wanted = sum(1 + bool(line["interaction"]) for line in lines)
    return AblationResults(
        config["kind"],
        whole,
        tuple(effects),
        wanted - named,
        resamples,
        seed,
        tuple(regressions),
        names,
        header["seed"],
        (config.get("chosen_by") or {}).get("criterion"),
        _chosen_here(header),
    )


def _chosen_here(header: dict[str, Any]) -> bool | None:
    chosen = (header["config"].get("chosen_by") or {}).get("data")
    here = (header.get("data") or {}).get("identity")
    return None if chosen is None or here is None else chosen == here


def _of_role(
    role: str,
    ablations: Sequence[Ablation],
    change: np.ndarray,
    videos: np.ndarray,
    resamples: int,
    seed: int,
) -> list[AblationEffect]:
    """Effects of one role from changes [expression, ablation]."""
    random: dict[tuple[str, int], list[int]] = {}
    for index, ablation in enumerate(ablations):
        if ablation.group in CONTROLS.values():
            random.setdefault((ablation.group, len(ablation.pairs)), []).append(index)
    told = [(i, a) for i, a in enumerate(ablations) if a.group not in CONTROLS.values()]
    controls = [random.get((CONTROLS.get(a.group, ""), len(a.pairs)), []) for _, a in told]
    mean = {key: defined_mean(change[:, columns], axis=1) for key, columns in random.items()}
    compared = [
        change[:, i] - mean[CONTROLS[a.group], len(a.pairs)]
        for (i, a), control in zip(told, controls, strict=True)
        if control
    ]
    plain_ones = [*(change[:, i] for i, _ in told), *mean.values()]
    if not plain_ones:
        return []
    columns = np.column_stack([*plain_ones, *compared])
    estimates = estimate_means(columns, videos, resamples, seed)
    by_video = [tuple(x) for x in video_means(columns, *video_codes(videos)).T.tolist()]
    over = iter(estimates[len(plain_ones) :])
    effects = []
    for place, ((index, a), control) in enumerate(zip(told, controls, strict=True)):
        below = _share_below(change[:, index], change[:, control]) if control else None
        effects.append(
            AblationEffect(
                a.name, a.group, len(a.pairs), a.pairs, role, estimates[place],
                next(over) if control else None, below, len(control), by_video[place],
            )
        )  # fmt: skip
    for place, (group, k) in enumerate(mean, start=len(told)):
        effects.append(
            AblationEffect(
                f"{group} {k}", group, k, (), role, estimates[place], None, None,
                len(random[group, k]), by_video[place],
            )
        )  # fmt: skip
    return effects


def _share_below(change: np.ndarray, random: np.ndarray) -> float | None:
    """Share of the random sets whose mean change is lower, ties counted half."""
    if not len(change):
        return None
    mine, others = change.mean(), random.mean(axis=0)
    equal = np.isclose(others, mine, rtol=0, atol=1e-9)
    return float((equal / 2 + (~equal & (others < mine))).mean())
