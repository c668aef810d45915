"""Edit decision lists (CMX 3600) for video editors: one event a label, also as DaVinci Resolve writes and reads markers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from ml_backend.formats.events import Asked, Event, VideoEvents, refused
from ml_backend.formats.text import counted, lines_with, read_text, who_and_comment

_TC = r"(\d{1,2}:\d{2}:\d{2}[:;]\d{2,3})"
_EVENT = re.compile(rf"\d+\s+\S.*?\s{_TC}\s+{_TC}\s+{_TC}\s+{_TC}\s*")
# The name of a marker may have a bar as well: how long it lasts is said last.
_MARKER = re.compile(r"\|M:(.*)\|D:\s*(\d{1,9})\s*(?:\|[A-Z]:.*)?$")
_OTHER_MARKER = re.compile(r"\|M:(.*?)\s*(?:\|D:\s*(\d{1,9})?.*)?$")
# An event has a number, a reel, a track, and a cut, dissolve, wipe or key; anything else is a note.
_BROKEN = re.compile(r"\d{1,6}\s+\S+\s+\S+\s+(?:C|D|W\d*|K\S?)\b.*\d:\d")
_BLACK = re.compile(r"\d+\s+(?:BL|BLACK)\s", re.IGNORECASE)
_RATE = re.compile(r"\*\s*COLDBLITZ RATE:\s*(\d{1,9})/(\d{1,9})")
_CLIP = re.compile(r"\*\s*FROM CLIP NAME:\s*(.+)")
_LOCATOR = re.compile(rf"\*\s*LOC:\s*{_TC}\s+\S+\s+(.*)")
_COMMENT = re.compile(r"\*\s*COMMENT:\s?(.*)")


def read_edl(path: Path, _asked: Asked) -> list[VideoEvents]:
    """The videos of a list, by the names of its clips. Its label is the marker or comment of an event, else its clip. Raises
    SettingsError."""
    name = str(path)
    rate: Fraction | None = None
    drop = False
    blocks: list[tuple[tuple[str, str], list[str]]] = []
    black: list[int] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if said := _RATE.match(line):
            rate = Fraction(int(said[1]), max(int(said[2]), 1))
        elif line.startswith("FCM:"):
            drop = "NON" not in line.upper()
        elif found := _EVENT.fullmatch(line.strip()):
            blocks.append(((found[1], found[2]), []))
            black += [len(blocks) - 1] if _BLACK.match(line.strip()) else []
        elif _BROKEN.match(line.strip()):
            raise refused(name, f"line {number} is an event without four timecodes", "Export a CMX 3600 list.")
        elif blocks:
            blocks[-1][1].append(line.strip())
    if not blocks:
        raise refused(name, "it has no event", "Export a CMX 3600 list.")
    found_events: defaultdict[str, list[Event]] = defaultdict(list)
    for position, (times, notes) in enumerate(blocks):
        clip, event = _event(times, notes, drop)
        if not event.label and position in black:
            continue
        if not event.label:
            raise refused(name, f"the event at {times[0]} has no label", "Name its marker or its clip.")
        found_events[clip].append(event)
    named = [clip for clip in found_events if clip]
    if len(named) == 1:
        # Some editors name the clip once, and not again at each event.
        found_events[named[0]] += found_events.pop("", [])
    return [
        VideoEvents(name, tuple(dict.fromkeys(filter(None, (clip, path.stem)))), tuple(events), rate=rate)
        for clip, events in found_events.items()
    ]


def _event(times: tuple[str, str], notes: Sequence[str], drop: bool) -> tuple[str, Event]:
    """The name of the clip, and the event."""
    clip = next((match[1].strip() for note in notes if (match := _CLIP.match(note))), "")
    markers = (_MARKER.search(note) or _OTHER_MARKER.search(note) for note in notes if not _COMMENT.match(note))
    marked = next(filter(None, markers), None)
    marker, lasts = (marked[1].strip(), int(marked[2] or 0)) if marked else ("", 0)
    locator = next((match[2].strip() for note in notes if (match := _LOCATOR.match(note))), "")
    comments = [match[1] for note in notes if (match := _COMMENT.match(note))]
    if not marker and not locator and comments:
        marker = comments.pop(0).strip()
    who, comment = who_and_comment(comments)
    # A list of dropped frames may write colons all the same.
    begin, end = (f"{each[:-3]};{each[-2:]}" if drop and each[-3] == ":" else each for each in times)
    # Resolve writes one frame of a marker that lasts, and beside it how long.
    return clip, Event(
        marker or locator or clip, timecodes=(begin, f"+{lasts}" if lasts > 1 else end), who=who, comment=comment
    )


def write_edl(videos: Sequence[VideoEvents], path: Path) -> None:
    """One video, at its own frame rate."""
    [video] = videos
    assert video.rate is not None
    base = max(1, round(video.rate))
    lines = [
        f"TITLE: {video.name}",
        "FCM: NON-DROP FRAME",
        f"* COLDBLITZ RATE: {video.rate.numerator}/{video.rate.denominator}",
        "",
    ]
    for number, event in enumerate(sorted(video.events, key=lambda each: each.times), start=1):
        times, length = " ".join((*event.codes, *event.codes)), counted(event.codes, base)
        lines += [f"{number:03}  AX       V     C        {times}", f"* FROM CLIP NAME: {video.name}"]
        lines += [f"* COMMENT: {line}" for line in lines_with(event.who, event.comment)]
        # How Resolve reads a marker; other editors skip what they do not know.
        lines += [f" |C:ResolveColorBlue |M:{event.label} |D:{length}", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
