"""The label-efficiency curve: which share of a clip's frames has to be labeled for which fraction of full supervision.

A clip is cut into 20 equal stretches of time, and every fifth of them is held out, another fifth for each of the first five
seeds. Nobody asks about held-out frames, whatever the way of asking, and all scores are of them alone, less those beside a
change of label. *Full supervision* is the same learner, Cold, with every frame labeled that is not held out. The answers of
all clips and seeds of a situation are scored together, and the macro-F1 of a way of asking is divided by that of full
supervision: a fraction above 1 is chance, or labels beyond those were of no help.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.behaviour.clips import Studio
from benchmarks.behaviour.measure import Asked, labelled, only_class, suggested
from benchmarks.learning.data import Track, answers, f1
from ml_backend.errors import NotEnoughLabels
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.predictions.predict import QUESTIONS, questions
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.refinement import refined_probabilities
from ml_backend.video.timeline import studio_grid
from sampling.uncertain import boundary
from sampling.uniform import thin, uniform

Frames = NDArray[np.int64]
COUNTS = (5, 10, 15, 20, 30, 50)
ENOUGH = 0.95
_STRETCHES, _FIFTH = 20, 5
# Seconds between two questions about changes, as between any two that the product asks.
_APART = 0.1


@dataclass(frozen=True, eq=False)
class Learned:
    """What a model says: (n, L) in 0..1 of all frames. `tells`: it predicts in the product; else nobody sees it.

    `features`: what was embedded when it predicted.
    """

    probabilities: NDArray[np.float32]
    features: VideoFeatures
    tells: bool


@dataclass(eq=False)
class Clip:
    """A clip that somebody labels. `held_out`: (n,) frames that nobody asks about. `closer`: those that a model had embedded."""

    track: Track
    exclusive: bool
    held_out: NDArray[np.bool_]
    seed: int
    closer: Frames = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def open(self) -> Frames:
        """The frames that may be asked about, ascending frame indices."""
        return np.flatnonzero(~self.held_out)

    def learn(self, answered: Frames) -> Learned:
        """Cold on these answers; where it predicts a change it looks closer, and what it embeds there stays."""
        track = self.track.with_frames(np.union1d(answered, self.closer))
        video = labelled(track, answered, self.exclusive)
        try:
            head = fit_cold([video], track.classes, exclusive=self.exclusive)
        except NotEnoughLabels:
            return Learned(only_class(track, answered, self.exclusive), track.features, False)

        def embed(features: VideoFeatures, frames: Frames) -> VideoFeatures:
            self.closer = np.union1d(self.closer, frames)
            return track.source.with_frames(features, frames)

        shown = refined_probabilities(head, track.features, video.labels, embed)
        return Learned(shown, track.features, head.told_apart)


# A clip, what was learned so far, and the frames answered so far; frame indices.
Ask = Callable[[Clip, Learned, Frames], Frames]


def suggestions(clip: Clip, count: int, answered: Frames | None = None) -> Frames:
    return suggested(clip.track.features, count, clip.seed, ~clip.held_out, answered)


def of_the_model(clip: Clip, learned: Learned, answered: Frames) -> Frames:
    """What the product asks in its second round, on a grid that does not show held-out frames."""
    timeline = learned.features.timeline
    grid = studio_grid(timeline, _rate(clip))
    grid = replace(grid, shown=grid.shown[~clip.held_out[grid.shown]])
    found = questions(learned.probabilities, clip.exclusive, grid, answered, learned.features)
    return np.array([grid.index(frame) for frame in found], np.int64)


def of_changes(clip: Clip, learned: Learned, answered: Frames) -> Frames:
    """Both sides of the least sure of the predicted changes."""
    return boundary(
        learned.probabilities[clip.open],
        QUESTIONS,
        exclusive=clip.exclusive,
        frames=clip.open,
        labelled=answered,
        gap=round(_APART * _rate(clip)),
        seed=clip.seed,
    )


def _rate(clip: Clip) -> float:
    """Frames per second."""
    timeline = clip.track.features.timeline
    return len(timeline) / max(float(timeline.duration), 1e-9)


def at_once(
    choose: Callable[[Clip, int], Frames], clip: Clip, counts: Sequence[int]
) -> Iterator[tuple[Frames, Learned]]:
    """For each count the frames that are chosen before there is a model, and what is learned from them."""
    for count in counts:
        frames = choose(clip, count)
        yield frames, replace(clip, closer=clip.closer[:0]).learn(frames)


def in_turn(ask: Ask, clip: Clip, counts: Sequence[int]) -> Iterator[tuple[Frames, Learned]]:
    """Five suggestions, then five questions at a time, with a new model after each five; for each count what is known then.

    While a model predicts nothing, since it saw one class or cannot tell them apart, further suggestions are asked instead.
    When there is nothing left to ask, it stays at fewer frames.
    """
    answered = suggestions(clip, QUESTIONS)
    learned = clip.learn(answered)
    for count in counts:
        while len(answered) < count:
            asked = ask(clip, learned, answered) if learned.tells else suggestions(clip, QUESTIONS, answered)
            more = thin(np.setdiff1d(asked, answered), count - len(answered))
            if not len(more):
                break
            answered = np.union1d(answered, more)
            learned = clip.learn(answered)
        yield answered, learned


def _even(clip: Clip, count: int) -> Frames:
    return clip.open[uniform(len(clip.open), count)]


Way = Callable[[Clip, Sequence[int]], Iterator[tuple[Frames, Learned]]]
WAYS: Mapping[str, Way] = {
    "even": lambda clip, counts: at_once(_even, clip, counts),
    "suggestions": lambda clip, counts: at_once(suggestions, clip, counts),
    "questions": lambda clip, counts: in_turn(of_the_model, clip, counts),
    "boundary": lambda clip, counts: in_turn(of_changes, clip, counts),
}


def held_out(frames: int, seed: int) -> NDArray[np.bool_]:
    """(frames,) every fifth of 20 equal stretches, the seed's."""
    return np.asarray(np.arange(frames) * _STRETCHES // frames % _FIFTH == seed % _FIFTH)


def efficiency(studio: Studio, asked: Asked, seeds: int, clips: int, counts: Sequence[int] = COUNTS) -> dict[str, Any]:
    """The curves of one situation whose clips are asked about within themselves.

    `full`: macro-F1 of full supervision. For each way `k10` and so on, the fraction of it that is reached with so many
    labeled frames in each clip, `share_k10`, the share of the clips' frames that these are, and `share_for_95`. Counts of
    more than half of what may be asked are left out.
    """
    tracks = [studio.track(asked.name, asked.classes, clip) for clip in asked.clips[:clips]]
    counts = [count for count in counts if all(2 * count <= (~held_out(len(t.truth), 0)).sum() for t in tracks)]
    truth: list[NDArray[np.intp]] = []
    said: dict[tuple[str, int], list[NDArray[np.intp]]] = defaultdict(list)
    labeled: dict[tuple[str, int], list[int]] = defaultdict(list)
    for track in tracks:
        for seed in range(seeds):
            held = held_out(len(track.truth), seed)
            scored = held & track.scored
            truth.append(track.truth[scored])
            everything = Clip(track, asked.exclusive, held, seed)
            said["full", 0].append(_said(everything.learn(everything.open), asked.exclusive)[scored])
            for name, way in WAYS.items():
                found = way(Clip(track, asked.exclusive, held, seed), counts)
                for count, (frames, learned) in zip(counts, found, strict=True):
                    said[name, count].append(_said(learned, asked.exclusive)[scored])
                    labeled[name, count].append(len(frames))
    full = _macro_f1(truth, said["full", 0])
    frames_there = seeds * sum(len(track.truth) for track in tracks)
    report: dict[str, Any] = {"videos": len(tracks), "full": full}
    for name in WAYS:
        curve = {count: _macro_f1(truth, said[name, count]) / max(full, 1e-9) for count in counts}
        shares = {count: sum(labeled[name, count]) / frames_there for count in counts}
        report[name] = {
            **{f"k{count}": fraction for count, fraction in curve.items()},
            **{f"share_k{count}": share for count, share in shares.items()},
            "share_for_95": share_for([(shares[count], curve[count]) for count in counts]),
        }
    return report


def share_for(curve: Sequence[tuple[float, float]], enough: float = ENOUGH) -> float | None:
    """The smallest share of labeled frames with a fraction of at least `enough`; None when none has. Of (share, fraction)."""
    return min((share for share, fraction in curve if fraction >= enough), default=None)


def _said(learned: Learned, exclusive: bool) -> NDArray[np.intp]:
    """(n,) classes, or (n, L) 0 or 1 of labels that may hold together."""
    return answers(learned.probabilities) if exclusive else (learned.probabilities >= 0.5).astype(np.intp)


def _macro_f1(truth: Sequence[NDArray[np.intp]], said: Sequence[NDArray[np.intp]]) -> float:
    """Of all clips together; of labels that may hold together the mean of each."""
    wanted, given = np.concatenate(truth), np.concatenate(said)
    every = np.ones(len(wanted), bool)
    if wanted.ndim == 1:
        return f1(wanted, given, every)
    return float(np.mean([f1(one, other, every) for one, other in zip(wanted.T, given.T, strict=True)]))
