"""Tracks that are probably wrong: each fault is put into good tracks, which themselves are not blamed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.objects.scenes import HEIGHT, RATE, WIDTH, Scene, film
from ml_backend.geometry.faults import faults_of
from ml_backend.geometry.trajectory import Trajectory
from ml_backend.objects.finder import find_tracks
from ml_backend.objects.keyframes import draw, thin
from ml_backend.objects.motion import MotionDetector
from ml_backend.video.timeline import read_timeline

FRAMES, ASPECT = 500, 16 / 9


def walker(seed: int, *, side: float = 8.0, frames: int = FRAMES, rate: float = 25.0) -> Trajectory:
    """Wanders about for 20 seconds, up to two of its lengths a second, in a box that trembles by 2 % and breathes by 10 %."""
    rng = np.random.default_rng(seed)
    at = np.arange(frames) / rate
    periods, phases = rng.uniform(8, 15, 4), rng.uniform(0, 6, 4)
    turns = np.sin(2 * np.pi * at[:, None] / periods + phases)
    centers = np.column_stack([50 + 25 * turns[:, 0] + 10 * turns[:, 1], 28 + 12 * turns[:, 2] + 6 * turns[:, 3]])
    sides = side * (1 + 0.1 * np.sin(at)[:, None] + rng.normal(0, 0.01, (frames, 2)))
    boxes = np.column_stack([centers - sides / 2 + rng.normal(0, 0.02 * side, (frames, 2)), sides])
    boxes[:, [1, 3]] *= ASPECT
    return Trajectory.of(f"mouse {seed}", np.arange(1, frames + 1), boxes, rate, ASPECT)


def kinds(*tracks: Trajectory, frames: int = FRAMES) -> list[str]:
    return [fault.kind for fault in faults_of(tracks, frames)]


def exchanged(one: Trajectory, other: Trajectory, at: int) -> tuple[Trajectory, Trajectory]:
    """From a position on, each has the boxes of the other."""
    return (
        replace(one, boxes=np.concatenate([one.boxes[:at], other.boxes[at:]])),
        replace(other, boxes=np.concatenate([other.boxes[:at], one.boxes[at:]])),
    )


def test_good_tracks_are_not_blamed_whatever_their_size_and_frame_rate() -> None:
    for seed in range(0, 60, 3):
        assert kinds(*(walker(seed + n, side=6 + 2 * n) for n in range(3))) == []
    # Two lengths a second, seen twice a second, are a long way from frame to frame.
    slow = [walker(seed, frames=40, rate=2.0) for seed in range(12)]
    assert [kinds(each, frames=40) for each in slow] == [[]] * 12


@pytest.mark.parametrize("lengths", [1.5, 3.0, 6.0])
def test_a_jump(lengths: float) -> None:
    good = walker(1)
    boxes = good.boxes.copy()
    boxes[300:, 0] += lengths * good.length
    [fault] = faults_of([replace(good, boxes=boxes), walker(2)], FRAMES)
    assert (fault.kind, fault.tracks, fault.start, fault.end) == ("jump", ("mouse 1",), 300, 301)
    assert fault.sentence.startswith("It jumps by ")


def test_a_jump_behind_a_gap_but_not_a_way_that_it_can_have_gone() -> None:
    good = walker(1)
    seen = np.r_[0:200, 225:FRAMES]
    gone = replace(good, frames=good.frames[seen], boxes=good.boxes[seen])
    assert kinds(gone) == []
    boxes = gone.boxes.copy()
    boxes[200:, 0] += 0.6
    [fault] = faults_of([replace(gone, boxes=boxes)], FRAMES)
    assert (fault.kind, fault.start, fault.end) == ("jump", 200, 226)


def test_two_of_different_size_that_were_exchanged_where_they_met() -> None:
    found = 0
    for seed in range(10):
        big, small = walker(seed, side=12), walker(seed + 100, side=6)
        # They meet at frame 250.
        shift = big.centers[250] - small.centers[250]
        small = replace(small, boxes=small.boxes + np.r_[shift, 0, 0])
        assert "switch" not in kinds(big, small)
        faults = faults_of(exchanged(big, small, 250), FRAMES)
        found += any(fault.kind == "switch" and fault.start <= 251 <= fault.end for fault in faults)
    assert found >= 9


def test_two_boxes_on_one_object() -> None:
    one = walker(1)
    later = replace(one, name="mouse 2", frames=one.frames[200:300], boxes=one.boxes[200:300] * (1, 1, 0.95, 1.05))
    [fault] = faults_of([one, later], FRAMES)
    assert (fault.kind, fault.tracks, fault.start, fault.end) == ("double", ("mouse 1", "mouse 2"), 201, 300)
    short = replace(later, frames=later.frames[:25], boxes=later.boxes[:25])
    assert kinds(one, short) == [], "they may lie on each other for a second"


def test_what_flickers() -> None:
    good = walker(1)
    brief = replace(good, frames=good.frames[100:106], boxes=good.boxes[100:106])
    assert kinds(brief) == ["flicker"]
    pieces = np.concatenate([np.arange(start, start + 5) for start in range(50, 450, 50)])
    assert kinds(replace(good, frames=good.frames[pieces], boxes=good.boxes[pieces])) == ["flicker"]
    comes = replace(good, frames=good.frames[-6:], boxes=good.boxes[-6:])
    assert kinds(comes) == [], "the video ends when it has come"


def test_what_stands_still_for_the_whole_video() -> None:
    good = walker(1)
    rng = np.random.default_rng(1)
    boxes = np.repeat(good.boxes[:1], FRAMES, axis=0) + rng.normal(0, 0.0016, (FRAMES, 4))
    still = replace(good, boxes=boxes)
    assert kinds(still) == ["still"]
    moved = still.boxes.copy()
    moved[400:, 0] += np.linspace(0, good.length, 100)
    assert kinds(replace(still, boxes=moved)) == []


def test_the_worst_comes_first_and_nothing_is_nothing() -> None:
    assert kinds() == []
    good = walker(1)
    boxes = good.boxes.copy()
    boxes[100:200, 0] += 1.2 * good.length
    boxes[300:, 0] += 8 * good.length
    doubts = [fault.doubt for fault in faults_of([replace(good, boxes=boxes)], FRAMES)]
    assert doubts == sorted(doubts, reverse=True)
    assert len(doubts) == 3
    assert 0.5 <= min(doubts) < max(doubts) < 1


def test_found_tracks_of_a_drawn_scene_are_not_blamed_and_their_exchange_is(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """As Label Studio draws them between key frames."""
    filmed = film(Scene("two_crossing", 2, seconds=8, crossing=True, seed=2), tmp_path_factory.mktemp("scene"))
    tracks = []
    for each in find_tracks(filmed.path, read_timeline(filmed.path), MotionDetector()):
        frames, boxes = draw(thin(each.frames, each.boxes), filmed.frames)
        tracks.append(Trajectory.of(f"{each.number}", frames + 1, 100.0 * boxes, RATE, WIDTH / HEIGHT))
    assert len(tracks) == 2
    assert faults_of(tracks, filmed.frames) == []
    shared = min(len(each) for each in tracks)
    one, other = (replace(each, frames=each.frames[-shared:], boxes=each.boxes[-shared:]) for each in tracks)
    apart = np.linalg.norm(one.centers - other.centers, axis=1)
    swapped = exchanged(one, other, int(np.argmax(apart[:150])))
    assert "jump" in {fault.kind for fault in faults_of(swapped, filmed.frames)}
