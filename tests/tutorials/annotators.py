"""What the annotator of each tutorial does, through Label Studio's API, and how much of what comes back is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.animals import PenClip
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_at, labels_at, right_frames
from ml_backend.demo.traffic import RoadClip
from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.objects.boxes import iou

Item = dict[str, Any]
REVIEWED: Item = {
    "id": "reviewed",
    "from_name": "reviewed",
    "to_name": "video",
    "type": "choices",
    "value": {"choices": ["reviewed"]},
}


def predicted(loop: Loop, task: int, version: str = SUGGESTIONS) -> list[Item]:
    """What is predicted of a task by a version."""
    found = [each for each in loop.studio.predictions(task) if each["model_version"] == version]
    return list(found[-1]["result"]) if found else []


def submit(loop: Loop, task: int, result: Sequence[Item]) -> None:
    loop.studio.post(
        f"/api/tasks/{task}/annotations/", {"result": list(result), "was_cancelled": False, "lead_time": 60}
    )


def answered(items: Sequence[Item], clip: Clip) -> list[Item]:
    """The suggested frames, each with the label that it has."""
    return [
        {**item, "value": {**item["value"], "timelinelabels": [label_at(clip, item["value"]["ranges"][0]["start"])]}}
        for item in items
        if item["type"] == "timelinelabels"
    ]


def drawn(labels: Sequence[str], control: str, prefix: str, **more: Any) -> list[Item]:
    """A whole timeline drawn by hand."""
    found, start = [], 1
    for label, run in groupby(labels):
        end = start + len(list(run)) - 1
        found.append(
            {
                "id": f"{prefix}{start}",
                "from_name": control,
                "to_name": "video",
                "type": "timelinelabels",
                "origin": "manual",
                "value": {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]},
                **more,
            }
        )
        start = end + 1
    return found


def chosen(control: str, choice: str) -> Item:
    value = {"choices": [choice]}
    return {
        "id": control,
        "from_name": control,
        "to_name": "video",
        "type": "choices",
        "value": value,
        "origin": "manual",
    }


def matched(tracks: Sequence[Track], truth: Sequence[NDArray[np.float64]]) -> list[int | None]:
    """For each true object, (frames, 4) boxes in percent with nan where it is not seen, the track that lies on it; None where none does."""
    found: list[int | None] = []
    for boxes in truth:
        seen = np.flatnonzero(~np.isnan(boxes[:, 0]))
        alike = [
            float(np.nan_to_num(iou(track.boxes(seen + 1)[:, :4] / 100, boxes[seen] / 100)).mean()) for track in tracks
        ]
        found.append(int(np.argmax(alike)) if alike and max(alike) > 0.4 else None)
    return found


def acts_right(loop: Loop, task: int, clip: PenClip, version: str, question: Question) -> tuple[int, int]:
    """In how many frames of each individual its timeline says what it does, and of how many; without a track none is right."""
    items = predicted(loop, task, version)
    tracks = read_tracks(items, question).tracks
    right = asked = 0
    for number, place in enumerate(matched(tracks, list(clip.boxes))):
        asked += len(clip.acts[number])
        if place is not None:
            own = [each for each in items if each.get("parentID") == tracks[place].id]
            right += sum(labels_at(own, at) == {act} for at, act in enumerate(clip.acts[number], start=1))
    return right, asked


def kinds_right(loop: Loop, task: int, clip: RoadClip, version: str, question: Question) -> tuple[int, int, int]:
    """How many vehicles have a track with the right label, how many there are, and how many tracks."""
    tracks = read_tracks(predicted(loop, task, version), question).tracks
    places = matched(tracks, [boxes for _, boxes in clip.vehicles])
    kinds = [None if place is None else tracks[place].labels for place in places]
    right = sum(found == (kind,) for found, (kind, _) in zip(kinds, clip.vehicles, strict=True))
    return right, len(places), len(tracks)


def frames_right(items: Sequence[Mapping[str, Any]], clip: Clip) -> tuple[int, int]:
    return right_frames([each for each in items if each["type"] == "timelinelabels"], clip)
