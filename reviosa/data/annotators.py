"""Which annotator said what in a converted Ref-DAVIS."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reviosa.data.records import Expression, Video

__all__ = ["ANNOTATORS", "are_in_fours", "with_annotators"]

ANNOTATORS = 4
"""Two people described the first frame of each object's video, and then the whole video."""


def with_annotators(
    videos: Sequence[Video], object_of: Callable[[Expression], object]
) -> tuple[Video, ...] | None:
    """The videos with the annotator of each expression as its group.

    Converted sets number an expression 4 x object + annotator and drop the annotator, over whom the
    benchmark averages. The numbering gives it back.

    Args:
        videos: all videos of the data set.
        object_of: what object an expression speaks of.

    Returns:
        None where the expressions are not numbered so, for a data set that is no Ref-DAVIS.
    """
    spoken = [{x.exp_id: object_of(x) for x in video.expressions} for video in videos]
    if not spoken or not all(map(are_in_fours, spoken)):
        return None
    return tuple(
        replace(
            video,
            expressions=tuple(
                replace(x, group=f"annotator {int(x.exp_id) % ANNOTATORS}")
                for x in video.expressions
            ),
        )
        for video in videos
    )


def are_in_fours(objects: Mapping[str, object]) -> bool:
    """Whether expressions are 0, 1, 2, ... and each four in a row speak of an object of their own.

    Args:
        objects: the object of each expression of a video by the expression's id.
    """
    if not objects or objects.keys() != {str(number) for number in range(len(objects))}:
        return False
    row = [objects[str(number)] for number in range(len(objects))]
    fours = [row[x : x + ANNOTATORS] for x in range(0, len(row), ANNOTATORS)]
    alike = all(len(four) == ANNOTATORS and len(set(four)) == 1 for four in fours)
    return alike and len({four[0] for four in fours}) == len(fours)
