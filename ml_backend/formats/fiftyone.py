"""FiftyOne's dataset of temporal detections on disk (`FiftyOneTemporalDetectionDataset`): `labels.json` beside a folder `data` with the
videos. Frames count from 1 there. https://docs.voxel51.com"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_backend.formats.events import Asked, Event, VideoEvents, refused
from ml_backend.formats.text import read_text
from ml_backend.wording import cut

LABELS = "labels.json"
DATA = "data"
_ASK = "Export it as fiftyone.types.FiftyOneTemporalDetectionDataset."


def read_fiftyone(path: Path, _asked: Asked) -> list[VideoEvents]:
    """The videos of a dataset's folder or its `labels.json`. Raises SettingsError."""
    path = path / LABELS if path.is_dir() else path
    name = str(path)
    try:
        said = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise refused(name, "it is no JSON, or not all of it", _ASK) from error
    if not isinstance(said, Mapping) or not isinstance(said.get("labels"), Mapping):
        raise refused(name, "it has no labels of videos", _ASK)
    classes = said.get("classes")
    found = []
    for about, detections in said["labels"].items():
        if detections is not None and not isinstance(detections, list):
            raise refused(name, f"the labels of {about} are no list", _ASK)
        events = tuple(_event(name, str(about), each, classes) for each in detections or ())
        found.append(VideoEvents(name, (str(about).rpartition("/")[2],), events))
    return found


def _event(name: str, about: str, said: object, classes: object) -> Event:
    if not isinstance(said, Mapping):
        raise refused(name, f"a label of {about} is no object", _ASK)
    label = said.get("label")
    if isinstance(label, int) and isinstance(classes, list) and 0 <= label < len(classes):
        label = classes[label]
    if not isinstance(label, str) or not label:
        raise refused(name, f"a label of {about} has no name", _ASK)
    attributes = said.get("attributes")
    more: Mapping[str, Any] = {**(attributes if isinstance(attributes, Mapping) else {}), **said}
    score, who, comment, group = (more.get(key) for key in ("confidence", "who", "comment", "control"))
    seconds, support = _pair(said.get("timestamps")), _pair(said.get("support"))
    if seconds is None and support is None:
        raise refused(name, f"“{cut(label)}” of {about} has neither support nor timestamps", _ASK)
    return Event(
        label,
        seconds if support is None else None,
        None if support is None else (round(support[0]) - 1, round(support[1]) - 1),
        who=who if isinstance(who, str) else "",
        comment=comment if isinstance(comment, str) else "",
        group=group if isinstance(group, str) else "",
        score=float(score) if isinstance(score, int | float) and 0 <= score <= 1 else None,
    )


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    if not all(isinstance(each, int | float) and abs(each) < 1e12 for each in value):
        return None
    return float(value[0]), float(value[1])


def write_fiftyone(videos: Sequence[VideoEvents], path: Path) -> None:
    """`labels.json` in the folder `path`, by the names of the videos without their endings."""
    labels = {
        Path(video.name).stem: [
            {
                "label": event.label,
                "support": [event.span[0] + 1, event.span[1] + 1],
                **({} if event.score is None else {"confidence": event.score}),
                "attributes": {
                    key: value
                    for key, value in (("who", event.who), ("comment", event.comment), ("control", event.group))
                    if value
                },
            }
            for event in video.events
        ]
        for video in videos
    }
    classes = sorted({event.label for video in videos for event in video.events})
    (path / LABELS).write_text(
        json.dumps({"classes": classes, "labels": labels}, ensure_ascii=False, indent=1), encoding="utf-8"
    )
