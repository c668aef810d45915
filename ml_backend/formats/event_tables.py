"""Tables with one row an event, or one row a beginning and one an end: what BORIS and The Observer (Noldus) export, markers of video
editors, and tables that somebody writes by hand. What a column is about says its name."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_backend.formats.events import Asked, Event, Mark, VideoEvents, joined, names_apart, paired, refused
from ml_backend.formats.text import (
    counted,
    lines_with,
    media_name,
    read_text,
    seconds_of,
    timecode,
    timecode_count,
    who_and_comment,
)
from ml_backend.wording import cut, quoted

# What a column is called, lower case and without special characters; of several the first is taken.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "label": ("behavior", "behaviour", "label", "marker name", "behavior name"),
    "time": ("time", "time s", "time relative sf", "time relative hmsf"),
    "start": ("start s", "start", "start time", "begin", "onset", "in"),
    "stop": ("stop s", "stop", "stop time", "end s", "end", "end time", "offset", "out"),
    "kind": ("behavior type", "behaviour type", "event type", "status"),
    "who": ("subject", "who", "individual", "animal"),
    "comment": ("comment start", "comment", "comments"),
    "comment at the end": ("comment stop",),
    "group": ("behavioral category", "category", "control"),
    "media": ("media file name", "media file path", "media file", "video", "file"),
    "observation": ("observation id", "observation"),
    "time offset": ("time offset s",),
    "score": ("confidence", "score"),
}
_KINDS = {
    "state start": "start",
    "state stop": "stop",
    "start": "start",
    "stop": "stop",
    "point": "point",
    "state": "toggle",
}
# Observations have lines about themselves above the table.
_LINES_ABOVE = 200
_NOBODY = ("", "none", "no focal subject", "na", "nan")
_UNNUMBERED = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class _Table:
    """`at`: the position of each role's column. `modifiers`: those of the columns with modifiers. `above`: cells of the lines above."""

    at: Mapping[str, int]
    modifiers: Sequence[int]
    rows: Iterable[tuple[int, list[str]]]
    above: Mapping[str, str]
    is_markers: bool

    def of(self, row: Sequence[str], role: str) -> str:
        at = self.at.get(role)
        return row[at].strip() if at is not None and at < len(row) else ""


def is_event_table(text: str) -> bool:
    """Whether a table has a column of labels and one of times."""
    return _opened(text[:200_000]) is not None


def read_event_table(path: Path, asked: Asked) -> list[VideoEvents]:
    """The videos of a table. Raises SettingsError."""
    name = str(path)
    table = _opened(read_text(path))
    if table is None:
        raise refused(
            name,
            "no line names a column of labels and one of times",
            "Name the columns, such as Behavior, Start (s), Stop (s).",
        )
    marks: defaultdict[str, list[Mark]] = defaultdict(list)
    events: defaultdict[str, list[Event]] = defaultdict(list)
    names: defaultdict[str, dict[str, None]] = defaultdict(dict)
    try:
        for line, row in table.rows:
            if not any(cell.strip() for cell in row):
                continue
            about = table.of(row, "observation") or media_name(table.of(row, "media"))
            called = media_name(table.of(row, "media") or table.above.get("media file", ""))
            names[about] |= dict.fromkeys(filter(None, (called,)))
            if (seconds_of(table.of(row, "time offset") or "0") or 0) != 0:
                raise refused(name, f"line {line} has a time offset", "Export it with times that begin with the video.")
            if "start" in table.at:
                events[about].append(_event(name, table, line, row))
            else:
                marks[about].append(_mark(name, table, line, row))
    except csv.Error as error:
        raise refused(name, f"it is no table ({error})", "Export it again.") from error
    found = []
    for about in names:
        media = list(names[about])
        if len(media) > 1:
            raise refused(
                name,
                f"observation {about} has several videos, {media[0]} and {media[1]}",
                "Give a table with one video an observation, since times count from the first.",
            )
        likely = tuple(dict.fromkeys(filter(None, (*media, about, path.stem))))
        what = () if asked.omits(likely) else (*events[about], *paired(name, marks[about]))
        found.append(VideoEvents(name, likely, what))
    return found


def _opened(text: str) -> _Table | None:
    first = text[:20_000]
    # The most frequent one first; it may be what labels are made of.
    likely = sorted("\t;,", key=lambda each: (first.count(each), each == ","), reverse=True)
    return next(filter(None, (_split(text, delimiter) for delimiter in likely)), None)


