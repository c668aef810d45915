"""Short videos whose labels a network that was never trained hardly tells apart: the direction of stripes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

STRIPES, STRIPED_FRAMES = ("upright", "lying"), 60


def striped_film(path: Path, seed: int) -> tuple[str, ...]:
    """Encodes a video of which each of six parts shows one direction, and returns the label of each frame."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.permutation([0, 1, 0, 1, 0, 1]), STRIPED_FRAMES // 6)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        for number, label in enumerate(truth):
            frame = av.VideoFrame.from_ndarray(_stripes(label == 0, rng), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return tuple(STRIPES[label] for label in truth)


def _stripes(upright: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Of any colours, width and place: only their direction tells them apart."""
    y, x = np.mgrid[0:96, 0:96]
    along = x if upright else y
    stripe = np.sin(along * 2 * np.pi / rng.uniform(12, 24) + rng.uniform(0, 2 * np.pi)) > 0
    light, dark = rng.integers(0, 256, (2, 3))
    return np.where(stripe[..., None], light, dark).astype(np.uint8)
