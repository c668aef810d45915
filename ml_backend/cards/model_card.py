"""What is known of a model version: of each control that it has learnt, and of the network that was fine-tuned for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ml_backend.cards.json_object import (
    Json,
    JsonObject,
    by_name,
    count,
    flag,
    json_object,
    key,
    many,
    maybe,
    number,
    text,
    written,
)
from ml_backend.cards.measurements import Calibration, Measurements, Metrics, TrainingCurves
from ml_backend.wording import in_list


@dataclass(frozen=True)
class Network(JsonObject):
    """`digest`: first digits of the weights' SHA-256. `base`: key of the frozen network it began from. `purpose`: what it
    was trained for, labels and settings: another purpose needs another network. `trained_on`, `validated_on`: tasks.
    `curve`, `best`: as in `Tuned`. `frames`: pictures it was trained on."""

    digest: str = key(text)
    base: str = key(text)
    purpose: Json = key(json_object, default={}, always=True)
    trained_on: tuple[int, ...] = key(many(count), list, default=(), always=True)
    validated_on: tuple[int, ...] = key(many(count), list, default=(), always=True)
    curve: tuple[Mapping[str, float], ...] = key(many(by_name(maybe(number))), list, default=(), always=True)
    best: int = key(count, default=0, always=True)
    frames: int = key(count, default=0, always=True)
    seconds: float = key(number, default=0.0, always=True)
    device: str = key(text, default="", always=True)
    seed: int = key(count, default=0, always=True)
    created: str = key(text, default="", always=True)


def _network(said: Mapping[str, Any]) -> Network | None:
    return Network.from_json(said) if said else None


@dataclass(frozen=True)
class QuestionCard(JsonObject):
    """What a version has learnt about one control; the fields as in `ModelCard`."""

    kind: str = key(text)
    labels: tuple[str, ...] = key(many(text), list)
    exclusive: bool = key(flag)
    backbone: str = key(text)
    videos: int = key(count, default=0, always=True)
    labelled_frames: int = key(count, default=0, always=True)
    lacking: tuple[str, ...] = key(many(text), list, default=(), always=True)
    metrics: Measurements = key(Measurements.from_json, written, default=Measurements(), always=True)
    calibration: Calibration = key(Calibration.from_json, written, default=Calibration(), always=True)
    curves: TrainingCurves = key(TrainingCurves.from_json, written, default=TrainingCurves(), always=True)
    weights_sha256: str = key(text, default="", always=True)
    structure: Mapping[str, Any] = key(json_object, default={}, always=True)
    train_seconds: float | None = key(maybe(number), default=None, always=True)
    file_bytes: int | None = key(maybe(count), default=None, always=True)
    network: Network | None = key(_network, written, default=None, always=True, none={})


@dataclass(frozen=True)
class ModelCard(JsonObject):
    """What a researcher wants to know of a model version.

    `annotations`: annotation id to when it was last changed (ISO 8601). `metrics`, `calibration` and `curves` are
    filled in when they have been measured; an empty one means not measured yet. `network`: the fine-tuned one whose embeddings
    the head was trained on; None for the frozen one. `settings`: those of the project, and of the backbone, as JSON.
    `structure`: how the arrays of its file belong together, as JSON. `train_seconds`: how long the fit took.
    `file_bytes`: size of the weights, or of the researcher's file. `question`: the control that the card is about, empty in
    those from before a project could have several; `others`: what the card has otherwise for each of the other controls.
    `account`: what its training read, and what became of it (`projects.label_report.Account`), as JSON; empty in cards from before
    it was kept. `origin`: of a version that was unpacked here, where it comes from (`learning.model_archive`); empty for others.
    `video_marks`: of each annotated task of its training what tells the content of its video from others; empty in cards from before it was
    kept. `decision`: why it was rolled out or kept back, in a sentence; empty until that is decided, and in cards from
    before it was kept.
    """

    name: str = key(text)
    kind: str = key(text)
    labels: tuple[str, ...] = key(many(text), list)
    exclusive: bool = key(flag)
    backbone: str = key(text)
    created: str = key(text)
    seed: int = key(count, default=0, always=True)
    settings: Json = key(json_object, default={}, always=True)
    annotations: Mapping[str, str] = key(by_name(text), default={}, always=True)
    annotations_hash: str = key(text, default="", always=True)
    videos: int = key(count, default=0, always=True)
    labelled_frames: int = key(count, default=0, always=True)
    lacking: tuple[str, ...] = key(many(text), list, default=(), always=True)
    metrics: Measurements = key(Measurements.from_json, written, default=Measurements(), always=True)
    calibration: Calibration = key(Calibration.from_json, written, default=Calibration(), always=True)
    curves: TrainingCurves = key(TrainingCurves.from_json, written, default=TrainingCurves(), always=True)
    weights_sha256: str = key(text, default="", always=True)
    structure: Mapping[str, Any] = key(json_object, default={}, always=True)
    train_seconds: float | None = key(maybe(number), default=None, always=True)
    file_bytes: int | None = key(maybe(count), default=None, always=True)
    network: Network | None = key(_network, written, default=None, always=True, none={})
    question: str = key(text, default="", always=True)
    others: Mapping[str, QuestionCard] = key(by_name(QuestionCard.from_json), written, default={}, always=True)
    account: Json = key(json_object, default={}, always=True)
    decision: str = key(text, default="", always=True)
    origin: Json = key(json_object, default={})
    video_marks: tuple[str, ...] = key(many(text), list, default=())

    @classmethod
    def of(cls, learnt: QuestionCard, *, name: str, created: str, question: str = "") -> ModelCard:
        """The card of a version that has learnt this about its main control."""
        return cls(name=name, created=created, question=question, **_own(learnt))

    @property
    def measured(self) -> Metrics:
        """The full held-out metrics, else those of the quick check that every version passes, else nothing."""
        return self.metrics.best

    @property
    def told_apart(self) -> bool:
        """Whether held-out answers were better than always giving the commonest; also of versions that nobody measured."""
        return self.calibration.told_apart is not False

    @property
    def temperature(self) -> float:
        """By which its answers are flattened when they are shown."""
        return 1.0 if self.calibration.temperature is None else self.calibration.temperature

    @property
    def fingerprint(self) -> str:
        """What it was trained from, in one word; empty in cards that do not say it."""
        return str(self.settings.get("fingerprint", ""))

    @property
    def comes_from(self) -> str:
        """Where an unpacked version was trained and how good it was there, in a sentence; empty for one that was trained here."""
        said = self.origin
        if not said:
            return ""
        there = f"{said.get('version')} of “{said.get('project')}”"
        score = said.get("macro_f1")
        scored = f"its macro-F1 there was {score:.3f}" if isinstance(score, float) else "it was not measured there"
        names = said.get("names")
        renamed = (
            ", ".join(f"{in_list(a)} is {in_list(b)}" for a, b in names.items()) if isinstance(names, Mapping) else ""
        )
        lost = said.get("videos_unknown")
        blind = (
            f"{lost} of its videos could not be had there, so they are not known if they are here, too. "
            if lost
            else ""
        )
        sure = "signed with the shared key" if said.get("signed") else "not signed, or not checked"
        return f"It was trained elsewhere, as {there}; {scored}. {renamed + '. ' if renamed else ''}{blind}The file was {sure}."

    @property
    def is_whole(self) -> bool:
        """Whether it is about whole videos instead of their frames."""
        return "whole" in self.structure

    def about(self, question: str) -> ModelCard | None:
        """The card of one control alone; None when the version has not learnt it. One that names no control is about any."""
        if question == self.question or not (self.question or self.others):
            return self
        own = self.others.get(question)
        return None if own is None else replace(self, **_own(own), question=question, others={})

    def each(self) -> tuple[ModelCard, ...]:
        """The card of each control that the version has learnt."""
        return (replace(self, others={}), *(card for name in self.others if (card := self.about(name)) is not None))


def _own(learnt: QuestionCard) -> dict[str, Any]:
    """What a version's card has of one control, by the names of its fields."""
    return {each.name: getattr(learnt, each.name) for each in fields(QuestionCard) if "read" in each.metadata}
