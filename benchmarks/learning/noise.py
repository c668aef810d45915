"""Wrong labels: whole timelines in which one frame in thirty is mislabelled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.learning.data import Track
from ml_backend.learning.run_predictions import held_out
from ml_backend.learning.suspects import suspects

SHARE = 0.034
_VIDEOS = 4


def noise(tracks: dict[str, list[Track]], seeds: int) -> dict[str, float | None]:
    """Share of mislabelled frames among those listed, listing up to twice as many frames as are wrong; and their share."""
    recall, listed_share = [], []
    for videos in tracks.values():
        for track in videos[:_VIDEOS]:
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                frames = len(track.truth)
                wrong = rng.choice(frames, max(round(SHARE * frames), 1), replace=False)
                said = track.truth.copy()
                said[wrong] = (said[wrong] + rng.integers(1, len(track.classes), len(wrong))) % len(track.classes)
                every = track.with_frames(np.arange(frames))
                listed: list[int] = []
                predicted = held_out([replace(every, truth=said).labelled()], track.classes, exclusive=True)
                for suspect in suspects(predicted, track.classes, exclusive=True):
                    listed += range(suspect.first, suspect.last + 1)
                scored = set(np.flatnonzero(track.scored).tolist())
                shown = set(listed[: 2 * len(wrong)])
                real = scored & set(wrong.tolist())
                if real:
                    recall.append(len(real & shown) / len(real))
                    listed_share.append(len(shown) / frames)
    return {
        "noise_recall": float(np.mean(recall)) if recall else None,
        "noise_listed_share": float(np.mean(listed_share)) if listed_share else None,
    }
