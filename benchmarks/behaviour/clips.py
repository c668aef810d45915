"""From situations to tracks: clips drawn and encoded, or cut from real ones, embedded by the product's own pass."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.behaviour.drawing import background, draw
from benchmarks.behaviour.kinds import Situation
from benchmarks.learning.data import BACKBONE, Source, Track
from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.store import FeatureStore
from ml_backend.video.view import WHOLE, View

_FPS = 25


@dataclass(frozen=True, eq=False)
class Filmed:
    """A clip on disk and what is true of it: (n,) classes or (n, L) 0 or 1. `scored`: (n,) frames that count."""

    path: Path
    truth: NDArray[np.intp]
    scored: NDArray[np.bool_]


class Studio:
    """Films clips into `folder` once, and embeds them once per version of the features."""

    def __init__(self, folder: Path, weights: Path, view: View = WHOLE) -> None:
        self.folder = folder
        self._store = FeatureStore(folder / "features", 64 * 2**30)
        self._scratch = FeatureStore(folder / "every-frame", 64 * 2**30)
        path = next(iter(sorted(weights.glob(f"{BACKBONE}*"))), None) if weights.is_dir() else None
        self.backbone: Backbone = load_backbone(
            BACKBONE, str(path) if path else "default", "cpu", folder / "weights", side=view.side
        ).at(view.roi)

    def film(self, situation: Situation, seed: int) -> list[Filmed]:
        """The clips of a situation; the same for the same seed."""
        folder = self.folder / "drawn"
        folder.mkdir(parents=True, exist_ok=True)
        ground_seed = zlib.crc32(situation.name.encode())
        found = []
        for number in range(situation.clips):
            rng = np.random.default_rng([seed, ground_seed, number])
            ground = background(np.random.default_rng([seed, ground_seed, 0 if situation.one_camera else number + 1]))
            clip = situation.make(rng, situation.frames, number)
            path = folder / f"{situation.name}-{seed}-{number}.mp4"
            if not path.exists():
                write(path, (draw(ground, frame, rng, clip.noise) for frame in clip.frames))
            found.append(Filmed(path, clip.truth, _away_from_changes(clip.truth, 2)))
        return found

    def track(self, name: str, classes: tuple[str, ...], clip: Filmed) -> Track:
        """A clip as the benchmarks of learning know it."""
        content = hashlib.sha256(clip.path.read_bytes()).hexdigest()
        source = Source(clip.path, content, self.backbone, self._store, self._scratch)
        n = len(source.features)
        return Track(clip.path.name, name, classes, clip.truth[:n], clip.scored[:n], 2, source.features, source)


def _away_from_changes(truth: NDArray[np.intp], tolerance: int) -> NDArray[np.bool_]:
    """(n,) whether a frame is further than this from where a label changes, unless its whole run is as short."""
    rows = truth.reshape(len(truth), -1)
    change = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
    scored = np.ones(len(truth), bool)
    edges = [0, *change.tolist(), len(truth)]
    for before, at, after in zip(edges, edges[1:], edges[2:], strict=False):
        # Of a short bout every frame counts.
        near = min(tolerance, (at - before) // 4, (after - at) // 4)
        scored[at - near : at + near] = False
    return scored


def write(path: Path, pictures: Iterator[NDArray[np.uint8]]) -> None:
    """Encodes (h, w, 3) uint8 RGB pictures as H.264, whole or not at all."""
    part = path.with_name(f"{path.stem}.part.mp4")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast", "crf": "20", "g": "50"})
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    part.replace(path)


def cut(source: Path, bounds: Sequence[tuple[int, int]], folder: Path) -> list[Path]:
    """The parts `[first, stop)` of a video, encoded again as clips of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{source.stem}-{first}-{stop}.mp4" for first, stop in bounds]
    if all(path.exists() for path in paths):
        return paths
    with av.open(str(source)) as container:
        container.streams.video[0].thread_type = "AUTO"
        pictures = (_small(frame) for frame in container.decode(video=0))
        at, missing = 0, None
        for path, (first, stop) in zip(paths, bounds, strict=True):
            part: list[NDArray[np.uint8]] = []
            while at < stop and (missing := next(pictures, None)) is not None:
                if at >= first:
                    part.append(missing)
                at += 1
            write(path, iter(part))
    return paths


def _small(frame: av.VideoFrame) -> NDArray[np.uint8]:
    width = min(frame.width, 480) // 2 * 2
    height = round(frame.height * width / frame.width) // 2 * 2
    return np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
