"""A folder of labelled videos: `videos/labels.json`, the videos beside it, `weights/` with state dicts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import labelled_videos
from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.embedding import refine, video_features
from ml_backend.features.store import FeatureStore
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.learning.probabilities import decided

BACKBONE = "mobilenet_v2"


class Source:
    """One video of the folder; when frames are asked for that the product would embed now, all are embedded, once."""

    def __init__(
        self, path: Path, content: str, backbone: Backbone, store: FeatureStore, scratch: FeatureStore
    ) -> None:
        self.features = video_features(path, backbone, store, content)
        self._all: VideoFeatures | None = None
        self.path = path
        self._content, self._backbone, self._scratch = content, backbone, scratch

    def with_frames(self, features: VideoFeatures, frames: NDArray[np.int64]) -> VideoFeatures:
        """The features with these frames embedded as well, as the product does it."""
        if self._all is None:
            every = range(len(features))
            self._all = refine(self.path, self.features, every, self._backbone, self._scratch, self._content)
        wanted = np.union1d(features.frames, frames)
        rows = np.searchsorted(self._all.frames, wanted)
        blocks = {name: block[rows] for name, block in self._all.blocks.items()}
        return replace(features, frames=wanted, blocks=blocks)


@dataclass(frozen=True, eq=False)
class Track:
    """One question about one video: `truth` (n,) int class of each frame, `scored` (n,) outside the boundaries' tolerance."""

    video: str
    name: str
    classes: tuple[str, ...]
    truth: NDArray[np.intp]
    scored: NDArray[np.bool_]
    tolerance: int
    features: VideoFeatures
    source: Source

    def with_frames(self, frames: NDArray[np.int64]) -> Track:
        return self if not len(frames) else replace(self, features=self.source.with_frames(self.features, frames))

    def known(self, frames: NDArray[np.int64] | NDArray[np.bool_] | None = None) -> FrameLabels:
        """The frame labels of somebody who answered these frames, or all of them."""
        at = np.arange(len(self.truth)) if frames is None else np.arange(len(self.truth))[frames]
        values = np.full((len(self.truth), len(self.classes)), -1, np.int8)
        values[at] = 0
        values[at, self.truth[at]] = 1
        weight = np.zeros(len(self.truth), np.float32)
        weight[at] = 1
        return FrameLabels(self.classes, values, weight, frames is None, frames is None)

    def labelled(self, frames: NDArray[np.int64] | NDArray[np.bool_] | None = None) -> LabelledVideo:
        return LabelledVideo(0, self.features, self.known(frames))


@dataclass(frozen=True)
class Data:
    """`tracks`: by name, one per video that has it. `marks`: what holds for a whole clip, by video and key."""

    tracks: dict[str, list[Track]]
    marks: dict[str, dict[str, str]]


def read(folder: Path, cache: Path) -> Data:
    """All labelled videos of the folder with the features the product computes, its defaults untouched."""
    described = labelled_videos(folder)
    weights = sorted((folder / "weights").glob(f"{BACKBONE}*.pth"))
    backbone = load_backbone(BACKBONE, str(weights[0]) if weights else "default", "cpu", cache / "backbones")
    store, scratch = (FeatureStore(cache / name, 50 << 30) for name in ("features", "more"))
    tracks: dict[str, list[Track]] = {}
    classes: dict[str, set[str]] = {}
    for entry in described.values():
        for name, track in entry["tracks"].items():
            classes.setdefault(name, set()).update(label for _, _, label in track["segments"])
    for video, entry in described.items():
        path = folder / "videos" / video
        source = Source(path, hashlib.sha256(path.read_bytes()).hexdigest(), backbone, store, scratch)
        for name, track in entry["tracks"].items():
            tracks.setdefault(name, []).append(_track(video, name, tuple(sorted(classes[name])), track, source))
    return Data(tracks, {video: entry.get("clip_labels", {}) for video, entry in described.items()})


def _track(video: str, name: str, classes: tuple[str, ...], entry: dict[str, object], source: Source) -> Track:
    frames = len(source.features)
    truth, scored = np.zeros(frames, np.intp), np.ones(frames, bool)
    tolerance = int(str(entry.get("tol", 0)))
    segments: Sequence[tuple[int, int, str]] = entry["segments"]  # type: ignore[assignment]
    for first, stop, label in segments:
        truth[first : min(stop, frames)] = classes.index(label)
        if first > 0:
            scored[max(first - tolerance, 0) : first + tolerance] = False
    truth[segments[-1][1] :] = classes.index(segments[-1][2])
    return Track(video, name, classes, truth, scored, tolerance, source.features, source)


def grouping(tracks: Sequence[Track], marks: dict[str, dict[str, str]]) -> list[str]:
    """What to leave out together: the clip mark with the fewest values, three or more, each on several clips; else videos."""
    keys = {key for track in tracks for key in marks[track.video]}
    candidates = []
    for key in keys:
        values = [marks[track.video].get(key, "") for track in tracks]
        if len(set(values)) >= 3 and all(values.count(value) >= 2 for value in set(values)):
            candidates.append((len(set(values)), key, values))
    return min(candidates)[2] if candidates else [track.video for track in tracks]


def answers(probabilities: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n,) class of each frame; where the model says "none", the last number."""
    chosen = decided(probabilities, True)
    return np.where(chosen.any(axis=1), chosen.argmax(axis=1), probabilities.shape[1]).astype(np.intp)


def f1(truth: NDArray[np.intp], answer: NDArray[np.intp], scored: NDArray[np.bool_]) -> float:
    """Macro-F1 over the classes that occur among the scored frames."""
    scores = []
    for one in np.unique(truth[scored]):
        is_so, said = (truth == one) & scored, (answer == one) & scored
        scores.append(2 * (is_so & said).sum() / max(is_so.sum() + said.sum(), 1))
    return float(np.mean(scores))


def balanced(truth: NDArray[np.intp], answer: NDArray[np.intp]) -> float:
    """Mean recall of the classes that occur."""
    return float(np.mean([(answer == one)[truth == one].mean() for one in np.unique(truth)]))
