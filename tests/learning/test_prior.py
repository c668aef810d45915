"""Label names are a prior for Cold: they help while few frames are labelled, fade with each, and are stored with the version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.features.blocks import TextView, VideoFeatures
from ml_backend.features.prompts import Prompts
from ml_backend.learning.cold import Head, LabelledVideo, fit_cold
from ml_backend.learning.head import LEAST_WEIGHT, prior_for
from ml_backend.learning.versions import load_version, save_version

LABELS = ("cat", "dog")
PROMPTS = Prompts("a text model", LABELS, np.eye(3, 4, dtype=np.float32), 5.0)
TRUTH = [0] * 20 + [1] * 20 + [2] * 20


def seen(features: VideoFeatures, truth: Sequence[int], model: str = "a text model") -> VideoFeatures:
    """The video as a text model sees it that every fifth frame looks like the words of its label to."""
    frames = np.arange(0, len(truth), 5)
    rows = np.eye(3, 4, dtype=np.float16)[np.asarray(truth)[frames]]
    return replace(features, text=TextView(model, frames, rows))


def lesson(frames: Sequence[int] = (3, 23, 43), truth: Sequence[int] = TRUTH) -> LabelledVideo:
    return LabelledVideo(1, video(truth), labelled(truth, frames, LABELS))


def blind(length: int = 60) -> VideoFeatures:
    """A video all of whose frames look the same to the backbone."""
    return video([5] * length, room=9)


def fit(*videos: LabelledVideo, prompts: Prompts | None = PROMPTS, exclusive: bool = True) -> Head:
    return fit_cold(videos or [lesson()], LABELS, exclusive=exclusive, prompts=prompts)


def test_names_tell_what_the_head_cannot() -> None:
    head, truth = fit(), np.array([0] * 30 + [1] * 30)
    without = head.probabilities(blind(), smoothed=False)
    found = head.probabilities(seen(blind(), truth.tolist()), smoothed=False)
    own = found[np.arange(60), truth] - without[np.arange(60), truth]
    assert (own[:25] > 0).all()
    assert (own[35:] > 0).all()


def test_each_label_of_several_is_asked_about_by_itself() -> None:
    videos = [lesson(), LabelledVideo(2, video(TRUTH, seed=1), labelled(TRUTH, (5, 25, 45), LABELS))]
    head = fit(*videos, exclusive=False)
    without = head.probabilities(blind(), smoothed=False)
    found = head.probabilities(seen(blind(), [1] * 60), smoothed=False)
    assert (found[:, 1] > without[:, 1]).all(), "its name fits"
    assert np.allclose(found[:, 0], without[:, 0], atol=1e-6), "its name fits no more than that of nothing"


def test_they_fade_with_the_labelled_frames() -> None:
    weights = []
    for count in (3, 6, 12, 30):
        frames = np.linspace(0, 59, count).round().astype(int).tolist()
        prior = fit(lesson(frames)).prior
        assert prior is not None
        weights.append(prior.weight)
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == pytest.approx(1 / (1 + 3 / 2))
    enough = [lesson(range(60)), lesson(range(60))]
    assert prior_for(enough, LABELS, PROMPTS) is None, "two hundred frames need no names"
    assert weights[-1] > LEAST_WEIGHT


@pytest.mark.parametrize("model", [None, "another"])
def test_without_that_text_model_nothing_changes(model: str | None) -> None:
    features = video(TRUTH, seed=3)
    told = seen(features, TRUTH[::-1], model) if model else features
    np.testing.assert_array_equal(fit().probabilities(told), fit(prompts=None).probabilities(features))


def test_a_head_without_names_does_not_look_at_what_a_text_model_saw() -> None:
    features, head = video(TRUTH, seed=3), fit(prompts=None)
    np.testing.assert_array_equal(head.probabilities(seen(features, TRUTH[::-1])), head.probabilities(features))


def test_labels_of_the_video_itself_count_more_than_names() -> None:
    """The names have everything the wrong way round."""
    features = seen(video(TRUTH, seed=3), [1] * 20 + [0] * 20 + [2] * 20)
    found = fit().probabilities(features, labelled(TRUTH, (2, 22, 42), LABELS))
    answer = np.concatenate([found, 1 - found.sum(axis=1, keepdims=True)], axis=1).argmax(axis=1)
    assert float((answer == TRUTH).mean()) > 0.95


def test_a_label_without_examples_is_still_not_predicted() -> None:
    truth = [0] * 20 + [2] * 20
    head = fit(lesson((3, 23), truth))
    assert head.lacking == ("dog",)
    assert head.probabilities(seen(blind(), [1] * 60))[:, 1].max() < 0.01


def test_names_of_other_labels_are_not_a_prior() -> None:
    assert prior_for([lesson()], LABELS, replace(PROMPTS, labels=("dog", "cat"))) is None


def test_a_version_predicts_the_same_later(tmp_path: Path) -> None:
    head, features = fit(), seen(video(TRUTH, seed=3), TRUTH)
    card = save_version(tmp_path, head, backbone="b")
    again, _ = load_version(tmp_path, card.name)
    assert again.prior is not None
    assert head.prior is not None
    assert (again.prior.weight, again.prior.prompts.model) == (head.prior.weight, "a text model")
    np.testing.assert_array_equal(again.probabilities(features), head.probabilities(features))
    plain = save_version(tmp_path, fit(prompts=None), backbone="b")
    assert load_version(tmp_path, plain.name)[0].prior is None
    assert "prior" not in plain.structure
