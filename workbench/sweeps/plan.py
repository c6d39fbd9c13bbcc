"""From a sweep file to its trials, each with an id made of all that decides its result."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from probes.ranking import Ranking, rank
from probes.selection import UNSCORED, select
from probes.store import CaptureStore
from reviosa.data import open_dataset
from reviosa.errors import ConfigError
from reviosa.heads import PUBLISHED, HeadSelection
from reviosa.model import ReviosaConfig, model_config, model_identity
from reviosa.training.config import TrainConfig
from workbench.config import build, file_layer
from workbench.sources import KeyedError, Layer, Loc, Mark, Sources
from workbench.sweeps.config import HeadsRule, SweepConfig

__all__ = [
    "RankedCapture", "Trial", "arm_settings", "base_configs", "base_layer", "choose_heads",
    "model_shape", "parts", "plan_trials", "ranked_capture",
]  # fmt: skip


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
    selection_videos: int
    """How many videos of the selection split it is scored on."""
    report_videos: int


class RankedCapture(NamedTuple):
    """The capture that pairs are chosen from."""

    model: str
    """The baseline's: its arm starts from it."""
    folder: str
    """Name of its folder; another model, data set or kind of capture has another."""
    gradients: bool
    """Whether a criterion needs gradients; without them it takes about half as long."""


def parts(trial: Trial) -> tuple[str, ...]:
    """The runs that a trial consists of, in their order, by the names of their folders."""
    prompted = ("target-by-prompt",) if trial.target_by_prompt else ()
    return ("train", "selection", "evaluate", *prompted)


def base_layer(sweep: SweepConfig) -> Layer:
    """What the base training configuration holds.

    Raises:
        KeyedError: it cannot be read.
    """
    try:
        return file_layer(sweep.train, TrainConfig)
    except ConfigError as error:
        raise KeyedError(("train",), str(error)) from None


def base_configs(
    sweep: SweepConfig, sources: Sources | None = None, arms: Sequence[str] | None = None
) -> dict[str, TrainConfig]:
    """The training configuration of arms, checked; ``out`` is filled in later.

    Args:
        sweep: with all its arms.
        sources: where the values of the sweep file stand, for messages.
        arms: which; all when None.

    Raises:
        ConfigError: the base or what an arm sets is no training configuration.
    """
    base = base_layer(sweep)
    own = {"data": sweep.data, "out": Path("out"), "attention_data": sweep.selection}
    found = {}
    for name in sweep.arms if arms is None else arms:
        layers = [base, Layer.of(own, ""), _arm_layer(sweep, name, sources or Sources())]
        config, _ = build(TrainConfig, layers)
        if Path(config.model).is_dir():
            # The trial's own file lies elsewhere.
            config = config.model_copy(update={"model": os.path.abspath(config.model)})
        found[name] = config
    return found


def _arm_layer(sweep: SweepConfig, arm: str, sources: Sources) -> Layer:
    """What an arm sets, each value with its place in the sweep file."""
    layer = Layer({}, {})
    for key, value in sweep.arms[arm].set.items():
        loc: Loc = ("arms", arm, "set", key)
        if key in ("data", "out", "heads", "seed", "attention_data"):
            raise KeyedError(loc, f"set holds {key!r}, which the sweep itself sets; drop it")
        names = tuple(key.split("."))
        data: Any = value
        for name in reversed(names):
            data = {name: data}
        marks: dict[Loc, Mark] = {
            below: sources.mark((*loc, *below[len(names) :]))
            for below in Layer.of(data, "").marks
            if len(below) >= len(names)
        }
        layer = layer.under(Layer(data, marks))
    return layer


