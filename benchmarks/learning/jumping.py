"""What it takes to get 95 % of the frames right in the order of the player: least sure first, then change by change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.cold import ours, suggested
from benchmarks.learning.data import Track, answers
from benchmarks.learning.effort import edits, segments
from ml_backend.projects.task_view import over_time
from ml_backend.server.dashboard import jumps

RIGHT = 0.95
_COUNTS = (3, 4, 5, 6, 8, 10)
# In a clip of fewer segments there is nothing to save.
_SEGMENTS = 6


def jumping(tracks: dict[str, list[Track]], seeds: int) -> dict[str, Any]:
    """Sums over all videos with enough segments: labeled frames and edits until 95 % of the frames are right, against drawing and
    labeling segments, the longest first, until then (two actions each). Keys that jump are counted
    apart: who draws has to look for each segment, too.

    Of the numbers of labeled frames, that which costs least."""
    videos = [track for each in tracks.values() for track in each if len(segments(track.truth)) >= _SEGMENTS]
    if not videos:
        return {"jump_ratio": None}
    manual = sum(2 * drawn_until(track.truth) for track in videos)
    found: dict[str, tuple[float, float]] = {}
    for count in _COUNTS:
        done = []
        for seed in range(seeds):
            actions = keys = 0
            for track in videos:
                frames = suggested(track, count, seed)
                probabilities = ours([(track, frames)], track, known=True)
                corrected, pressed = corrections(track, probabilities)
                actions, keys = actions + len(frames) + corrected, keys + pressed
            done.append((actions / manual, keys / manual))
        found[f"k{count}"] = (float(np.mean([a for a, _ in done])), float(np.mean([k for _, k in done])))
    best = min(found, key=lambda name: found[name][0])
    return {
        "jump_ratio": found[best][0],
        "jump_keys_ratio": found[best][1],
        "jump_by_k": found,
        "jump_manual_actions": manual,
    }


def corrections(track: Track, probabilities: NDArray[np.float32]) -> tuple[int, int]:
    """(edits, jumps) until 95 % of the frames are right. At each stop a person corrects the segment that they see there, no more."""
    said, truth = answers(probabilities), track.truth
    done = pressed = 0
    for frame in stops(track, probabilities):
        if np.mean(said == truth) >= RIGHT:
            break
        pressed += 1
        first, last = _around(truth, frame)
        fixed = said.copy()
        fixed[first : last + 1] = truth[first : last + 1]
        done += edits(said, fixed, track.tolerance)
        said = fixed
    # What no jump leads to is looked for and drawn.
    for first, last, _ in segments(truth):
        if np.mean(said == truth) >= RIGHT:
            break
        fixed = said.copy()
        fixed[first : last + 1] = truth[first : last + 1]
        done += edits(said, fixed, track.tolerance)
        said = fixed
    return done, pressed


def stops(track: Track, probabilities: NDArray[np.float32]) -> list[int]:
    """The frame indices at which the player stops: where the model is least sure, then where its answer changes."""
    timeline, frames = track.features.timeline, len(track.truth)
    bins = over_time(timeline, probabilities).T
    percent = {label: row.tolist() for label, row in zip(track.classes, bins, strict=True)}
    doubtful = [doubt.worst - 1 for doubt in jumps.doubts(jumps.certainty(percent), frames)]
    said = segments(answers(probabilities))
    return [min(each, frames - 1) for each in (*doubtful, *(first for first, _, _ in said[1:]))]


def drawn_until(truth: NDArray[np.intp]) -> int:
    """How many segments have to be drawn for 95 % of the frames to be right, the longest first."""
    lengths = sorted((last - first + 1 for first, last, _ in segments(truth)), reverse=True)
    return int(np.searchsorted(np.cumsum(lengths), RIGHT * len(truth))) + 1


def _around(classes: NDArray[np.intp], frame: int) -> tuple[int, int]:
    return next((first, last) for first, last, _ in segments(classes) if first <= frame <= last)
