"""Predictions of any system by what lies at a path."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from reviosa.errors import ConfigError, DataError
from reviosa.evaluation.readers.json_file import JsonPredictions, is_named, json_files
from reviosa.evaluation.readers.mask_folders import MaskFolders
from reviosa.evaluation.readers.palettes import PaletteFolders, annotator_folders
from reviosa.evaluation.readers.pictures import entries
from reviosa.evaluation.source import PredictionSource

__all__ = ["FORMS", "AnyPredictions", "open_predictions"]

FORMS: Final = ("json", "png", "davis", "ref-davis")
"""ReVIOSa's JSON; ``<video>/<id>/<frame>.png``; palettes; palettes of four annotators."""


class AnyPredictions(PredictionSource, Protocol):
    """Predictions that were opened: what all forms can say of themselves."""

    @property
    def form(self) -> str:
        """One of :data:`FORMS`."""
        ...

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that the form, or the file, speaks of."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the files as such, in whole sentences."""
        ...


def open_predictions(path: str | Path, form: str | None = None) -> AnyPredictions:
    """Open the predictions of any system; single faults are told by ``find`` and ``faults``.

    Args:
        path: a JSON file, a folder with JSON files, or a folder of pictures. A folder
            ``Annotations`` in it is entered.
        form: one of :data:`FORMS`; without one, what lies at the path decides.

    Raises:
        DataError: there is nothing at the path, or nothing that is a prediction.
        ConfigError: the form has no reader.
    """
    path = Path(path)
    if form is not None and form not in FORMS:
        raise ConfigError(f"got the form {form!r}, expected one of {', '.join(FORMS)}; choose one")
    if not path.is_dir():
        return JsonPredictions([path])
    root = path / "Annotations" if (path / "Annotations").is_dir() else path
    annotators, files = annotator_folders(root), json_files(path)
    form = form or _form(root, annotators, files)
    if form == "json" and files:
        return JsonPredictions(files)
    if form == "png":
        return MaskFolders(root)
    if form == "davis":
        return PaletteFolders({None: root})
    if form == "ref-davis" and annotators:
        return PaletteFolders(annotators)
    raise DataError(
        f"{path}: got a folder without predictions, expected JSON files, "
        "<video>/<expression>/<frame>.png, <video>/<frame>.png or anno_0 to anno_3; check the path"
    )


def _form(root: Path, annotators: Mapping[int | None, Path], files: Sequence[Path]) -> str | None:
    """The form of a folder; a name that says it goes first, other JSON last."""
    if files and is_named(files[0]):
        return "json"
    if annotators:
        return "ref-davis"
    for video in entries(root):
        for entry in entries(video):
            if entry.suffix == ".png":
                return "davis"
            if any(picture.suffix == ".png" for picture in entries(entry)):
                return "png"
    return "json" if files else None
