"""Whether what is asked about tracks is worth an answer: labels after k answers, in that order and by chance, and how many of the doubtful
places are where a track went over to another object."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import share, table
from benchmarks.objects.scenes import HEIGHT, RATE, WIDTH
from ml_backend.errors import NotEnoughLabels
from ml_backend.geometry.faults import Fault, faults_of
from ml_backend.geometry.trajectory import Trajectory
from ml_backend.learning.metrics import macro_f1, per_label
from ml_backend.learning.track_labels import TrackHead, Tracks, fit_track_head
from ml_backend.learning.track_worth import LabeledTracks, worth
from ml_backend.objects.boxes import Track, iou

ANSWERS = (2, 3, 4, 6, 8, 12)
_DRAWS = 12
_MATCHED = 0.5
_NEAR = RATE


def labels_by_answers(every: Tracks, truth: NDArray[np.intp], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Macro-F1 on the tracks of videos that taught nothing after so many answers, one of a video at a time: `asked` in the order of
    what they are worth, by `chance`; and the `worst_asked`, `worst_chance` of several draws. `truth`: (n,) -1 of what is none."""
    rounds = {
        way: [_asking(every, truth, names, seed, by_chance=way == "chance") for seed in range(_DRAWS)]
        for way in ("asked", "chance")
    }
    return {
        f"k{k}": {way: mean(each[k] for each in rows) for way, rows in rounds.items()}
        | {f"worst_{way}": min(each[k] for each in rows) for way, rows in rounds.items()}
        for k in ANSWERS
    }


def _asking(
    every: Tracks, truth: NDArray[np.intp], names: Sequence[str], seed: int, *, by_chance: bool
) -> dict[int, float]:
    rng = np.random.default_rng(seed)
    videos = rng.permutation(np.unique(every.videos))
    teaching = np.isin(every.videos, videos[: len(videos) // 2])
    left = rng.permutation(np.flatnonzero(teaching))
    asked = np.flatnonzero((truth >= 0) & ~teaching)
    classes = np.full(len(truth), -1, np.intp)
    labeled: list[int] = []
    head: TrackHead | None = None
    found: dict[int, float] = {}
    for k in range(1, max(ANSWERS) + 1):
        values = rng.random(len(left)) if by_chance else _worth(every, left, classes, head)
        best = int(left[values.argmax()])
        left = left[left != best]
        labeled.append(best)
        classes[best] = truth[best]
        try:
            head = fit_track_head(every, classes, names)
        except NotEnoughLabels:
            head = None
        if k in ANSWERS:
            found[k] = _score(head, every, asked, truth, names)
    return found


def _worth(
    every: Tracks, left: NDArray[np.intp], classes: NDArray[np.intp], head: TrackHead | None
) -> NDArray[np.floating]:
    known = np.flatnonzero(classes >= 0)
    labeled = LabeledTracks.of(every, known) if len(known) else None
    found = np.zeros(len(left))
    for video in np.unique(every.videos[left]):
        own = every.videos[left] == video
        found[own] = worth(every.at(left[own]), labeled, head)
    return found


def _score(
    head: TrackHead | None, every: Tracks, asked: NDArray[np.intp], truth: NDArray[np.intp], names: Sequence[str]
) -> float:
    said = head.probabilities(every.at(asked)).argmax(axis=1) if head is not None else np.zeros(len(asked), np.intp)
    each = np.eye(len(names), dtype=np.int8)
    return macro_f1(per_label(each[said], each[truth[asked]], list(names))) or 0.0


def doubtful_places(truth: Sequence[Track], found: Sequence[Track], frames: int) -> dict[str, int]:
    """`asked`: the places at which found tracks are asked about as a jump, an exchange or two on one object. `right`: at how many of them
    a track goes over to another object within a second. `switches`: how often one does at all, of which `seen` have such a place."""
    named = [
        Trajectory.of(
            str(each.number), each.frames + 1, 100 * each.boxes.astype(np.float64), float(RATE), WIDTH / HEIGHT
        )
        for each in found
    ]
    faults = [each for each in faults_of(named, frames) if each.kind in ("jump", "switch", "double")]
    switched = _switches(truth, found, frames)
    return {
        "asked": len(faults),
        "right": sum(any(_is_near(fault, at) for at in switched) for fault in faults),
        "switches": len(switched),
        "seen": sum(any(_is_near(fault, at) for fault in faults) for at in switched),
    }


def _is_near(fault: Fault, frame: int) -> bool:
    return fault.start - _NEAR <= frame + 1 <= fault.end + _NEAR


def _switches(truth: Sequence[Track], found: Sequence[Track], frames: int) -> list[int]:
    """The frame indices at which a subject is in another track than before."""
    at: list[int] = []
    for subject in truth:
        overlaps = np.zeros((len(found), frames))
        for row, track in zip(overlaps, found, strict=True):
            shared, mine, its = np.intersect1d(subject.frames, track.frames, True, True)
            row[shared] = iou(subject.boxes[mine], track.boxes[its])
        seen = np.flatnonzero(overlaps.max(axis=0, initial=0.0) >= _MATCHED)
        who = overlaps[:, seen].argmax(axis=0) if len(seen) else np.empty(0, np.intp)
        at += seen[1:][np.diff(who) != 0].tolist()
    return sorted(at)


def answers_as_text(sets: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    rows = [
        [name, "yes" if way == "with_network" else "no", k[1:], *map(share, one.values())]
        for name, ways in sets.items()
        for way, each in ways.items()
        for k, one in each.items()
    ]
    head = ["kinds", "network", "answers", "asked", "by chance", "worst asked", "worst by chance"]
    return "\n".join(table(head, rows))
