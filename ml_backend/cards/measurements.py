"""How right a model version was found to be: what `learning.evaluation` measures, and what a model card keeps of it.

Nothing here computes, so that the web process and the command line may read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ml_backend.cards.json_object import (
    JsonObject,
    by_name,
    count,
    flag,
    interval,
    key,
    many,
    maybe,
    number,
    text,
    written,
)

Interval = tuple[float, float]

# Held-out videos needed before a number is worth comparing.
ENOUGH_VIDEOS = 3
_TOO_FEW = "Not enough videos to judge: "


class EvaluationScheme(StrEnum):
    """Which frames were held out. Its value is what model cards have under `scheme`, and what people read."""

    LEAVE_ONE_OUT = "leave one video out"
    LEAVE_SOME_OUT = "leave out videos"
    BLOCKS = "blocks of one video"
    NOT_FINE_TUNED_ON = "videos that the network was not fine-tuned on"
    ONE_FOLD = "one held-out fold"
    TRAINED_ELSEWHERE = "videos of another project than it was trained on"

    def judgement(self, recordings: int) -> str:
        """How much what was measured on so many recordings is worth, in words."""
        if self is EvaluationScheme.ONE_FOLD:
            told = (
                f"easured on {recordings} held-out recordings by a fit without them; the version learned from them too."
            )
            return f"{_TOO_FEW}m{told}" if recordings < ENOUGH_VIDEOS else f"M{told}"
        if self is EvaluationScheme.NOT_FINE_TUNED_ON:
            enough = "" if recordings >= ENOUGH_VIDEOS else _TOO_FEW
            return (
                f"{enough}Measured on {recordings} recordings that the network was not fine-tuned on. Some of them decided "
                "when its training ended, which flatters it a little."
            )
        if self is EvaluationScheme.TRAINED_ELSEWHERE:
            enough = "" if recordings >= ENOUGH_VIDEOS else _TOO_FEW
            what = "recording" if recordings == 1 else "recordings"
            return f"{enough}Measured on {recordings} labeled {what} of this project, none of which it was trained on."
        if recordings < 2:
            return f"{_TOO_FEW}measured on held-out parts of one video, which flatters the model."
        if recordings < ENOUGH_VIDEOS:
            return f"{_TOO_FEW}only {recordings} recordings are labeled."
        return f"Measured on {recordings} recordings, each predicted by a model that had not seen it ({self})."


@dataclass(frozen=True)
class LabelScore(JsonObject):
    """Of one label: shares in 0..1, None where there is nothing to divide by, and `support`, the known frames that have it.

    `f1_interval`: in which 95 of 100 such F1 lie; None where too few recordings have the label.
    """

    precision: float | None = key(maybe(number), default=None, always=True)
    recall: float | None = key(maybe(number), default=None, always=True)
    f1: float | None = key(maybe(number), default=None, always=True)
    support: int = key(count, default=0, always=True)
    f1_interval: Interval | None = key(maybe(interval), list, default=None)

    def within(self, interval: Interval | None) -> LabelScore:
        """The same with its interval."""
        return replace(self, f1_interval=interval, stated=self.stated | {"f1_interval"})


@dataclass(frozen=True)
class ConfusionTable(JsonObject):
    """`counts`: frames, [true][predicted], in the order of `labels`, the last of which is none of the labels."""

    labels: tuple[str, ...] = key(many(text), list)
    counts: tuple[tuple[int, ...], ...] = key(many(many(count)), lambda rows: [list(row) for row in rows])


@dataclass(frozen=True)
class SegmentCounts(JsonObject):
    """Stretches of a label in whole videos: how many there are, how many were predicted, and how many of those are found."""

    found: int = key(count)
    predicted: int = key(count)
    true: int = key(count)

    @property
    def f1(self) -> float | None:
        """In 0..1; None where there is no segment."""
        every = self.predicted + self.true
        return 2 * self.found / every if every else None


@dataclass(frozen=True)
class ReliabilityBin(JsonObject):
    """Decisions whose confidence lies between `low` and `high`: how many, how sure they are on average, and the share that
    is right, all in 0..1 but their number."""

    low: float = key(number, name="from")
    high: float = key(number, name="to")
    decisions: int = key(count)
    confidence: float = key(number)
    right: float = key(number)


@dataclass(frozen=True)
class Metrics(JsonObject):
    """Held-out metrics; without a `judgement` nothing was measured.

    `judgement`: in words how much the numbers are worth. `videos`: recordings, be they in several videos. `frames`: known
    ones that were predicted. `macro_f1`: mean of the labels that occur; `macro_f1_error` its standard error over videos,
    `macro_f1_interval` in which 95 of 100 such scores lie. `confusion`: where labels exclude each other. `segments`,
    `segment_f1` (at an intersection over union of 0.5) and `boundary_error_frames`: of videos of which every frame is known.
    `calibration_error`, `reliability`: how far confidence is from accuracy; `temperature`: what would mend it.
    `frozen_macro_f1`: on the same videos, that of the network that was not fine-tuned.
    None where there is nothing to measure it by.
    """

    judgement: str = key(text, default="")
    scheme: EvaluationScheme | None = key(maybe(EvaluationScheme), str, default=None)
    videos: int = key(count, default=0)
    frames: int = key(count, default=0)
    macro_f1: float | None = key(maybe(number), default=None)
    macro_f1_error: float | None = key(maybe(number), default=None)
    macro_f1_interval: Interval | None = key(maybe(interval), list, default=None)
    labels: Mapping[str, LabelScore] = key(by_name(LabelScore.from_json), written, default={})
    confusion: ConfusionTable | None = key(maybe(ConfusionTable.from_json), written, default=None)
    segment_f1: float | None = key(maybe(number), default=None)
    segments: SegmentCounts | None = key(maybe(SegmentCounts.from_json), written, default=None)
    boundary_error_frames: float | None = key(maybe(number), default=None)
    calibration_error: float | None = key(maybe(number), default=None)
    reliability: tuple[ReliabilityBin, ...] = key(many(ReliabilityBin.from_json), written, default=())
    temperature: float | None = key(maybe(number), default=None)
    frozen_macro_f1: float | None = key(maybe(number), default=None)

    @classmethod
    def nothing(cls, judgement: str, scheme: EvaluationScheme, videos: int) -> Metrics:
        """Of an evaluation that could hold nothing out, and says why."""
        return cls(judgement, scheme, videos, 0, stated=frozenset({"videos", "frames"}))

    def about_answers(self) -> Metrics:
        """The same without how far to believe them."""
        return replace(
            self,
            calibration_error=None,
            reliability=(),
            temperature=None,
            stated=self.stated - {"calibration_error", "reliability", "temperature"},
        )

    def beside_frozen(self, macro_f1: float | None) -> Metrics:
        """The same beside the score of the frozen network."""
        return replace(self, frozen_macro_f1=macro_f1, stated=self.stated | {"frozen_macro_f1"})

    def renewed(self, by: Metrics) -> Metrics:
        """What `by` says, and of what it does not speak, what was known."""
        return Metrics.from_json({**self.as_json(), **by.as_json()})


# What an evaluation states in any case, be it that there is nothing to measure it by.
MEASURED = frozenset(Metrics.__dataclass_fields__) - {"frozen_macro_f1", "beside", "stated"}


@dataclass(frozen=True)
class Comparison(JsonObject):
    """With which `version`, whether the new one is `worse`, and `said`: what was found, to follow a colon in a sentence.
    `recordings`: on how many both were scored, 0 where they could not be."""

    version: str = key(text)
    worse: bool = key(flag)
    said: str = key(text)
    recordings: int = key(count, default=0)


@dataclass(frozen=True)
class Measurements:
    """All that a model card has under `metrics`. `full`: the evaluation that follows a roll-out. `quick`: the check in two folds
    that comes first; None in versions from before it. `against`: the version that was shown then; None where there was nothing to
    compare it with, or it was not `compared`."""

    full: Metrics = Metrics()
    quick: Metrics | None = None
    against: Comparison | None = None
    compared: bool = False

    @property
    def is_full(self) -> bool:
        """Whether there is more than the quick check."""
        return bool(self.full.judgement)

    @property
    def best(self) -> Metrics:
        """The full ones, else those of the quick check, else none."""
        return self.full if self.is_full else self.quick or Metrics()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurements:
        """Never raises for an object: what cannot be read stays beside the full metrics."""
        rest = dict(data)
        quick = against = None
        if isinstance(data.get("quick"), Mapping):
            quick = Metrics.from_json(rest.pop("quick"))
        if data.get("against") == {}:
            rest.pop("against")
        elif "against" in data:
            try:
                against = Comparison.from_json(data["against"])
                rest.pop("against")
            except (TypeError, ValueError, KeyError, AttributeError):
                pass  # one from another release
        return cls(Metrics.from_json(rest), quick, against, data.get("against") == {} or against is not None)

    def as_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {} if self.quick is None else {"quick": self.quick.as_json()}
        if self.compared or self.against is not None:
            said["against"] = self.against.as_json() if self.against else {}
        return {**said, **self.full.as_json()}


@dataclass(frozen=True)
class Calibration(JsonObject):
    """`temperature`: flattens what is shown, above 1. `told_apart`: whether held-out answers were better than always giving the
    commonest one; `confused`: the pairs of labels that were not. None where that was not measured."""

    temperature: float | None = key(maybe(number), default=None)
    told_apart: bool | None = key(maybe(flag), default=None)
    confused: tuple[tuple[str, ...], ...] | None = key(
        maybe(many(many(text))), lambda pairs: [list(pair) for pair in pairs], default=None
    )

    def renewed(self, by: Calibration) -> Calibration:
        """What `by` says, and of what it does not speak, what was known."""
        return Calibration.from_json({**self.as_json(), **by.as_json()})


@dataclass(frozen=True)
class TrainingCurves(JsonObject):
    """Of a network that was fine-tuned: loss and score of each epoch, and the epoch that was kept."""

    epochs: tuple[Mapping[str, float], ...] = key(many(by_name(maybe(number))), list, default=())
    best: int | None = key(maybe(count), default=None)
