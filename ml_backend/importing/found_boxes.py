"""Boxes as files of other programs have them, whichever program it was: tracks of videos, in pixels or shares of a picture."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import SettingsError

# Beyond it lies no frame, and no number of anything that is counted.
MOST = 1 << 40
# 5 million lines of MOT. Tables are read line by line, JSON takes some ten times as much memory.
MOST_BYTES = 500_000_000


@dataclass(frozen=True, eq=False)
class FoundTrack:
    """One object. `number`: its own within the video, from 1. `frames`: (k,) int64 ascending frame indices. `boxes`: (k, 4) float64
    left, top, width, height in pixels. `label`: its class; of a `named` individual a name that need not be a class. `score`:
    0..1 where the file says it."""

    number: int
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    label: str | None = None
    score: float | None = None
    named: bool = False


@dataclass(frozen=True, eq=False)
class FoundVideo:
    """What a file says of one video. `names`: how its file may be called, the likeliest first. `size`: (width, height) of the
    pictures whose pixels are counted; None for those of the video itself. `file`: as messages name it. `task`: whose video it is, as an
    export of ours says."""

    file: str
    names: tuple[str, ...]
    tracks: tuple[FoundTrack, ...]
    size: tuple[int, int] | None = None
    task: int | None = None


@dataclass
class TrackRows:
    """Collects the boxes of one object as they are read, in any order of frames."""

    rows: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)

    def add(self, frame: int, box: tuple[float, float, float, float], label: str | None, score: float | None) -> bool:
        """Whether the object had no box in this frame yet; else nothing is changed."""
        if frame in self.rows:
            return False
        self.rows[frame] = box
        if label is not None:
            self.labels[label] = self.labels.get(label, 0) + 1
        if score is not None:
            self.scores.append(score)
        return True

    def track(self, number: int, *, named: str | None = None) -> FoundTrack:
        """Its label is the one that most of its boxes have."""
        frames = np.array(sorted(self.rows), np.int64)
        boxes = np.array([self.rows[frame] for frame in frames.tolist()], np.float64).reshape(-1, 4)
        label = max(self.labels, key=lambda each: self.labels[each], default=None) if named is None else named
        score = float(np.mean(self.scores)) if self.scores else None
        # What is no share was counted in a way of the detector's own.
        score = score if score is not None and 0 <= score <= 1 else None
        return FoundTrack(number, frames, boxes, label, score, named is not None)


def read_text(path: Path) -> str:
    """The contents of a text file in UTF-8, or in UTF-16 with its mark. Raises SettingsError."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise SettingsError(
                f"{path} has {size / 1e6:,.0f} MB, and at most {MOST_BYTES / 1e6:,.0f} MB are read.",
                "Split it into files of some videos each.",
            )
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}).", "Give the names of files with boxes."
        ) from error
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{path} is not UTF-8 text (line {line}).", "Save it again with the encoding UTF-8, or give a text file."
        ) from error
    if "\0" in text[:1000]:
        raise SettingsError(
            f"{path} is not a text file.", "Give a MOT .txt, COCO .json, DeepLabCut .csv or SLEAP .csv."
        )
    return text


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Each line that is not empty, with its number from 1."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def refused(file: str, why: str, what: str) -> SettingsError:
    """What to raise about a file that cannot be imported, with what to do."""
    return SettingsError(f"{file} is not imported: {why}.", what)


def number_each(ids: Sequence[int | str]) -> dict[int | str, int]:
    """A number from 1 for each of a video's ids: itself where all are such numbers, else its position."""
    known = list(dict.fromkeys(ids))
    if all(isinstance(each, int) and 0 < each < 1_000_000 for each in known):
        return {each: int(each) for each in known}
    return {each: position for position, each in enumerate(known, start=1)}
