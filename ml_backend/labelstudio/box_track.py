"""A track: where the box of one object is at each frame, as Label Studio shows it between the frames at which it was placed.

A box is `x, y, width, height, rotation`: its top left corner and its size in percent of the picture, and degrees clockwise
about that corner. Read in `regions/VideoRectangleRegion.js`, `regions/VideoRegion.js` and `utils/props.ts` of the editor of
Label Studio 1.23.2, and measured in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Origin
from ml_backend.video.timeline import StudioFrame, StudioGrid

Floats = NDArray[np.float64]
_COLUMNS = 5
# The fields of a key frame, in their order.
Placed = tuple[int, float, float, float, float, float, bool]


@dataclass(frozen=True)
class KeyFrame:
    """A box that was placed at a Label Studio frame. It moves evenly to that of the next key frame; one that is not `enabled`
    is the last that is shown until then."""

    frame: StudioFrame
    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0
    enabled: bool = True


@dataclass(frozen=True)
class Track:
    """One object. `keys`: at least one key frame, ascending. `labels`: none where nobody said what it is. `score`: 0..1.

    `id`: Label Studio's region id, without the tag of its question; of ours, `provenance.track_id`. `origin` is Label Studio's
    word, *prediction* also where a box was dragged; None for what was copied or imported. `text`: the region's remark.
    `pushed`: the checksum of what was predicted, None where it was not by this backend; `pushed_labels`: its labels, None where
    nobody knows.
    """

    id: str
    keys: tuple[KeyFrame, ...]
    labels: tuple[str, ...] = ()
    score: float | None = None
    origin: Origin | None = "manual"
    text: str = ""
    pushed: str | None = None
    pushed_labels: tuple[str, ...] | None = None

    @classmethod
    def placed(cls, id: str, keys: Iterable[Placed], labels: tuple[str, ...] = ()) -> Track:
        """From key frames as they are stored."""
        return cls(id, tuple(KeyFrame(StudioFrame(frame), *box) for frame, *box in keys), labels)  # type: ignore[arg-type]

    @property
    def is_one_box(self) -> bool:
        """Whether it is a box that somebody has drawn at one frame, so that it is followed, and no track yet."""
        return len(self.keys) == 1 and self.keys[0].enabled

    def boxes(self, frames: NDArray[np.integer] | NDArray[np.floating]) -> Floats:
        """(k, 5) the boxes that Label Studio shows at its `frames` (k,); NaN where it shows none.

        A frame may lie between two: 2.5 is halfway from frame 2 to frame 3.
        """
        placed, values, enabled = self._arrays
        at = np.searchsorted(placed, frames, side="right") - 1
        before, after = np.maximum(at, 0), np.minimum(at + 1, len(placed) - 1)
        exact = placed[before] == frames
        length = np.where(after > before, placed[after] - placed[before], 1)
        share = np.where(exact | (after == before), 0.0, (frames - placed[before]) / length)
        found = values[before] + (values[after] - values[before]) * share[:, None]
        # The shorter way round.
        turn = _half_turn(values[after, 4] - values[before, 4])
        found[:, 4] = np.where(share > 0, _half_turn(values[before, 4] + turn * share), values[before, 4])
        found[(at < 0) | ~(exact | enabled[before])] = np.nan
        return np.asarray(found, np.float64)

    def stretches(self, last: StudioFrame) -> list[tuple[StudioFrame, StudioFrame]]:
        """The first and the last frame of each stretch in which Label Studio shows the box, up to `last`, that of the video."""
        return self._spans(last, last)

    def meant(self, last: int) -> list[tuple[StudioFrame, StudioFrame]]:
        """The stretches that were meant: as shown, but not beyond the last key frame.

        The editor shows a box that was drawn at one frame up to the end of the video. Who drew it has said where the object is
        at that frame.
        """
        return self._spans(self.keys[-1].frame, last)

    def _spans(self, end: int, last: int) -> list[tuple[StudioFrame, StudioFrame]]:
        """The stretches that are shown because of the key frames, ascending and those that touch as one, up to `last`; the last key
        frame's goes on to `end`."""
        placed, _, enabled = self._arrays
        stops = np.minimum(np.where(enabled, np.append(placed[1:], end + 1) - 1, placed), last)
        kept = placed <= stops
        starts, stops = placed[kept], stops[kept]
        if not len(starts):
            return []
        apart = np.flatnonzero(starts[1:] > stops[:-1] + 1)
        first, final = starts[np.append(0, apart + 1)], stops[np.append(apart, len(stops) - 1)]
        return [
            (StudioFrame(start), StudioFrame(stop)) for start, stop in zip(first.tolist(), final.tolist(), strict=True)
        ]

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]:
        """Key frames (n,), their boxes (n, 5), and whether they are enabled (n,)."""
        boxes = [(key.x, key.y, key.width, key.height, key.rotation) for key in self.keys]
        return (
            np.array([key.frame for key in self.keys], np.int64),
            np.array(boxes, np.float64).reshape(-1, _COLUMNS),
            np.array([key.enabled for key in self.keys], bool),
        )


