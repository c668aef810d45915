"""What is known of a detector that was trained on people's boxes, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ml_backend.cards.json_object import JsonObject, by_name, count, flag, key, many, maybe, number, text, written

# Of the folder of a version: another release that writes it otherwise counts up.
FORMAT = 1


@dataclass(frozen=True)
class DetectorFigures(JsonObject):
    """How well a detector finds and follows what people have boxed in held-out videos, 0..1. `ap50`, `ap`: mean average precision of the
    tracks' boxes, at an overlap of .5, and on average over .5 to .95. `hota`: of the tracks. `name`: whose figures they are.
    `by_class`: whether a box of another class counts as wrong."""

    name: str = key(text)
    ap50: float = key(number, default=0.0, always=True)
    ap: float = key(number, default=0.0, always=True)
    hota: float = key(number, default=0.0, always=True)
    by_class: bool = key(flag, default=False, always=True)

    @property
    def sentence(self) -> str:
        return f"{self.name}: AP50 {self.ap50:.2f}, AP {self.ap:.2f}, HOTA {self.hota:.2f}"


@dataclass(frozen=True)
class DetectorCard(JsonObject):
    """`base`: what it is a version of, `started`: what its weights came from. `labels`: its classes; `asked`: the labels of the label
    config when it was trained. `side`: of the pictures that it wants, `threshold`: the score from which on its boxes count.
    `videos`, `frames`, `boxes`: what it learned from. `lessons`: of each task what people had submitted. `trained_on`, `held_out`:
    tasks. `figures`, `against`: of itself and of what was in use, both on the held-out videos. `active`: whether it was better, or as
    good, and so in use from then on; `decision` says so in a sentence. `curve`, `best`: as in `TunedDetector`."""

    name: str = key(text)
    base: str = key(text)
    labels: tuple[str, ...] = key(many(text), list)
    side: int = key(count)
    threshold: float = key(number)
    weights_sha256: str = key(text)
    created: str = key(text)
    active: bool = key(flag)
    format: int = key(count, default=FORMAT, always=True)
    asked: tuple[str, ...] = key(many(text), list, default=(), always=True)
    chosen: str = key(text, default="", always=True)
    started: str = key(text, default="", always=True)
    decision: str = key(text, default="", always=True)
    videos: int = key(count, default=0, always=True)
    frames: int = key(count, default=0, always=True)
    boxes: int = key(count, default=0, always=True)
    lessons: Mapping[str, str] = key(by_name(text), default={}, always=True)
    trained_on: tuple[int, ...] = key(many(count), list, default=(), always=True)
    held_out: tuple[int, ...] = key(many(count), list, default=(), always=True)
    figures: DetectorFigures = key(DetectorFigures.from_json, written, default=DetectorFigures(""), always=True)
    against: DetectorFigures = key(DetectorFigures.from_json, written, default=DetectorFigures(""), always=True)
    curve: tuple[Mapping[str, float], ...] = key(many(by_name(maybe(number))), list, default=(), always=True)
    best: int = key(count, default=0, always=True)
    seconds: float = key(number, default=0.0, always=True)
    device: str = key(text, default="", always=True)
    file_bytes: int = key(count, default=0, always=True)

    @property
    def number(self) -> int:
        return number_of(self.name) or 0


def number_of(name: str) -> int | None:
    """Of `detector-v3`; None for what is no such name."""
    kind, _, digits = name.partition("-v")
    return int(digits) if kind == "detector" and digits.isascii() and digits.isdecimal() else None
