"""Opening a data set of InterRVOS-127K's size, made up: seconds and peak memory of a new process.

The masks are random strings of the length of real ones, for opening does not decode them. Every
video has a link to one folder of tiny frames, whose listing costs what 500 frames of its own would.
"""

import json
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

__all__ = ["Counts", "measure", "write_large"]

_OPEN = """
import json, sys, time
start = time.perf_counter()
from benchmarks.memory import peak_mib
from reviosa.data import open_dataset
imported = time.perf_counter()
data = open_dataset(sys.argv[1])
opened = time.perf_counter()
for sample in data.samples[:50]:
    data.rles(sample.video.video_id, sample.expression.actor_ids)
read = time.perf_counter()
print(json.dumps({
    "seconds": {"import": imported - start, "open": opened - imported,
                "masks of an expression": (read - opened) / 50},
    "peak_mib": peak_mib(), **data.summary,
}))
"""


@dataclass(frozen=True)
class Counts:
    """How much there is of a data set; by default as much as of InterRVOS-127K (Table 1)."""

    videos: int = 8738
    objects: int = 35247
    expressions: int = 127236
    interactions: int = 17604
    frames: tuple[int, int] = (100, 500)
    """Fewest and most frames of a video."""


def measure(counts: Counts | None = None) -> dict[str, Any]:
    """Open it in a new process, its files read a moment ago.

    Returns:
        ``seconds`` by step, ``peak_mib`` of the process, ``files_mib`` of both JSON files, and how
        much was read.
    """
    with tempfile.TemporaryDirectory(prefix="opening-") as folder:
        root = Path(folder)
        write_large(root, counts or Counts())
        size = sum(path.stat().st_size for path in root.glob("*.json"))
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, str(root)],
            cwd=Path(__file__).parent.parent, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return {**json.loads(done.stdout), "files_mib": size / 2**20}


def write_large(root: Path, counts: Counts, seed: int = 0) -> None:
    """Write such a data set; its masks are damaged, all else is as it should be."""
    rng = random.Random(seed)
    frames = [f"{index:05d}" for index in range(counts.frames[1])]
    shared = root / "frames"
    shared.mkdir(parents=True)
    for name in frames:
        Image.new("RGB", (854, 480)).resize((8, 6)).save(shared / f"{name}.jpg")
    (root / "JPEGImages").mkdir()
    lengths = [rng.randint(*counts.frames) for _ in range(counts.videos)]
    videos: dict[str, Any] = {}
    for number, length in enumerate(lengths):
        (root / "JPEGImages" / f"{number:05d}").symlink_to(shared)
        videos[f"{number:05d}"] = {
            "vid_id": number, "frames": frames[:length], "expressions": {},
        }  # fmt: skip
    names = list(videos)
    for number in range(counts.expressions):
        place = number % counts.videos
        # Objects are dealt out to the videos in turn, so a video's are these.
        ids = list(range(place, counts.objects, counts.videos))
        acts = number < counts.interactions and len(ids) > 1
        first, *others = rng.sample(ids, min(2, len(ids)))
        roles = {"subject": [first], "object": others if acts else []}
        of_video = videos[names[place]]["expressions"]
        of_video[str(len(of_video))] = {
            "exp": f"a grey dog that runs over the grass towards the man in the blue coat {number}",
            "caption_type": "unidirectional" if acts else "single",
            "obj_id": [0],
            "anno_id": [first],
            "subject/object": {"obj_id": roles, "anno_id": roles},
        }
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    masks = [_mask(rng) for _ in range(500)] + ["null"] * 50
    with (root / "mask_dict.json").open("w") as file:
        for number in range(counts.objects):
            track = ", ".join(rng.choices(masks, k=lengths[number % counts.videos]))
            file.write(f'{", " if number else "{"}"{number}": [{track}]')
        file.write("}")


def _mask(rng: random.Random) -> str:
    counts = "".join(chr(rng.randrange(48, 112)) for _ in range(rng.randrange(20, 110)))
    return json.dumps({"size": [6, 8], "counts": counts})
