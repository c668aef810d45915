"""What skipping frames costs: accuracy of the shipped head, and short events that nobody embedded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import labelled_videos
from benchmarks.throughput.footage import with_events
from ml_backend.features.backbones import Backbone
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.embedding import refine, video_features
from ml_backend.features.selection import Density
from ml_backend.features.store import FeatureStore
from ml_backend.learning.cold import LabelledVideo, fit_cold
from ml_backend.learning.frame_labels import UNKNOWN, FrameLabels

LABELLED = 20
_PHASES = 5
_EVENT = 2
Segment = tuple[int, int, str]


@dataclass(frozen=True)
class Truth:
    """The hand-made labels of one clip: what holds when, and how sure the edges are, in frames."""

    segments: list[Segment]
    tolerance: int

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({label for _, _, label in self.segments}))

    def classes(self, frames: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """(n,) index into `labels`, and whether the frame is far enough from an edge to be scored."""
        classes, sure = np.zeros(frames, np.intp), np.ones(frames, bool)
        for first, stop, label in self.segments:
            classes[first:stop] = self.labels.index(label)
            if first:
                sure[max(first - self.tolerance, 0) : first + self.tolerance] = False
        return classes, sure


def truths(data: Path) -> dict[str, Truth]:
    """By the clip's path below `videos/`; the first track of each that has one and can be opened."""
    found = {}
    for name, entry in labelled_videos(data).items():
        track = next(iter(entry["tracks"].values()))
        found[name] = Truth([(a, b, label) for a, b, label in track["segments"]], track.get("tol", 0))
    return found


def labelled(features: VideoFeatures, truth: Truth, frames: NDArray[np.int64]) -> LabelledVideo:
    classes, _ = truth.classes(len(features))
    values = np.full((len(features), len(truth.labels)), UNKNOWN, np.int8)
    values[frames] = np.eye(len(truth.labels), dtype=np.int8)[classes[frames]]
    weight = np.zeros(len(features), np.float32)
    weight[frames] = 1
    return LabelledVideo(1, features, FrameLabels(truth.labels, values, weight))


def loss_points(path: Path, truth: Truth, backbone: Backbone, store: FeatureStore) -> tuple[float, float]:
    """Points of frame accuracy lost by not embedding every frame, and the accuracy of embedding all, in percent.

    Mean over five phases of twenty evenly spaced labelled frames, by the shipped Cold head before smoothing. As in a
    training job, labelled frames are embedded in addition.
    """
    some = video_features(path, backbone, store, path.name)
    every = video_features(path, backbone, store, path.name, density=Density(stride=1))
    classes, sure = truth.classes(len(every))
    losses, bests = [], []
    for phase in range(_PHASES):
        frames = np.unique(((np.arange(LABELLED) + (phase + 0.5) / _PHASES) * len(every) / LABELLED).astype(np.int64))
        if len(np.unique(classes[frames])) < 2:
            continue
        right = []
        refined = refine(path, some, frames.tolist(), backbone, store, f"{path.name}-{phase}")
        for features in (every, refined):
            video = labelled(features, truth, frames)
            head = fit_cold([video], truth.labels, exclusive=True)
            found = head.probabilities(features, video.labels, smoothed=False).argmax(1)
            right.append(100 * float((found == classes)[sure].mean()))
        losses.append(right[0] - right[1])
        bests.append(right[0])
    return float(np.mean(losses)), float(np.mean(bests))


def short_events_found(path: Path, truth: Truth, backbone: Backbone, folder: Path, variants: int) -> tuple[int, int]:
    """How many pasted events of two frames have an embedded frame, and how many there were."""
    found = total = 0
    store = FeatureStore(folder / "events", 10**10)
    for seed in range(variants):
        clip, events = with_events(path, truth.segments, _EVENT, folder / f"events-{path.stem}-{seed}.mp4", seed)
        frames = set(video_features(clip, backbone, store, clip.name).frames.tolist())
        total += len(events)
        found += sum(any(at + offset in frames for offset in range(_EVENT)) for at in events)
    return found, total
