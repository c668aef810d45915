"""What a label of tracks looks like is learned from a few of them, and no more is claimed than is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from ml_backend.errors import NotEnoughLabels
from ml_backend.learning.track_labels import LEAST, NETWORK, TrackHead, Tracks, fit_track_head, held_out

LABELS = ("mouse", "vole", "shrew")


def tracks(
    videos: int, apart: float, seed: int = 0, kinds: int = 3, network: bool = True
) -> tuple[Tracks, NDArray[np.intp]]:
    """One track of each kind in each video, and their kinds. `apart`: how much kinds differ, in spreads of individuals."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.arange(kinds), videos).astype(np.intp)
    blocks = {}
    for name, width in (("form", 12), ("looks", 64), *(((NETWORK, 200),) if network else ())):
        # The same kinds in every draw.
        middles = np.random.default_rng(width).normal(0, apart / np.sqrt(width), (kinds, width))
        blocks[name] = (middles[truth] + rng.normal(0, 0.5 / np.sqrt(width), (len(truth), width))).astype(np.float32)
    return Tracks(blocks, np.repeat(np.arange(videos), kinds).astype(np.intp)), truth


def taught(truth: NDArray[np.intp], each: int) -> NDArray[np.intp]:
    """The first of each kind, -1 for the others."""
    classes = np.full(len(truth), -1, np.intp)
    for kind in np.unique(truth):
        at = np.flatnonzero(truth == kind)[:each]
        classes[at] = kind
    return classes


@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize(("each", "right"), [(1, 0.9), (3, 0.95), (10, 0.99)])
def test_a_few_examples_tell_kinds_that_differ(each: int, right: float, network: bool) -> None:
    every, truth = tracks(20, 1.5, network=network)
    head = fit_track_head(every, taught(truth, each), LABELS)
    p = head.probabilities(every)
    assert p.shape == (60, 3)
    assert np.allclose(p.sum(axis=1), 1, atol=1e-4)
    assert (p.argmax(axis=1) == truth).mean() >= right
    # One of each is not believed as ten are.
    sure = p.max(axis=1).mean()
    assert sure < {1: 0.75, 3: 0.95, 10: 1.0}[each]
    assert sure > {1: 0.55, 3: 0.8, 10: 0.9}[each]


def test_labels_that_have_nothing_to_do_with_what_is_seen_are_given_to_nothing() -> None:
    every, truth = tracks(20, 0.0)
    head = fit_track_head(every, taught(truth, 10), LABELS)
    named = head.named(every.at(np.flatnonzero(taught(truth, 10) < 0)))
    assert all(label is None and sure <= LEAST for label, sure in named)


def test_a_label_without_an_example_is_never_given() -> None:
    every, truth = tracks(10, 1.5)
    classes = taught(truth, 3)
    classes[classes == 1] = -1
    head = fit_track_head(every, classes, LABELS)
    assert head.probabilities(every)[:, 1].max() < 1e-6
    assert {label for label, _ in head.named(every)} <= {"mouse", "shrew", None}


def test_one_label_alone_is_not_enough() -> None:
    every, truth = tracks(4, 1.5)
    for classes in (np.full(len(truth), -1, np.intp), np.where(truth == 0, 0, -1).astype(np.intp)):
        with pytest.raises(NotEnoughLabels):
            fit_track_head(every, classes, LABELS)
        assert held_out(every, classes, LABELS) is None


def test_one_track_of_each_of_two_kinds_and_nothing_else() -> None:
    every, truth = tracks(1, 1.5, kinds=2)
    head = fit_track_head(every, truth, LABELS[:2])
    assert head.probabilities(every).argmax(axis=1).tolist() == [0, 1]


def test_held_out_videos_are_the_measure() -> None:
    every, truth = tracks(6, 1.5)
    told = held_out(every, truth, LABELS)
    assert told is not None
    assert (told.tracks, told.videos) == (18, 6)
    assert told.accuracy == told.macro_f1 == 1
    by_lot, other = tracks(6, 0.0)
    told = held_out(by_lot, other, LABELS)
    assert told is not None
    assert told.accuracy < 0.7
    of_one = Tracks(every.blocks, np.zeros(len(every), np.intp))
    assert held_out(of_one, truth, LABELS) is None


def test_what_is_not_known_of_a_track_is_left_out_of_its_answer() -> None:
    every, truth = tracks(10, 1.5)
    rows = [{name: each[at] for name, each in every.blocks.items()} for at in range(len(every))]
    del rows[-1]["looks"], rows[-2][NETWORK]
    # Of another network, and nothing at all.
    rows[-3][NETWORK] = np.ones(7, np.float32)
    rows[-4] = {}
    some = Tracks.of(rows, every.videos.tolist())
    classes = taught(truth, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head = fit_track_head(some, classes, LABELS)
        p = head.probabilities(some)
        assert (p[-3:].argmax(axis=1) == truth[-3:]).all()
        assert p[-4] == pytest.approx(np.full(3, 1 / 3))
        assert head.named(some)[-4][0] is None
        # A video of whose tracks little is known.
        assert head.probabilities(Tracks.of([{"looks": rows[0]["looks"]}], [0])).argmax() == truth[0]
        assert head.named(Tracks.of([{}], [0]))[0][0] is None
        assert head.named(Tracks.of([], [])) == []


def test_a_head_that_was_stored_answers_as_before() -> None:
    every, truth = tracks(8, 1.0)
    head = fit_track_head(every, taught(truth, 4), LABELS, made_by="so")
    again = TrackHead.from_bytes(head.as_bytes())
    assert again.labels == LABELS
    assert again.made_by == "so"
    assert np.allclose(again.probabilities(every), head.probabilities(every), atol=1e-5)
    content = head.as_bytes()
    for broken in (b"", b"PK", content[:100], content[:-50]):
        with pytest.raises(ValueError, match="no head"):
            TrackHead.from_bytes(broken)
