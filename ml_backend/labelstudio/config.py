"""The label config: which control is predicted, on which video, with which labels and frame rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from ml_backend.errors import LabelConfigError

DEFAULT_FRAMERATE = 24.0
# A <Choices> with this answer says that the whole video was looked at.
REVIEWED = "reviewed"

_HOW_TO_MEND = (
    'Add one to the project\'s labeling interface, for example <TimelineLabels name="labels" toName="video">'
    '<Label value="A"/></TimelineLabels><Video name="video" value="$video" framerate="$fps"/>.'
)


@dataclass(frozen=True)
class LabelConfig:
    """The first `TimelineLabels` control of a label config and the `Video` it belongs to.

    `video_key`: the key of the task's data that holds the video's address. `framerate`: the attribute as written, or None.
    `reviewed_control`: name of the `<Choices>` with an answer *reviewed*, when the config has one.
    `predicted_values`: a model's words (a comma between several) to the label that has this attribute.
    `colours`: what each label that has one has for `background`, as it is written.
    `wording`: of each label with an `alias` or a `hint`, what people read: its `value`, then the hint if there is one.
    """

    from_name: str
    to_name: str
    video_key: str
    labels: tuple[str, ...]
    framerate: str | None
    reviewed_control: str | None
    predicted_values: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    wording: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def framerate_of(self, data: Mapping[str, Any]) -> float:
        """Frames per second of Label Studio's grid for a task, resolved as Label Studio does.

        A `$variable` is read from the task's data; below 1 means seconds per frame; what is not a positive number is 24.
        """
        text: Any = self.framerate
        if isinstance(text, str) and text.startswith("$"):
            text = _looked_up(data, text[1:])
        try:
            # Python reads "2_5" as a number, the browser does not.
            value = float("no" if isinstance(text, str) and "_" in text else text)
        except (TypeError, ValueError):
            return DEFAULT_FRAMERATE
        if not value > 0:
            return DEFAULT_FRAMERATE
        rate = 1 / value if value < 1 else value
        return rate if math.isfinite(rate) else DEFAULT_FRAMERATE


def parse_label_config(xml: str) -> LabelConfig:
    """Raises LabelConfigError when the XML is broken or has no labels on a video."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise LabelConfigError(
            f"The label config is not valid XML ({error}).", "Save it again in Label Studio."
        ) from error
    elements = list(root.iter())
    videos = {_attribute(e, "name"): e for e in elements if e.tag.lower() == "video"}
    for control in elements:
        if control.tag.lower() != "timelinelabels":
            continue
        video = videos.get(_attribute(control, "toName"))
        if video is None:
            continue
        labels = tuple(
            dict.fromkeys(
                value for label in control.iter() if label.tag.lower() == "label" and (value := _value(label))
            )
        )
        if not labels:
            raise LabelConfigError(
                "The label config's <TimelineLabels> has no <Label>.", "Add at least two labels to it."
            )
        return LabelConfig(
            from_name=_attribute(control, "name") or "",
            to_name=_attribute(video, "name") or "",
            video_key=(_attribute(video, "value") or "$video").lstrip("$"),
            labels=labels,
            framerate=_attribute(video, "framerate"),
            reviewed_control=_reviewed_control(elements),
            predicted_values={
                words: value
                for label in control.iter()
                if label.tag.lower() == "label"
                and (value := _value(label))
                and (words := _attribute(label, "predicted_values"))
            },
            colours={
                value: colour
                for label in control.iter()
                if label.tag.lower() == "label"
                and (value := _value(label))
                and (colour := _attribute(label, "background"))
            },
            wording={
                value: read
                for label in control.iter()
                if label.tag.lower() == "label" and (value := _value(label)) and (read := _read(label)) != (value,)
            },
        )
    raise LabelConfigError("The label config has no <TimelineLabels> on a <Video>.", _HOW_TO_MEND)


def _looked_up(data: Mapping[str, Any], path: str) -> Any:
    """`fps`, or `meta.fps` for a value further down."""
    if path in data:
        return data[path]
    found: Any = data
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _reviewed_control(elements: list[ElementTree.Element]) -> str | None:
    for choices in elements:
        if choices.tag.lower() == "choices" and any(_is_reviewed(choice) for choice in choices.iter()):
            return _attribute(choices, "name")
    return None


def _is_reviewed(choice: ElementTree.Element) -> bool:
    return choice.tag.lower() == "choice" and (_value(choice) or "").lower() == REVIEWED


def _value(answer: ElementTree.Element) -> str | None:
    # Results hold the alias where there is one.
    return _attribute(answer, "alias") or _attribute(answer, "value")


def _read(label: ElementTree.Element) -> tuple[str, ...]:
    return tuple(text for name in ("value", "hint") if (text := (_attribute(label, name) or "").strip()))


def _attribute(element: ElementTree.Element, name: str) -> str | None:
    # Label Studio reads attribute names without regard to case (`frameRate` works).
    return next((value for key, value in element.attrib.items() if key.lower() == name.lower()), None)
