"""Questions about tracks as Label Studio shows them: a region of its own for each, whose box is there at one frame, with the question as
its remark, and without a label until somebody answers it.

A box with a single key frame that is not enabled is shown at that frame alone. Measured in Label Studio 1.23.2: such a region stands
among the others as one without a label; when it is selected, its remark is read beside the video, and the button for the next key
frame leads to its frame. A remark on the track's own region would be seen only by who selects that one, and lead nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ml_backend.labelstudio.box_track import KeyFrame, Track
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tracks import Length, track_items
from ml_backend.prediction_item import ResultItem
from ml_backend.provenance import RegionId, track_question_id
from ml_backend.video.timeline import StudioFrame

# So far beyond the object's own box, as a share of its size, that both can be seen and clicked.
_AROUND = 0.12


@dataclass(frozen=True)
class TrackQuestion:
    """About track number `number` at a Label Studio `frame`. `box`: the track's there, x, y, width, height in percent. `text`: what
    people read. `of_label`: whether it asks for the track's label, so that a label is an answer."""

    number: int
    frame: int
    box: tuple[float, float, float, float]
    text: str
    of_label: bool


def question_items(asked: Iterable[TrackQuestion], question: Question, length: Length) -> list[ResultItem]:
    """The result items that ask, on the boxes of `question`. Raises ValueError as `track_items` does."""
    return track_items((_as_track(each) for each in asked), question, length)


def answers(result: Sequence[object], question: Question) -> dict[int, str]:
    """By the number of a track the label that somebody gave to the question about its label. An untouched one says nothing, and neither
    does one that was moved."""
    found: dict[int, str] = {}
    for item in result:
        if not isinstance(item, Mapping) or item.get("from_name") != question.from_name:
            continue
        ours, value = RegionId.parse(str(item.get("id"))), item.get("value")
        if ours is None or ours.kind != "track question" or ours.number is None or not ours.of_label:
            continue
        labels = value.get("labels") if isinstance(value, Mapping) else None
        said = [each for each in labels if isinstance(each, str)] if isinstance(labels, list) else []
        if said:
            found[ours.number] = said[0]
    return found


def _as_track(asked: TrackQuestion) -> Track:
    x, y, width, height = asked.box
    left, top = max(x - _AROUND * width, 0.0), max(y - _AROUND * height, 0.0)
    right, bottom = min(x + (1 + _AROUND) * width, 100.0), min(y + (1 + _AROUND) * height, 100.0)
    key = KeyFrame(StudioFrame(asked.frame), left, top, max(right - left, 0.0), max(bottom - top, 0.0), enabled=False)
    name = track_question_id(asked.number, asked.frame, of_label=asked.of_label)
    return Track(name, (key,), origin="prediction", text=asked.text)
