"""A project in which each individual has a timeline: drawn videos of two animals that do different things, with their tracks, and what a
person says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from studio import KEY, Studio

from benchmarks.objects.acts import ACTS, FilmedActs
from ml_backend.objects.keyframes import thin
from ml_backend.projects import tracks
from ml_backend.projects.tracks import Made, StoredTrack, StoredTracks

_LABELS = "".join(f'<Label value="{act}"/>' for act in ACTS)
CONFIG = (
    '<View><Labels name="who" toName="film"><Label value="mouse"/></Labels><VideoRectangle name="box" toName="film"/>'
    f'<TimelineLabels name="does" toName="film">{_LABELS}</TimelineLabels>'
    '<Choices name="whole" toName="film"><Choice value="reviewed"/></Choices>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)


def stored(film: FilmedActs, *, without: Sequence[int] = (), moved: float = 0.0) -> StoredTracks:
    """The true tracks, as if they had been found. `moved`: by so many percent to the right."""
    found = []
    for each in film.tracks:
        keys = tuple(
            (key.frame, *(round(100 * float(value), 5) for value in key.box), key.enabled)
            for key in thin(each.frames + 1, each.boxes)
        )
        keys = tuple((at, x + moved, y, w, h, on) for at, x, y, w, h, on in keys)
        found.append(StoredTrack(each.number, "box", keys, 0.9))
    kept = tuple(each for each in found if each.number not in without)
    return StoredTracks(Made("same"), kept, {"box": (film.frames, film.frames / 25, 25.0)}, 2, {"box": 768 / 432})


def keep(data_dir: Path, task: int, found: StoredTracks) -> None:
    tracks.save(data_dir, KEY, task, found)


def box_items(found: StoredTracks) -> list[dict[str, Any]]:
    """The tracks as somebody submits them who has left them as they were."""
    return [
        {
            "id": f"coldblitz-track-{each.number}",
            "from_name": "box",
            "to_name": "film",
            "type": "videorectangle",
            "origin": "prediction",
            "value": {
                "labels": ["mouse"],
                "sequence": [
                    {"frame": at, "x": x, "y": y, "width": w, "height": h, "rotation": 0, "enabled": on}
                    for at, x, y, w, h, on in each.keys
                ],
            },
        }
        for each in found.shown
    ]


def act_items(film: FilmedActs, number: int, **about: Any) -> list[dict[str, Any]]:
    """What an animal does in all of a video, a region for each act."""
    acts = film.acts[number - 1]
    edges = [0, *(np.flatnonzero(np.diff(acts)) + 1).tolist(), len(acts)]
    return [
        act_item(f"by-hand-{number}-{start}", start + 1, end, ACTS[acts[start]], **about)
        for start, end in pairwise(edges)
    ]


def act_item(name: str, start: int, end: int, act: str, **about: Any) -> dict[str, Any]:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [act]}
    item = {"id": name, "from_name": "does", "to_name": "film", "type": "timelinelabels", "origin": "manual"}
    return {**item, "value": value, **about}


def reviewed() -> dict[str, Any]:
    return {
        "id": "whole",
        "from_name": "whole",
        "to_name": "film",
        "type": "choices",
        "value": {"choices": ["reviewed"]},
    }


def submit(studio: Studio, task: int, items: Sequence[dict[str, Any]], when: str = "2026-02-01T12:00:00Z") -> None:
    studio.tasks[task]["annotations"] = [{"id": 100 + task, "result": list(items), "updated_at": when}]
    studio.tasks[task]["updated_at"] = when


def only(found: StoredTracks, number: int) -> StoredTracks:
    return replace(found, tracks=tuple(each for each in found.tracks if each.number == number))
