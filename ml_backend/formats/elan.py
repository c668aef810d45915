"""Annotation files of ELAN (`.eaf`): tiers of labeled stretches of time, in milliseconds.

A tier is called by the control of its labels and by whom they are about, `labels@mouse-1`; where two overlap the second one is in a
tier `labels~2`, since those of one tier cannot. Comments are a tier below it. https://archive.mpi.nl/tla/elan
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from ml_backend.formats.events import Asked, Event, VideoEvents, refused
from ml_backend.formats.text import media_name, read_text
from ml_backend.wording import quoted

_HEAD = re.compile(r"<\?xml[^>]*\?>")
# What XML has no place for.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COMMENTS = "comment of "
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def read_elan(path: Path, asked: Asked) -> list[VideoEvents]:
    """The video of a file. Of tiers without a value in an annotation the tier's name is the label. Raises SettingsError."""
    name = str(path)
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refused(name, "it declares entities, which ELAN does not", "Save it again in ELAN.")
    try:
        # What it says of its encoding is about the bytes, which are read already.
        root = ElementTree.fromstring(_HEAD.sub("", text.lstrip(), count=1))
    except ElementTree.ParseError as error:
        raise refused(name, f"its XML is damaged ({error})", "Save it again in ELAN.") from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise refused(name, f"it is no annotation file of ELAN but <{root.tag}>", "Give an .eaf.")
    slots = _slots(name, root)
    comments = _comments(root)
    tiers = [tier for tier in root.iter("TIER") if asked.tiers is None or tier.get("TIER_ID") in asked.tiers]
    if asked.tiers is not None and (missing := set(asked.tiers) - {str(tier.get("TIER_ID")) for tier in tiers}):
        there = ", ".join(str(tier.get("TIER_ID")) for tier in root.iter("TIER"))
        raise refused(name, f"it has no tier {sorted(missing)[0]}", f"It has {there or 'none'}.")
    aligned = _aligned(root)
    origin = _origin(name, root)
    events = []
    for tier in tiers:
        called = str(tier.get("TIER_ID") or "")
        group, _, who = called.partition("@")
        before, _, copy = group.rpartition("~")
        group, who = before if before and copy.isdecimal() else group, tier.get("PARTICIPANT") or who
        for each in (*tier.iter("ALIGNABLE_ANNOTATION"), *(() if _is_comments(tier) else tier.iter("REF_ANNOTATION"))):
            number = str(each.get("ANNOTATION_ID"))
            try:
                begin_ref, end_ref, part, parts = aligned[number]
                begin, end = slots[begin_ref], slots[end_ref]
                span = tuple((origin + begin + (end - begin) * at / parts) / 1000 for at in (part, part + 1))
            except KeyError as error:
                raise refused(name, f"annotation {number} is at no time", "Save it again in ELAN.") from error
            label = (each.findtext("ANNOTATION_VALUE") or "").strip() or group
            events.append(Event(label, (span[0], span[1]), who=who, comment=comments.get(number, ""), group=group))
    media = [
        media_name(said)
        for each in root.iter("MEDIA_DESCRIPTOR")
        for key in ("MEDIA_URL", "RELATIVE_MEDIA_URL")
        for said in (each.get(key) or "", unquote(each.get(key) or ""))
    ]
    names = tuple(dict.fromkeys(filter(None, (*media, path.stem))))
    return [VideoEvents(name, names, tuple(sorted(events, key=lambda event: event.times)))]


def _origin(name: str, root: ElementTree.Element) -> float:
    """At which millisecond of the video the annotations' time begins: where ELAN was told to synchronize several media."""
    origins = {each.get("TIME_ORIGIN") or "0" for each in root.iter("MEDIA_DESCRIPTOR")}
    if len(origins) > 1:
        raise refused(
            name,
            "its media begin at different times, so it is not clear which video its times are of",
            "Keep one of them in ELAN (Edit > Linked Files), and save it again.",
        )
    try:
        return float(next(iter(origins), "0"))
    except ValueError as error:
        raise refused(name, f"its video begins at {quoted(origins.pop())}", "Save it again in ELAN.") from error


