"""Cold: what a handful of labelled frames is good for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handmade import labelled, video
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.cold import LabelledVideo, fit_cold
from ml_backend.learning.frame_labels import FrameLabels

LABELS = ("cat", "dog")
TRUTH = np.repeat([0, 1, 0, 1, 0], 40)


def winners(probabilities: np.ndarray) -> np.ndarray:
    none = 1 - probabilities.sum(axis=1, keepdims=True)
    return np.concatenate([probabilities, none], axis=1).argmax(axis=1)


def accuracy(probabilities: np.ndarray, truth: np.ndarray) -> float:
    return float((winners(probabilities) == truth).mean())


@pytest.mark.parametrize("step", [1, 6])
def test_four_labelled_frames_label_the_rest_of_the_video(step: int) -> None:
    features, known = video(TRUTH, step=step), labelled(TRUTH, [10, 50, 90, 130], LABELS)
    head = fit_cold([LabelledVideo(1, features, known)], LABELS)
    probabilities = head.probabilities(features, known)
    assert probabilities.shape == (200, 2)
    assert probabilities.dtype == np.float32
    assert accuracy(probabilities, TRUTH) >= 0.95


def test_labelled_frames_keep_their_label_even_against_the_picture() -> None:
    known = labelled(1 - TRUTH, [20], LABELS)
    others = labelled(TRUTH, [10, 50, 90, 130], LABELS)
    head = fit_cold([LabelledVideo(1, video(TRUTH), others)], LABELS)
    assert winners(head.probabilities(video(TRUTH), known))[20] == 1 - TRUTH[20]


def test_a_video_without_labels_is_predicted_from_the_others_even_in_another_room() -> None:
    learnt = [
        LabelledVideo(n, video(TRUTH, room=n, seed=n), labelled(TRUTH, [10, 50, 90, 130], LABELS)) for n in range(3)
    ]
    turned = np.repeat([1, 0, 1], 50)
    head = fit_cold(learnt, LABELS)
    assert accuracy(head.probabilities(video(turned, room=9, seed=9)), turned) >= 0.95


def test_a_label_that_is_constant_in_each_video_is_predicted_as_well() -> None:
    learnt = []
    for n in range(6):
        scene = np.full(60, n % 2)
        learnt.append(
            LabelledVideo(n, video(np.repeat([2, 3], 30), room=n % 2, seed=n), labelled(scene, [5, 40], LABELS))
        )
    head = fit_cold(learnt, LABELS)
    for room in (0, 1):
        assert accuracy(head.probabilities(video(np.repeat([3, 2], 30), room=room, seed=50)), np.full(60, room)) >= 0.95


def test_frames_with_none_of_the_labels_are_learnt() -> None:
    truth = np.repeat([0, 1, 2, 0], 40)
    known = labelled(truth, [10, 50, 90, 130], LABELS)
    head = fit_cold([LabelledVideo(1, video(truth), known)], LABELS)
    probabilities = head.probabilities(video(truth), known)
    assert accuracy(probabilities, truth) >= 0.95
    assert probabilities[85:115].max() < 0.5


def test_multi_label_projects_answer_each_label_by_itself() -> None:
    both = np.repeat([0, 1, 2, 3], 40)
    values = np.full((160, 2), -1, np.int8)
    for frame, said in {10: (1, 0), 50: (0, 1), 90: (1, 1), 130: (0, 0)}.items():
        values[frame] = said
    known = FrameLabels(LABELS, values, (values[:, 0] >= 0).astype(np.float32))
    head = fit_cold([LabelledVideo(1, video(both), known)], LABELS)
    assert not head.exclusive
    answer = head.probabilities(video(both), known) >= 0.5
    assert (answer[:, 0] == np.isin(both, [0, 2])).mean() >= 0.95
    assert (answer[:, 1] == np.isin(both, [1, 2])).mean() >= 0.95


def test_a_multi_label_project_predicts_the_labels_it_can_and_names_the_others() -> None:
    known = labelled(TRUTH, [10, 50], LABELS)
    known.values[50, 1] = -1
    known.values[10, 1] = -1
    head = fit_cold([LabelledVideo(1, video(TRUTH), known)], LABELS, exclusive=False)
    assert head.lacking == ("dog",)
    assert head.probabilities(video(TRUTH))[:, 1].max() < 1e-4


@pytest.mark.parametrize(
    ("labels", "exclusive", "frames", "said"),
    [
        (LABELS, True, [], "No frame has been labeled"),
        (LABELS, True, [10, 20], "Every labeled frame so far is “cat”. Label at least one frame as “dog” as well."),
        (("cat",), True, [10, 20], "No frame is known to be without “cat”"),
        (LABELS, False, [10], "No frame is known to be without “cat”"),
    ],
)
def test_fewer_than_two_classes_name_what_is_missing(
    labels: tuple[str, ...], exclusive: bool, frames: list[int], said: str
) -> None:
    known = labelled(np.zeros(200, int), frames, labels)
    with pytest.raises(NotEnoughLabels, match=said):
        fit_cold([LabelledVideo(1, video(TRUTH), known)], labels, exclusive=exclusive)


def test_a_project_without_videos_says_that_nothing_is_labelled() -> None:
    with pytest.raises(NotEnoughLabels):
        fit_cold([], LABELS)


def test_labels_of_the_same_video_that_show_a_new_class_do_not_silence_the_others() -> None:
    truth = np.repeat([0, 1, 2], 40)
    names = ("cat", "dog", "cow")
    head = fit_cold([LabelledVideo(1, video(truth), labelled(truth, [10, 50, 90], names))], names)
    known = labelled(truth, [5, 45], names)
    assert accuracy(head.probabilities(video(truth, seed=3), known), truth) >= 0.95


def test_the_same_labels_and_seed_give_the_same_head() -> None:
    learnt = [LabelledVideo(n, video(TRUTH, room=n), labelled(TRUTH, [10, 50], LABELS)) for n in range(4)]
    one, other = (fit_cold(learnt, LABELS, seed=3).probabilities(video(TRUTH)) for _ in range(2))
    assert np.array_equal(one, other)


def test_frame_labels_longer_than_what_decodes_are_cut() -> None:
    known = labelled(np.append(TRUTH, [0] * 9), [10, 50, 205], LABELS)
    head = fit_cold([LabelledVideo(1, video(TRUTH), known)], LABELS)
    assert len(head.probabilities(video(TRUTH), known)) == 200


def test_a_video_of_one_frame_is_predicted() -> None:
    head = fit_cold([LabelledVideo(1, video(TRUTH), labelled(TRUTH, [10, 50], LABELS))], LABELS)
    assert head.probabilities(video([0]), labelled(np.array([0]), [], LABELS)).shape == (1, 2)


def test_pictures_that_are_all_the_same_give_even_odds_rather_than_a_crash() -> None:
    features = video(TRUTH)
    same = replace(features, blocks={name: np.ones_like(block) for name, block in features.blocks.items()})
    head = fit_cold([LabelledVideo(1, same, labelled(TRUTH, [10, 50], LABELS))], LABELS)
    probabilities = head.probabilities(same)
    assert np.isfinite(probabilities).all()
    assert probabilities.mean() == pytest.approx(0.5, abs=0.05)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_whatever_is_labelled_probabilities_are_probabilities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exclusive = bool(rng.integers(2))
    videos = []
    for n in range(rng.integers(1, 5)):
        truth = rng.integers(0, 3, rng.integers(1, 40))
        values = rng.integers(-1, 2, (len(truth), 2)).astype(np.int8)
        if exclusive:
            values[(values == 1).all(axis=1)] = -1
        weight = ((values >= 0).any(axis=1) * rng.random(len(truth))).astype(np.float32)
        features = video(truth, room=n, seed=seed + n, step=int(rng.integers(1, 6)))
        videos.append(LabelledVideo(n, features, FrameLabels(LABELS, values, weight)))
    try:
        head = fit_cold(videos, LABELS, exclusive=exclusive)
    except NotEnoughLabels:
        return
    for each in videos:
        p = head.probabilities(each.features, each.labels)
        assert p.shape == (len(each.features), 2)
        assert np.isfinite(p).all()
        assert p.min() >= 0
        assert (p.sum(axis=1) if exclusive else p.max(axis=1)).max() <= 1 + 1e-5


def test_videos_of_one_frame_each_are_learnt_by_what_they_look_like() -> None:
    learnt = [LabelledVideo(n, video([n % 2], seed=n), labelled([n % 2], [0], LABELS)) for n in range(6)]
    head = fit_cold(learnt, LABELS)
    for truth in (0, 1):
        assert winners(head.probabilities(video([truth], seed=9))).tolist() == [truth]
