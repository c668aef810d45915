"""A label of a few frames among thousands is learnt like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.ensemble import MAX_NEIGHBOURS, fair_shares
from ml_backend.learning.examples import MAX_ROWS, LabelledVideo, training_examples

LABELS = ("walk", "rear")


def reviewed(truth: np.ndarray, task: int, features_seed: int | None = None) -> LabelledVideo:
    known = replace(labelled(truth, range(len(truth)), LABELS), dense=True, judged=True)
    return LabelledVideo(task, video(truth, seed=task if features_seed is None else features_seed), known)


def test_two_frames_among_thousands_are_predicted() -> None:
    truth = np.zeros(1500, int)
    truth[700:702] = 1
    other = np.zeros(1500, int)
    other[400:402] = 1
    head = fit_blitz([reviewed(truth, 1), reviewed(other, 2)], LABELS, exclusive=True)
    third = np.zeros(1500, int)
    third[1000:1002] = 1
    found = head.probabilities(video(third, seed=3), smoothed=False)
    assert (found[1000:1002].argmax(axis=1) == 1).all()
    assert (found.argmax(axis=1) == third).mean() > 0.99


def test_each_class_has_neighbours() -> None:
    truth = np.zeros(1500, int)
    truth[700:702] = 1
    question = fit_blitz([reviewed(truth, 1), reviewed(truth, 2)], LABELS, exclusive=True).questions[0]
    assert question is not None
    for member in question.members:
        if member.neighbours is not None:
            assert set(member.neighbours.classes.tolist()) == {0, 1}
            assert len(member.neighbours.classes) <= MAX_NEIGHBOURS


def test_short_bouts_in_few_of_many_videos_stay_among_the_examples() -> None:
    videos = []
    for task in range(60):
        truth = np.zeros(300, int)
        if task < 3:
            truth[100:102] = 1
        videos.append(reviewed(truth, task, 0))
    chosen = training_examples(videos)
    assert sum(len(own) for own in chosen) <= MAX_ROWS
    bouts = [own.frames[own.values[:, 1] == 1].tolist() for own in chosen[:3]]
    assert bouts == [[100, 101]] * 3
    # Where the label changes is kept as well, and what a video stands for is what it stood for.
    assert all({99, 102} <= set(own.frames.tolist()) for own in chosen[:3])
    assert sum(float(own.weight.sum()) for own in chosen) == pytest.approx(60 * 300)


def test_room_goes_to_those_that_need_it() -> None:
    assert fair_shares(np.array([2, 1000, 50]), 300).tolist() == [2, 248, 50]
    assert fair_shares(np.array([5, 5]), 300).tolist() == [5, 5]
