"""Where predictions come from, as their names tell it: model versions, and the ids of regions.

Region ids survive Submit, so they tell which model drew a region, and with which range, when its prediction is long
deleted. Whoever may annotate can write any id: what is read here is of the form that we write, and safe as a file's name.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# A file's name may have 255 bytes; 18 digits fit into 64 bits.
_VERSION = r"(cold|blitz|custom-[A-Za-z0-9_]{1,200})-v([1-9][0-9]{0,17})"
_NAME = re.compile(_VERSION)
# Of an individual, where each in a video has a timeline of its own.
_PREDICTED = re.compile(rf"{_VERSION}-([0-9]{{1,18}})_([0-9]{{1,18}})_([0-9]{{1,18}})(?:_of([1-9][0-9]{{0,17}}))?")
_FROM_MODEL = re.compile(rf"{_VERSION}-")
_SUGGESTED = "kf-"
_ASKED_BY = re.compile(rf"{_SUGGESTED}{_VERSION}-(?:of([1-9][0-9]{{0,17}})-)?")
_TRACK = "coldblitz-track-"
# With the tag of its question, where a config has boxes twice.
_TRACKED = re.compile(rf"{_TRACK}([1-9][0-9]{{0,17}})(_[0-9a-f]{{8}})?")
_ASKED_OF_TRACK = re.compile(r"coldblitz-question-(label|look)-([1-9][0-9]{0,17})-[1-9][0-9]{0,17}(_[0-9a-f]{8})?")
# An id of ours with the tag of its question. Ids are foreign text: longer ones are not looked at.
_TAGGED = re.compile(
    rf"({_SUGGESTED}(?:.+-)?[0-9]+|[a-z][A-Za-z0-9_-]*-v[0-9]+-"
    r"(?:[0-9]+_[0-9]+_[0-9]+(?:_of[0-9]+)?|whole_[0-9a-f]{8}))_([0-9a-f]{8})"
)
_WHOLE = re.compile(r".+-v[0-9]+-whole_([0-9a-f]{8})")
_LONGEST_ID = 200


@dataclass(frozen=True, order=True)
class ModelVersion:
    """`cold-v3`, `blitz-v4` or `custom-<name>-v1`. `kind`: what stands before the number."""

    kind: str
    number: int

    @classmethod
    def parse(cls, name: str) -> ModelVersion | None:
        """None for a name that no model of this backend has, that of the keyframe suggestions included."""
        match = _NAME.fullmatch(name)
        return cls(match[1], int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.kind}-v{self.number}"

    @property
    def is_custom(self) -> bool:
        """Whether it is a researcher's file rather than a head that was trained here."""
        return self.kind.startswith("custom-")

    @property
    def line(self) -> str:
        """Versions that follow each other have the same: Cold and Blitz share their numbers, each file has its own."""
        return self.kind if self.is_custom else "learnt"


@dataclass(frozen=True)
class RegionId:
    """What the id of a region of ours says. Regions that people draw, and those of other models, have none.

    `kind`: a keyframe `suggestion`, which is about one frame and without a label until it is answered, a `question` of a
    model, which is the same, a `predicted` region, a `track` of boxes, or a `track question`, about one of them. `version`: the
    model's, None for a suggestion and what is about boxes. `span`: the Label Studio frames that a predicted region had, both
    included; None in ids from before they told it. `number`: of a track within its video. `whose`: the number of the track that
    a question or predicted region is about, where each individual has a timeline of its own. `of_label`: whether a question about
    a track asks for its label.
    """

    kind: Literal["suggestion", "question", "predicted", "track", "track question"]
    version: ModelVersion | None = None
    span: tuple[int, int] | None = None
    number: int | None = None
    whose: int | None = None
    of_label: bool = False

    @classmethod
    def parse(cls, text: str) -> RegionId | None:
        """None for an id that is not of ours."""
        if text.startswith(_SUGGESTED):
            asked = _ASKED_BY.match(text)
            if asked is None:
                return cls("suggestion")
            return cls("question", ModelVersion(asked[1], int(asked[2])), whose=_number(asked[3]))
        if tracked := _TRACKED.fullmatch(text):
            return cls("track", number=int(tracked[1]))
        if about := _ASKED_OF_TRACK.fullmatch(text):
            return cls("track question", number=int(about[2]), of_label=about[1] == "label")
        if drawn := _PREDICTED.fullmatch(text):
            span = int(drawn[4]), int(drawn[5])
            return cls("predicted", ModelVersion(drawn[1], int(drawn[2])), span, whose=_number(drawn[6]))
        if drawn := _FROM_MODEL.match(text):
            return cls("predicted", ModelVersion(drawn[1], int(drawn[2])))
        return None

    @property
    def is_asked(self) -> bool:
        """Whether a person is to answer it."""
        return self.kind in ("suggestion", "question")


