"""The demo with objects: a project that asks for boxes, and how well the tracks that are found lie on the animals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.animals import PenClip
from ml_backend.demo.loop import SUGGESTIONS, Loop
from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.tracks import read_tracks

CONFIG = """<View>
  <Labels name="who" toName="video"><Label value="mouse" background="#E69F00"/></Labels>
  <VideoRectangle name="box" toName="video"/>
  <Video name="video" value="$video" framerate="$fps" timelineHeight="120"/>
</View>"""
_QUESTION = parse_label_config(CONFIG).tracks[0]


def found_tracks(loop: Loop) -> Mapping[int, tuple[Track, ...]]:
    """Waits until every task has tracks; returns them by task."""

    def look() -> dict[int, tuple[Track, ...]] | None:
        found = {task: _shown(loop.studio.predictions(task)) for task in loop.tasks}
        return found if all(found.values()) else None

    return loop.wait_for("tracks in every video", look)


def _shown(predictions: Sequence[Mapping[str, Any]]) -> tuple[Track, ...]:
    ours = [each["result"] for each in predictions if each["model_version"] == SUGGESTIONS]
    return read_tracks(ours[-1], _QUESTION).tracks if ours else ()


def overlaps(tracks: Sequence[Track], clip: PenClip) -> list[float]:
    """Of each animal the mean IoU of its true boxes, over all frames, with those of the track that fits it best, as Label Studio draws
    them between key frames; a frame without a box counts 0."""
    frames = np.arange(1, clip.boxes.shape[1] + 1)
    drawn = [track.boxes(frames)[:, :4] for track in tracks]
    return [max((_mean_iou(boxes, truth) for boxes in drawn), default=0.0) for truth in clip.boxes]


def _mean_iou(boxes: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Of (n, 4) with (n, 4), both left, top, width, height."""
    low = np.maximum(boxes[:, :2], truth[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], truth[:, :2] + truth[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    either = np.prod(boxes[:, 2:], axis=1) + np.prod(truth[:, 2:], axis=1) - shared
    return float(np.nan_to_num(shared / either).mean())
