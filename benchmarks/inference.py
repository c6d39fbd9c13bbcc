"""Segmenting: questions that share a video against questions asked one by one; long videos."""

import subprocess
import sys
from typing import Any

import numpy as np
import torch

from benchmarks.timing import compare
from reviosa.data.synthetic import generate_video
from reviosa.inference import Segmenter
from reviosa.model import load

__all__ = ["measure", "memory"]


def measure(rounds: int) -> dict[str, Any]:
    """Costs on one video of 16 frames with the nano model."""
    segmenter = Segmenter(*load("nano"))
    video = generate_video(3, 3)
    texts = [expression.text for expression in video.expressions]
    ten = (texts * 10)[:10]
    acting = next(e.text for e in video.expressions if e.targets)

    def ask(expressions: list[str]) -> None:
        segmenter.segment_encoded(segmenter.encode(video.frames), expressions)

    def one_by_one() -> None:
        for text in ten:
            ask([text])

    def roles_apart() -> None:
        """As the released code does: every frame is encoded again for each role."""
        features = segmenter.encode(video.frames)
        (reply,) = segmenter.answer(features, [acting])
        prompts = segmenter.read(features, [reply.ids]).prompts
        for prompt in prompts:
            again = segmenter.encode(video.frames)
            with torch.inference_mode():
                list(segmenter.track(again, prompt[None]))

    costs = compare(
        {
            "one expression": lambda: ask([acting]),
            "one expression, each role by itself": roles_apart,
            "ten expressions together": lambda: ask(ten),
            "ten expressions, one by one": one_by_one,
        },
        rounds,
    )
    return {"costs": costs, "frames": len(video.frames)}


def memory() -> dict[int, float]:
    """Peak resident MiB of a process that segments a 480p video of so many frames (CPU)."""
    return {frames: _peak_of(frames) for frames in (50, 500)}


def _peak_of(frames: int) -> float:
    command = [sys.executable, "-m", "benchmarks.inference", str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


class _Moving:
    """A bright square on noise, drawn when it is asked for."""

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames

    def read_frames(self, indices: Any) -> np.ndarray:
        frames = []
        for index in indices:
            frame = np.random.default_rng(index).integers(0, 90, (480, 854, 3), dtype=np.uint8)
            left = index % 700
            frame[200:300, left : left + 100] = 255
            frames.append(frame)
        return np.stack(frames)


if __name__ == "__main__":
    from benchmarks.memory import peak_mib

    Segmenter(*load("nano", device="cpu")).segment(_Moving(int(sys.argv[1])), "the white square")
    print(peak_mib())
