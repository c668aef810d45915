"""The bouts of a project's timelines as numbers: each of them, how much time what takes, and what follows what.

A bout is one region: a label on frames that follow each other, of one individual where its text names one (`who: mouse-2`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ml_backend.formats.events import Event, VideoEvents

Cell = str | int | float | None


@dataclass(frozen=True)
class BoutVideo:
    """One task's video and its bouts. `labels`: of each control. `source`: *human* or *model*."""

    task: int
    video: VideoEvents
    labels: Mapping[str, Sequence[str]]
    source: str

    def head(self) -> dict[str, Cell]:
        return {"task": self.task, "video": self.video.name, "source": self.source}

    def individuals(self, control: str) -> list[str]:
        """Those that the control's bouts name; one without a name where there is none."""
        return sorted({each.who for each in self.video.events if each.group == control}) or [""]

    def of(self, control: str, who: str) -> list[Event]:
        """The bouts of one control and individual, by their beginning."""
        own = [each for each in self.video.events if each.group == control and each.who == who]
        return sorted(own, key=lambda each: (each.times, each.label))


def bout_rows(videos: Iterable[BoutVideo]) -> Iterator[dict[str, Cell]]:
    """A row for each bout. Frames count from 0, the last one is included; `end_s` is when the next frame begins."""
    for each in videos:
        for event in each.video.events:
            (start, end), (first, last) = event.times, event.span
            yield {
                **each.head(),
                "control": event.group,
                "who": event.who,
                "label": event.label,
                "start_s": round(start, 6),
                "end_s": round(end, 6),
                "length_s": round(end - start, 6),
                "first_frame": first,
                "last_frame": last,
                "score": event.score,
                "comment": event.comment,
            }


def budget_rows(videos: Iterable[BoutVideo], each_seconds: float | None = None) -> Iterator[dict[str, Cell]]:
    """A row for each label of each individual in each video, or in each part of `each_seconds` of it; also where it never occurs.

    `count`: bouts that begin there, `mean_s` their mean length, `latency_s` when the first of them begins, from the part's
    beginning. `total_s`: seconds of it with the label, counted once where bouts overlap; `share` of the part.
    """
    for each in videos:
        length = each.video.duration
        parts = _parts(length, each_seconds)
        for control, labels in each.labels.items():
            for who in each.individuals(control):
                bouts = each.of(control, who)
                named = [*labels, *dict.fromkeys(event.label for event in bouts if event.label not in labels)]
                for label in named:
                    own = [event.times for event in bouts if event.label == label]
                    for start, end in parts:
                        yield {
                            **each.head(),
                            "control": control,
                            "who": who,
                            "label": label,
                            "start_s": round(start, 3),
                            "end_s": round(end, 3),
                            **_numbers(own, start, end, is_last=end == length),
                        }


def transition_rows(videos: Iterable[BoutVideo]) -> Iterator[dict[str, Cell]]:
    """A row for each two labels of each individual in each video: how often a bout of `to` is the next that begins after one of
    `from`, and which share that is of all that follow `from`."""
    for each in videos:
        for control, labels in each.labels.items():
            for who in each.individuals(control):
                bouts = each.of(control, who)
                counts: dict[tuple[str, str], int] = {}
                for before, after in pairwise(bouts):
                    counts[before.label, after.label] = counts.get((before.label, after.label), 0) + 1
                seen = [label for label in labels if any(event.label == label for event in bouts)]
                for before_label in seen:
                    followed = sum(counts.get((before_label, to), 0) for to in seen)
                    for to in seen:
                        number = counts.get((before_label, to), 0)
                        share = round(number / followed, 4) if followed else None
                        of = {"control": control, "who": who, "from": before_label, "to": to}
                        yield {**each.head(), **of, "count": number, "share": share}


def _parts(length: float, each_seconds: float | None) -> list[tuple[float, float]]:
    if each_seconds is None or each_seconds >= length:
        return [(0.0, length)]
    # A rest of less than a thousandth of a second is a rounding.
    number = math.ceil(length / each_seconds - 0.001 / each_seconds)
    return [(part * each_seconds, min((part + 1) * each_seconds, length)) for part in range(number)]


def _numbers(bouts: Sequence[tuple[float, float]], start: float, end: float, *, is_last: bool) -> dict[str, Cell]:
    begun = [each for each in bouts if start <= each[0] < end or (is_last and each[0] >= end)]
    total = _covered(bouts, start, end)
    return {
        "count": len(begun),
        "total_s": round(total, 6),
        "mean_s": round(sum(stop - begin for begin, stop in begun) / len(begun), 6) if begun else None,
        "latency_s": round(min(begin for begin, _ in begun) - start, 6) if begun else None,
        "share": round(total / (end - start), 6) if end > start else 0.0,
    }


def _covered(bouts: Sequence[tuple[float, float]], start: float, end: float) -> float:
    """Seconds between `start` and `end` in which any of `bouts`, which ascend, holds."""
    total, until = 0.0, start
    for begin, stop in bouts:
        begin, stop = max(begin, until), min(stop, end)
        if stop > begin:
            total += stop - begin
            until = stop
    return total
