"""``reviosa segment``: one video, one expression, masks on disk."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import Device, Frames, Json, Model

__all__ = ["segment"]


def segment(
    video: Annotated[
        Path, typer.Argument(metavar="VIDEO", help="A folder of frames, or a video file.")
    ],
    expression: Annotated[
        str, typer.Argument(metavar="EXPRESSION", help='For example "a dog chasing a ball".')
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make.")],
    model: Model = "nano",
    frames: Frames = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Segment actor and target of an expression through a video."""
    from reviosa.errors import DataError
    from reviosa.inference import Segmenter
    from workbench.console import note, print_json
    from workbench.models import load_model
    from workbench.video import open_video, write_segmentation

    if out.exists():
        raise DataError(f"{out}: got a path that exists, expected a new folder; choose another")
    if not expression.strip():
        raise DataError('got an empty expression, expected words such as "a dog chasing a ball"')
    opened = open_video(video)
    loaded = load_model(model, device, frames)
    note(f"segmenting {opened.num_frames} frames")
    result = Segmenter(loaded.model, loaded.processor).segment(opened, expression)
    summary = write_segmentation(out, opened, expression, result)
    if json:
        print_json({**summary, "out": str(out)})
        return
    print(f"answer: {result.text}")
    if result.babble is not None:
        print(
            "the model named no role by itself; this answer is the likelier of the two proper "
            "ones, and the masks may mean nothing"
        )
    for role in ("actor", "target"):
        found = summary[role]
        print(
            f"{role}: not named"
            if found is None
            else f"{role}: a mask on {found['frames_with_mask']} of {opened.num_frames} frames, "
            f"{100 * found['mean_area']:.1f} % of the picture on average"
        )
    print(f"masks, overlays and result.json in {out}")
