"""Subjects made of rounded parts, lit from the upper left: ellipsoids, tapered limbs and flat panels, and the shadows below them.

What is drawn and where it is said to be come from the same parts, so that a box around them is true by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Color = tuple[float, float, float]  # red, green, blue, 0 to 255
Point = tuple[float, float]  # pixels, right and down
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels

_LIGHT = np.array((-0.42, -0.66, 0.62), np.float32)
_SHADE, _LIT, _GLINT = 0.56, 0.54, 18.0
_SHIFT = 4  # OpenCV draws polygons with so many fractional bits
_FUR: Floats = np.asarray(
    cv2.GaussianBlur(np.random.default_rng(17).normal(0, 1, (256, 256)).astype(np.float32), (0, 0), 1.1), np.float32
)
_FUR = _FUR / _FUR.std()


@dataclass(frozen=True)
class Blob:
    """An ellipsoid: its middle, its half axes in pixels, and how far the first of them is turned clockwise, in radians.

    `fur`: how mottled it is, 0 to 1.
    """

    middle: Point
    axes: tuple[float, float]
    color: Color
    turned: float = 0.0
    fur: float = 0.0

    @property
    def box(self) -> Box:
        cos, sin = np.cos(self.turned), np.sin(self.turned)
        (x, y), (long, wide) = self.middle, self.axes
        across, down = float(np.hypot(long * cos, wide * sin)), float(np.hypot(long * sin, wide * cos))
        return x - across, y - down, x + across, y + down


@dataclass(frozen=True)
class Limb:
    """A rounded stick from `start` to `end`, as thick as its `radii` there."""

    start: Point
    end: Point
    radii: tuple[float, float]
    color: Color
    fur: float = 0.0

    @property
    def box(self) -> Box:
        ends = ((*self.start, self.radii[0]), (*self.end, self.radii[1]))
        low, high = [(x - r, y - r) for x, y, r in ends], [(x + r, y + r) for x, y, r in ends]
        return (*np.min(low, axis=0).tolist(), *np.max(high, axis=0).tolist())


@dataclass(frozen=True)
class Panel:
    """A flat polygon whose color goes from `color` at the top to `below` at the bottom (the same where none is given)."""

    corners: Sequence[Point]
    color: Color
    below: Color | None = None

    @property
    def box(self) -> Box:
        return (*np.min(self.corners, axis=0).tolist(), *np.max(self.corners, axis=0).tolist())


Part = Blob | Limb | Panel


def extent(parts: Iterable[Part]) -> Box:
    """The smallest box around all of them."""
    boxes = np.array([part.box for part in parts])
    return (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


def paint(picture: Floats, parts: Iterable[Part]) -> None:
    """Draws each over those before it into a picture (height, width, 3) of 0 to 255; what is outside of it is cut off."""
    for part in parts:
        if isinstance(part, Panel):
            _paint_panel(picture, part)
        else:
            _paint_round(picture, part)


def cast_shadow(picture: Floats, middle: Point, axes: tuple[float, float], strength: float = 0.45) -> None:
    """Darkens a soft ellipse of the ground, which ends at 1.6 of its half axes."""
    (x, y), (long, wide) = middle, axes
    found = _patch(picture, (x - 1.6 * long, y - 1.6 * wide, x + 1.6 * long, y + 1.6 * wide))
    if found is not None:
        patch, across, down = found
        far = ((across - x) / long) ** 2 + ((down - y) / wide) ** 2
        patch *= (1 - strength * np.clip(1 - far / 1.6**2, 0, 1) ** 2)[..., None]


def curve(points: Sequence[Point], radii: tuple[float, float], color: Color) -> list[Part]:
    """Limbs along a line that gets thicker or thinner evenly, such as a tail."""
    sizes = np.linspace(*radii, len(points)).tolist()
    ends = zip(points, points[1:], sizes, sizes[1:], strict=False)
    return [Limb(start, end, (thick, thin), color) for start, end, thick, thin in ends]


def mottled(rng: np.random.Generator, shape: tuple[int, int], color: Color, spots: dict[float, float]) -> Floats:
    """(height, width, 3) of a color with spots: their size in pixels, and by how many levels they differ."""
    ground = np.full((*shape, 3), color, np.float32)
    for size, levels in spots.items():
        noise = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), size)
        ground += (levels * noise / noise.std())[..., None]
    return ground


def vignette(picture: Floats, strength: float = 0.22) -> None:
    """Darkens the corners, as lenses do."""
    height, width = picture.shape[:2]
    across, down = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    picture *= (1 - strength * (across**2 + down**2) / 2)[..., None]


def encode(path: Path, fps: Fraction, pictures: Iterable[NDArray[np.uint8]]) -> None:
    """Writes pictures (height, width, 3) as H.264; the file has its name once it is whole, and one that is there is kept."""
    if path.exists():
        return
    partial = path.with_suffix(".part.mp4")
    with av.open(str(partial), "w", options={"movflags": "faststart"}) as container:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream("libx264", rate=fps)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": "23", "preset": "veryfast", "g": str(round(2 * fps))}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode(None))
    partial.replace(path)


class Camera:
    """Takes pictures of a ground (height, width, 3) with what is drawn on it, each with one of a few sheets of noise.

    `tone` makes of what is there what the camera sees of it.
    """

    def __init__(
        self,
        ground: Floats,
        rng: np.random.Generator,
        levels: float = 2.0,
        tone: Callable[[Floats], Floats] | None = None,
    ) -> None:
        self._ground, self._scene, self._tone = ground, ground.copy(), tone or (lambda seen: seen)
        self._sheets = [rng.normal(0, levels, (*ground.shape[:2], 1)).astype(np.float32) for _ in range(6)]
        everything = slice(None), slice(None)
        # Only what changes is worked out for each picture, which takes a fifth of the time.
        self._empty = [self._taken(everything, number) for number in range(len(self._sheets))]

    def picture(self, number: int, around: Box, draw: Callable[[Floats], None]) -> NDArray[np.uint8]:
        """`draw` is given the scene, and draws nothing outside of the box `around`."""
        height, width = self._ground.shape[:2]
        left, top = max(int(around[0]) - 2, 0), max(int(around[1]) - 2, 0)
        right, bottom = min(int(around[2]) + 3, width), min(int(around[3]) + 3, height)
        here = slice(top, max(bottom, top)), slice(left, max(right, left))
        draw(self._scene)
        taken = self._empty[number % len(self._sheets)].copy()
        taken[here] = self._taken(here, number)
        self._scene[here] = self._ground[here]
        return taken

    def _taken(self, where: tuple[slice, slice], number: int) -> NDArray[np.uint8]:
        seen = self._tone(self._scene[where]) + self._sheets[number % len(self._sheets)][where]
        return np.asarray(np.clip(seen, 0, 255).astype(np.uint8))


def _patch(picture: Floats, box: Box) -> tuple[Floats, Floats, Floats] | None:
    """The part of the picture that a box touches, and the coordinates of its columns and rows; None when it is outside."""
    left, top = max(int(np.floor(box[0])) - 1, 0), max(int(np.floor(box[1])) - 1, 0)
    right, bottom = min(int(np.ceil(box[2])) + 2, picture.shape[1]), min(int(np.ceil(box[3])) + 2, picture.shape[0])
    if left >= right or top >= bottom:
        return None
    across, down = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)[:, None]
    return picture[top:bottom, left:right], across, down


def _paint_round(picture: Floats, part: Blob | Limb) -> None:
    found = _patch(picture, part.box)
    if found is None:
        return
    patch, across, down = found
    seen = _blob(part, across, down) if isinstance(part, Blob) else _limb(part, across, down)
    normal_x, normal_y, cover = seen
    up = np.sqrt(np.maximum(1 - normal_x**2 - normal_y**2, 0))
    lit = np.maximum(normal_x * _LIGHT[0] + normal_y * _LIGHT[1] + up * _LIGHT[2], 0)
    shade = _SHADE + _LIT * lit
    if part.fur:
        height, width = shade.shape
        shade *= 1 + 0.09 * part.fur * np.tile(_FUR, (height // 256 + 1, width // 256 + 1))[:height, :width]
    color = shade[..., None] * np.asarray(part.color, np.float32) + (_GLINT * lit**12)[..., None]
    patch += cover[..., None] * (color - patch)


def _blob(part: Blob, across: Floats, down: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each pixel the normal's two coordinates in the picture, and how much of it is covered."""
    cos, sin = np.cos(part.turned), np.sin(part.turned)
    x, y = across - part.middle[0], down - part.middle[1]
    along, aside = (x * cos + y * sin) / part.axes[0], (y * cos - x * sin) / part.axes[1]
    far = np.sqrt(along**2 + aside**2)
    inside = np.maximum(far, 1)
    along, aside = along / inside, aside / inside
    return along * cos - aside * sin, along * sin + aside * cos, np.clip((1 - far) * min(part.axes) + 0.5, 0, 1)


