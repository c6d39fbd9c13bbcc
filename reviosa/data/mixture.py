"""Several data sets as one, with weights that say how often training draws from each.

A YAML file names the parts; paths are relative to it::

    parts:
      - {path: InterRVOS/train, weight: 3}
      - {path: MeViS/train, weight: 1}
      - {path: ReVOS/meta_expressions_train_.json, weight: 1, layout: revos, limit: 100}
"""

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reviosa.data.dataset import Fault, VideoDataset
from reviosa.data.opening import open_dataset
from reviosa.data.records import Video
from reviosa.errors import ConfigError, DataError, first_line

__all__ = ["MixtureDataset", "Part"]


class _PartSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    path: Path
    layout: str | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    limit: Annotated[int, Field(ge=1)] | None = None


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: Annotated[list[_PartSettings], Field(min_length=1)]


@dataclass(frozen=True)
class Part:
    """One data set of a mixture."""

    name: str
    """Its layout, and a number where several parts have the same."""
    dataset: VideoDataset
    weight: float
    """How often it is drawn from in training, against the other parts' weights."""
    videos: tuple[Video, ...]
    """Its videos under the names that they have in the mixture."""


class MixtureDataset(VideoDataset):
    """The videos of all parts, one part after the other.

    A video whose id another part has too is called ``<name of the part>/<id>``; other ids stay, so
    that predictions of one part fit the mixture. Weights count in training alone: evaluation takes
    every video once. The mixture has truth where all parts have.

    Args:
        root: the YAML file; see this module.
        limit: use the first ``limit`` videos of the mixture only.
        strict: as for the parts.

    Raises:
        ConfigError: the file is no such YAML.
        DataError: a part cannot be read.
    """

    layout = "mixture"
    files = "a YAML file with parts"

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        self.root = Path(root)
        if limit is not None and limit < 1:
            raise DataError(f"got limit {limit}, expected at least 1 video; raise the limit")
        settings = _read(self.root)
        datasets = [
            open_dataset(self.root.parent / part.path, part.limit, part.layout, strict)
            for part in settings.parts
        ]
        seen = Counter(video.video_id for dataset in datasets for video in dataset.videos)
        layouts = Counter[str]()
        self._owners: dict[str, tuple[VideoDataset, Video]] = {}
        parts = []
        for part, dataset in zip(settings.parts, datasets, strict=True):
            layouts[dataset.layout] += 1
            again = layouts[dataset.layout]
            name = dataset.layout if again == 1 else f"{dataset.layout}-{again}"
            left = None if limit is None else limit - len(self._owners)
            if left == 0:
                break
            videos = []
            for own in dataset.videos[:left]:
                clashes = seen[own.video_id] > 1
                video = _renamed(own, f"{name}/{own.video_id}") if clashes else own
                self._owners[video.video_id] = dataset, own
                videos.append(video)
            parts.append(Part(name, dataset, part.weight, tuple(videos)))
        self.parts = tuple(parts)
        self.videos = tuple(video for part in parts for video in part.videos)
        self.has_truth = all(part.dataset.has_truth for part in parts)
        told = [
            [part.name, part.dataset.identity, part.weight, settings.parts[index].limit]
            for index, part in enumerate(parts)
        ]
        self.identity = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    @classmethod
    def found(cls, root: Path) -> bool:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        return root.is_file() and root.suffix.lower() in (".yaml", ".yml")

    def annotation_masks(
        self, video: Video, anno_id: int, indices: Sequence[int]
    ) -> Iterator[np.ndarray | None]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        dataset, own = self._owners[video.video_id]
        return dataset.annotation_masks(own, anno_id, indices)

    def rles(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        dataset, own = self._owners[video_id]
        return dataset.rles(own.video_id, anno_ids, indices)

    def size(self, video_id: str) -> tuple[int, int]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        dataset, own = self._owners[video_id]
        return dataset.size(own.video_id)

    def faults(self) -> Iterator[Fault]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        for part in self.parts:
            for fault in part.dataset.faults():
                yield Fault(f"{part.name}: {fault.where}", fault.what)


def _renamed(video: Video, video_id: str) -> Video:
    """A video under another name; a video of a clip file stays one."""
    expressions = tuple(replace(e, video_id=video_id) for e in video.expressions)
    renamed = copy.copy(video)
    vars(renamed).update(video_id=video_id, expressions=expressions)
    return renamed


def _read(path: Path) -> _Settings:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings = _Settings.model_validate(value)
    except (OSError, UnicodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(
            f"{path}: got no readable YAML ({first_line(error)}), expected a list of parts; "
            "correct the file"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ConfigError(
            f"{path}: {where}: {first['msg']}, expected parts with path and, if wanted, layout, "
            "weight and limit; correct the file"
        ) from None
    for part in settings.parts:
        if part.path.suffix.lower() in (".yaml", ".yml"):
            raise ConfigError(
                f"{path}: got the mixture {part.path} as a part, expected a data set; name its "
                "parts here"
            )
    return settings
