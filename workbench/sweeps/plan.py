"""From a sweep file to its trials, each with an id made of all that decides its result."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes.ranking import rank
from probes.selection import select
from probes.store import CaptureStore
from reviosa.data import InterRVOSDataset
from reviosa.errors import ConfigError
from reviosa.heads import HeadSelection
from reviosa.model import model_identity
from reviosa.training.config import TrainConfig
from workbench.config import load_config
from workbench.sweeps.config import HeadsRule, SweepConfig

__all__ = ["Trial", "base_config", "choose_heads", "plan_trials", "ranked_capture"]


@dataclass(frozen=True)
class Trial:
    """One training of one arm with one seed, and its evaluation."""

    id: str
    """Hash of everything that decides the result: settings, rule for the pairs, weights, data."""
    arm: str
    seed: int
    train: dict[str, Any]
    """Training configuration without paths of its own."""
    heads: HeadsRule | None
    target_by_prompt: bool


def base_config(sweep: SweepConfig, arm: str) -> TrainConfig:
    """The training configuration of an arm, checked; ``out`` is filled in later.

    Raises:
        ConfigError: the base or what the arm sets is no training configuration.
    """
    settings = sweep.arms[arm].set
    taken = sorted({"data", "out", "heads", "seed", "attention_data"} & set(settings))
    if taken:
        raise ConfigError(
            f"arm {arm}: set holds {taken[0]!r}, which the sweep itself sets; drop it"
        )
    overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    values = {"data": sweep.data, "out": Path("out"), "attention_data": sweep.selection}
    try:
        config = load_config(TrainConfig, sweep.train, overrides, values)
    except ConfigError as error:
        raise ConfigError(f"arm {arm}: {error}") from None
    if Path(config.model).is_dir():
        # The trial's own file lies elsewhere.
        config = config.model_copy(update={"model": os.path.abspath(config.model)})
    return config


def ranked_capture(sweep: SweepConfig) -> tuple[str, str]:
    """The model that pairs are chosen from, the baseline's, and the folder of its capture."""
    model = base_config(sweep, sweep.baseline).model
    data, videos = _data_used(sweep.selection, sweep.selection_videos)
    return model, f"capture-{_identity(model)[:8]}-{data[:8]}-{videos}"


def plan_trials(sweep: SweepConfig) -> list[Trial]:
    """All trials, seed by seed, so that a sweep that is stopped early has whole comparisons.

    Raises:
        ConfigError: an arm is no training configuration, or two arms are the same.
        DataError: a data set cannot be read.
    """
    data = InterRVOSDataset(sweep.data).identity
    selection = _data_used(sweep.selection, sweep.selection_videos)
    report = _data_used(sweep.report, sweep.report_videos)
    bases = {name: base_config(sweep, name) for name in sweep.arms}
    models = {base.model: _identity(base.model) for base in bases.values()}
    ranked = models[bases[sweep.baseline].model]
    trials: dict[str, Trial] = {}
    for seed in sweep.seeds:
        for name, arm in sweep.arms.items():
            dropped = {"data", "out", "heads", "attention_data"}
            settings = bases[name].model_dump(mode="json", exclude=dropped) | {"seed": seed}
            decides = {
                "train": {key: value for key, value in settings.items() if key != "model"},
                "model": models[bases[name].model],
                "data": data,
                "selection": selection,
                "report": report,
                "heads": {"of": ranked, **rule} if (rule := _rule(sweep, arm.heads)) else None,
                "target_by_prompt": arm.target_by_prompt,
            }
            text = json.dumps(decides, sort_keys=True)
            key = hashlib.sha256(text.encode()).hexdigest()[:12]
            if key in trials:
                raise ConfigError(
                    f"arms {trials[key].arm} and {name} are the same trial; drop one of them"
                )
            trials[key] = Trial(key, name, seed, settings, arm.heads, arm.target_by_prompt)
    return list(trials.values())


def _data_used(path: Path, videos: int | None) -> tuple[str, int]:
    """Identity of a data set and how many of its videos are used."""
    dataset = InterRVOSDataset(path, videos)
    return dataset.identity, len(dataset.videos)


def choose_heads(
    sweep: SweepConfig, rule: HeadsRule, store: CaptureStore, seed: int
) -> HeadSelection:
    """The pairs that a rule names, from the capture of the baseline's model on the selection split.

    Raises:
        ConfigError: there are not as many pairs as the rule asks for.
    """
    return select(
        rank(store, rule.criterion, rule.role, resamples=1, seed=0),
        rule.strategy,
        rule.k,
        seed=seed,
        run=store.directory.name,
        data=(store.run.get("data") or {}).get("identity"),
        layers=rule.layers,
        like=choose_heads(sweep, like, store, seed) if (like := _like(sweep, rule)) else None,
    )


def _identity(model: str) -> str:
    return model if model == "nano-random" else model_identity(model)


def _like(sweep: SweepConfig, rule: HeadsRule) -> HeadsRule | None:
    return sweep.arms[rule.like].heads if rule.like is not None else None


def _rule(sweep: SweepConfig, rule: HeadsRule | None) -> dict[str, Any] | None:
    """The rule with the arm that it names written out: what an arm is called decides nothing."""
    if rule is None:
        return None
    return {**rule.model_dump(mode="json"), "like": _rule(sweep, _like(sweep, rule))}
