"""Projects of BORIS (`.boris`): JSON with an ethogram and observations, each with the events of a video. https://www.boris.unito.it"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml_backend.formats.event_tables import points_of
from ml_backend.formats.events import Asked, Mark, VideoEvents, joined, names_apart, paired, refused
from ml_backend.formats.text import media_name, read_text

_ASK = "Save it again in BORIS."
# What an event of a media observation is, in the order of the list.
_TIME, _SUBJECT, _CODE, _MODIFIERS, _COMMENT = range(5)


def read_boris(path: Path, asked: Asked) -> list[VideoEvents]:
    """The videos of a project. Raises SettingsError."""
    name = str(path)
    try:
        project = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise refused(name, "it is no JSON, or not all of it", _ASK) from error
    observations = project.get("observations") if isinstance(project, Mapping) else None
    if not isinstance(observations, Mapping):
        raise refused(name, "it has no observations", "Give a project of BORIS with coded events.")
    points, groups = _ethogram(project)
    return [_video(name, str(about), said, points, groups, asked) for about, said in observations.items()]


def _ethogram(project: Mapping[str, Any]) -> tuple[set[str], dict[str, str]]:
    """The codes of point events, and the category of each code."""
    listed = project.get("behaviors_conf")
    rows = [row for row in listed.values() if isinstance(row, Mapping)] if isinstance(listed, Mapping) else []
    points = {str(row.get("code")) for row in rows if "point" in str(row.get("type", "")).casefold()}
    return points, {str(row.get("code")): str(row.get("category") or "") for row in rows}


def _video(
    name: str, about: str, said: object, points: set[str], groups: Mapping[str, str], asked: Asked
) -> VideoEvents:
    if not isinstance(said, Mapping) or not isinstance(said.get("events"), list):
        raise refused(name, f"observation {about} has no list of events", _ASK)
    players = said.get("file")
    files = (players.get("1") or []) if isinstance(players, Mapping) else []
    names = tuple(dict.fromkeys(filter(None, (*(media_name(str(each)) for each in files), about))))
    if asked.omits(names):
        return VideoEvents(name, names, ())
    if len(files) > 1:
        raise refused(
            name,
            f"observation {about} has {len(files)} videos one after the other",
            "Code each video in an observation of its own, or export its events as a table.",
        )
    if said.get("time offset") not in (None, "", 0, "0", "0.0"):
        raise refused(
            name, f"observation {about} has a time offset", "Set the offset to 0 in BORIS: times count from the video."
        )
    marks = []
    for position, event in enumerate(said["events"], start=1):
        at = f"event {position} of {about}"
        if (
            not isinstance(event, list)
            or len(event) < 3
            or not isinstance(event[_TIME], int | float)
            or isinstance(event[_TIME], bool)
        ):
            raise refused(name, f"{at} is no list of time, subject and code", _ASK)
        if not float("-inf") < event[_TIME] < float("inf"):
            raise refused(name, f"{at} has no time", "Remove it in BORIS: it is about no moment of the video.")
        code, modifiers = str(event[_CODE]), str(event[_MODIFIERS] or "") if len(event) > _MODIFIERS else ""
        comment = str(event[_COMMENT] or "") if len(event) > _COMMENT else ""
        lines = [*([f"modifiers: {modifiers}"] if modifiers.strip("|None ") else []), *([comment] if comment else [])]
        kind = "point" if code in points else "toggle"
        marks.append(
            Mark(
                kind,
                float(event[_TIME]),
                code,
                str(event[_SUBJECT] or ""),
                "\n".join(lines),
                groups.get(code, ""),
                at,
                modifiers,
            )
        )
    return VideoEvents(name, names, paired(name, marks))


def write_boris(videos: Sequence[VideoEvents], path: Path) -> None:
    """A project with an observation a video."""
    events = [event for video in videos for event in video.events]
    points = points_of(events)
    groups = {event.label: event.group for event in events}
    subjects = list(dict.fromkeys(event.who for event in events if event.who))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    project = {
        "time_format": "s",
        "project_date": now,
        "project_name": path.name.removesuffix(".part").removesuffix(".boris"),
        "project_description": "Written by Coldblitz",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(position): {"key": "", "name": name, "description": ""} for position, name in enumerate(subjects)
        },
        "behaviors_conf": {
            str(position): {
                "type": "Point event" if label in points else "State event",
                "key": "",
                "code": label,
                "description": "",
                "color": "",
                "category": groups[label],
                "modifiers": "",
                "excluded": "",
                "coding map": "",
            }
            for position, label in enumerate(groups)
        },
        "behavioral_categories": list(dict.fromkeys(filter(None, groups.values()))),
        "behavioral_categories_config": {},
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
        "observations": {},
    }
    observations: dict[str, object] = {}
    for video, about in zip(videos, names_apart(videos), strict=True):
        rate = float(video.rate) if video.rate is not None else 0.0
        observations[about] = {
            "file": {"1": [video.name], **{str(player): [] for player in range(2, 9)}},
            "type": "MEDIA",
            "date": now,
            "description": f"Label Studio task {video.task}",
            "time offset": 0.0,
            "events": _rows(video, points, groups),
            "observation time interval": [0, 0],
            "independent_variables": {},
            "visualize_spectrogram": False,
            "visualize_waveform": False,
            "media_creation_date_as_offset": False,
            "media_scan_sampling_duration": 0,
            "image_display_duration": 1,
            "close_behaviors_between_videos": False,
            "media_info": {
                # A little longer: BORIS leaves out of its tables what ends at the very end.
                "length": {video.name: round(video.duration + 0.001, 3)},
                "fps": {video.name: rate},
                "hasVideo": {video.name: True},
                "hasAudio": {video.name: False},
                "offset": {"1": 0.0},
            },
        }
    path.write_text(
        json.dumps({**project, "observations": observations}, ensure_ascii=False, indent=1), encoding="utf-8"
    )


def _rows(video: VideoEvents, points: set[str], groups: Mapping[str, str]) -> list[list[object]]:
    """By time; a state that ends goes before what begins then. `groups`: a code has one category, so that what another control calls
    the same is the same state."""
    rows: list[tuple[float, bool, list[object]]] = []
    for event in joined(replace(event, group=groups[event.label]) for event in video.events):
        (begin, end), (first, last) = event.times, event.span
        rows.append((begin, True, [round(begin, 3), event.who, event.label, "", event.comment, first]))
        if event.label not in points:
            rows.append((end, False, [round(end, 3), event.who, event.label, "", "", last + 1]))
    return [row for *_, row in sorted(rows, key=lambda each: each[:2])]
