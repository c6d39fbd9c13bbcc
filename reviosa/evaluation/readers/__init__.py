"""Readers of predictions, whatever system wrote them."""

from reviosa.evaluation.readers.json_file import JsonPredictions
from reviosa.evaluation.readers.mask_folders import MaskFolders
from reviosa.evaluation.readers.opening import FORMS, AnyPredictions, open_predictions
from reviosa.evaluation.readers.palettes import PaletteFolders

__all__ = [
    "FORMS",
    "AnyPredictions",
    "JsonPredictions",
    "MaskFolders",
    "PaletteFolders",
    "open_predictions",
]
