"""One box that a person drew is followed through the video, both ways, until what it holds is lost."""

from __future__ import annotations

import numpy as np
from filming import Filming

from benchmarks.objects.scenes import Scene
from benchmarks.objects.scores import tracking_scores
from ml_backend.objects.boxes import iou
from ml_backend.objects.onebox import followed, of_what_moves, track_from_box
from ml_backend.video.timeline import read_timeline

ALONE = Scene("alone", 1, 6.0, seed=1)
STILL = Scene("leaves", 1, 6.0, away=(3.0, 30.0), seed=7)


def test_a_box_in_the_middle_becomes_the_track_before_and_behind(filming: Filming) -> None:
    filmed = filming(ALONE)
    (truth,) = filmed.truth
    track = track_from_box(filmed.path, read_timeline(filmed.path), 75, truth.boxes[75], label="mouse")
    assert track.label == "mouse"
    assert track.first <= 5
    assert track.last >= filmed.frames - 6
    assert tracking_scores(filmed.truth, [track], filmed.frames)["hota"] >= 0.85
    drawn = track.box(75)
    assert drawn is not None
    assert iou(drawn, truth.boxes[75]) > 0.99


def test_by_its_looks_alone_it_is_followed_too(filming: Filming) -> None:
    filmed = filming(ALONE)
    (truth,) = filmed.truth
    track = followed(filmed.path, read_timeline(filmed.path), 75, truth.boxes[75])
    assert tracking_scores(filmed.truth, [track], filmed.frames)["hota"] >= 0.75
    assert ((track.scores >= 0) & (track.scores <= 1)).all()


def test_who_has_left_the_picture_is_not_followed_any_more(filming: Filming) -> None:
    filmed = filming(STILL)
    (truth,) = filmed.truth
    track = followed(filmed.path, read_timeline(filmed.path), 25, truth.boxes[25])
    assert track.last <= truth.last + 15


def test_a_box_where_nothing_moves_is_no_moving_thing(filming: Filming) -> None:
    assert of_what_moves([], 0, np.array([0.1, 0.1, 0.1, 0.1], np.float32)) is None
