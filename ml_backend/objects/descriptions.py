"""What one track is like, in numbers that a classifier can learn from: its size and shape and how it moves, its colors, its texture, and
what a network sees in pictures of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.objects.boxes import Floats
from ml_backend.objects.crops import MOST, SIDE, crop, decoded, encoded
from ml_backend.objects.finder import Scaled
from ml_backend.video.demux import demux
from ml_backend.video.timeline import Timeline
from ml_backend.video.view import PICTURE
from ml_backend.video.whole_frames import decode_exactly
from sampling.candidates import unit

# Goes up when the same track is described by other numbers.
VERSION = 1
# The last one is what a network sees, as for frames; the others need none.
FORM, LOOKS, TEXTURE, NETWORK = "form", "looks", "texture", "appearance"
# (b, side, side, 3) uint8 RGB to per block (b, d) float32.
Embed = Callable[[NDArray[np.uint8]], Mapping[str, Floats]]

# What moves by less of its own length a second stands still.
_STILL = 0.15
# Speed is that over so many seconds, so that a jitter of boxes is none.
_STEP_SECONDS = 0.2
_LITTLE = 1e-3
_TEXTURE_SIDE, _DIRECTIONS = 64, 8


def describe(
    frames: NDArray[np.int64],
    boxes: NDArray[np.floating],
    fps: float,
    aspect: float,
    *,
    looks: Floats | None = None,
    crops: Sequence[bytes] = (),
    embed: Embed | None = None,
    side: int = PICTURE,
) -> dict[str, Floats]:
    """By block a row (d,) float32, finite; a block of which nothing is known is not there.

    `frames`: (k,) ascending frame indices, `boxes`: (k, 4) shares of the picture, whose width / height is `aspect`; `fps`:
    frames a second. `looks`, `crops`: as in `Track`. `embed`: a network that takes pictures of this `side`.
    """
    blocks = {FORM: form(frames, boxes, fps, aspect)}
    if looks is not None and len(looks):
        blocks[LOOKS] = np.asarray(looks, np.float32)
    if crops:
        pictures = decoded(crops, side)
        blocks[TEXTURE] = texture(pictures)
        if embed is not None:
            blocks[NETWORK] = unit(embed(pictures)[NETWORK]).mean(axis=0).astype(np.float32)
    return blocks


def form(frames: NDArray[np.int64], boxes: NDArray[np.floating], fps: float, aspect: float) -> Floats:
    """(12,) float32: how large it is and how much that varies, how long and how wide, and how it moves.

    An object that turns changes its box: its length is near the longest side of any, its width near the shortest.
    """
    sizes = np.maximum(np.asarray(boxes[:, 2:], np.float64) * (aspect, 1.0), _LITTLE)
    area = np.log(sizes.prod(axis=1))
    longer, shorter = np.log(sizes.max(axis=1)), np.log(sizes.min(axis=1))
    upright = np.log(sizes[:, 1] / sizes[:, 0])
    length, width = np.percentile(longer, 90), np.percentile(shorter, 10)
    moved = _moves(frames, boxes, fps, aspect)
    speed = np.hypot(moved[:, 0], moved[:, 1]) / np.exp(length)
    quick = np.log(np.percentile(speed, [50, 90]) + 0.05)
    still = float((speed < _STILL).mean())
    heading = np.arctan2(moved[:, 1], moved[:, 0])[speed >= _STILL]
    turns = np.abs((np.diff(heading) + np.pi) % (2 * np.pi) - np.pi) if len(heading) > 1 else np.zeros(1)
    found = [
        float(np.median(area)),
        float(area.std()),
        float(length),
        float(width),
        float(length - width),
        float(np.median(longer - shorter)),
        float(np.median(upright)),
        *quick.tolist(),
        float(quick[1] - quick[0]),
        still,
        float(np.sqrt(turns.mean())),
    ]
    return np.array(found, np.float32)


def _moves(frames: NDArray[np.int64], boxes: NDArray[np.floating], fps: float, aspect: float) -> NDArray[np.float64]:
    """(m, 2) how far its middle moves a second, in heights of the picture; m is at least 1."""
    middles = (np.asarray(boxes[:, :2], np.float64) + np.asarray(boxes[:, 2:], np.float64) / 2) * (aspect, 1.0)
    step = max(1, round(_STEP_SECONDS * fps))
    at = np.arange(frames[0], frames[-1] + 1, step)
    there = np.searchsorted(frames, at).clip(0, len(frames) - 1)
    near = there[np.abs(frames[there] - at) <= step]
    seconds = np.maximum(np.diff(frames[near]), 1) / fps
    # Over a gap nobody knows how it went.
    known = np.diff(frames[near]) <= 2 * step
    moved = (np.diff(middles[near], axis=0) / seconds[:, None])[known]
    return moved if len(moved) else np.zeros((1, 2))


def texture(pictures: NDArray[np.uint8]) -> Floats:
    """(40,) float32: how much the middle of the pictures changes, at several scales, along the strongest direction and across it.

    Directions are counted from each picture's strongest one, so that it does not matter which way an animal is turned (as in the
    main orientation of Lowe, "Distinctive image features from scale-invariant keypoints", 2004).
    """
    rows = []
    for picture in pictures:
        grey = cv2.cvtColor(
            cv2.resize(picture, (_TEXTURE_SIDE, _TEXTURE_SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        row = []
        for scale in range(5):
            small = cv2.resize(grey, None, fx=0.5**scale, fy=0.5**scale, interpolation=cv2.INTER_AREA).astype(
                np.float32
            )
            across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)
            strength, angle = np.hypot(across, down), np.arctan2(down, across)
            bins = np.round(angle / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
            counts = np.bincount(bins.ravel(), weights=strength.ravel(), minlength=_DIRECTIONS)
            row.append(np.roll(counts, -int(counts.argmax())) / small.size)
        rows.append(np.log1p(np.concatenate(row)))
    return np.asarray(np.mean(rows, axis=0), np.float32)


def crops_along(
    path: Path, timeline: Timeline, tracks: Sequence[tuple[NDArray[np.int64], NDArray[np.floating]]]
) -> list[tuple[bytes, ...]]:
    """Pictures of each of some tracks, whose frame indices (k,) and boxes (k, 4) are known: sought out in one pass, which decodes no
    more of the video than it must. Raises VideoUnreadable."""
    wanted: dict[int, list[tuple[int, NDArray[np.floating]]]] = {}
    for number, (frames, boxes) in enumerate(tracks):
        for at in np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST)).round().astype(int)):
            wanted.setdefault(int(frames[at]), []).append((number, boxes[at]))
    found: list[list[bytes]] = [[] for _ in tracks]
    read, scale = demux(path), Scaled(SIDE)
    keys = np.sort(read.packets.pts[read.packets.key])
    for index, coded in decode_exactly(path, timeline, wanted, keys):
        picture = scale(coded.frame)
        for number, box in wanted[int(index)]:
            found[number].append(encoded(crop(picture, box)))
    return [tuple(each) for each in found]