def _number(digits: str | None) -> int | None:
    return int(digits) if digits is not None else None


def suggestion_id(frame: int) -> str:
    """Of the suggestion to label a Label Studio frame."""
    return f"{_SUGGESTED}{frame}"


def question_id(version: str, frame: int, whose: int | None = None) -> str:
    """Of a question of a model version about a Label Studio frame, or about one individual in it."""
    return f"{_SUGGESTED}{version}-{frame}" if whose is None else f"{_SUGGESTED}{version}-of{whose}-{frame}"


def whole_id(version: str, answer: Iterable[str]) -> str:
    """Of a predicted answer about a whole video: it tells a changed answer from one that was left as it was."""
    return f"{version}-whole_{answer_mark(answer)}"


def answer_mark(answer: Iterable[str]) -> str:
    """What the id of a predicted answer ends with, whatever the order of its labels."""
    return f"{zlib.crc32(json.dumps(sorted(answer)).encode()):08x}"


def predicted_answer(text: str) -> str | None:
    """The `answer_mark` that the id of a predicted answer about a whole video ends with; None of another id."""
    found = _WHOLE.fullmatch(text[:_LONGEST_ID])
    return found[1] if found else None


def tagged_id(own: str, tag: str) -> str:
    """Of a region of one of several questions, told apart by `tag` (8 hexadecimal digits)."""
    return f"{own}_{tag}"


def split_id(text: str) -> tuple[str, str] | None:
    """The id of a frame's or a video's region without its tag, and the tag; None where it has none, or is not of ours."""
    found = _TAGGED.fullmatch(text) if len(text) <= _LONGEST_ID else None
    return (found[1], found[2]) if found else None


def companion_id(annotation: int) -> str:
    """Of a frame that was answered as an image, in annotation number `annotation` of the companion project."""
    return f"{_SUGGESTED}companion-{annotation}"


def predicted_id(version: str, number: int, start: int, end: int, whose: int | None = None) -> str:
    """Of the `number`th region of a predicted timeline, on the Label Studio frames `start`..`end`, both included. `whose`: the number of
    the track that it is about, where each individual has a timeline of its own."""
    return f"{version}-{number}_{start}_{end}" + ("" if whose is None else f"_of{whose}")


def track_id(number: int) -> str:
    """Of the `number`th object of a video, from 1: the same whichever model predicts it, and however often."""
    return f"{_TRACK}{number}"


def track_question_id(number: int, frame: int, *, of_label: bool) -> str:
    """Of a question about the `number`th object of a video at a Label Studio frame. `of_label`: whether a label answers it."""
    return f"coldblitz-question-{'label' if of_label else 'look'}-{number}-{frame}"


_IMPORTED = "imported-track-"
_IMPORTED_TRACK = re.compile(rf"{_IMPORTED}([1-9][0-9]{{0,17}})(_[0-9a-f]{{8}})?")


def imported_track_id(number: int) -> str:
    """Of the `number`th object of a video in a file that was imported: none of this backend's own tracks."""
    return f"{_IMPORTED}{number}"


def imported_event_id(number: int) -> str:
    """Of the `number`th event of a video in a file that was imported."""
    return f"imported-event-{number}"


def track_number(region: str) -> int | None:
    """The number of an object within its video, where the region's id tells it: a track of this backend, or an imported one."""
    if imported := _IMPORTED_TRACK.fullmatch(region):
        return int(imported[1])
    ours = RegionId.parse(region)
    return ours.number if ours is not None and ours.kind == "track" else None
