"""Ten suggested frames and then a model's questions, against as many frames chosen at once: what a Cold model learns from each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.cold import ours, suggested, uniform
from benchmarks.learning.data import Track, answers, f1
from ml_backend.jobs.predictions.predict import questions
from ml_backend.video.timeline import natural_framerate, studio_grid

FIRST, ROUNDS = 10, 2
_IN_ALL = 20

Frames = NDArray[np.int64]


def second_round(tracks: Mapping[str, Sequence[Track]], seeds: int) -> dict[str, float]:
    """Macro-F1 of the frames that nobody labelled: means over seeds, then over the videos of a track, then over tracks.

    `macro_f1`: 10 suggested frames, then what the product asks, a batch at a time with a model in between, up to 20 frames;
    `suggested_macro_f1`: 20 suggested frames; `uniform_macro_f1`: 20 evenly spread frames; `first_macro_f1`: the 10 suggested alone.
    `frames`: how many were labelled in both rounds, on average. Videos of fewer than 40 frames are left out.
    """
    ways: dict[str, Callable[[Track, int], Frames]] = {
        "macro_f1": asked,
        "uniform_macro_f1": lambda track, seed: uniform(track, _IN_ALL, seed, seeds),
        "suggested_macro_f1": lambda track, seed: suggested(track, _IN_ALL, seed),
        "first_macro_f1": lambda track, seed: suggested(track, FIRST, seed),
    }
    found: dict[str, list[float]] = {name: [] for name in (*ways, "frames")}
    for videos in tracks.values():
        scores: dict[str, list[float]] = {name: [] for name in found}
        for track in (track for track in videos if len(track.truth) >= 2 * _IN_ALL):
            for seed in range(seeds):
                for name, choose in ways.items():
                    frames = choose(track, seed)
                    rest = track.scored.copy()
                    rest[frames] = False
                    if name == "macro_f1":
                        scores["frames"].append(len(frames))
                    if rest.any():
                        answer = answers(ours([(track, frames)], track, known=True))
                        scores[name].append(f1(track.truth, answer, rest))
        for name, values in scores.items():
            if values:
                found[name].append(float(np.mean(values)))
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def asked(track: Track, seed: int) -> Frames:
    """The suggested frames, and the answers to the product's questions of two models."""
    timeline = track.features.timeline
    grid = studio_grid(timeline, natural_framerate(timeline) or len(timeline) / float(timeline.duration))
    frames = suggested(track, FIRST, seed)
    for _ in range(ROUNDS):
        probabilities = ours([(track, frames)], track, known=True)
        more = [grid.index(frame) for frame in questions(probabilities, True, grid, frames, track.features)]
        frames = np.union1d(frames, np.array(more, np.int64))
    return frames
