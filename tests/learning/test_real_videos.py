"""What the heads must reach on real labelled videos, where those are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning.cold import suggested
from benchmarks.learning.data import Data, answers, balanced, f1, grouping, read
from benchmarks.learning.honesty import Honesty
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.cold import fit_cold


@pytest.fixture(scope="module")
def data(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Data:
    return read(real_data, tmp_path_factory.mktemp("cache"))


def test_ten_suggested_frames_label_the_rest_of_a_video_and_show_every_class(data: Data) -> None:
    scores, honesty = [], Honesty()
    for name in ("presence", "car"):
        [track] = data.tracks[name]
        for seed in range(3):
            frames = suggested(track, 10, seed)
            assert set(track.truth[frames]) == set(track.truth)
            own = track.labelled(frames)
            p = fit_cold([own], track.classes, exclusive=True).probabilities(track.features, own.labels)
            rest = track.scored.copy()
            rest[frames] = False
            scores.append(f1(track.truth, answers(p), rest))
            honesty.add(name, 10, seed, p, track.truth, rest)
    assert np.mean(scores) >= 0.97
    # Ten answers cannot show that a model is right 99 times in 100: it says less than it is on videos as easy as these.
    assert honesty.report()["ece"]["cold_k10"] <= 0.1


def test_whole_timelines_carry_over_to_people_never_seen(data: Data) -> None:
    tracks = data.tracks["signing"]
    groups = grouping(tracks, data.marks)
    found = []
    for group in sorted(set(groups)):
        taught = [track.labelled() for track, own in zip(tracks, groups, strict=True) if own != group]
        head = fit_blitz(taught, tracks[0].classes, exclusive=True)
        asked = [track for track, own in zip(tracks, groups, strict=True) if own == group]
        said = [answers(head.probabilities(track.features))[track.scored] for track in asked]
        found.append(balanced(np.concatenate([track.truth[track.scored] for track in asked]), np.concatenate(said)))
    assert np.mean(found) >= 0.95
