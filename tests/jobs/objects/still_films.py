"""Short videos in which nothing moves, each with a red ball somewhere else, and what a person submits who has boxed it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

RATE, SIZE = 25, (320, 192)


@dataclass(frozen=True)
class StillFilm:
    """`box`: left, top, width, height of the ball in percent of the picture."""

    path: Path
    box: tuple[float, float, float, float]
    frames: int

    def item(self, name: str = "ball", *labels: str, **changes: float) -> dict[str, Any]:
        """The region of a person's track from the first frame to the last."""
        x, y, width, height = self.box
        placed = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, **changes}
        keys = [
            {**placed, "frame": 1, "enabled": True, "time": 0.04},
            {**placed, "frame": self.frames, "enabled": False, "time": self.frames / RATE},
        ]
        value: dict[str, Any] = {"sequence": keys, "framesCount": self.frames, "duration": self.frames / RATE}
        if labels:
            value["labels"] = list(labels)
        return {
            "id": name,
            "type": "videorectangle",
            "from_name": "box",
            "to_name": "film",
            "origin": "manual",
            "value": value,
        }


def still_film(path: Path, seed: int, frames: int = 20) -> StillFilm:
    width, height = SIZE
    rng = np.random.default_rng(seed)
    mottled = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 2)
    picture = np.clip(130 + 15 * mottled / mottled.std(), 0, 255).astype(np.uint8)
    radius = int(rng.integers(20, 28))
    x, y = int(rng.integers(radius, width - radius)), int(rng.integers(radius, height - radius))
    left, top = int(rng.integers(0, width - 40)), int(rng.integers(0, height - 40))
    cv2.rectangle(picture, (left, top), (left + 36, top + 36), (40, 60, 190), -1)
    cv2.circle(picture, (x, y), radius, (200, 40, 30), -1, cv2.LINE_AA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    side = 2 * radius + 1
    box = 100 * (x - radius) / width, 100 * (y - radius) / height, 100 * side / width, 100 * side / height
    return StillFilm(path, box, frames)
