"""Regions of a timeline with what people have written about them, to and from Label Studio's items.

The text of a region, which the editor shows as its remark, may say whom it is about in a line `who: mouse-2`; the rest is a comment. Where
it does not, the track does below which the region stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_backend.annotation import Region
from ml_backend.labelstudio.label_config import LabelConfig, Question
from ml_backend.labelstudio.regions import parse_regions
from ml_backend.prediction_item import ResultItem
from ml_backend.provenance import imported_event_id, track_number
from ml_backend.video.timeline import StudioFrame

_WHO = re.compile(r"who\s*[:=]\s*", re.IGNORECASE)


@dataclass(frozen=True)
class StudioEvent:
    """A label on Label Studio's frames `start`..`end`, both included. `control`: whose label it is."""

    control: str
    label: str
    start: StudioFrame
    end: StudioFrame
    who: str = ""
    comment: str = ""
    score: float | None = None


def event_items(events: Iterable[StudioEvent], config: LabelConfig) -> list[ResultItem]:
    """The result items of one task's events, in their order."""
    questions = {each.from_name: each for each in config.timelines}
    return [_item(number, event, questions[event.control]) for number, event in enumerate(events, start=1)]


def _item(number: int, event: StudioEvent, question: Question) -> ResultItem:
    value: dict[str, Any] = {
        "ranges": [{"start": int(event.start), "end": int(event.end)}],
        "timelinelabels": [event.label],
    }
    item: ResultItem = {
        "id": imported_event_id(number),
        "from_name": question.from_name,
        "to_name": question.to_name,
        "type": "timelinelabels",
        "value": value,
    }
    if text := [*([f"who: {event.who}"] if event.who else []), *event.comment.splitlines()]:
        item["meta"] = {"text": text}
    if event.score is not None:
        item["score"] = event.score
    return item


def read_events(result: Sequence[Mapping[str, Any]], question: Question) -> list[StudioEvent]:
    """What a result says on the timeline of `question`: an event for each label of a region; those without one say nothing."""
    found = []
    items = [item for item in result if isinstance(item, Mapping)]
    tracks = {str(item.get("id")): item for item in items if item.get("type") == "videorectangle"}
    for item in items:
        who, comment = _written(item.get("meta"))
        who = who or _called(tracks.get(str(item.get("parentID"))))
        for region in parse_regions([item], question):
            found += [_event(region, label, question, who, comment) for label in region.labels]
    return found


def read_any_events(result: Sequence[Mapping[str, Any]]) -> list[StudioEvent]:
    """The same of a result of another project, whatever its controls are."""
    names = dict.fromkeys(str(item.get("from_name")) for item in result if item.get("type") == "timelinelabels")
    return [event for name in names for event in read_events(result, Question(name, "", "", ()))]


def _event(region: Region, label: str, question: Question, who: str, comment: str) -> StudioEvent:
    return StudioEvent(question.from_name, label, region.start, region.end, who, comment, region.score)


def _written(meta: object) -> tuple[str, str]:
    """Whom a region's text says that it is about, and the rest of it."""
    text = meta.get("text") if isinstance(meta, Mapping) else None
    parts = text if isinstance(text, list) else [text]
    lines = [line.strip() for part in parts if isinstance(part, str) for line in part.splitlines()]
    who = next((line[found.end() :] for line in lines if (found := _WHO.match(line))), "")
    return who, "\n".join(line for line in lines if line and not _WHO.match(line))


def _called(track: Mapping[str, Any] | None) -> str:
    """What a track is called: by its own text, else by its label and number."""
    if track is None:
        return ""
    value = track.get("value")
    labels = value.get("labels") if isinstance(value, Mapping) else None
    label = next((each for each in labels if isinstance(each, str)), "") if isinstance(labels, list) else ""
    number = track_number(str(track.get("id")))
    return _written(track.get("meta"))[0] or (label if number is None else f"{label or 'track'}-{number}")


def fingerprint(result: Sequence[Mapping[str, Any]], config: LabelConfig) -> list[StudioEvent]:
    """The same for results that say the same of the timelines, whoever made them."""
    found = [event for question in config.timelines for event in read_events(result, question)]
    return sorted(found, key=lambda each: (each.control, each.start, each.end, each.label, each.who, each.comment))
