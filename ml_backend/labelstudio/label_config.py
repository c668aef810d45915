"""The label config: which questions it asks about which video, with which labels, and at which frame rate."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from xml.etree import ElementTree

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.task_data import lasting, resolved, variables
from ml_backend.provenance import tagged_id

DEFAULT_FRAMERATE = 24.0
# A <Choices> with this answer says that the whole video was looked at.
REVIEWED = "reviewed"

QuestionKind = Literal["timeline", "choices", "tracks"]
_KINDS: dict[str, QuestionKind] = {"timelinelabels": "timeline", "choices": "choices", "videorectangle": "tracks"}
_ANSWER_TAGS = {"timeline": "label", "choices": "choice", "tracks": "label"}

_HOW_TO_MEND = (
    'Add one to the project\'s labeling interface, for example <TimelineLabels name="labels" toName="video">'
    '<Label value="A"/></TimelineLabels><Video name="video" value="$video" framerate="$fps"/>.'
)
# What Label Studio calls object tags, in lower case: a control without toName belongs to the only one of these.
_OBJECTS = {
    *("audio", "audioplus", "chat", "hypertext", "image", "list", "paragraphs", "pdf", "table", "text", "timeseries"),
    "video",
}


@dataclass(frozen=True)
class Question:
    """What one control of the label config asks about a `<Video>`.

    `kind`: which labels hold on which frames (`timeline`), what the whole video is (`choices`), or where which objects are
    (`tracks`: boxes, with the labels of the `<Labels>` on the same video). `video`: the `value` of the video's tag as written.
    `labels`: those in the config, then those that tasks bring along; `labels_from`: where in a task's data they are.
    `framerate`: the attribute as written, or None. `multiple`: of choices, whether several may hold. `reviewed_control`: name of
    the `<Choices>` with an answer *reviewed*, when the config has one.
    `predicted_values`: a model's words (a comma between several) to the label that has this attribute.
    `colours`: what each label that has one has for `background`, as it is written.
    `wording`: of each label with an `alias` or a `hint`, what people read: its `value`, then the hint if there is one.
    `alone`: whether the config has no other question; of tracks, no other one about tracks. `fixed`: how many of the labels
    are in the config. `labels_control`: of tracks, the name of the `<Labels>`; None where a box has no label.
    `score_threshold`: the attribute `model_score_threshold`, 0..1: what is less sure is not shown.
    """

    from_name: str
    to_name: str
    video: str
    labels: tuple[str, ...]
    framerate: str | None = None
    reviewed_control: str | None = None
    kind: QuestionKind = "timeline"
    multiple: bool = False
    labels_from: tuple[str, ...] = ()
    predicted_values: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    wording: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alone: bool = True
    fixed: int | None = None
    labels_control: str | None = None
    score_threshold: float | None = None

    def labels_of(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """The labels that a task may get: those of the config, and those that it brings along itself."""
        if not self.labels_from:
            return self.labels
        return tuple(dict.fromkeys((*self.labels[: self.fixed], *self.labels_in(data))))

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits that tell its region ids from those of the config's other questions."""
        return f"{zlib.crc32(self.from_name.encode()):08x}"

    def region_id(self, own: str) -> str:
        """How the id `own` of a region of this question is written."""
        return own if self.alone else tagged_id(own, self.tag)

    @property
    def video_key(self) -> str:
        """The key of a task's data that names its video; where there are several, the first."""
        return next(iter(variables(self.video)), "video")

    def video_of(self, data: Mapping[str, Any]) -> str | None:
        """The address of a task's video as its data and the config name it, None when they name none."""
        found = resolved(self.video, data)
        return found if isinstance(found, str) and found.strip() else None

    def labels_in(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """The labels that a task's data bring along, each once."""
        lists = (resolved(source, data) for source in self.labels_from)
        return tuple(dict.fromkeys(label for found in lists for label in _dynamic(found)))

    def framerate_of(self, data: Mapping[str, Any]) -> float:
        """Frames per second of Label Studio's grid for a task, resolved as Label Studio does.

        A `$variable` is read from the task's data; below 1 means seconds per frame; what is not a positive number is 24.
        """
        text: Any = self.framerate
        if isinstance(text, str) and variables(text):
            text = resolved(text, data)
        try:
            # Python reads "2_5" as a number, the browser does not.
            value = float("no" if isinstance(text, str) and "_" in text else text)
        except (TypeError, ValueError):
            return DEFAULT_FRAMERATE
        if not value > 0:
            return DEFAULT_FRAMERATE
        rate = 1 / value if value < 1 else value
        return rate if math.isfinite(rate) else DEFAULT_FRAMERATE


@dataclass(frozen=True)
class LabelConfig:
    """`questions`: those about frames and whole videos, which heads learn, in the order of the config; none where it only asks
    for boxes. `tracks`: those about boxes; of both together there is at least one. `left_alone`: what else it asks, a sentence
    each. `names`: of all tags that have one."""

    questions: tuple[Question, ...]
    left_alone: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    tracks: tuple[Question, ...] = ()

    @property
    def main(self) -> Question:
        """The one whose frames are suggested and shown: the first about a timeline, else the first, else the first about boxes."""
        return next((each for each in self.questions if each.kind == "timeline"), (*self.questions, *self.tracks)[0])

    @property
    def timelines(self) -> tuple[Question, ...]:
        return tuple(each for each in self.questions if each.kind == "timeline")

    @property
    def videos(self) -> tuple[Question, ...]:
        """A question about each video that the config shows, one about its timeline where there is one."""
        first_of: dict[str, Question] = {}
        for each in (self.main, *self.timelines, *self.questions):
            first_of.setdefault(each.video, each)
        return tuple(first_of.values())

    def shown(self, data: Mapping[str, Any]) -> list[tuple[str, float]]:
        """What a task shows, however it is signed: the address of each video, and the frame rate at which it is counted."""
        return [(lasting(each.video_of(data) or ""), each.framerate_of(data)) for each in self.videos]

    def with_labels(self, found: Mapping[str, Sequence[str]]) -> LabelConfig:
        """With the labels that tasks bring along, by the question's `from_name`, after those that it has."""

        def labelled(question: Question) -> Question:
            if not question.labels_from:
                return question
            labels = tuple(dict.fromkeys((*question.labels, *found.get(question.from_name, ()))))
            return replace(question, labels=labels, fixed=len(question.labels))

        return replace(self, questions=tuple(map(labelled, self.questions)), tracks=tuple(map(labelled, self.tracks)))


def parse_label_config(xml: str) -> LabelConfig:
    """Raises LabelConfigError when the XML is broken or asks nothing that can be predicted about a video."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise LabelConfigError(
            f"The label config is not valid XML ({error}).", "Save it again in Label Studio."
        ) from error
    elements = list(root.iter())
    objects = {
        name: each for each in elements if _tag(each) in _OBJECTS and (name := _attribute(each, "name")) is not None
    }
    reviewed = _reviewed_control(elements)
    labels_of_boxes = _labels_of_boxes(elements, objects)
    questions: list[Question] = []
    others: list[str] = []
    for control in elements:
        if _tag(control) not in _KINDS and (_attribute(control, "toName") is None or _tag(control) == "filter"):
            continue
        if _tag(control) == "choices" and _attribute(control, "name") == reviewed:
            continue
        if any(control is each for each in labels_of_boxes):
            continue
        found = _question(control, objects, reviewed, labels_of_boxes)
        if isinstance(found, Question):
            questions.append(found)
            others += _unread_threshold(control, found)
        else:
            others.append(found)
    if not questions:
        raise LabelConfigError(_nothing(objects, others), _HOW_TO_MEND)
    tracks = [each for each in questions if each.kind == "tracks"]
    learned = [each for each in questions if each.kind != "tracks"]
    names = frozenset(name for each in elements if (name := _attribute(each, "name")) is not None)
    return LabelConfig(_told_apart(learned), tuple(others), names, _told_apart(tracks))


def _told_apart(questions: Sequence[Question]) -> tuple[Question, ...]:
    return tuple(replace(each, alone=len(questions) == 1) for each in questions)


def _labels_of_boxes(
    elements: Sequence[ElementTree.Element], objects: Mapping[str, ElementTree.Element]
) -> list[ElementTree.Element]:
    """The `<Labels>` on a video that has boxes."""
    boxed = [_video(each, objects) for each in elements if _tag(each) == "videorectangle"]
    return [
        each
        for each in elements
        if _tag(each) == "labels" and any(video is not None and video is _video(each, objects) for video in boxed)
    ]


def _video(control: ElementTree.Element, objects: Mapping[str, ElementTree.Element]) -> ElementTree.Element | None:
    """The first `<Video>` that a control is about."""
    targets = [each.strip() for each in _about(control, objects).split(",")]
    return next((objects[each] for each in targets if each in objects and _tag(objects[each]) == "video"), None)


def _about(control: ElementTree.Element, objects: Mapping[str, ElementTree.Element]) -> str:
    return _attribute(control, "toName") or (next(iter(objects)) if len(objects) == 1 else "")


def _threshold(control: ElementTree.Element) -> float | None:
    try:
        value = float(_attribute(control, "model_score_threshold") or "none")
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _unread_threshold(control: ElementTree.Element, question: Question) -> Iterable[str]:
    written = _attribute(control, "model_score_threshold")
    if written is not None and question.score_threshold is None:
        yield (
            f'model_score_threshold="{written}" of <{control.tag} name="{question.from_name}"> is ignored: '
            "it is not a number from 0 to 1."
        )


def _nothing(objects: Mapping[str, ElementTree.Element], others: Sequence[str]) -> str:
    """Why a config asks nothing that can be predicted."""
    if not any(_tag(each) == "video" for each in objects.values()):
        beside = f" {others[0]}" if others else ""
        return f"The label config has no <Video>, and only videos can be predicted.{beside}"
    if others:
        return f"The label config has nothing that can be predicted. {' '.join(others)}"
    return "The label config has no <TimelineLabels> or <Choices> on a <Video>, and no <VideoRectangle>."


def _question(
    control: ElementTree.Element,
    objects: Mapping[str, ElementTree.Element],
    reviewed: str | None,
    labels_of_boxes: Sequence[ElementTree.Element],
) -> Question | str:
    """What a control asks, or why that is left alone."""
    name, kind = _attribute(control, "name") or "", _KINDS.get(_tag(control))
    called = f'<{control.tag} name="{name}">'
    if kind is None:
        return f"{called} is ignored: {_why_not(_tag(control))}"
    video = _video(control, objects)
    if video is None:
        return f"{called} is ignored: {_not_a_video(_about(control, objects), objects)}"
    if kind == "choices" and (why := _not_whole(control)):
        return f"{called} is ignored: {why}"
    # Label Studio takes the labels of a box from another control on the same video.
    sources = [control] if kind != "tracks" else [each for each in labels_of_boxes if _video(each, objects) is video]
    answers = [answer for each in sources for answer in _answers(each, kind)]
    dynamic = [source for each in sources if variables(source := _attribute(each, "value") or "")]
    if kind == "choices":
        # Of a <Label> Label Studio keeps the text as it is written, of a <Choice> what the variable stands for.
        dynamic += [text for each in answers if variables(text := _value(each) or "")]
        answers = [each for each in answers if not variables(_value(each) or "")]
    named = [(each, value) for each in answers if (value := _value(each))]
    labels = tuple(dict.fromkeys(label for _, label in named))
    if not labels and not dynamic and kind != "tracks":
        return f"{called} is ignored: it has no <{_ANSWER_TAGS[kind].capitalize()}>."
    return Question(
        from_name=name,
        to_name=_attribute(video, "name") or "",
        video=_attribute(video, "value") or "$video",
        labels=labels,
        framerate=_attribute(video, "framerate"),
        reviewed_control=reviewed,
        kind=kind,
        multiple=kind == "choices" and (_attribute(control, "choice") or "").lower() == "multiple",
        labels_from=tuple(dict.fromkeys(dynamic)),
        predicted_values={words: value for each, value in named if (words := _attribute(each, "predicted_values"))},
        colours={value: colour for each, value in named if (colour := _attribute(each, "background"))},
        wording={value: read for each, value in named if (read := _read(each)) != (value,)},
        labels_control=next((_attribute(each, "name") for each in sources), None) if kind == "tracks" else None,
        score_threshold=_threshold(control),
    )


def _not_a_video(asked: str, objects: Mapping[str, ElementTree.Element]) -> str:
    if not asked:
        return "it has no toName."
    there = [f'<{objects[each].tag} name="{each}">' for each in asked.split(",") if each in objects]
    if there:
        return f"it is about {' and '.join(there)}, not about a <Video>."
    return f'toName="{asked}" names no tag of the label config.'


def _not_whole(choices: ElementTree.Element) -> str | None:
    """Why a <Choices> does not say what a whole video is."""
    if _is_true(choices, "perRegion"):
        return "perRegion answers belong to regions, not to the video."
    if _is_true(choices, "perItem"):
        return "perItem answers belong to items, not to the video."
    if _is_true(choices, "allowNested"):
        return "nested choices are not predicted."
    return None


def _why_not(tag: str) -> str:
    if tag == "labels":
        return "Label Studio keeps <Labels> on no timeline; use <TimelineLabels>."
    if tag == "taxonomy":
        return "a taxonomy is not predicted; <Choices> are."
    return "only <TimelineLabels>, <Choices> and <VideoRectangle> on a <Video> are predicted."


def _answers(control: ElementTree.Element, kind: QuestionKind) -> list[ElementTree.Element]:
    """Its labels or choices, however they are arranged; those within another choice only exist where choices nest."""
    found: list[ElementTree.Element] = []
    for child in control:
        if _tag(child) == _ANSWER_TAGS[kind]:
            found.append(child)
            if kind == "choices":
                continue
        found += _answers(child, kind)
    return found


def _dynamic(found: object) -> Iterable[str]:
    """The labels in what a task's data have for a control's `value`: a list of objects, each like a tag; or a text."""
    if isinstance(found, str | int | float) and not isinstance(found, bool):
        yield str(found)
    for each in found if isinstance(found, list) else []:
        if isinstance(each, Mapping) and (value := each.get("alias") or each.get("value")):
            yield str(value)


def _reviewed_control(elements: list[ElementTree.Element]) -> str | None:
    for choices in elements:
        if _tag(choices) == "choices" and any(_is_reviewed(choice) for choice in choices.iter()):
            return _attribute(choices, "name")
    return None


def _is_reviewed(choice: ElementTree.Element) -> bool:
    return _tag(choice) == "choice" and (_value(choice) or "").lower() == REVIEWED


def _is_true(element: ElementTree.Element, name: str) -> bool:
    return _attribute(element, name) == "true"


def _tag(element: ElementTree.Element) -> str:
    # Comments have a function for a tag.
    return element.tag.lower() if isinstance(element.tag, str) else ""


def _value(answer: ElementTree.Element) -> str | None:
    # Results hold the alias where there is one.
    return _attribute(answer, "alias") or _attribute(answer, "value")


def _read(label: ElementTree.Element) -> tuple[str, ...]:
    return tuple(text for name in ("value", "hint") if (text := (_attribute(label, name) or "").strip()))


def _attribute(element: ElementTree.Element, name: str) -> str | None:
    # Label Studio reads attribute names without regard to case (`frameRate` works).
    return next((value for key, value in element.attrib.items() if key.lower() == name.lower()), None)