def _slots(name: str, root: ElementTree.Element) -> dict[str, float]:
    """When each time slot is, in milliseconds; one without a time lies evenly between its neighbors, as ELAN shows it."""
    found: dict[str, float | None] = {}
    for slot in root.iter("TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        try:
            found[str(slot.get("TIME_SLOT_ID"))] = None if value is None else float(value)
        except ValueError as error:
            raise refused(
                name, f"time slot {slot.get('TIME_SLOT_ID')} is at {quoted(value)}", "Save it again in ELAN."
            ) from error
    ids = list(found)
    known = [position for position, each in enumerate(ids) if found[each] is not None]
    placed: dict[str, float] = {}
    for position, each in enumerate(ids):
        own = found[each]
        if own is not None:
            placed[each] = own
            continue
        later = bisect_left(known, position)
        if 0 < later < len(known):
            before, after = known[later - 1], known[later]
            low, high = found[ids[before]] or 0.0, found[ids[after]] or 0.0
            placed[each] = low + (high - low) * (position - before) / (after - before)
    return placed


def _aligned(root: ElementTree.Element) -> dict[str, tuple[str, str, float, float]]:
    """Of each annotation the time slots between which it lies, and which part of how many of the time between. One that refers to another
    has its time; several of a tier that refer to one divide it evenly in the order in which they say they follow, as ELAN shows them."""
    found = {
        str(each.get("ANNOTATION_ID")): (str(each.get("TIME_SLOT_REF1")), str(each.get("TIME_SLOT_REF2")), 0.0, 1.0)
        for each in root.iter("ALIGNABLE_ANNOTATION")
    }
    waiting: list[tuple[str, list[str]]] = []
    for tier in root.iter("TIER"):
        below: dict[str, dict[str, str]] = {}
        for each in tier.iter("REF_ANNOTATION"):
            follows = below.setdefault(str(each.get("ANNOTATION_REF")), {})
            follows[str(each.get("ANNOTATION_ID"))] = str(each.get("PREVIOUS_ANNOTATION") or "")
        for parent, follows in below.items():
            after = {previous: own for own, previous in follows.items() if previous in follows}
            ordered: dict[str, None] = {}
            for own in (each for each, previous in follows.items() if previous not in follows):
                at: str | None = own
                while at is not None and at not in ordered:
                    ordered[at] = None
                    at = after.get(at)
            waiting.append((parent, list(ordered)))
    while ready := [each for each in waiting if each[0] in found]:
        waiting = [each for each in waiting if each[0] not in found]
        for parent, those in ready:
            begin, end, part, parts = found[parent]
            found |= {each: (begin, end, part * len(those) + at, parts * len(those)) for at, each in enumerate(those)}
    return found


def _is_comments(tier: ElementTree.Element) -> bool:
    return str(tier.get("TIER_ID")).startswith(_COMMENTS)


def _comments(root: ElementTree.Element) -> dict[str, str]:
    """The comment of each annotation that has one."""
    return {
        str(each.get("ANNOTATION_REF")): (each.findtext("ANNOTATION_VALUE") or "").strip()
        for tier in root.iter("TIER")
        if _is_comments(tier)
        for each in tier.iter("REF_ANNOTATION")
    }


def write_elan(videos: Sequence[VideoEvents], path: Path) -> None:
    """One video."""
    [video] = videos
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "Coldblitz",
            "DATE": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {"MEDIA_URL": f"./{video.name}", "MIME_TYPE": "video/mp4", "RELATIVE_MEDIA_URL": f"./{video.name}"},
    )
    tiers = _tiers(video.events)
    order = ElementTree.SubElement(root, "TIME_ORDER")
    slots: dict[tuple[int, int], str] = {}
    times = sorted(
        (round(at * 1000), index, end) for index, each in enumerate(video.events) for end, at in enumerate(each.times)
    )
    for number, (at, index, end) in enumerate(times, start=1):
        slots[index, end] = f"ts{number}"
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(at)})
    number = 0
    for called, indices in tiers.items():
        who = video.events[indices[0]].who
        participant = {"PARTICIPANT": who} if who else {}
        tier = ElementTree.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": "labels", **participant, "TIER_ID": called})
        comments: list[tuple[str, str]] = []
        for index in indices:
            number += 1
            own = f"a{number}"
            about = {"ANNOTATION_ID": own, "TIME_SLOT_REF1": slots[index, 0], "TIME_SLOT_REF2": slots[index, 1]}
            _annotation(tier, "ALIGNABLE_ANNOTATION", about, video.events[index].label)
            if video.events[index].comment:
                comments.append((own, video.events[index].comment))
        if comments:
            below = {
                "LINGUISTIC_TYPE_REF": "comments",
                "PARENT_REF": called,
                **participant,
                "TIER_ID": f"{_COMMENTS}{called}",
            }
            remarks = ElementTree.SubElement(root, "TIER", below)
            for about_id, text in comments:
                number += 1
                _annotation(
                    remarks, "REF_ANNOTATION", {"ANNOTATION_ID": f"a{number}", "ANNOTATION_REF": about_id}, text
                )
    kinds: tuple[Mapping[str, str], ...] = (
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "labels", "TIME_ALIGNABLE": "true"},
        {
            "CONSTRAINTS": "Symbolic_Association",
            "GRAPHIC_REFERENCES": "false",
            "LINGUISTIC_TYPE_ID": "comments",
            "TIME_ALIGNABLE": "false",
        },
    )
    for kind in kinds:
        ElementTree.SubElement(root, "LINGUISTIC_TYPE", dict(kind))
    ElementTree.SubElement(
        root,
        "CONSTRAINT",
        {"DESCRIPTION": "1-1 association with a parent annotation", "STEREOTYPE": "Symbolic_Association"},
    )
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def _annotation(tier: ElementTree.Element, kind: str, about: Mapping[str, str], text: str) -> None:
    own = ElementTree.SubElement(ElementTree.SubElement(tier, "ANNOTATION"), kind, dict(about))
    ElementTree.SubElement(own, "ANNOTATION_VALUE").text = _UNWRITABLE.sub(" ", text)


def _tiers(events: Sequence[Event]) -> dict[str, list[int]]:
    """The positions of the events of each tier, none of which overlap."""
    found: dict[str, list[int]] = {}
    for index in sorted(range(len(events)), key=lambda each: events[each].times):
        event, copy = events[index], 1
        while True:
            again = f"~{copy}" if copy > 1 else ""
            tier = f"{event.group or 'labels'}{again}{f'@{event.who}' if event.who else ''}"
            if tier not in found or events[found[tier][-1]].times[1] <= event.times[0]:
                found.setdefault(tier, []).append(index)
                break
            copy += 1
    return found
