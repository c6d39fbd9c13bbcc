"""Statistics of data sets as rows, beside those that the paper's Table 1 gives of other sets."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reports.style import CAPTION_TYPE_TITLES, MISSING, number

if TYPE_CHECKING:
    from reviosa.data.statistics import DataStatistics, Histogram

__all__ = ["HEADER", "TABLE_1", "PublishedData", "bin_words", "csv_rows", "table_rows"]


class PublishedData(NamedTuple):
    """A row of Table 1 of the InterRVOS paper."""

    name: str
    multiple: bool
    """Whether expressions speak of several objects at once; all sets have those of one."""
    videos: int
    objects: int
    expressions: int
    objects_per_video: float
    interactions: int | None
    """The column "Actor-Target"; None where the set has none."""


TABLE_1 = (
    PublishedData("A2D Sentence", False, 3_782, 4_825, 6_656, 1.28, None),
    PublishedData("J-HMDB Sentence", False, 928, 928, 928, 1.00, None),
    PublishedData("Ref-DAVIS", False, 90, 205, 1_544, 2.27, None),
    PublishedData("Ref-Youtube-VOS", False, 3_978, 7_451, 15_009, 1.86, None),
    PublishedData("MeViS", True, 2_006, 8_171, 28_570, 4.28, None),
    PublishedData("ReVOS", True, 1_042, 5_535, 35_074, 5.31, None),
    PublishedData("Ref-SAV", False, 37_311, 72_509, 72_509, 1.94, None),
    PublishedData("InterRVOS-127K", True, 8_738, 35_247, 127_236, 4.03, 17_604),
)
"""All splits together, as published; the ratio of MeViS (4.28) and of Ref-Youtube-VOS (1.86) is not
that of their own columns (4.07 and 1.87)."""

HEADER = (
    "data set", "source", "videos", "frames", "objects", "expressions", "objects/video",
    "Actor-Target", "pairs", *CAPTION_TYPE_TITLES.values(),
)  # fmt: skip


def table_rows(found: "Sequence[DataStatistics]") -> list[list[str]]:
    """The counted data sets, then the published ones; a dash is what the paper does not say."""
    rows = [
        [
            s.name, "counted", *map(_whole, (s.videos, s.frames, s.objects, s.expressions)),
            number(s.objects_per_video, 2), *map(_whole, (s.interactions, s.pairs)),
            *(_whole(s.caption_types[kind]) for kind in CAPTION_TYPE_TITLES),
        ]
        for s in found
    ]  # fmt: skip
    for p in TABLE_1:
        acting = "yes" if p.interactions else "no"
        kinds = ["yes", "yes" if p.multiple else "no", "\N{EN DASH}", acting]
        rows.append(
            [
                p.name, "published", _whole(p.videos), "\N{EN DASH}", _whole(p.objects),
                _whole(p.expressions), number(p.objects_per_video, 2),
                "\N{EN DASH}" if p.interactions is None else _whole(p.interactions),
                "\N{EN DASH}", *kinds,
            ]
        )  # fmt: skip
    return rows


def csv_rows(found: "Sequence[DataStatistics]") -> Iterator[dict[str, Any]]:
    """One number a row, so that histograms stand in the same file; not rounded."""
    for s in found:
        first = {"data": s.name, "source": "counted"}
        single = {
            "videos": s.videos, "frames": s.frames, "truth_frames": s.truth_frames,
            "objects": s.objects, "expressions": s.expressions,
            "objects_per_video": s.objects_per_video, "interactions": s.interactions,
            "pairs": s.pairs,
        }  # fmt: skip
        for name, value in single.items():
            yield {**first, "statistic": name, "from": None, "to": None, "value": value}
        for kind, value in s.caption_types.items():
            yield {**first, "statistic": f"caption_type {kind}", "from": None, "to": None,
                   "value": value}  # fmt: skip
        for name, drawn in (("mask_area", s.areas), ("track_length", s.tracks)):
            if drawn is None:
                continue
            for kind in ("mean", "median"):
                yield {**first, "statistic": f"{name} {kind}", "from": None, "to": None,
                       "value": getattr(drawn, kind)}  # fmt: skip
            for place, value in enumerate(drawn.counts):
                low, high = drawn.edges[place : place + 2]
                yield {**first, "statistic": name, "from": low,
                       "to": None if high == float("inf") else high, "value": value}  # fmt: skip
    for p in TABLE_1:
        for name in ("videos", "objects", "expressions", "objects_per_video", "interactions"):
            yield {"data": p.name, "source": "published", "statistic": name, "from": None,
                   "to": None, "value": getattr(p, name)}  # fmt: skip


def bin_words(drawn: "Histogram", scale: float = 1.0, whole: bool = False) -> list[str]:
    """``0.1–0.2`` for each bin; of whole numbers ``2–4`` and ``1``.

    Args:
        drawn: the histogram.
        scale: edges are multiplied by it.
        whole: the values are whole numbers.
    """
    words = []
    for low, high in zip(drawn.edges[:-1], drawn.edges[1:], strict=True):
        if high == float("inf"):
            words.append(f"{low * scale:g} and more")
        elif whole and high - low == 1:
            words.append(f"{low:g}")
        else:
            words.append(f"{low * scale:g}\N{EN DASH}{high - 1 if whole else high * scale:g}")
    return words


def _whole(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"
