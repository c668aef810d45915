"""What is drawn and said of one task over time: the model's regions, people's, where they differ, where the model is least sure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ml_backend.annotation import Region
from ml_backend.projects.label_report import HumanRegion
from ml_backend.server.dashboard.charts import Span
from ml_backend.server.dashboard.formatting import clock
from ml_backend.wording import listed

_Kind = TypeVar("_Kind", Region, HumanRegion)


@dataclass(frozen=True)
class Stretch:
    """Label Studio frames `start`..`end`, both included, and when the first is shown, in seconds."""

    start: int
    end: int
    labels: tuple[str, ...]
    other: tuple[str, ...]
    score: float | None
    begins: float


@dataclass(frozen=True)
class Clock:
    """Label Studio frame N is shown from second (N - 1) / `framerate` on."""

    framerate: float

    def stretch(
        self,
        start: int,
        end: int,
        labels: Sequence[str] = (),
        other: Iterable[str] = (),
        score: float | None = None,
    ) -> Stretch:
        return Stretch(start, end, tuple(labels), tuple(other), score, (start - 1) / self.framerate)

    def span(self, region: Region | HumanRegion, colours: Mapping[str, str], who: str) -> Span:
        label = region.labels[0] if region.labels else ""
        score = getattr(region, "score", None)
        when = f"frames {region.start} to {region.end}" if region.end > region.start else f"frame {region.start}"
        sure = f", {100 * score:.0f} % sure" if score is not None else ""
        text = f"{who}: {listed(region.labels) or 'a question'}, {when} at {clock((region.start - 1) / self.framerate)}{sure}"
        return Span(region.start - 1, region.end, colours.get(label, "#808080"), text)


def by_individual(regions: Sequence[_Kind], whose: Callable[[_Kind], str]) -> list[tuple[str, list[_Kind]]]:
    """The regions of each individual, by its name: those of several at one time would hide each other. One group, of an empty name, where
    regions are about the video as a whole."""
    found: dict[str, list[_Kind]] = {}
    for region in regions:
        found.setdefault(whose(region), []).append(region)
    return sorted(found.items())


def least_sure(regions: Sequence[Region], at: Clock, most: int = 10) -> list[Stretch]:
    """The model's regions with a score, the least confident first."""
    scored = sorted((region for region in regions if region.score is not None), key=lambda region: region.score or 0.0)
    return [at.stretch(region.start, region.end, region.labels, score=region.score) for region in scored[:most]]


def differing(
    people: Sequence[HumanRegion], model: Sequence[Region], at: Clock, most: int = 20, *, whole: bool = False
) -> list[Stretch]:
    """Where people said a label and the model does not say it, the longest first; what they took over from a model agrees.

    `whole`: they looked at the whole video, so that a gap between their regions says that nothing is there.
    """
    found = []
    if whole:
        said = [(region.start, region.end) for region in people]
        for predicted in (each for each in model if each.labels):
            for start, end in _without((int(predicted.start), int(predicted.end)), said):
                found.append(at.stretch(start, end, (), predicted.labels))
    for region in (each for each in people if each.source != "accepted"):
        for label in region.labels:
            same = [(int(each.start), int(each.end)) for each in model if label in each.labels]
            for start, end in _without((region.start, region.end), same):
                others = {
                    name for each in model if each.start <= end and each.end >= start for name in each.labels
                } - set(region.labels)
                found.append(at.stretch(start, end, (label,), sorted(others)))
    return sorted(found, key=lambda stretch: stretch.start - stretch.end)[:most]


def _without(whole: tuple[int, int], parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a range, ends included, when the parts are taken out."""
    left, at = [], whole[0]
    for start, end in sorted(parts):
        if start > whole[1]:
            break
        if start > at:
            left.append((at, start - 1))
        at = max(at, end + 1)
    if at <= whole[1]:
        left.append((at, whole[1]))
    return left