def _split(text: str, delimiter: str) -> _Table | None:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    above: dict[str, str] = {}
    try:
        for _, row in zip(range(_LINES_ABOVE), reader, strict=False):
            called = [_UNNUMBERED.sub(" ", cell).strip().casefold() for cell in row]
            at = {
                role: called.index(found)
                for role, said in _COLUMNS.items()
                if (found := next((s for s in said if s in called), ""))
            }
            if "label" in at and ("time" in at or {"start", "stop"} <= at.keys()):
                is_markers = "marker name" in called
                if is_markers and "description" in called:
                    at["comment"] = called.index("description")
                modifiers = [position for position, each in enumerate(called) if each.startswith("modifier")]
                rows = ((reader.line_num, row) for row in reader)
                return _Table(at, modifiers, rows, above, is_markers)
            if len(row) > 1 and called[0].startswith("media file"):
                above["media file"] = next((cell for cell in row[1:] if cell.strip()), "")
    except csv.Error:
        return None
    return None


def _said(table: _Table, row: Sequence[str]) -> tuple[str, str, str]:
    """Who, the comment, and the group."""
    who = table.of(row, "who")
    modifiers = [
        row[at].strip() for at in table.modifiers if at < len(row) and row[at].strip().casefold() not in _NOBODY
    ]
    comment = table.of(row, "comment")
    if table.is_markers:
        own, comment = who_and_comment(comment.splitlines())
        who = who or own
    ended = table.of(row, "comment at the end")
    lines = [
        *([f"modifiers: {'|'.join(modifiers)}"] if modifiers else []),
        *dict.fromkeys(filter(None, (comment, ended))),
    ]
    return "" if who.casefold() in _NOBODY else who, "\n".join(lines), table.of(row, "group")


def _time(name: str, line: int, text: str) -> float:
    seconds = seconds_of(text)
    if seconds is None:
        raise refused(name, f"line {line} has no time but {quoted(text)}", "Write seconds, or hours:minutes:seconds.")
    return seconds


def _event(name: str, table: _Table, line: int, row: Sequence[str]) -> Event:
    start, stop, label = (table.of(row, role) for role in ("start", "stop", "label"))
    who, comment, group = _said(table, row)
    if not label:
        raise refused(name, f"line {line} has no label", "Name what happens there.")
    if timecode_count(start, 1000) is not None:
        if timecode_count(stop or start, 1000) is None:
            raise refused(
                name, f"line {line} has no timecode but {quoted(stop)}", "Write hours:minutes:seconds:frames."
            )
        return Event(label, timecodes=(start, stop or start), who=who, comment=comment, group=group)
    begin = _time(name, line, start)
    is_point = _KINDS.get(table.of(row, "kind").casefold()) == "point"
    if not stop and not is_point:
        raise refused(name, f"“{cut(label)}” in line {line} begins at {begin:g} s and never ends", "Add its end.")
    end = begin if is_point and seconds_of(stop) is None else _time(name, line, stop)
    if end < begin:
        raise refused(
            name, f"“{cut(label)}” in line {line} ends at {end:g} s, before it begins at {begin:g} s", "Exchange them."
        )
    score = seconds_of(table.of(row, "score"))
    return Event(
        label,
        (begin, end),
        who=who,
        comment=comment,
        group=group,
        score=score if score is not None and 0 <= score <= 1 else None,
    )


def _mark(name: str, table: _Table, line: int, row: Sequence[str]) -> Mark:
    said, label = table.of(row, "kind"), table.of(row, "label")
    kind = _KINDS.get(said.casefold(), "toggle" if not said and "kind" not in table.at else "")
    if not kind:
        raise refused(
            name,
            f"line {line} is neither a beginning nor an end nor a point: {quoted(said)}",
            "Write START, STOP or POINT.",
        )
    if not label:
        raise refused(name, f"line {line} has no label", "Name what happens there.")
    who, comment, group = _said(table, row)
    modifiers = "|".join(row[at] for at in table.modifiers if at < len(row))
    return Mark(kind, _time(name, line, table.of(row, "time")), label, who, comment, group, f"line {line}", modifiers)