def model_shape(source: str) -> tuple[int, int]:
    """Layers and heads of the model that a training starts from.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    random = source == "nano-random"
    config = ReviosaConfig.preset("nano") if random else model_config(source)
    return config.num_layers, config.num_heads


def ranked_capture(sweep: SweepConfig) -> RankedCapture | None:
    """The capture that the sweep chooses pairs from; None where no arm looks at scores."""
    rules = [arm.heads for arm in sweep.arms.values() if arm.heads is not None]
    if not any(rule.needs_scores for rule in rules):
        return None
    model = _baseline_model(sweep)
    gradients = any(rule.needs_gradients for rule in rules)
    data, videos = _data_used(sweep.selection, sweep.selection_videos)
    kind = "" if gradients else "-no-gradients"
    return RankedCapture(
        model, f"capture-{_identity(model)[:8]}-{data[:8]}-{videos}{kind}", gradients
    )


def plan_trials(sweep: SweepConfig) -> list[Trial]:
    """All trials, seed by seed, so that a sweep that is stopped early has whole comparisons.

    Args:
        sweep: with all its arms, as :func:`workbench.sweeps.load.load_sweep` gives it.

    Raises:
        ConfigError: an arm is no training configuration, or two arms are the same.
        DataError: a data set cannot be read.
        ValueError: the sweep still holds a grid.
    """
    if sweep.axes is not None:
        raise ValueError("the sweep holds a grid; read its file with load_sweep")
    selection = _data_used(sweep.selection, sweep.selection_videos)
    report = _data_used(sweep.report, sweep.report_videos)
    used = {
        "data": open_dataset(sweep.data).identity, "selection": selection, "report": report,
    }  # fmt: skip
    bases = base_configs(sweep)
    models = {base.model: _identity(base.model) for base in bases.values()}
    ranked = models[bases[sweep.baseline].model]
    settings = {
        name: arm_settings(sweep, name, base, models[base.model], ranked)
        for name, base in bases.items()
    }
    trials: dict[str, Trial] = {}
    for seed in sweep.seeds:
        for name, arm in sweep.arms.items():
            train = {**_train(bases[name]), "seed": seed}
            key = _id({**settings[name], "train": train, **used})
            if key in trials:
                raise ConfigError(
                    f"arms {trials[key].arm} and {name} are the same trial; drop one of them"
                )
            train["model"] = bases[name].model
            trials[key] = Trial(
                key, name, seed, train, arm.heads, arm.target_by_prompt, selection[1], report[1]
            )
    return list(trials.values())


def arm_settings(
    sweep: SweepConfig, name: str, base: TrainConfig, model: str, ranked: str = ""
) -> dict[str, Any]:
    """What sets an arm apart from others, as JSON can hold it; names and titles do not.

    Args:
        sweep: with all its arms.
        name: of the arm.
        base: its training configuration.
        model: identity of the weights that it starts from.
        ranked: identity of the weights that pairs are chosen from.
    """
    arm = sweep.arms[name]
    return {
        "train": _train(base),
        "model": model,
        "heads": _rule(sweep, arm.heads, ranked),
        "target_by_prompt": arm.target_by_prompt,
    }


def _train(base: TrainConfig) -> dict[str, Any]:
    """The settings that decide a training, but for model and seed."""
    elsewhere = {"data", "out", "heads", "attention_data", "model", "seed"}
    settings = base.model_dump(mode="json", exclude=elsewhere)
    if settings["data_fraction"] == 1:
        del settings["data_fraction"]  # said where it is not as ever, so that old trials count
    return settings


def _id(decides: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


def _data_used(path: Path, videos: int | None) -> tuple[str, int]:
    """Identity of a data set and how many of its videos are used."""
    dataset = open_dataset(path, videos)
    dataset.require_truth()
    return dataset.identity, len(dataset.videos)


def choose_heads(
    sweep: SweepConfig, rule: HeadsRule, store: CaptureStore | None, seed: int
) -> HeadSelection:
    """The pairs that a rule names.

    Args:
        sweep: with all its arms.
        rule: of one of them.
        store: the sweep's :func:`ranked_capture`; None where it has none.
        seed: of the trial; random pairs are drawn with it.

    Raises:
        ConfigError: there are not as many pairs as the rule asks for, or the heads file is broken.
        ValueError: the rule needs scores and there is no store.
    """
    if rule.heads is not None:
        return HeadSelection.load(rule.heads)
    shape = model_shape(_baseline_model(sweep))
    if rule.strategy == "layer" and rule.k == "all" and rule.layer is not None:
        pairs = tuple((rule.layer, head) for head in range(shape[1]))
        return HeadSelection(pairs, rule.strategy)
    if rule.strategy in UNSCORED:
        scores, run, data = shape, None, None
    elif store is None:
        raise ValueError(f"{rule.strategy} needs scores; give the store of ranked_capture")
    else:
        scores = _ranking(store, rule.criterion, rule.role)
        run, data = store.directory.name, (store.run.get("data") or {}).get("identity")
    like = sweep.arms[rule.like].heads if rule.like is not None else None
    return select(
        scores,
        rule.strategy,
        shape[1] if rule.k == "all" else int(rule.k),
        seed=seed,
        run=run,
        data=data,
        preset=rule.preset,
        layers=rule.layers,
        like=choose_heads(sweep, like, store, seed) if like is not None else None,
        layer=rule.layer,
    )


@lru_cache(maxsize=64)
def _ranking(store: CaptureStore, criterion: str, role: str) -> Ranking:
    """Kept, since all seeds and many arms choose from the same one."""
    return rank(store, criterion, role, resamples=1, seed=0)


def _baseline_model(sweep: SweepConfig) -> str:
    return base_configs(sweep, arms=(sweep.baseline,))[sweep.baseline].model


def _identity(model: str) -> str:
    return model if model == "nano-random" else model_identity(model)


def _rule(sweep: SweepConfig, rule: HeadsRule | None, ranked: str) -> dict[str, Any] | None:
    """What decides the pairs of a rule.

    The arm that it names is written out, since what an arm is called decides nothing; pairs that
    are given stand for themselves, whichever file or preset they came from.
    """
    if rule is None:
        return None
    if rule.heads is not None or rule.preset is not None:
        given = PUBLISHED[rule.preset] if rule.preset else HeadSelection.load(str(rule.heads))
        return {"pairs": [list(pair) for pair in sorted(given.pairs)]}
    fields = {name: getattr(rule, name) for name in rule.reads if name != "like"}
    found = {"strategy": rule.strategy, **fields}
    if rule.needs_scores:
        found["of"] = ranked
    if rule.like is not None:
        found["like"] = _rule(sweep, sweep.arms[rule.like].heads, ranked)
    return found
