"""Keypoints of DeepLabCut and SLEAP, as CSV: a box around the points of each individual that are sure enough."""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_backend.importing.found_boxes import MOST, FoundVideo, TrackRows, number_each, read_text, refused
from ml_backend.wording import quoted

# What DeepLabCut puts behind the video's name; what SLEAP puts around it.
_DEEPLABCUT = re.compile(r"(.+?)DLC_.*", re.DOTALL)
_SLEAP = re.compile(r"(?:.+?\.)?\d{3}_(.+?)(?:\.analysis)?", re.DOTALL)
_FEWEST = 2
_HEADS = ("scorer", "individuals", "bodyparts", "coords")
_DEEPLABCUT_ASK = "Give the CSV that analyze_videos writes with save_as_csv=True."
_SLEAP_ASK = "Give the CSV of File, Export Analysis CSV."


@dataclass(frozen=True)
class Boxing:
    """How points become a box. `least`: likelihood of a point, 0..1. `margin`: that is added on each side, as a share of the longer
    side."""

    least: float = 0.6
    margin: float = 0.1

    def box(self, points: Iterable[tuple[float, float, float]]) -> tuple[float, float, float, float] | None:
        """Left, top, width, height around x, y, likelihood; None where fewer than two points are sure."""
        sure = [(x, y) for x, y, p in points if math.isfinite(x) and math.isfinite(y) and p >= self.least]
        if len(sure) < _FEWEST:
            return None
        left, right = min(x for x, _ in sure), max(x for x, _ in sure)
        top, bottom = min(y for _, y in sure), max(y for _, y in sure)
        add = self.margin * max(right - left, bottom - top)
        box = left - add, top - add, right - left + 2 * add, bottom - top + 2 * add
        return box if box[2] > 0 and box[3] > 0 else None


def read_keypoints(path: Path, boxing: Boxing) -> FoundVideo:
    """One object for each individual, named after it. Raises SettingsError."""
    rows = list(csv.reader(read_text(path).splitlines()))
    head = [each.strip() for each in rows[0]] if rows else []
    if head[:1] == ["scorer"]:
        return _deeplabcut(path, rows, boxing)
    if head[:2] == ["track", "frame_idx"]:
        return _sleap(path, head, rows[1:], boxing)
    raise refused(
        str(path),
        "its first line is neither DeepLabCut's (scorer, …) nor SLEAP's (track, frame_idx, …)",
        _DEEPLABCUT_ASK,
    )


def _deeplabcut(path: Path, rows: Sequence[Sequence[str]], boxing: Boxing) -> FoundVideo:
    name = str(path)
    heads = {row[0].strip(): row for row in rows[:4] if row and row[0].strip() in _HEADS}
    if "bodyparts" not in heads or "coords" not in heads:
        raise refused(name, "its head has no bodyparts and coords", _DEEPLABCUT_ASK)
    parts, coords = heads["bodyparts"], [each.strip() for each in heads["coords"]]
    individuals = heads.get("individuals", [""] * len(parts))
    # Columns of x, y and likelihood, by individual and body part.
    columns: dict[tuple[str, str], dict[str, int]] = {}
    for at in range(1, min(len(coords), len(parts), len(individuals))):
        columns.setdefault((individuals[at], parts[at]), {})[coords[at]] = at
    if not columns or not all({"x", "y"} <= each.keys() for each in columns.values()):
        raise refused(name, "a body part has no x and y", _DEEPLABCUT_ASK)
    found: dict[str, TrackRows] = {individual: TrackRows() for individual, _ in columns}
    seen: set[int] = set()
    for line, row in enumerate(rows[len(heads) :], start=len(heads) + 1):
        if not row:
            continue
        frame = _frame(row[0])
        if frame is None:
            raise refused(name, f"line {line} begins with {quoted(row[0])}, which is no frame", _DEEPLABCUT_ASK)
        if frame in seen:
            raise refused(name, f"frame {frame} is there twice (line {line})", "Remove one of the lines.")
        seen.add(frame)
        points: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
        for (individual, _), place in columns.items():
            sure = _number(name, line, row, place.get("likelihood"), 1.0)
            points[individual].append(
                (_number(name, line, row, place["x"]), _number(name, line, row, place["y"]), sure)
            )
        _add(found, frame, points, boxing)
    match = _DEEPLABCUT.fullmatch(path.stem)
    return _video(name, [*([match[1]] if match else []), path.stem], found)


def _sleap(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]], boxing: Boxing) -> FoundVideo:
    name = str(path)
    points_of = [each.removesuffix(".x") for each in head if each.endswith(".x")]
    places = {key: at for at, key in enumerate(head)}
    if not points_of or not all(f"{each}.y" in places for each in points_of):
        raise refused(name, "a point has no x and y", _SLEAP_ASK)
    found: defaultdict[str, TrackRows] = defaultdict(TrackRows)
    seen: set[tuple[str, int]] = set()
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        track, frame = row[0].strip(), _frame(row[1]) if len(row) > 1 else None
        if frame is None:
            raise refused(name, f"line {line} has no frame_idx", _SLEAP_ASK)
        if (track, frame) in seen:
            why = f"track {track} is there twice in frame {frame} (line {line})"
            if not track:
                why = f"frame {frame} has several animals without a track (line {line})"
            raise refused(name, why, "Have SLEAP track them, then export again.")
        seen.add((track, frame))
        points = [
            (
                _number(name, line, row, places[f"{each}.x"]),
                _number(name, line, row, places[f"{each}.y"]),
                _number(name, line, row, places.get(f"{each}.score"), 1.0),
            )
            for each in points_of
        ]
        _add(found, frame, {track: points}, boxing)
    match = _SLEAP.fullmatch(path.stem)
    return _video(name, [*([match[1]] if match else []), path.stem.removesuffix(".analysis")], found)


def _add(
    found: dict[str, TrackRows], frame: int, points: dict[str, list[tuple[float, float, float]]], boxing: Boxing
) -> None:
    for individual, each in points.items():
        box = boxing.box(each)
        if box is not None:
            sure = [p for _, _, p in each if boxing.least <= p <= 1]
            found[individual].add(frame, box, None, sum(sure) / len(sure) if sure else None)


def _video(file: str, names: Sequence[str], found: dict[str, TrackRows]) -> FoundVideo:
    seen = {individual: rows for individual, rows in found.items() if rows.rows}
    numbers = number_each(list(seen))
    tracks = tuple(rows.track(numbers[each], named=each) for each, rows in seen.items())
    return FoundVideo(file, tuple(dict.fromkeys(names)), tracks)


def _frame(text: str) -> int | None:
    """A frame index; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if 0 <= number < MOST and number == int(number) else None


def _number(file: str, line: int, row: Sequence[str], at: int | None, otherwise: float = math.nan) -> float:
    """NaN for a point that was not found."""
    if at is None:
        return otherwise
    text = row[at].strip() if at < len(row) else ""
    try:
        return float(text) if text else math.nan
    except ValueError as error:
        raise refused(file, f"line {line} has {quoted(text)} where a number belongs", "Export it again.") from error
