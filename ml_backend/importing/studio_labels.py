"""Labels in files, be they other programs' or Label Studio's own JSON of another project."""

from __future__ import annotations

import json
from pathlib import Path

from ml_backend.formats.events import Asked, Event, VideoEvents, checked, refused
from ml_backend.formats.table import read_events
from ml_backend.formats.text import read_text
from ml_backend.labelstudio.studio_files import StudioTask, read_tasks


def read_labels(path: Path, asked: Asked) -> list[VideoEvents]:
    """The videos of a file. Raises SettingsError."""
    if path.suffix.lower() != ".json" or path.is_dir() or not (text := read_text(path)).lstrip().startswith("["):
        return read_events(path, asked)
    name = str(path)
    try:
        tasks = read_tasks(json.loads(text))
    except (ValueError, RecursionError) as error:
        reason = (
            "it is no JSON, or not all of it"
            if isinstance(error, json.JSONDecodeError | RecursionError)
            else str(error)
        )
        raise refused(name, reason, "Export JSON (not JSON-MIN) from Label Studio.") from error
    if not tasks:
        raise refused(
            name, "none of its tasks has a region on a timeline", "Export JSON (not JSON-MIN) from Label Studio."
        )
    return checked([_video(name, each) for each in tasks])


def _video(name: str, said: StudioTask) -> VideoEvents:
    events = tuple(
        Event(
            each.label,
            frames=(each.start, each.end),
            who=each.who,
            comment=each.comment,
            group=each.control,
            score=each.score if said.predicted_by is not None else None,
        )
        for each in said.events
    )
    return VideoEvents(name, (said.name,), events, is_studio=True)
