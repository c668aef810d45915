"""Whether as many errors are left as are said to be, and how much is still to be gained when it is said that little is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.learning.cold import suggested
from benchmarks.learning.data import Track, answers, f1
from ml_backend.cards.measurements import Metrics
from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.agreement import cohen_kappa
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.evaluation import cross_validated
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.head import Head
from ml_backend.learning.probabilities import changes, doubt
from ml_backend.learning.refinement import refined_probabilities
from ml_backend.learning.stopping import Evidence, Score, advise
from ml_backend.learning.stopping import expected_errors as expected

COUNTS = (5, 10, 20)
# A project has labelled so many of its videos when its errors are counted.
_LABELLED = 2 / 3

Fit = Callable[[Sequence[LabelledVideo]], Head]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Answered:
    """What is said of a track's frames, and the held-out metrics of the head that says it."""

    track: Track
    probabilities: Floats
    measured: Metrics

    @property
    def itself(self) -> float:
        """The errors that the head expects."""
        return doubt(self.probabilities, True) * len(self.probabilities)

    @property
    def expected(self) -> float:
        """The errors that the product tells of."""
        frames = len(self.probabilities)
        return expected(doubt(self.probabilities, True), changes(self.probabilities, True), frames, self.measured)

    @property
    def true(self) -> int:
        return int((answers(self.probabilities) != self.track.truth).sum())


def expected_errors(tracks: dict[str, list[Track]], seeds: int) -> dict[str, Any]:
    """Errors expected and made in all runs together: `within` a labelled video and `across` a project by labels per video, and
    `blitz`, each video in turn predicted from the whole timelines of the others.

    `ratio`: expected per error made. `itself`: what the head expects, before that is corrected. `per_video`: rank correlation
    of expected and made errors over all videos of all runs.
    """
    report: dict[str, Any] = {"within": {}, "across": {}}
    for count in COUNTS:
        runs = [run for videos in tracks.values() for track in videos for run in _within(track, count, seeds)]
        report["within"][f"k{count}"] = _summed(runs)
        runs = [run for videos in tracks.values() for run in _across(videos, count, seeds)]
        report["across"][f"k{count}"] = _summed(runs)
    report["blitz"] = _summed([run for videos in tracks.values() for run in _blitz(videos)])
    return report


def stopping(tracks: dict[str, list[Track]], seeds: int, count: int = 10) -> dict[str, float]:
    """Videos labelled one after the other, `count` frames in each, until the advice is that little is left to gain.

    `advised`: share of the runs in which it was given; `labelled`: share of the videos that were labelled then; `macro_f1`:
    of all frames then, `with_all`: with every video labelled; `kappa`: of the versions after the advice.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for videos in tracks.values():
        usable = [track for track in videos if len(track.truth) >= 2 * count]
        for seed in range(seeds if len(usable) > 5 else 0):
            _labelled_one_after_the_other(usable, count, seed, found)
    return {key: float(np.mean(values)) for key, values in found.items()}


def _labelled_one_after_the_other(
    videos: Sequence[Track], count: int, seed: int, found: dict[str, list[float]]
) -> None:
    order = [videos[at] for at in np.random.default_rng(seed).permutation(len(videos))]
    fit = partial(fit_cold, labels=videos[0].classes, exclusive=True)
    scores: list[Score] = []
    kappas: list[float] = []
    before: NDArray[np.intp] | None = None
    advised = None
    reached = []
    for number in range(1, len(order) + 1):
        taught = [_taught(track, place, count, seed) for place, track in enumerate(order[:number])]
        try:
            said = _project(order, taught, fit)
        except NotEnoughLabels:
            reached.append(0.0)
            continue
        measured = said[0].measured
        answer = np.concatenate([answers(one.probabilities) for one in said])
        if before is not None:
            size = len(videos[0].classes) + 1
            table = np.bincount(size * before + answer, minlength=size * size).reshape(size, size)
            kappas.append(cohen_kappa(table) or 0.0)
        before = answer
        if measured.macro_f1 is not None:
            known = sum(int(video.labels.known.sum()) for video in taught)
            scores.append(Score(known, measured.macro_f1, measured.macro_f1_interval))
        truth, scored = (np.concatenate([getattr(t, name) for t in order]) for name in ("truth", "scored"))
        reached.append(f1(truth, answer, scored))
        verdict = advise(Evidence(True, (), tuple(scores), tuple(kappas))).verdict
        if advised is None and verdict == "little more to gain":
            advised = number
    found["advised"].append(float(advised is not None))
    if advised is not None:
        found["labelled"].append(advised / len(order))
        found["macro_f1"].append(reached[advised - 1])
        found["with_all"].append(reached[-1])
        found["kappa"] += kappas[advised - 1 :]


def _within(track: Track, count: int, seeds: int) -> Iterator[Answered]:
    """A project of one video."""
    fit = partial(fit_cold, labels=track.classes, exclusive=True)
    for seed in range(seeds if len(track.truth) >= 2 * count else 0):
        own = _taught(track, 0, count, seed)
        try:
            yield from _project([track], [own], fit)
        except NotEnoughLabels:
            continue


def _across(videos: Sequence[Track], count: int, seeds: int) -> Iterator[Answered]:
    """A project two thirds of whose videos have labelled frames."""
    usable = [track for track in videos if len(track.truth) >= 2 * count]
    for seed in range(seeds if len(usable) > 2 else 0):
        order = [usable[at] for at in np.random.default_rng(seed).permutation(len(usable))]
        fit = partial(fit_cold, labels=order[0].classes, exclusive=True)
        taught = [
            _taught(track, place, count, seed) for place, track in enumerate(order[: int(len(order) * _LABELLED)])
        ]
        yield from _project(order, taught, fit)


def _blitz(videos: Sequence[Track]) -> Iterator[Answered]:
    for asked in videos if len(videos) > 2 else ():
        fit = partial(fit_blitz, labels=asked.classes, exclusive=True)
        taught = [replace(track.labelled(), task=place) for place, track in enumerate(videos) if track is not asked]
        probabilities = fit(taught).probabilities(asked.features)
        yield Answered(asked, probabilities, cross_validated(taught, asked.classes, fit, exclusive=True).metrics())


def _taught(track: Track, task: int, count: int, seed: int) -> LabelledVideo:
    frames = suggested(track, count, seed)
    return replace(track.with_frames(frames).labelled(frames), task=task)


def _project(videos: Sequence[Track], taught: Sequence[LabelledVideo], fit: Fit) -> list[Answered]:
    """Every video as the product predicts it; the first ones are `taught`, and what is answered in them is held."""
    head = fit(taught)
    measured = cross_validated(taught, videos[0].classes, fit, exclusive=True).metrics()
    found = []
    for place, track in enumerate(videos):
        if place < len(taught):
            own = taught[place]
            probabilities = refined_probabilities(head, own.features, own.labels, track.source.with_frames)
        else:
            probabilities = head.probabilities(track.features)
        found.append(Answered(track, probabilities, measured))
    return found


def _summed(runs: Sequence[Answered]) -> dict[str, Any]:
    expected, true = sum(run.expected for run in runs), sum(run.true for run in runs)
    ranked = spearmanr([run.expected for run in runs], [run.true for run in runs])
    return {
        "frames": sum(len(run.probabilities) for run in runs),
        "expected": round(expected, 1),
        "itself": round(sum(run.itself for run in runs), 1),
        "true": true,
        "ratio": round(expected / true, 3) if true else None,
        "per_video": round(float(ranked.statistic), 3) if len(runs) > 2 else None,
    }
