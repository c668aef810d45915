"""Which frames of a video with known tracks get a picture."""

from __future__ import annotations

import numpy as np

from ml_backend.export.box_frames import Figures, FrameChoice, choose
from ml_backend.objects.boxes import Track
from sampling.candidates import Candidates

EVERYTHING = FrameChoice(good_only=False, near=0)


def track(frames: range, left: float = 0.1, speed: float = 0.0, number: int = 1) -> Track:
    boxes = np.array([[left + speed * at, 0.4, 0.1, 0.1] for at in frames], np.float32)
    return Track(number, np.array(frames, np.int64), boxes, np.ones(len(boxes), np.float32), 0.9, "object")


def figures(count: int, hashes: list[int] | None = None) -> Candidates:
    known = np.array(hashes if hashes is not None else [0] * count, np.uint64)
    return Candidates(np.arange(count, dtype=np.int64), known, *(np.full(count, each) for each in (50.0, 90.0, 6.0)))


def test_every_so_many_th_frame_is_taken() -> None:
    chosen = choose([], figures(30), 5, 7, EVERYTHING)
    assert chosen.frames.tolist() == [0, 7, 14, 21, 28]
    assert (chosen.considered, chosen.left_out) == (5, {})


def test_key_frames_are_taken_where_the_detector_looked() -> None:
    way = np.concatenate([np.linspace(0.1, 0.5, 52), np.linspace(0.5, 0.1, 49)])
    boxes = np.stack([way, np.full(101, 0.4), np.full(101, 0.1), np.full(101, 0.1)], axis=1).astype(np.float32)
    there = Track(1, np.arange(101), boxes, np.ones(101, np.float32), 0.9)
    chosen = choose([there], figures(101), 5, 1, FrameChoice(key_frames=True, good_only=False, near=0))
    assert chosen.frames.tolist() == [0, 50, 100]
    assert choose([], figures(101), 5, 1, FrameChoice(key_frames=True)).frames.tolist() == []


def test_the_same_picture_is_a_near_duplicate_only_with_its_boxes_at_the_same_places() -> None:
    still, moving = track(range(20)), track(range(20), speed=0.02)
    choice = FrameChoice(good_only=False, near=4)
    assert choose([still], figures(20), 5, 5, choice).frames.tolist() == [0]
    assert choose([still], figures(20), 5, 5, choice).left_out == {"near-duplicate": 3}
    assert choose([moving], figures(20), 5, 5, choice).frames.tolist() == [0, 5, 10, 15]


def test_another_picture_is_none() -> None:
    other = [0] * 10 + [0b1111] * 5 + [0b111] * 5
    chosen = choose([track(range(20))], figures(20, other), 5, 5, FrameChoice(good_only=False, near=4))
    assert chosen.frames.tolist() == [0, 10]


def test_one_who_comes_in_makes_another_picture_and_who_comes_back_none() -> None:
    tracks = [track(range(20)), track(range(5, 10), 0.6, number=2)]
    assert choose(tracks, figures(20), 5, 5, FrameChoice(good_only=False)).frames.tolist() == [0, 5]


def test_frames_without_boxes_are_left_out_when_asked() -> None:
    choice = FrameChoice(good_only=False, near=0, boxed_only=True)
    chosen = choose([track(range(8, 12))], figures(20), 5, 5, choice)
    assert chosen.frames.tolist() == [10]
    assert chosen.left_out == {"without boxes": 3}
    assert choose([], figures(20), 5, 5, choice).frames.tolist() == []


def test_a_blurred_stretch_is_seen_though_all_frames_around_are_wanted() -> None:
    rng = np.random.default_rng(1)
    sharp = rng.uniform(48, 52, 200)
    sharp[100:110] = 5
    known = Candidates(
        np.arange(200), rng.integers(0, 1 << 60, 200).astype(np.uint64), sharp, np.full(200, 90.0), np.full(200, 6.0)
    )
    chosen = choose([], known, 5, 1, FrameChoice(near=0))
    assert not set(range(100, 108)) & set(chosen.frames.tolist())
    assert len(chosen.frames) >= 185
    assert set(chosen.left_out) == {"blurred"}


def test_who_stands_still_between_two_pictures_is_not_left_out_for_it() -> None:
    """Frame 10 is like frame 5, which is not wanted."""
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 1 << 60, 40).astype(np.uint64)
    hashes[10] = hashes[5]
    sharp, light, detail = rng.uniform(48, 52, 40), rng.uniform(88, 92, 40), rng.uniform(5, 6, 40)
    for figure in (sharp, light, detail):
        figure[10] = figure[5]
    chosen = choose([], Candidates(np.arange(40), hashes, sharp, light, detail), 5, 10, FrameChoice())
    assert chosen.frames.tolist() == [0, 10, 20, 30]


def test_nothing_seen_is_nothing_chosen() -> None:
    chosen = choose([], Figures().finish(), 5, 5, FrameChoice())
    assert chosen.frames.tolist() == []
