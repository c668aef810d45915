"""Where Label Studio shows the box of a track, frame by frame, and what that says of the pictures of a video."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.box_track import KeyFrame, Track, at_pictures, at_studio_frames, upright
from ml_backend.video.timeline import StudioFrame, StudioGrid, Timeline, studio_grid

percents = st.floats(-50, 150)
key_frames = st.builds(
    KeyFrame,
    st.integers(1, 60).map(StudioFrame),
    percents,
    percents,
    percents,
    percents,
    st.floats(-720, 720),
    st.booleans(),
)
tracks = st.lists(key_frames, min_size=1, max_size=8, unique_by=lambda key: key.frame).map(
    lambda keys: Track("t", tuple(sorted(keys, key=lambda key: key.frame)))
)


def key(frame: int, x: float = 10, *, rotation: float = 0, enabled: bool = True) -> KeyFrame:
    return KeyFrame(StudioFrame(frame), x, 20, 30, 40, rotation, enabled)


def grid_of(rate: float, framerate: float, seconds: int = 2) -> StudioGrid:
    pts = np.round(np.arange(seconds * rate) * 90_000 / rate).astype(np.int64)
    return studio_grid(Timeline(pts, Fraction(1, 90_000), Fraction(seconds)), framerate)


def shown(track: Track, frame: int) -> tuple[float, ...] | None:
    """The box at one frame, by the rules of the editor, one key frame after the other."""
    before = [each for each in track.keys if each.frame <= frame]
    if not before or not (before[-1].frame == frame or before[-1].enabled):
        return None
    one = before[-1]
    if one.frame == frame or one is track.keys[-1]:
        return one.x, one.y, one.width, one.height, one.rotation
    other = track.keys[len(before)]
    share = (frame - one.frame) / (other.frame - one.frame)
    moved = [getattr(one, n) + (getattr(other, n) - getattr(one, n)) * share for n in ("x", "y", "width", "height")]
    turn = (other.rotation - one.rotation) % 360
    return (*moved, one.rotation + (turn - 360 if turn > 180 else turn) * share)


class TestBoxes:
    @given(tracks)
    def test_each_frame_has_the_box_that_label_studio_shows(self, track: Track) -> None:
        found = track.boxes(np.arange(1, 65))
        for frame, box in enumerate(found.tolist(), start=1):
            wanted = shown(track, frame)
            if wanted is None:
                assert all(map(math.isnan, box))
                continue
            assert box[:4] == list(wanted[:4])
            assert math.isclose(math.cos(math.radians(box[4] - wanted[4])), 1, abs_tol=1e-9)

    def test_it_moves_evenly_turns_the_shorter_way_and_is_hidden_after_the_last_frame_of_a_stretch(self) -> None:
        track = Track("t", (key(5, 0, rotation=170), key(9, 8, rotation=-170, enabled=False), key(12, 50)))
        found = track.boxes(np.arange(4, 15))
        assert np.isnan(found[[0, 6, 7]]).all()
        assert found[1:6, 0].tolist() == [0, 2, 4, 6, 8]
        assert found[1:6, 4].tolist() == [170, 175, 180, -175, -170]
        assert found[8:, 0].tolist() == [50, 50, 50]

    def test_between_two_frames_it_is_between_their_boxes(self) -> None:
        track = Track("t", (key(2, 0), key(4, 10, enabled=False)))
        assert track.boxes(np.array([1.5, 2.5, 3.75, 4.5]))[:, 0].tolist() == pytest.approx(
            [np.nan, 2.5, 8.75, np.nan], nan_ok=True
        )

    def test_a_key_frame_for_each_of_a_hundred_thousand_frames(self) -> None:
        track = Track("t", tuple(key(frame, frame % 100) for frame in range(1, 100_001)))
        assert (track.boxes(np.arange(1, 100_001))[:, 0] == np.arange(1, 100_001) % 100).all()
        assert track.stretches(StudioFrame(100_000)) == [(1, 100_000)]


class TestStretches:
    @given(tracks, st.integers(1, 70))
    def test_they_are_the_frames_with_a_box(self, track: Track, last: int) -> None:
        with_box = {frame for start, end in track.stretches(StudioFrame(last)) for frame in range(start, end + 1)}
        assert with_box == {frame for frame in range(1, last + 1) if shown(track, frame)}
        starts = [start for start, _ in track.stretches(StudioFrame(last))]
        assert all(start - 1 not in with_box for start in starts), "two that touch are one"

    def test_a_drawn_box_is_shown_to_the_end_and_means_its_frame(self) -> None:
        track = Track("t", (key(7),))
        assert track.stretches(StudioFrame(50)) == [(7, 50)]
        assert track.meant(StudioFrame(50)) == [(7, 7)]

    def test_what_was_meant_ends_with_the_last_key_frame(self) -> None:
        track = Track("t", (key(3), key(9, enabled=False), key(20), key(30)))
        assert track.meant(StudioFrame(50)) == [(3, 9), (20, 30)]
        assert track.meant(StudioFrame(25)) == [(3, 9), (20, 25)]


class TestPictures:
    @pytest.mark.parametrize(("rate", "framerate"), [(25, 25), (10, 30), (30, 10), (29.97, 24), (25, 12.5)])
    def test_what_is_placed_on_every_frame_of_label_studio_is_read_of_the_pictures_that_it_shows(
        self, rate: float, framerate: float
    ) -> None:
        grid = grid_of(rate, framerate)
        dense = np.tile(np.arange(len(grid.timeline), dtype=float)[:, None], (1, 5))
        rows = at_studio_frames(dense, grid)
        assert rows[:, 0].tolist() == grid.shown.tolist(), "0 frames off"
        keys = tuple(KeyFrame(StudioFrame(at), *row) for at, row in enumerate(rows[:, :4].tolist(), start=1))
        found = at_pictures(Track("t", keys), grid)
        assert found[grid.shown, 0].tolist() == grid.shown.tolist()
        last = int(grid.shown[-1])
        assert found[: last + 1, 0] == pytest.approx(np.arange(last + 1)), "those in between lie in between"
        assert np.isnan(found[last + 1 :]).all()

    @pytest.mark.parametrize("frame", [4, 5, 6])
    def test_a_box_drawn_at_any_showing_of_a_picture_is_of_that_picture_alone(self, frame: int) -> None:
        grid = grid_of(10, 30)
        assert grid.shown[3:6].tolist() == [1, 1, 1]
        found = at_pictures(Track("t", (key(frame, 12),)), grid)
        assert np.flatnonzero(~np.isnan(found[:, 0])).tolist() == [1]
        assert found[1].tolist() == [12, 20, 30, 40, 0]

    def test_a_track_that_ends_after_the_video_or_begins_there(self) -> None:
        grid = grid_of(25, 25)
        assert not np.isnan(at_pictures(Track("t", (key(1), key(500, enabled=False))), grid)).any()
        assert np.isnan(at_pictures(Track("t", (key(400), key(500))), grid)).all()


class TestUpright:
    def test_what_lies_outside_the_picture_is_cut_off(self) -> None:
        boxes = np.array(
            [[-10, 90, 30, 30, 0], [10, 20, 30, 40, 0], [120, 10, 10, 10, 0], [5, 5, 0, 9, 0], [np.nan] * 5]
        )
        found = upright(boxes, 16 / 9)
        assert found[:2].tolist() == [[0, 90, 20, 10], [10, 20, 30, 40]]
        assert np.isnan(found[2:]).all()

    def test_a_turned_box_is_turned_on_the_screen_and_not_in_percent(self) -> None:
        # 320 x 90 pixels of 640 x 360, a quarter turn: 90 wide and 320 high, to the left of its corner.
        found = upright(np.array([[50, 5, 50, 25, 90]]), 640 / 360)
        assert found[0] == pytest.approx([50 - 100 * 90 / 640, 5, 100 * 90 / 640, 100 * 320 / 360])