def write_boris_tabular(video: Sequence[VideoEvents], path: Path) -> None:
    """As BORIS exports tabular events: a row for each beginning, end, and point."""
    head = [*_BORIS, "Behavior", "Behavioral category", "Modifiers", "Behavior type", "Time", "Media file name"]
    rows = []
    for each, about in zip(video, names_apart(video), strict=True):
        points = points_of(each.events)
        marks = []
        for event in joined(each.events):
            said = [event.who or "No focal subject", event.label, event.group, ""]
            begin, end = event.times
            kinds = [("POINT", begin)] if event.label in points else [("START", begin), ("STOP", end)]
            for position, (kind, at) in enumerate(kinds):
                last = event.span[1] + 1 if kind == "STOP" else event.span[0]
                cells = [kind, f"{at:.3f}", each.name, last, "", "" if position else event.comment]
                marks.append((at, kind != "STOP", [*_of_observation(each, about), *said, *cells]))
        rows += [row for _, _, row in sorted(marks, key=lambda mark: mark[:2])]
    _write(path, [*head, "Image index", "Image file path", "Comment"], rows)


def write_boris_aggregated(video: Sequence[VideoEvents], path: Path) -> None:
    """As BORIS exports aggregated events: a row an event."""
    head = [
        *_BORIS,
        "Behavior",
        "Behavioral category",
        "Modifiers",
        "Behavior type",
        "Start (s)",
        "Stop (s)",
        "Duration (s)",
    ]
    more = ["Media file name", "Image index start", "Image index stop", "Comment start", "Comment stop", "Confidence"]
    rows = []
    for each, about in zip(video, names_apart(video), strict=True):
        points = points_of(each.events)
        for event in each.events:
            is_point = event.label in points
            begin, end = event.times if not is_point else (event.times[0], event.times[0])
            kind = "POINT" if is_point else "STATE"
            said = [
                event.who or "No focal subject",
                event.label,
                event.group,
                "",
                kind,
                f"{begin:.3f}",
                f"{end:.3f}",
                f"{end - begin:.3f}",
            ]
            score = "" if event.score is None else f"{event.score:g}"
            cells = [each.name, event.span[0], event.span[1] + 1, event.comment, "", score]
            rows.append([*_of_observation(each, about), *said, *cells])
    _write(path, [*head, *more], rows)


def points_of(events: Iterable[Event]) -> set[str]:
    """The labels that are only given to single frames: a label is a state or a point event in all of a file."""
    every = list(events)
    return {each.label for each in every} - {each.label for each in every if not each.is_moment}


_BORIS = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation type",
    "Source",
    "Media duration (s)",
    "FPS (frame/s)",
    "Subject",
)


def _of_observation(video: VideoEvents, about: str) -> list[object]:
    rate = f"{float(video.rate):.3f}" if video.rate is not None else ""
    return [about, "", "", "Media file(s)", video.name, f"{video.duration:.3f}", rate]


_NOLDUS = (
    "Time_Relative_hmsf",
    "Time_Relative_sf",
    "Duration_sf",
    "Observation",
    "Event_Log",
    "Behavior",
    "Subject",
    "Event_Type",
    "Comment",
    "Category",
)


def write_noldus(video: Sequence[VideoEvents], path: Path) -> None:
    """As The Observer exports an event log."""
    rows = []
    for each, about in zip(video, names_apart(video), strict=True):
        points = points_of(each.events)
        marks = []
        for event in joined(each.events):
            begin, end = event.times
            length = "" if event.label in points else f"{end - begin:.3f}"
            kinds = [("Point", begin)] if event.label in points else [("State start", begin), ("State stop", end)]
            for position, (kind, at) in enumerate(kinds):
                clock = f"{int(at // 3600):02}:{int(at // 60 % 60):02}:{at % 60:06.3f}"
                cells = [clock, f"{at:.3f}", length, about, "Event log", event.label, event.who]
                marks.append((at, kind != "State stop", [*cells, kind, "" if position else event.comment, event.group]))
        rows += [row for _, _, row in sorted(marks, key=lambda mark: mark[:2])]
    _write(path, _NOLDUS, rows)


def write_markers(video: Sequence[VideoEvents], path: Path) -> None:
    """As editors list markers: timecodes, the end not included."""
    [each] = video
    assert each.rate is not None
    base = max(1, round(each.rate))
    rows = []
    for event in each.events:
        length = timecode(counted(event.codes, base), base)
        description = "\n".join(lines_with(event.who, event.comment))
        rows.append([event.label, description, *event.codes, length, "Comment"])
    _write(path, ("Marker Name", "Description", "In", "Out", "Duration", "Marker Type"), rows)


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".txt") or path.name.lower().endswith(".tsv.part") else ","
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(head)
        writer.writerows(rows)
