"""The clips on which frame identity is checked: one for each way in which a file can make a player show another frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.alignment.encode import Recipe, Sound, copy, cut_off, encode, repeat_times, shorten_edit, steady, turn

NTSC_FILM, NTSC, NTSC_60 = Fraction(24_000, 1001), Fraction(30_000, 1001), Fraction(60_000, 1001)


@dataclass(frozen=True)
class Clip:
    """A file to make, and the values of the `<Video>` tag's `framerate` under which it is looked at (None: not given).

    The number drawn into a picture is `first` for the first frame of the file's timeline, and one more for each frame after.
    `plays`: whether Chromium can play it and go to a time in it; if not, only the order of the decoded frames is checked.
    """

    name: str
    make: Callable[[Path], None]
    framerates: tuple[str | None, ...] = (None,)
    rotation: int = 0
    first: int = 0
    plays: bool = True


def uneven(seed: int, frames: int, longest: float = 0.25) -> list[Fraction]:
    """Presentation times with gaps between 1/120 s and `longest` seconds, in ticks of 1/90000."""
    gaps = np.exp(np.random.default_rng(seed).uniform(np.log(1 / 120), np.log(longest), frames - 1))
    return [Fraction(round(time * 90_000), 90_000) for time in [0.0, *np.cumsum(gaps)]]


def phone(frames: int) -> list[Fraction]:
    """About 30 frames a second as phones record them: each some milliseconds early or late."""
    jitter = np.random.default_rng(30).integers(-400, 400, frames)
    jitter[0] = 0
    return [Fraction(3000 * i + int(jitter[i]), 90_000) for i in range(frames)]


def _encoded(recipe: Recipe) -> Callable[[Path], None]:
    return lambda path: encode(path, recipe)


def _then(recipe: Recipe, change: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        encode(path, recipe)
        change(path)

    return make


def _copied(recipe: Recipe, **how: object) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        source = path.with_name(f"whole-{path.name}").with_suffix(".mp4")
        encode(source, recipe)
        copy(source, path, **how)  # type: ignore[arg-type]
        source.unlink()

    return make


_PLAIN = Recipe(steady(25, 60))
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_ALTERNATE = Recipe(steady(25, 60), codec="libvpx-vp9", options={"deadline": "good", "lag-in-frames": "16"})
_OPUS = Recipe(steady(25, 75), codec="libvpx-vp9", options={"g": "12"}, sound=Sound("libopus"))
_INDEX_FIRST = Recipe(steady(25, 75), muxer={"movflags": "faststart"}, options={"bf": "0"})
_OPEN_GOP = Recipe(steady(25, 75), options={"x264-params": "open-gop=1:keyint=15:bframes=3:b-adapt=0:scenecut=0"})

CLIPS: Sequence[Clip] = (
    # Rates, with the `framerate` equal to, below and above the file's.
    Clip("rate-23.976.mp4", _encoded(Recipe(steady(NTSC_FILM, 60))), ("23.976", "24", "30")),
    Clip("rate-24.mp4", _encoded(Recipe(steady(24, 60))), (None, "12", "60")),
    Clip("rate-25.mp4", _encoded(_PLAIN), ("25", None, "30", "0.04")),
    Clip("rate-29.97.mp4", _encoded(Recipe(steady(NTSC, 70))), ("29.97", None, "60")),
    Clip("rate-30.mp4", _encoded(Recipe(steady(30, 70))), ("30", "29.97", "$fps")),
    Clip("rate-50.mp4", _encoded(Recipe(steady(50, 110))), ("50", "25")),
    Clip("rate-59.94.mp4", _encoded(Recipe(steady(NTSC_60, 130))), ("59.94", None)),
    Clip("rate-120.mp4", _encoded(Recipe(steady(120, 240))), ("120", "30", "nonsense")),
    Clip("rate-10.mp4", _encoded(Recipe(steady(10, 30))), ("10", "30")),
    # Times rounded to milliseconds.
    Clip("matroska-29.97.mkv", _encoded(Recipe(steady(NTSC, 70))), ("29.97", "25")),
    Clip("matroska-59.94.mkv", _encoded(Recipe(steady(NTSC_60, 130), options={"g": "20"})), ("59.94", "50")),
    # Variable frame rate.
    Clip("variable.mp4", _encoded(Recipe(uneven(1, 70))), (None, "60")),
    Clip("variable-reordered.mp4", _encoded(Recipe(uneven(6, 60), options={"g": "12", "bf": "3"})), ("30", "100")),
    Clip("variable-long.mp4", _encoded(Recipe(uneven(2, 60, 0.6), options={"bf": "0"})), ("30",)),
    Clip("variable.mkv", _encoded(Recipe(uneven(4, 60))), ("25",)),
    Clip("variable-phone.mp4", _encoded(Recipe(phone(90))), ("30", "29.97")),
    Clip("same-time-twice.mkv", _then(Recipe(steady(25, 50), options={"bf": "0"}), repeat_times), ("25",)),
    # Where the pictures begin.
    Clip("late-start.mp4", _encoded(Recipe(steady(25, 50, Fraction(3, 2)))), ("25", None)),
    Clip("late-start.webm", _encoded(Recipe(steady(25, 50, Fraction(3, 2)), codec="libvpx-vp9")), ("25",)),
    Clip("one-frame-more.mkv", _encoded(Recipe(steady(30, 60, Fraction(1, 30)))), ("30", "24")),
    Clip("no-edit-list.mp4", _encoded(Recipe(steady(25, 100), options={"g": "12"}, muxer={"use_editlist": "0"})), ("25", "30", "100")),
    Clip("fragments.mp4", _copied(Recipe(steady(30, 150), options={"g": "15"}), muxer=_FRAGMENTS), ("30", "25")),
    Clip("cut-start.mp4", _copied(Recipe(steady(25, 75)), start=Fraction(1, 2)), ("25", "24"), first=13),
    Clip("cut-start-open.mkv", _copied(_OPEN_GOP, start=Fraction(6, 5), rebase=True), ("25",), first=30, plays=False),
    Clip("cut-end.mp4", _then(_PLAIN, lambda path: shorten_edit(path, Fraction(3, 2))), ("25", "30")),
    # Sound.
    Clip("sound.mp4", _encoded(Recipe(steady(25, 50), sound=Sound())), ("25",)),
    Clip("sound-early.mp4", _encoded(Recipe(steady(25, 50), sound=Sound(start=Fraction(-1, 2)))), ("25",)),
    Clip("sound-early.webm", _encoded(Recipe(steady(25, 50), codec="libvpx-vp9", sound=Sound("libopus", Fraction(-1, 3)))), ("25",)),
    Clip("sound-primed.webm", _encoded(Recipe(steady(30, 60), codec="libvpx-vp9", sound=Sound("libopus"))), ("30",)),
    Clip("sound-opus.webm", _encoded(_OPUS), ("25", "50", "30")),
    Clip("sound-opus-no-edit-list.mp4", _encoded(replace(_OPUS, codec="libx264", muxer={"use_editlist": "0"})), ("25", "50")),
    Clip("sound-longer.mp4", _encoded(Recipe(steady(30, 60), sound=Sound(seconds=Fraction(3)))), ("30",)),
    # Where the pictures end.
    Clip("long-last-frame.mp4", _encoded(Recipe(steady(25, 50), last=Fraction(1, 3))), ("25", "30")),
    Clip("ghost-last-frame.mkv", _encoded(Recipe(steady(25, 50), last=Fraction(2, 25))), ("25",)),
    Clip("no-duration.webm", _encoded(Recipe(steady(25, 45), codec="libvpx-vp9", muxer={"live": "1"})), ("25",)),
    Clip("broken-tail.mp4", _then(_INDEX_FIRST, cut_off), ("25",), plays=False),
    # Turned pictures.
    Clip("turned-90.mp4", _then(_PLAIN, lambda path: turn(path, 90)), ("25",), rotation=90),
    Clip("turned-180.mp4", _then(_PLAIN, lambda path: turn(path, 180)), ("25",), rotation=180),
    # How pictures are coded.
    Clip("no-reordering.mp4", _encoded(Recipe(steady(25, 50), options={"bf": "0"})), ("25", "50")),
    Clip("key-frames-only.mp4", _encoded(Recipe(steady(25, 50), options={"g": "1"})), ("25", "60")),
    Clip("one-key-frame.mp4", _encoded(Recipe(steady(30, 240), options={"g": "999", "sc_threshold": "0"})), ("30",)),
    Clip("open-gop.mp4", _encoded(_OPEN_GOP), ("25", "30"), plays=False),
    Clip("h264-10-bit.mp4", _encoded(Recipe(steady(25, 50), pixels="yuv420p10le")), ("25",)),
    Clip("vp8.webm", _encoded(Recipe(steady(25, 60), codec="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "16"})), ("25",)),
    Clip("vp9.webm", _encoded(Recipe(steady(30, 60), codec="libvpx-vp9")), ("30", "24")),
    Clip("vp9-alternate.webm", _encoded(_ALTERNATE), ("25",)),
    Clip("vp9.mp4", _encoded(Recipe(steady(25, 50), codec="libvpx-vp9")), ("25",)),
    Clip("av1.mp4", _encoded(Recipe(steady(25, 50), codec="libsvtav1")), ("25", "30")),
    Clip("av1-10-bit.webm", _encoded(Recipe(steady(25, 50), codec="libsvtav1", pixels="yuv420p10le")), ("25",)),
    Clip("hevc.mp4", _encoded(Recipe(steady(25, 50), codec="libx265")), ("25", "30"), plays=False),
    Clip("hevc-10-bit.mp4", _encoded(Recipe(steady(25, 50), codec="libx265", pixels="yuv420p10le")), ("25",), plays=False),
    Clip("cut-start-hevc.mp4", _copied(Recipe(steady(25, 75), codec="libx265"), start=Fraction(1, 2)), ("25",), first=13, plays=False),
    Clip("mpeg4.avi", _encoded(Recipe(steady(25, 50), codec="mpeg4", time_base=Fraction(1, 25))), ("25",), plays=False),
    Clip("one-frame.mp4", _encoded(Recipe([Fraction(0)])), ("25",)),
)  # fmt: skip
