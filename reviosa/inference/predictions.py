"""Predictions of a data set in the release's form (EVALUATION.md, Formats)."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any

from reviosa.data.prompts import ask_for_target
from reviosa.data.records import VideoSample
from reviosa.evaluation.predictions import join_prediction
from reviosa.inference.results import SegmentationResult
from reviosa.inference.segmenter import Segmenter

__all__ = ["predict", "prediction_record"]


def predict(
    segmenter: Segmenter, samples: Iterable[VideoSample], target_by_prompt: bool = False
) -> dict[str, dict[str, dict[str, Any]]]:
    """Predictions of many samples.

    Samples of one video that follow each other share its features and are tracked together.

    Args:
        segmenter: the model.
        samples: what to ask.
        target_by_prompt: take the target from the first mask of a second question,
            :func:`~reviosa.data.prompts.ask_for_target`, asked of interactions: how the paper's
            Table 4 tries models that know one token alone.
    """
    predictions: dict[str, dict[str, dict[str, Any]]] = {}
    for video_id, group in groupby(samples, key=lambda sample: sample.video.video_id):
        of_video = list(group)
        features = segmenter.encode(of_video[0].video)
        texts = [sample.expression.text for sample in of_video]
        acting = [i for i, s in enumerate(of_video) if s.expression.is_interaction]
        asked = [ask_for_target(texts[i]) for i in acting] if target_by_prompt else []
        results = segmenter.segment_encoded(features, [*texts, *asked])
        if target_by_prompt:
            by_words = dict(zip(acting, results[len(texts) :], strict=True))
            results = [
                replace(result, tracks=(result.tracks[0], _actor_track(by_words.get(i))))
                for i, result in enumerate(results[: len(texts)])
            ]
        predictions.setdefault(video_id, {}).update(
            (sample.expression.exp_id, prediction_record(sample, result))
            for sample, result in zip(of_video, results, strict=True)
        )
    return predictions


def _actor_track(result: SegmentationResult | None) -> Any:
    return None if result is None else result.tracks[0]


def prediction_record(sample: VideoSample, result: SegmentationResult) -> dict[str, Any]:
    """One entry of a predictions file; a role that was not named has an empty list.

    ``babble`` is there only where the model named no role by itself.
    """
    text, names = sample.expression.text, sample.video.frame_names
    record = join_prediction(text, names, result.text, result.tracks)
    return record if result.babble is None else {**record, "babble": result.babble}