def _limb(part: Limb, across: Floats, down: Floats) -> tuple[Floats, Floats, Floats]:
    (x, y), (end_x, end_y) = part.start, part.end
    long_x, long_y = end_x - x, end_y - y
    share = ((across - x) * long_x + (down - y) * long_y) / max(long_x**2 + long_y**2, 1e-6)
    share = np.clip(share, 0, 1)
    radius = np.maximum(part.radii[0] + (part.radii[1] - part.radii[0]) * share, 0.3)
    off_x, off_y = across - x - share * long_x, down - y - share * long_y
    far = np.sqrt(off_x**2 + off_y**2)
    edge = np.maximum(far, radius)
    return off_x / edge, off_y / edge, np.clip(radius - far + 0.5, 0, 1)


def _paint_panel(picture: Floats, part: Panel) -> None:
    found = _patch(picture, part.box)
    if found is None:
        return
    patch, across, down = found
    corners = (np.array(part.corners) - (across[0], down[0, 0])) * (1 << _SHIFT)
    cover = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillPoly(cover, [corners.round().astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    top, bottom = part.box[1], part.box[3]
    deep = np.clip((down - top) / max(bottom - top, 1e-6), 0, 1)[..., None]
    color, below = (np.asarray(each, np.float32) for each in (part.color, part.below or part.color))
    patch += (cover[..., None] / np.float32(255)) * (color + deep * (below - color) - patch)
