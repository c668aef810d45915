"""The MOT challenge's tables: one video in a `gt.txt`, `det.txt`, or the result of a tracker.

A line is frame, track, left, top, width, height, and what follows: in ground truth whether it counts, class, visibility; in others
a score and -1. Frames and pixels count from 1. See https://motchallenge.net/instructions/.
"""

from __future__ import annotations

import configparser
import math
from collections import defaultdict
from pathlib import Path

from ml_backend.importing.found_boxes import MOST, FoundVideo, TrackRows, lines_of, read_text, refused
from ml_backend.wording import quoted

_GROUND_TRUTH_COLUMNS = 9
_ASK = "Give a table with frame, track, left, top, width, height in each line."


def read_mot(path: Path) -> FoundVideo:
    """Lines that do not count are left out. Without track numbers (-1) each box is an object of one frame. Raises SettingsError."""
    name = str(path)
    labels = _labels(path)
    tracks: defaultdict[int, TrackRows] = defaultdict(TrackRows)
    alone: list[TrackRows] = []
    for line, text in lines_of(read_text(path)):
        cells = text.replace(",", " ").split()
        try:
            numbers = [float(each) for each in cells]
            if len(numbers) < 6:
                raise ValueError
        except ValueError as error:
            raise refused(name, f"line {line} is no line of MOT: {quoted(text)}", _ASK) from error
        if not all(map(math.isfinite, numbers)):
            raise refused(name, f"line {line} has a number that is not finite", "Remove the line, or mend the number.")
        frame, track, left, top, width, height, *rest = numbers
        if not _is_whole(frame) or frame < 1:
            raise refused(name, f"line {line} has frame {frame:g}, and frames count from 1", "Count frames from 1.")
        if not _is_whole(track):
            raise refused(name, f"line {line} has track {track:g}, and tracks are whole numbers", "Number the tracks.")
        if width <= 0 or height <= 0:
            raise refused(name, f"the box in line {line} has no size", "Remove the line.")
        is_truth = len(numbers) == _GROUND_TRUTH_COLUMNS
        if is_truth and rest[0] == 0:
            continue
        if is_truth and not _is_whole(rest[1]):
            raise refused(name, f"line {line} has class {rest[1]:g}, and classes are whole numbers", "Number them.")
        label = labels.get(int(rest[1]), f"{int(rest[1])}") if is_truth and rest[1] >= 1 else None
        score = None if is_truth or not rest else rest[0]
        if track < 0:
            rows = TrackRows()
            alone.append(rows)
        else:
            rows = tracks[int(track)]
        if not rows.add(int(frame) - 1, (left - 1, top - 1, width, height), label, score):
            raise refused(
                name, f"track {int(track)} has two boxes in frame {int(frame)} (line {line})", "Remove one of them."
            )
    # In some programs tracks count from 0.
    shift = 1 if 0 in tracks else 0
    found = [rows.track(number + shift) for number, rows in sorted(tracks.items())]
    after = max((each.number for each in found), default=0)
    found += [rows.track(after + at) for at, rows in enumerate(alone, start=1)]
    names, size = _sequence(path)
    return FoundVideo(name, names, tuple(found), size)


def _is_whole(number: float) -> bool:
    return abs(number) < MOST and number == int(number)


def _labels(path: Path) -> dict[int, str]:
    """The names of the classes, which an export of ours has beside the table."""
    beside = path.with_name("labels.txt")
    return dict(enumerate((line for _, line in lines_of(read_text(beside))), start=1)) if beside.is_file() else {}


def _sequence(path: Path) -> tuple[tuple[str, ...], tuple[int, int] | None]:
    """What the video may be called, and the size of its pictures where a `seqinfo.ini` says it."""
    in_sequence = path.parent.name in ("gt", "det")
    folder = path.parent.parent if in_sequence else path.parent
    names = [folder.name if in_sequence or path.stem in ("gt", "det") else path.stem]
    parser = configparser.ConfigParser(interpolation=None)
    beside = folder / "seqinfo.ini"
    size = None
    if (in_sequence or path.stem in ("gt", "det")) and beside.is_file():
        try:
            parser.read_string(read_text(beside))
            said = parser["Sequence"]
            names.insert(0, said.get("name", names[0]))
            size = said.getint("imWidth"), said.getint("imHeight")
        except (configparser.Error, KeyError, ValueError) as error:
            raise refused(str(beside), "it is no [Sequence] as MOT has it", "Mend it, or remove it.") from error
    known = size is not None and all(isinstance(side, int) and 0 < side < MOST for side in size)
    return tuple(dict.fromkeys(names)), (int(size[0] or 0), int(size[1] or 0)) if known and size is not None else None
