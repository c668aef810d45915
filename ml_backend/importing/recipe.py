"""What is asked to become of each video: a stretch of it, parts of it, another frame rate."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from ml_backend.errors import SettingsError, VideoRefused
from ml_backend.video.timeline import Timeline, constant_rate, exact, own_rate
from ml_backend.wording import quoted

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Recipe:
    """`clip`: seconds from and to; `segment`: seconds a part; `fps`: frames a second at most. None leaves it as it is.
    `raw_fps`: frames a second of raw streams, which do not say."""

    clip: tuple[float, float] | None = None
    segment: float | None = None
    fps: float | None = None
    fix: bool = False
    raw_fps: float | None = None

    @property
    def cuts(self) -> bool:
        return self.clip is not None or self.segment is not None


@dataclass(frozen=True)
class Part:
    """Seconds `start`..`stop` of a video as a browser counts them; the whole of it has no name."""

    start: float
    stop: float
    name: str = ""


def parts(recipe: Recipe, begins: float, ends: float, file: str) -> list[Part]:
    """The parts to make of a video whose pictures are shown from `begins` to `ends`. Raises VideoRefused when the clip
    that is asked for lies behind its end."""
    if not recipe.cuts:
        return [Part(begins, ends)]
    start, stop = recipe.clip or (begins, ends)
    start, stop = max(start, begins), min(stop, ends)
    if stop <= start:
        raise VideoRefused(
            f"{file} ends at {ends:.1f} s, before the requested clip.", "Choose another --clip, or omit it."
        )
    if recipe.segment is None:
        return [_part(start, stop)]
    # What is left of less than a hundredth of a part is a rounding of the video's length.
    count = max(1, math.ceil((stop - start) / recipe.segment - 0.01))
    edges = [start + recipe.segment * at for at in range(count)] + [stop]
    return [_part(one, other) for one, other in pairwise(edges)]


def _part(start: float, stop: float) -> Part:
    return Part(start, stop, f"{start:.3f}".rstrip("0").rstrip(".") + "-" + f"{stop:.3f}".rstrip("0").rstrip("."))


def refuse_too_short(recipe: Recipe, lasting: float, file: str) -> None:
    """Raises VideoRefused when parts are asked for in which hardly more than one picture, each `lasting` seconds, is seen."""
    if recipe.segment is not None and recipe.segment < 2 * lasting:
        raise VideoRefused(
            f"A picture of {file} lasts {lasting:g} s, so that a part of {recipe.segment:g} s shows one.",
            f"Give --segment {math.ceil(10 * lasting)}s or more.",
        )


def target_rate(timeline: Timeline, even: bool, fps: float | None) -> Fraction:
    """The constant rate to encode at: the video's own when its frames are `even`ly spaced, else the lowest that shows all of
    them; at most `fps`."""
    rate = own_rate(timeline) if even else constant_rate(timeline)[0]
    return min(rate, exact(fps)) if fps is not None else rate


def parse_clip(text: str) -> tuple[float, float]:
    """`00:10-00:40` in seconds. Raises SettingsError."""
    start, dash, stop = text.partition("-")
    try:
        found = parse_time(start), parse_time(stop)
    except ValueError:
        found = (0.0, 0.0)
    if not dash or found[1] <= found[0]:
        raise SettingsError(f"--clip {text} is not a time range.", "Give start and end: --clip 00:10-00:40")
    return found


def parse_segment(text: str) -> float:
    """`60s`, `2m` or `01:30` in seconds, at least 1. Raises SettingsError."""
    try:
        seconds = parse_time(text)
    except ValueError:
        seconds = 0.0
    if seconds < 1:
        raise SettingsError(f"--segment {text} is not a length of at least a second.", "Write --segment 60s")
    return seconds


def parse_time(text: str) -> float:
    """`90`, `90s`, `1.5m`, `01:30`, `1:01:30.5` in seconds. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)", text.strip())
    if match:
        return float(match[1]) * _UNITS[match[2]]
    match = re.fullmatch(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)", text.strip())
    if match is None:
        raise ValueError(f"{quoted(text)} is not a time")
    return int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3])
