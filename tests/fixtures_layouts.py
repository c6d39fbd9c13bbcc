"""Small data sets in the layouts in which the benchmarks publish theirs, with their true masks.

Each writer makes a folder and returns its truth, ``{(video, object): bool [frame, height,
width]}``. Where frames are kept in a clip, what a decoder gives of them is the truth of the
pictures.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from reviosa.data.rle import encode

__all__ = [
    "MASKLET_EVERY",
    "SIZE",
    "make_a2d",
    "make_jhmdb",
    "make_ref_davis",
    "make_ref_sav_train",
    "make_ref_sav_valid",
    "make_ref_youtube_vos",
    "make_sa_v_frames",
    "make_sa_v_train",
    "pictures",
    "truth_masks",
    "write_clip",
    "write_frames",
    "write_palettes",
    "write_json",
]

Truth = dict[tuple[str, object], np.ndarray]
SIZE = (48, 64)
"""Height and width in pixels: not equal, so that swapped sides are seen."""
MASKLET_EVERY = 4


def pictures(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Frames that differ, uint8 [frame, height, width, 3]."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 200, (*size, 3), dtype=np.uint8)
    frames = np.repeat(ground[None], count, axis=0)
    for index, frame in enumerate(frames):
        frame[4:20, (3 * index) % size[1] : (3 * index) % size[1] + 12] = 40 + 5 * index
    return frames


def truth_masks(
    count: int, objects: int, seed: int = 0, size: tuple[int, int] = SIZE
) -> np.ndarray:
    """Masks that do not overlap, bool [object, frame, height, width]; with ragged borders."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, objects + 1, (count, *size))
    index[:, : size[0] // 2] = 0
    return np.stack([index == number + 1 for number in range(objects)])


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_frames(folder: Path, names: Sequence[str], seed: int = 0, suffix: str = "jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in zip(names, pictures(len(names), seed), strict=True):
        Image.fromarray(picture).save(folder / f"{name}.{suffix}")


def write_palettes(folder: Path, names: Sequence[str], masks: np.ndarray) -> None:
    """Masks [object, frame, height, width] as palette PNGs; objects count from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, name in enumerate(names):
        index = sum((number + 1) * mask[frame] for number, mask in enumerate(masks))
        image = Image.fromarray(np.asarray(index, dtype=np.uint8), mode="P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
        image.save(folder / f"{name}.png")


def write_clip(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    gop: int = 8,
    b_frames: int = 2,
    options: dict[str, str] | None = None,
) -> np.ndarray:
    """Write a clip and return what decoding it in order gives, uint8 [frame, height, width, 3]."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.gop_size, stream.max_b_frames = gop, b_frames
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        return np.stack([x.to_ndarray(format="rgb24") for x in container.decode(video=0)])


def numbered(count: int, step: int = 1, first: int = 0) -> list[str]:
    return [f"{number:05d}" for number in range(first, first + step * count, step)]


def make_ref_youtube_vos(root: Path, frames: int = 3) -> Truth:
    """``root/train`` with two videos of two objects, ``root/valid`` with one without truth."""
    truth: Truth = {}
    names = numbered(frames, 5)
    meta: dict = {}
    texts: dict = {}
    for seed, video in enumerate(("003234408d", "0043f083b5")):
        masks = truth_masks(frames, 2, seed)
        truth |= {(video, number + 1): mask for number, mask in enumerate(masks)}
        write_frames(root / "train/JPEGImages" / video, names, seed)
        write_palettes(root / "train/Annotations" / video, names, masks)
        meta[video] = {
            "objects": {str(x): {"category": "penguin", "frames": names} for x in (1, 2)}
        }
        texts[video] = {
            "expressions": {
                "0": {"exp": "a penguin on the left", "obj_id": "1"},
                "1": {"exp": "the penguin behind", "obj_id": "2"},
                "2": {"exp": "it is in front", "obj_id": "1"},
            },
            "frames": names,
        }
    write_json(root / "train/meta.json", {"videos": meta})
    write_json(root / "meta_expressions/train/meta_expressions.json", {"videos": texts})
    write_frames(root / "valid/JPEGImages/0062f687f1", names)
    spoken = {"expressions": {"0": {"exp": "a dog with its puppies"}}, "frames": names}
    write_json(
        root / "meta_expressions/valid/meta_expressions.json", {"videos": {"0062f687f1": spoken}}
    )
    return truth


def make_ref_davis(root: Path, frames: int = 3, unsupervised: bool = False) -> Truth:
    """Two validation videos (one with a misspelt name in the texts) and one of training."""
    truth: Truth = {}
    names = numbered(frames)
    objects = {"classic-car": 1, "dogs-scale": 2, "bear": 1}
    folder = "Annotations_unsupervised" if unsupervised else "Annotations"
    for seed, (video, count) in enumerate(objects.items()):
        masks = truth_masks(frames, count, seed)
        truth |= {(video, number + 1): mask for number, mask in enumerate(masks)}
        write_frames(root / "DAVIS/JPEGImages/480p" / video, names, seed)
        write_palettes(root / "DAVIS" / folder / "480p" / video, names, masks)
    lists = root / "DAVIS/ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("bear\n")
    (lists / "val.txt").write_text("classic-car\ndogs-scale\n")
    texts = root / "davis_text_annotations"
    texts.mkdir()
    for annotator, name in enumerate(
        ("annot1", "annot1_full_video", "annot2", "annot2_full_video")
    ):
        # U+0085 breaks lines for str.splitlines(), and is one byte of the second annotator's.
        cafe = "caf\xe9\x85 dog" if annotator >= 2 else "a dog"
        lines = [
            f'bear 1 "a brown bear {annotator}"',
            f'clasic-car 1 "a "red" car {annotator}"',
            f'dogs-scale 2 "{cafe} on the right"',
            f'dog-scale 1 "{cafe} on the left"',
        ]
        content = "\r\n".join(lines) + "\n"
        (texts / f"Davis17_{name}.txt").write_bytes(
            content.encode("latin-1" if annotator >= 2 else "utf-8")
        )
    return truth


def make_sa_v_frames(root: Path, annotated: int = 2) -> Truth:
    """``sav_val`` with one video of two overlapping objects, annotated every fourth frame."""
    video, names = "sav_000123", numbered(MASKLET_EVERY * (annotated - 1) + 2)
    root.mkdir(parents=True, exist_ok=True)
    (root / "sav_val.txt").write_text(f"{video}\n")
    write_frames(root / "JPEGImages_24fps" / video, names)
    truth: Truth = {}
    for number in range(2):
        masks = truth_masks(annotated, 1, number)[0]
        truth[video, f"{number:03d}"] = masks
        folder = root / "Annotations_6fps" / video / f"{number:03d}"
        folder.mkdir(parents=True)
        for name, mask in zip(names[::MASKLET_EVERY], masks, strict=True):
            Image.fromarray(mask.astype(np.uint8) * 255).convert("1").save(folder / f"{name}.png")
    return truth


def masklets(video: str, masks: np.ndarray, ids: Sequence[int], frames: int) -> dict:
    """A file of masklets of SA-V; masks [object, frame, height, width]."""
    return {
        "video_id": video,
        "video_frame_count": float(frames),
        "video_height": float(masks.shape[2]),
        "video_width": float(masks.shape[3]),
        "masklet": [[encode(mask[row]) for mask in masks] for row in range(masks.shape[1])],
        "masklet_id": list(ids),
        "masklet_num": len(ids),
    }


def make_sa_v_train(root: Path, annotated: int = 2) -> tuple[Truth, np.ndarray]:
    """One clip with two manual masklets and an automatic one; also its decoded frames."""
    video, frames = "sav_000001", MASKLET_EVERY * (annotated - 1) + 2
    decoded = write_clip(root / f"{video}.mp4", pictures(frames))
    manual, auto = truth_masks(annotated, 2, 5), truth_masks(annotated, 1, 6)
    write_json(root / f"{video}_manual.json", masklets(video, manual, (0, 1), frames))
    write_json(root / f"{video}_auto.json", masklets(video, auto, (0,), frames))
    names = ("000", "001", "auto_000")
    return {
        (video, name): mask for name, mask in zip(names, (*manual, *auto), strict=True)
    }, decoded


def make_ref_sav_train(root: Path, annotated: int = 3) -> tuple[Truth, np.ndarray]:
    """Expressions about the manual masklets of one clip of SA-V; also its frames 0, 4, 8, ..."""
    folder = root / "sam_v_full/sav_000/sav_train/sav_000"
    truth, decoded = make_sa_v_train(folder, annotated)
    video = "sav_000001"
    objects = {
        str(number): {
            "video_id": video,
            "obj_id": number,
            "formated": f"The object is number {number}, and it moves to the left.",
            "short_caps": [f"A thing {number}", f"A mover {number}"],
        }
        for number in (0, 1)
    }
    place = f"sav_000/sav_train/sav_000/{video}"
    record = {"video_path": f"{place}.mp4", "anno_path": f"{place}_manual.json", "objects": objects}
    write_json(root / "Ref-SAV.json", {video: record})
    return {
        (video, str(int(str(name)))): mask for (_, name), mask in truth.items() if name[0] == "0"
    }, decoded[::MASKLET_EVERY]


def make_ref_sav_valid(root: Path, frames: int = 3) -> tuple[Truth, np.ndarray]:
    """MeViS's files over every fourth frame of a clip; also these frames, decoded."""
    video, names = "sav_055001", numbered(frames, MASKLET_EVERY)
    clip = root / "videos/sav_055" / f"{video}.mp4"
    decoded = write_clip(clip, pictures(MASKLET_EVERY * frames))[::MASKLET_EVERY]
    masks = truth_masks(frames, 2, 7)
    masks[1, 0] = False
    expressions = {
        "0": {"exp": "the one that moves", "obj_id": [0], "anno_id": [10], "type_id": 0},
        "1": {"exp": "both of them", "obj_id": [0, 1], "anno_id": [10, 11], "type_id": 1},
    }
    record = {
        "expressions": expressions,
        "frames": names,
        "height": SIZE[0],
        "width": SIZE[1],
    }
    write_json(root / "meta_expressions_valid.json", {"videos": {video: record}})
    rles = {
        str(10 + number): [encode(x) if x.any() else None for x in mask]
        for number, mask in enumerate(masks)
    }
    write_json(root / "mask_dict.json", rles)
    return {(video, str(10 + number)): mask for number, mask in enumerate(masks)}, decoded


def make_a2d(root: Path, frames: int = 6) -> tuple[Truth, dict[str, np.ndarray]]:
    """A test and a training video, annotated on two frames; also their decoded frames.

    Object 2 of the test video is on the second of them alone.
    """
    import h5py

    texts = root / "text_annotations"
    truth: Truth = {}
    decoded = {}
    numbers = (1, frames - 1)
    for seed, video in enumerate(("EadxBPmQvtg", "AbcdEFGhijk", "missed00000")):
        decoded[video] = write_clip(
            root / "Release/clips320H" / f"{video}.mp4", pictures(frames, seed)
        )
        masks = truth_masks(len(numbers), 3, seed)
        masks[2, 0] = False
        truth |= {(video, number): mask for number, mask in enumerate(masks)}
        folder = texts / "a2d_annotation_with_instances" / video
        folder.mkdir(parents=True)
        for row, number in enumerate(numbers):
            there = [x for x in range(3) if masks[x, row].any() and not (seed == 1 and x)]
            stored = masks[there, row].astype(np.uint8).transpose(0, 2, 1)
            with h5py.File(folder / f"{number:05d}.h5", "w") as file:
                file["instance"] = np.array(there)
                file["reMask"] = stored[0] if len(there) == 1 else stored
                file["reBBox"] = np.zeros((4, len(there)))
    with open(root / "Release/videoset.csv", "w", newline="") as file:
        for video, split in (("EadxBPmQvtg", 1), ("AbcdEFGhijk", 0), ("missed00000", 1)):
            csv.writer(file).writerow((video, 14, "0:01", "0:06", *SIZE, frames, 2, split))
    with open(texts / "a2d_annotation.txt", "w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("video_id", "instance_id", "query"),
                ("EadxBPmQvtg", 0, "a man, in  a green shirt, is walking"),
                ("EadxBPmQvtg", 2, "dog running"),
                ("EadxBPmQvtg", "1 (copy)", "cat sitting"),
                ("AbcdEFGhijk", 0, "bird is flying"),
                ("missed00000", 0, "ball rolling"),
            ]
        )
    (texts / "a2d_missed_videos.txt").write_text("missed00000\n")
    return truth, decoded


def make_jhmdb(root: Path, frames: int = 4, masked: int = 3) -> Truth:
    """Two videos whose masks end before their frames do."""
    from scipy.io import savemat

    truth: Truth = {}
    with open(_made(root) / "jhmdb_annotation.txt", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("video_id", "query"))
        for seed, (action, video) in enumerate((("pullup", "10_Pull_Ups"), ("run", "a_run"))):
            rows.writerow((video, "man in black, pulling  up"))
            names = numbered(frames, first=1)
            write_frames(root / "Rename_Images" / action / video, names, seed, "png")
            masks = truth_masks(masked, 1, seed)[0]
            truth[video, 0] = masks
            folder = _made(root / "puppet_mask" / action / video)
            field = {"part_mask": masks.transpose(1, 2, 0).astype(np.uint8)}
            savemat(folder / "puppet_mask.mat", field, do_compression=True)
    return truth


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
