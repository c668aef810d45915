"""What we can write into a label config ourselves, without touching anything else in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from xml.sax.saxutils import quoteattr

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import REVIEWED, LabelConfig, Question, parse_label_config

# What a comment or CDATA has of tags is passed over; an angle within an attribute is no end of a tag.
_TAG = r"<Video(?=[\s/>])(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*>"
_VIDEO = re.compile(rf"<!--.*?-->|<!\[CDATA\[.*?\]\]>|(?P<tag>{_TAG})", re.IGNORECASE | re.DOTALL)
_NAME_LENGTH = len("<Video")
_FRAMERATE = re.compile(r"\sframerate\s*=", re.IGNORECASE)
_HINT = "I have looked at the whole timeline: where there is no label, none holds."


def with_framerate(xml: str, framerate: str) -> str:
    """With this `framerate` in each `<Video>` that has none. Raises LabelConfigError where that cannot be written safely."""
    before = parse_label_config(xml)
    if all(each.framerate for each in (*before.questions, *before.tracks)):
        raise _there("Each <Video> has a framerate already.")

    def put(found: re.Match[str]) -> str:
        tag = found[0]
        if not found["tag"] or _FRAMERATE.search(tag):
            return tag
        return f"{tag[:_NAME_LENGTH]} framerate={quoteattr(framerate)}{tag[_NAME_LENGTH:]}"

    def at_rate(questions: Iterable[Question]) -> tuple[Question, ...]:
        return tuple(replace(each, framerate=each.framerate or framerate) for each in questions)

    wanted = replace(before, questions=at_rate(before.questions), tracks=at_rate(before.tracks))
    return _checked(_VIDEO.sub(put, xml), wanted, f"framerate={quoteattr(framerate)}")


def with_reviewed(xml: str) -> str:
    """With a choice *reviewed* about the video of the main question, before its tag. Raises LabelConfigError where that cannot be
    written safely."""
    before = parse_label_config(xml)
    if before.main.reviewed_control is not None:
        raise _there("There is a choice that marks a timeline as reviewed already.")
    name, number = REVIEWED, 2
    while name in before.names:
        name, number = f"{REVIEWED}_{number}", number + 1
    written = reviewed_choice(name, before.main.to_name)
    tag = next(
        (
            each
            for each in _VIDEO.finditer(xml)
            if each["tag"] and f"name={quoteattr(before.main.to_name)}" in each[0].replace("'", '"')
        ),
        None,
    )
    if tag is None:
        raise _by_hand(written)
    before_tag = xml[: tag.start()].rpartition("\n")[2]
    space = before_tag if not before_tag.strip() else ""
    text = xml[: tag.start()] + written.replace("\n", f"\n{space}") + f"\n{space}" + xml[tag.start() :]
    asked = tuple(replace(each, reviewed_control=name) for each in before.questions)
    boxed = tuple(replace(each, reviewed_control=name) for each in before.tracks)
    wanted = replace(before, questions=asked, tracks=boxed, names=before.names | {name})
    return _checked(text, wanted, written)


def reviewed_choice(name: str, video: str) -> str:
    """The choice by which annotators mark a whole timeline as correct."""
    return (
        f'<Choices name="{name}" toName={quoteattr(video)} choice="multiple" layout="inline">\n'
        f'  <Choice value="{REVIEWED}" hint="{_HINT}"/>\n</Choices>'
    )


def _checked(xml: str, wanted: LabelConfig, written: str) -> str:
    """`xml`, if it says just what is `wanted`."""
    try:
        if parse_label_config(xml) == wanted:
            return xml
    except LabelConfigError:
        pass
    raise _by_hand(written)


def _there(told: str) -> LabelConfigError:
    return LabelConfigError(told, "Check again to see what is missing now.")


def _by_hand(written: str) -> LabelConfigError:
    return LabelConfigError(
        "The label config is written in a way that cannot be changed safely from here.",
        f"Write this into it yourself, in Label Studio's labeling interface: {written}",
    )
