"""What the tracks of one video are like: described as they are found, from pictures of the same decode; those that were not are sought
out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.box_tracks import as_shown
from ml_backend.jobs.track_labels import Describer
from ml_backend.objects.boxes import Track
from ml_backend.objects.descriptions import LOOKS, crops_along, describe
from ml_backend.objects.finder import Scaled, frame_rate
from ml_backend.projects.track_rows import Rows, TrackRows, key_of
from ml_backend.projects.tracks import Key, StoredTrack
from ml_backend.video.timeline import StudioGrid
from ml_backend.video.whole_frames import decode_whole


class Describing:
    """Of one video. `before`: what is known of its tracks already, None for nothing."""

    def __init__(self, describer: Describer, path: Path, grid: StudioGrid, before: TrackRows | None) -> None:
        self._describer, self._path, self._grid, self._before = describer, path, grid, before
        self._seen: dict[tuple[Key, ...], Rows] = {}

    @cached_property
    def aspect(self) -> float:
        """Width / height of the picture as it is shown."""
        _, coded = next(iter(decode_whole(self._path, self._grid.timeline)))
        height, width = Scaled(512)(coded.frame).shape[:2]
        return float(width / height)

    def see(self, track: Track, keys: tuple[Key, ...]) -> None:
        """Describes a track that comes with pictures; `keys` are what is stored of it."""
        if track.crops:
            self._seen[keys] = self._described(track.frames, track.boxes, track.looks, track.crops)

    def rows(self, tracks: Sequence[StoredTrack]) -> dict[str, Rows]:
        """By `key_of`, of all of these. Raises VideoError where one has to be sought out and cannot be."""
        found: dict[str, Rows] = {}
        sought: list[StoredTrack] = []
        for each in tracks:
            known = self._before.of(each) if self._before is not None else None
            if each.keys in self._seen:
                found[key_of(each)] = self._seen[each.keys]
            elif known is not None and self._before is not None and self._before.made_by == self._describer.made_by:
                found[key_of(each)] = known
            else:
                sought.append(each)
        dense = [self._dense(each) for each in sought]
        pictures = crops_along(self._path, self._grid.timeline, dense) if dense else []
        for each, (frames, boxes), crops in zip(sought, dense, pictures, strict=True):
            known = self._before.of(each) if self._before is not None else None
            if len(frames):
                # Its colors were measured where the detector saw it; nobody asks the detector again.
                found[key_of(each)] = self._described(frames, boxes, known.get(LOOKS) if known else None, crops)
        return found

    def _described(
        self,
        frames: NDArray[np.int64],
        boxes: NDArray[np.floating],
        looks: NDArray[np.float32] | None,
        crops: Sequence[bytes],
    ) -> Rows:
        fps, by = frame_rate(self._grid.timeline), self._describer
        return describe(frames, boxes, fps, self.aspect, looks=looks, crops=crops, embed=by.embed, side=by.side)

    def _dense(self, track: StoredTrack) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The frame indices (k,) that a track is shown at, and its box (k, 4) in each, shares of the picture."""
        frames, first = np.unique(self._grid.shown, return_index=True)
        boxes = as_shown(track).boxes(first + 1)[:, :4] / 100
        there = ~np.isnan(boxes[:, 0])
        return frames[there].astype(np.int64), boxes[there]
