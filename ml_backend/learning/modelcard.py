"""What is known of a model version: of each control of the label config that it has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_backend.learning.comparison import HeldAnswers
    from ml_backend.learning.head import Head
    from ml_backend.learning.whole import WholeHead


@dataclass(frozen=True)
class ModelCard:
    """What a researcher wants to know of a model version; every field is JSON.

    `annotations`: annotation id to when it was last changed (ISO 8601). `metrics`, `calibration` and `curves` are
    filled in when they have been measured; an empty one means not measured yet. `network` is what is known of the
    fine-tuned network whose embeddings the head was trained on; empty for the frozen one. `train_seconds`: how long the fit took.
    `file_bytes`: size of the weights, or of the researcher's file. `question`: the control that the card is about, empty in
    those from before a project could have several; `others`: what the card has otherwise for each of the other controls.
    `account`: what its training read, and what became of it; empty in cards from before it was kept. `decision`: why it was
    rolled out or kept back, in a sentence; empty until that is decided, and in cards from before it was kept.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    exclusive: bool
    backbone: str
    created: str
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    annotations_hash: str = ""
    videos: int = 0
    labelled_frames: int = 0
    lacking: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    structure: Mapping[str, Any] = field(default_factory=dict)
    train_seconds: float | None = None
    file_bytes: int | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)
    decision: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def measured(self) -> Mapping[str, Any]:
        """The full held-out metrics, else those of the quick check that every version passes, else nothing."""
        return self.metrics if "judgement" in self.metrics else self.metrics.get("quick") or {}

    @property
    def told_apart(self) -> bool:
        """Whether held-out answers were better than always giving the commonest; also of versions that nobody measured."""
        return bool(self.calibration.get("told_apart", True))

    @property
    def is_whole(self) -> bool:
        """Whether it is about whole videos instead of their frames."""
        return "whole" in self.structure

    def about(self, question: str) -> ModelCard | None:
        """The card of one control alone; None when the version has not learnt it. One that names no control is about any."""
        if question == self.question or not (self.question or self.others):
            return self
        own = self.others.get(question)
        if own is None:
            return None
        texts = {name: tuple(own[name]) for name in ("labels", "lacking")}
        return replace(self, **{**own, **texts}, question=question, others={})

    def each(self) -> tuple[ModelCard, ...]:
        """The card of each control that the version has learnt."""
        return (replace(self, others={}), *(card for name in self.others if (card := self.about(name)) is not None))


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt about one question; the fields as in `ModelCard`. `answers`: to what it was not taught, where that was
    measured."""

    question: str
    head: Head | WholeHead
    backbone: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    videos: int = 0
    labelled_frames: int = 0
    train_seconds: float | None = None
    answers: HeldAnswers | None = None
