"""Objects of real videos are followed through them: each is one track, in the frames and at the places where it was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from filming import Filming
from numpy.typing import NDArray

from benchmarks.objects.scenes import Filmed, Scene
from benchmarks.objects.scores import tracking_scores
from ml_backend.errors import CustomModelError
from ml_backend.objects.boxes import Detections, Track, iou
from ml_backend.objects.detector import Limits
from ml_backend.objects.finder import TrackFinder, find_tracks
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.separation import Inmate, share_out, take_apart
from ml_backend.objects.tracker import Tracker
from ml_backend.video.decode import decode
from ml_backend.video.timeline import read_timeline

CROSSING = Scene("two_crossing", 2, 8.0, crossing=True, seed=2)
BACK = Scene("comes_back", 2, 9.0, away=(2.5, 5.5), seed=7)


def found_in(filmed: Filmed, limits: Limits | None = None) -> list[Track]:
    return find_tracks(filmed.path, read_timeline(filmed.path), MotionDetector(), limits or Limits())


def test_two_that_cross_are_two_tracks_of_their_own(filming: Filming) -> None:
    filmed = filming(CROSSING)
    tracks = found_in(filmed)
    scores = tracking_scores(filmed.truth, tracks, filmed.frames)
    assert [track.number for track in tracks] == [1, 2]
    assert scores["id_switches"] == 0
    assert scores["hota"] >= 0.85
    assert scores["idf1"] >= 0.95


def test_who_leaves_and_comes_back_is_the_same_with_a_gap(filming: Filming) -> None:
    filmed = filming(BACK)
    tracks = found_in(filmed)
    assert len(tracks) == 2
    assert max(len(list(track.spans())) for track in tracks) == 2
    assert tracking_scores(filmed.truth, tracks, filmed.frames)["idf1"] >= 0.9


def test_the_same_video_has_the_same_tracks_again(filming: Filming) -> None:
    one, other = found_in(filming(CROSSING)), found_in(filming(CROSSING))
    assert [track.number for track in one] == [track.number for track in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        np.testing.assert_array_equal(a.boxes, b.boxes)


def test_a_decode_that_others_use_too_gives_the_same(filming: Filming) -> None:
    filmed = filming(CROSSING)
    timeline = read_timeline(filmed.path)
    with TrackFinder(timeline, MotionDetector()) as finder:
        indices = [picture.index for picture in decode(filmed.path, timeline, beside=finder.see)]
        tracks = finder.finish()
    assert indices == list(range(filmed.frames))
    assert tracking_scores(filmed.truth, tracks, filmed.frames)["idf1"] >= 0.95


def test_the_surest_tracks_are_kept_and_numbered_from_one(filming: Filming) -> None:
    filmed = filming(CROSSING)
    every = found_in(filmed)
    (kept,) = found_in(filmed, Limits(most_tracks=1))
    assert kept.number == 1
    assert kept.score == max(track.score for track in every)


def test_labels_are_those_of_the_project(filming: Filming) -> None:
    tracks = found_in(filming(CROSSING), Limits(labels={"object": "mouse"}))
    assert {track.label for track in tracks} == {"mouse"}
    assert found_in(filming(CROSSING), Limits(labels={"cat": "Katze"})) == []


def test_a_video_in_which_nothing_moves_has_no_tracks(tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    picture = np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for _ in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert find_tracks(path, read_timeline(path), MotionDetector()) == []


class Failing:
    side, batch, rate, names = 160, 8, 5.0, ("cat",)

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        box = np.full((len(pictures), 1, 4), np.nan, np.float32)
        return [Detections(each, np.ones(1, np.float32), ("cat",)) for each in box]


def test_what_the_detector_gets_wrong_reaches_the_caller(filming: Filming) -> None:
    filmed = filming(CROSSING)
    with pytest.raises(CustomModelError, match="not numbers"):
        find_tracks(filmed.path, read_timeline(filmed.path), Failing())


def walking(frames: range, start: float, speed: float) -> dict[int, NDArray[np.float32]]:
    return {at: np.array([start + speed * at, 0.4, 0.1, 0.1], np.float32) for at in frames}


def pieces_of(*ways: dict[int, NDArray[np.float32]], names: Sequence[str] = ("cat",)) -> list[list[int]]:
    tracker = Tracker(5.0)
    for frame in sorted({frame for way in ways for frame in way}):
        there = [(way[frame], names[at % len(names)]) for at, way in enumerate(ways) if frame in way]
        boxes = np.array([box for box, _ in there], np.float32).reshape(-1, 4)
        tracker.update(frame, Detections(boxes, np.ones(len(boxes), np.float32), tuple(name for _, name in there)))
    return [piece.frames for piece in tracker.finish()]


def test_a_detection_that_is_missing_now_and_then_does_not_end_a_piece() -> None:
    way = walking(range(40), 0.1, 0.01)
    for frame in (7, 15, 16, 30):
        del way[frame]
    assert pieces_of(way) == [sorted(way)]


def test_specks_are_no_pieces() -> None:
    assert pieces_of(walking(range(2), 0.1, 0.01)) == []


def test_other_class_names_are_other_objects() -> None:
    near = walking(range(10), 0.1, 0.0)
    assert len(pieces_of(near, {at: box + np.float32(0.01) for at, box in near.items()}, names=("cat", "dog"))) == 2


def test_each_side_of_a_shared_box_belongs_to_who_is_nearest() -> None:
    box = np.array([0.2, 0.2, 0.3, 0.2])
    expected = np.array([[0.22, 0.2, 0.15, 0.15], [0.38, 0.24, 0.15, 0.15]])
    left, right = share_out(box, expected)
    assert left[0] == pytest.approx(0.2)
    assert right[0] + right[2] == pytest.approx(0.5)
    assert left[1] == pytest.approx(0.2)
    assert right[1] + right[3] == pytest.approx(0.4)


def test_pixels_tell_whose_part_of_a_box_is_whose() -> None:
    shades = np.full((20, 30), 1, np.uint8)
    shades[:, 14:] = 2
    looks = np.eye(64, dtype=np.float32)
    box = np.array([0.2, 0.2, 0.3, 0.2])
    one = Inmate(np.array([0.22, 0.2, 0.15, 0.2]), looks[1])
    other = Inmate(np.array([0.33, 0.2, 0.15, 0.2]), looks[2])
    hidden = Inmate(np.array([0.3, 0.2, 0.15, 0.2]), looks[3])
    first, second, third = take_apart(box, shades, [one, other, hidden])
    assert first is not None
    assert second is not None
    assert third is None
    assert iou(first.box, np.array([0.2, 0.2, 0.14, 0.2])) > 0.9
    assert iou(second.box, np.array([0.34, 0.2, 0.16, 0.2])) > 0.9


def test_a_track_under_another_label_is_the_same_otherwise() -> None:
    track = Track(1, np.arange(3), np.zeros((3, 4), np.float32), np.ones(3, np.float32), 0.5)
    assert track.labeled("cat").label == "cat"
    assert replace(track, label="cat").frames is track.labeled("cat").frames