def at_studio_frames(values: Floats, grid: StudioGrid) -> Floats:
    """(frames, …) what Label Studio is to show at each of its frames, of `values` (n, …) of the frame indices.

    Key frames are to be chosen among these rows, not among those of the file: Label Studio moves a box evenly by its own
    frames, which may leave out pictures, show one several times, or be nowhere near even in time.
    """
    return values[grid.shown]


def at_pictures(track: Track, grid: StudioGrid) -> Floats:
    """(n, 5) the box that was meant in each picture, by frame index; NaN where none was.

    A picture that Label Studio shows at several of its frames has the box of the first of them that has one. One that it
    never shows lies between those that it does.
    """
    found = np.full((len(grid.timeline), _COLUMNS), np.nan)
    seen, first = np.unique(grid.shown, return_index=True)
    for start, end in track.meant(StudioFrame(len(grid))):
        # From the last to the first: of several the first one stays.
        frames = np.arange(end, start - 1, -1)
        found[grid.shown[frames - 1]] = track.boxes(frames)
        between = np.setdiff1d(np.arange(grid.shown[start - 1], grid.shown[end - 1]), seen, assume_unique=True)
        found[between] = track.boxes(np.interp(between, seen, first + 1.0))
    return found


def meant_boxes(track: Track, last: int, aspect: float) -> tuple[NDArray[np.int64], Floats]:
    """(n,) the Label Studio frames up to `last` in which a box was meant, see `Track.meant`, and (n, 4) the part of the picture in which
    it lies, in percent; NaN where that is outside. `aspect`: width / height of the picture."""
    spans = [np.arange(start, end + 1) for start, end in track.meant(last)]
    frames = np.concatenate(spans).astype(np.int64) if spans else np.empty(0, np.int64)
    return frames, upright(track.boxes(frames), aspect)


def upright(boxes: Floats, aspect: float) -> Floats:
    """(k, 4) the part of a picture in which each of `boxes` (k, 5) lies: x, y, width, height in percent; NaN where none does.

    `aspect`: width / height of the picture, which a turned box needs.
    """
    angle = np.deg2rad(boxes[:, 4])
    cos, sin = np.cos(angle), np.sin(angle)
    width, height = boxes[:, 2], boxes[:, 3]
    # From the corner that it turns about, along both sides and to the opposite corner.
    across = np.stack([0 * width, width * cos, -height * sin / aspect, width * cos - height * sin / aspect])
    down = np.stack([0 * width, width * sin * aspect, height * cos, width * sin * aspect + height * cos])
    left, right = (np.clip(boxes[:, 0] + edge, 0, 100) for edge in (across.min(axis=0), across.max(axis=0)))
    top, bottom = (np.clip(boxes[:, 1] + edge, 0, 100) for edge in (down.min(axis=0), down.max(axis=0)))
    found = np.stack([left, top, right - left, bottom - top], axis=1)
    found[~((right > left) & (bottom > top))] = np.nan
    return found


def _half_turn(degrees: Floats) -> Floats:
    """The same angles, above -180 and up to 180."""
    return np.asarray(180.0 - np.mod(180.0 - degrees, 360.0))
