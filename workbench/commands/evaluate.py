"""``reviosa evaluate``: a model's J and F by protocol."""

import shutil
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.options import (
    Data,
    Device,
    Features,
    FeaturesLimit,
    Frames,
    Json,
    Limit,
    Model,
    NewRun,
    Resume,
)

if TYPE_CHECKING:
    from reviosa.data import VideoDataset
    from reviosa.inference import Segmenter

__all__ = [
    "Protocol",
    "ProtocolOption",
    "chosen_protocols",
    "evaluate",
    "print_protocols",
    "require_protocol",
]

_PROTOCOLS = ("actor", "target", "rvos")


class Protocol(StrEnum):
    """Which settings of InterRVOS to count."""

    all = "all"
    actor = "actor"
    target = "target"
    rvos = "rvos"


ProtocolOption = Annotated[
    Protocol,
    typer.Option("--protocol", help="actor and target need interaction expressions in the data."),
]


def evaluate(
    data: Data,
    out: NewRun,
    model: Model = "nano",
    protocol: ProtocolOption = Protocol.all,
    resume: Resume = False,
    target_by_prompt: Annotated[
        bool,
        typer.Option(
            "--target-by-prompt",
            help="Ask for each target in words, as the paper's Table 4 asks models with one token.",
        ),
    ] = False,
    limit: Limit = None,
    frames: Frames = None,
    features: Features = None,
    features_limit: FeaturesLimit = 20.0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Predict every expression of a data set and score the masks: Actor, Target, RVOS.

    Of a split whose truth is kept back, predictions are written and nothing is scored.
    """
    from reviosa.data import open_dataset
    from reviosa.data.prompts import TARGET_QUESTION
    from reviosa.evaluation import (
        SCORES_FILE,
        evaluate_predictions,
        write_predictions,
        write_scores,
    )
    from reviosa.features import FrozenFeatures
    from reviosa.inference import Segmenter
    from reviosa.io import write_json
    from reviosa.run_record import open_run
    from workbench.console import note, progress
    from workbench.features import open_features, tell_features
    from workbench.models import load_model

    dataset = open_dataset(data, limit)
    dataset.check_frames()
    if dataset.has_truth:
        require_protocol(dataset, protocol)
    loaded = load_model(model, device, frames)
    config: dict[str, Any] = {"limit": limit, "protocol": str(protocol)}
    if target_by_prompt:
        # The wording, not only that there was one: parts of another are no part of this run.
        config["target_by_prompt"] = TARGET_QUESTION
    header = {"path": str(data), "identity": dataset.identity}
    store = open_features(features, features_limit)
    result: dict[str, Any] | None = None
    with open_run(out, "evaluate", config, None, header, loaded.header, resume) as run:
        with progress("predicting") as update:
            of_frames = FrozenFeatures(loaded.processor, store)
            segmenter = Segmenter(loaded.model, loaded.processor, of_frames)
            parts = run.directory / "parts"
            predictions = _predict(segmenter, dataset, parts, target_by_prompt, update)
        write_predictions(run.directory / "predictions.json", predictions)
        shutil.rmtree(parts, ignore_errors=True)
        if dataset.has_truth:
            with progress("scoring") as update:
                evaluation = evaluate_predictions(dataset, predictions, update)
            write_scores(run.directory / SCORES_FILE, evaluation.scores)
            result = chosen_protocols(evaluation.to_json(), protocol)
            result["put_into_form"] = sum(
                "babble" in entry for video in predictions.values() for entry in video.values()
            )
            if target_by_prompt:
                result["target_by_prompt"] = TARGET_QUESTION
            write_json(run.directory / "evaluation.json", result)
    tell_features(store)
    if result is None:
        _print_unscored(dataset, out, json)
        return
    _print(result, json)
    note(f"predictions and scores in {out}")


def _print_unscored(dataset: "VideoDataset", out: Path, json: bool) -> None:
    from reports.style import count
    from reviosa.evaluation.archive import ARCHIVE_ROOTS
    from workbench.console import print_json

    predictions = out / "predictions.json"
    if json:
        print_json({"predictions": str(predictions), "scored": False})
        return
    print(
        f"{dataset.root} keeps its masks back: there is nothing to score. Predictions of "
        f"{count(len(dataset.samples), 'expression')} in {predictions}; the benchmark's server "
        "scores them" + (" (reviosa score --archive)" if dataset.layout in ARCHIVE_ROOTS else "")
    )


def _predict(
    segmenter: "Segmenter",
    dataset: "VideoDataset",
    parts: Path,
    target_by_prompt: bool,
    update: Callable[[int, int], None],
) -> dict[str, Any]:
    """Predictions of all expressions; each finished video is kept in ``parts`` and not redone."""
    from reviosa.data.records import VideoSample
    from reviosa.evaluation import read_predictions, write_predictions
    from reviosa.inference import predict

    predictions: dict[str, Any] = {}
    done = 0
    for index, video in enumerate(dataset.videos):
        part = parts / f"{index:06d}.json"
        samples = [VideoSample(video, e, dataset) for e in video.expressions]
        if not samples:
            continue
        if not part.is_file():
            write_predictions(part, predict(segmenter, samples, target_by_prompt))
        predictions |= read_predictions(part)
        done += len(samples)
        update(done, len(dataset.samples))
    return predictions


def print_protocols(protocols: Mapping[str, Mapping[str, Any]]) -> None:
    """Print J, F and J&F by protocol as a table, with the interval of J&F where there is one."""
    from reports.style import PROTOCOL_TITLES, interval, number
    from workbench.console import print_table

    shown = {name: protocols[name] for name in _PROTOCOLS if name in protocols}
    with_ci = any("J&F_ci" in score for score in shown.values())
    rows = [
        [
            PROTOCOL_TITLES[name],
            *(number(score[key], 1) for key in ("J", "F", "J&F")),
            *([interval(score.get("J&F_ci"), 1)] if with_ci else []),
            str(score["n"]),
        ]
        for name, score in shown.items()
    ]
    header = ["protocol", "J", "F", "J&F", *(["95% CI"] if with_ci else []), "expressions"]
    print_table("Score in per cent", header, rows)


def require_protocol(dataset: "VideoDataset", protocol: Protocol) -> None:
    """Raise DataError where the data set has no expression of the protocol."""
    if protocol in (Protocol.actor, Protocol.target):
        dataset.require_targets()


def chosen_protocols(result: dict[str, Any], protocol: Protocol) -> dict[str, Any]:
    """The result without the protocols that were not asked for."""
    dropped = [name for name in _PROTOCOLS if protocol != Protocol.all and name != protocol]
    return {key: value for key, value in result.items() if key not in dropped}


def _print(result: dict[str, Any], json: bool) -> None:
    from workbench.console import note, print_json

    if json:
        print_json(result)
    else:
        print_protocols(result)
    if "target_by_prompt" in result:
        note(f"target: the one mask of the question {result['target_by_prompt']!r} (zero-shot)")
    if result["missing"]:
        note(f"{len(result['missing'])} expressions have no prediction and count as 0")
    if result.get("put_into_form"):
        note(
            f"{result['put_into_form']} answers named no role; they were put into form, and what "
            "their masks show may mean nothing"
        )
    if result["unknown"]:
        note(f"{len(result['unknown'])} predictions are of no expression in the data set")
