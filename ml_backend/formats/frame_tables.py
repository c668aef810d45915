"""Tables with one row a frame and a column of 0 and 1 for each label, as SimBA, JABS and similar programs keep their labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ml_backend.formats.events import Asked, Event, VideoEvents, refused
from ml_backend.formats.text import read_text
from ml_backend.wording import cut, quoted

_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false", "-1", "-1.0", "")
_FRAME = ("frame", "frames", "frame_number")


def _head(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def read_frame_table(path: Path, asked: Asked) -> list[VideoEvents]:
    """The video of a table, which is called like the file. The columns that are called like a label count; -1, which JABS writes
    where nobody has looked, is as little a label as 0. Raises SettingsError."""
    name = str(path)
    text = read_text(path)
    first = text[: text.find("\n")] if "\n" in text else text
    # A label may have any of them, so the one that leaves labels whole.
    delimiter = max(
        ",;\t", key=lambda each: (len(set(asked.labels).intersection(_head(first, each))), first.count(each))
    )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        head = [cell.strip() for cell in next(reader, [])]
        columns = {position: cell for position, cell in enumerate(head) if cell in asked.labels}
        if not columns:
            there = ", ".join(cell for cell in head if cell)[:300]
            raise refused(
                name,
                "none of its columns is called like a label",
                f"Say which is one, as --label column=label. It has {there or 'none'}.",
            )
        counted = next((position for position, cell in enumerate(head) if cell.casefold() in _FRAME), None)
        begun: dict[int, int] = {}
        events: list[Event] = []
        frame = -1
        for row in reader:
            if not any(row):
                continue
            before, frame = frame, frame + 1
            if counted is not None:
                frame = _number(name, reader.line_num, row[counted] if counted < len(row) else "")
                if frame <= before:
                    raise refused(
                        name,
                        f"line {reader.line_num} has frame {frame} after frame {before}",
                        "Sort the rows by frame, from 0.",
                    )
            for position, label in columns.items():
                cell = row[position].strip().lower() if position < len(row) else ""
                if cell not in _YES and cell not in _NO:
                    raise refused(
                        name,
                        f"line {reader.line_num} has {quoted(cell)} for “{cut(label)}”, which is neither 0 nor 1",
                        "Give the table of labels, not of features or probabilities.",
                    )
                is_on = cell in _YES
                if position in begun and (not is_on or frame != before + 1):
                    events.append(Event(label, frames=(begun.pop(position), before)))
                if is_on:
                    begun.setdefault(position, frame)
    except csv.Error as error:
        raise refused(name, f"it is no table ({error})", "Export it again as CSV.") from error
    events += [Event(columns[position], frames=(start, frame)) for position, start in begun.items()]
    return [VideoEvents(name, (path.stem,), tuple(sorted(events, key=lambda event: event.span)), frames=frame + 1)]


def _number(name: str, line: int, cell: str) -> int:
    try:
        number = float(cell)
        if number != int(number) or number < 0:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise refused(name, f"line {line} has no frame but {quoted(cell)}", "Count frames from 0.") from error
    return int(number)


def write_frame_table(videos: Sequence[VideoEvents], path: Path) -> None:
    """One video, as SimBA's `targets_inserted`: the frame, from 0, in a column without a name."""
    [video] = videos
    labels = sorted({event.label for event in video.events})
    columns = []
    for label in labels:
        column = bytearray(b"0" * video.frames)
        for event in video.events:
            if event.label == label:
                start, last = event.span
                column[start : last + 1] = b"1" * (last + 1 - start)
        columns.append(column.decode())
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *labels])
        writer.writerows([frame, *cells] for frame, cells in enumerate(zip(*columns, strict=True)))
