"""Subtitles and chapters that any player shows: WebVTT (https://www.w3.org/TR/webvtt1/) and SubRip. A text's first line is the label."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

from ml_backend.formats.events import Asked, Event, VideoEvents, refused
from ml_backend.formats.text import clock, lines_with, read_text, seconds_of, who_and_comment
from ml_backend.wording import cut, quoted

_ARROW = re.compile(r"\s*(\S+)\s+-->\s+(\S+)(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
# Players of SubRip know these alone; anything else in angles is text.
_SRT_TAG = re.compile(r"</?(?:[bius]|font(?:\s[^<>]{0,200})?)>|\{\\an?\d{1,9}\}", re.IGNORECASE)
# What a label has of such a tag begins so instead, and "&lt;b>" itself with "&amp;lt;"; the arrow of times is "--&gt;".
_ENTITIES = {"<": "lt;", "{": "lbrace;", ">": "gt;"}
_WRITTEN = re.compile(
    r"(?<=--)&((?:amp;)*)gt;|&((?:amp;)*)(?:lt;(?=/?(?:[bius]|font(?:\s[^<>]{0,200})?)>)|lbrace;(?=\\an?\d{1,9}\}))",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[A-Za-z][^>]*>|</?\d[^>]*>")


def read_subtitles(path: Path, _asked: Asked) -> list[VideoEvents]:
    """The video of a `.vtt` or `.srt`, which is called like the file. Raises SettingsError."""
    name, is_vtt = str(path), path.suffix.lower() == ".vtt"
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    if is_vtt and not text.startswith("WEBVTT"):
        raise refused(name, "its first line is not WEBVTT", "Save it as WebVTT.")
    events = []
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.strip("\n").split("\n")
        at = next((position for position, line in enumerate(lines[:3]) if "-->" in line), None)
        if at is None:
            if not is_vtt and block.strip():
                raise refused(
                    name, f"there is no time above {quoted(lines[0])}", "Write times as 00:00:01,000 --> 00:00:02,500."
                )
            continue  # a note, a style, or the head
        match = _ARROW.fullmatch(lines[at])
        times = [seconds_of(each) if ":" in each else None for each in match.groups()] if match else [None, None]
        if times[0] is None or times[1] is None:
            raise refused(
                name, f"{quoted(lines[at].strip())} is no time", "Write times as 00:00:01.000 --> 00:00:02.500."
            )
        said = [line for line in lines[at + 1 :] if line.strip()]
        if not said:
            raise refused(name, f"nothing is said at {cut(lines[at].strip())}", "Write the label below the time.")
        voice = _VOICE.search(said[0]) if is_vtt else None
        plain = [html.unescape(_TAG.sub("", line)).strip() if is_vtt else _srt_text(line) for line in said]
        who, comment = who_and_comment(plain[1:])
        events.append(
            Event(
                plain[0], (times[0], times[1]), who=html.unescape(voice[1]).strip() if voice else who, comment=comment
            )
        )
    return [VideoEvents(name, (path.stem,), tuple(events))]


def write_vtt(videos: Sequence[VideoEvents], path: Path) -> None:
    """One video."""
    [video] = videos
    cues = ["WEBVTT"]
    for event in sorted(video.events, key=lambda each: each.times):
        voice = f"<v {html.escape(event.who, quote=False)}>" if event.who else ""
        said = [voice + html.escape(event.label, quote=False), *map(_escaped, lines_with("", event.comment))]
        cues.append("\n".join([" --> ".join(map(clock, event.times)), *said]))
    path.write_text("\n\n".join(cues) + "\n", encoding="utf-8")


def _escaped(line: str) -> str:
    return html.escape(line, quote=False)


def _srt_text(line: str) -> str:
    """What a line says without its tags."""

    def begun(found: re.Match[str]) -> str:
        level = found[1] or found[2] or ""
        entity = found[0].removeprefix(f"&{level}")
        if level:
            return f"&{level[len('amp;') :]}{entity}"
        return next(each for each, name in _ENTITIES.items() if entity.lower() == name)

    return _WRITTEN.sub(begun, _SRT_TAG.sub("", line)).strip()


def _srt_line(text: str) -> str:
    """A line that says a text, whatever in it looks like a tag."""
    deeper = _WRITTEN.sub(lambda found: f"&amp;{found[0][1:]}", text)
    return _SRT_TAG.sub(lambda found: f"&{_ENTITIES[found[0][0]]}{found[0][1:]}", deeper).replace("-->", "--&gt;")


def write_srt(videos: Sequence[VideoEvents], path: Path) -> None:
    """One video."""
    [video] = videos
    cues = []
    for number, event in enumerate(sorted(video.events, key=lambda each: each.times), start=1):
        times = " --> ".join(clock(at, ",") for at in event.times)
        said = [_srt_line(line) for line in (event.label, *lines_with(event.who, event.comment))]
        cues.append("\n".join([str(number), times, *said]))
    path.write_text("\n\n".join(cues) + "\n", encoding="utf-8")
