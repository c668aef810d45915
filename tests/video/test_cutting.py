"""A long video is cut at key frames, into parts of about equal work, none of them tiny; where it cannot be cut well, into fewer."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered import numbered_video

from ml_backend.video.demux import demux
from ml_backend.video.parts import Part, TimeTable, parts_of, time_table
from ml_backend.video.timeline import Timeline

TEN = 600.0


def table(seconds: float, every: int = 250, rate: int = 25) -> TimeTable:
    """Of so many seconds, with a key frame every so many frames."""
    frames = round(seconds * rate)
    timeline = Timeline(np.arange(frames), Fraction(1, rate), Fraction(frames, rate))
    return TimeTable(timeline, np.arange(0, frames, every))


def lengths(parts: list[Part]) -> list[int]:
    return [len(part) for part in parts]


def test_twelve_hours_are_72_parts_of_ten_minutes() -> None:
    found = table(12 * 3600)
    parts = parts_of(found, TEN)
    assert len(parts) == 72
    assert parts[0].first == 0
    assert parts[-1].stop == len(found.timeline)
    assert all(before.stop == after.first for before, after in itertools.pairwise(parts))
    assert {part.first for part in parts} <= set(found.keys.tolist())
    assert max(lengths(parts)) <= 1.05 * min(lengths(parts))


@pytest.mark.parametrize(("minutes", "parts"), [(9, 1), (10.1, 1), (14.9, 1), (15.5, 2), (21, 2), (26, 3)])
def test_a_video_that_is_a_little_longer_has_no_tiny_last_part(minutes: float, parts: int) -> None:
    found = lengths(parts_of(table(60 * minutes), TEN))
    assert len(found) == parts
    assert min(found) > 0.9 * max(found)


def test_zero_and_a_large_number_are_never() -> None:
    assert len(parts_of(table(12 * 3600), 0)) == len(parts_of(table(12 * 3600), 1e6)) == 1


def test_key_frames_far_apart_make_fewer_parts_and_one_alone_none() -> None:
    assert len(parts_of(table(7200, every=10**9), TEN)) == 1
    # A decoder would begin minutes before each part.
    assert len(parts_of(table(7200, every=25 * 120), TEN)) == 1
    found = table(7200)
    some = TimeTable(found.timeline, found.keys[(found.keys < 50_000) | (found.keys > 130_000)])
    parts = parts_of(some, TEN)
    assert 1 < len(parts) < 12
    assert max(lengths(parts)) > 70_000


def test_where_each_frame_is_a_key_frame_parts_are_even() -> None:
    found = lengths(parts_of(table(7200, every=1), TEN))
    assert len(found) == 12
    assert max(found) - min(found) <= 1


def test_frames_that_last_for_long_are_not_worth_a_part() -> None:
    assert lengths(parts_of(table(24 * 3600, every=1, rate=1), TEN))[0] == 600
    slow = Timeline(np.arange(1000), Fraction(60), Fraction(60_000))
    assert len(parts_of(TimeTable(slow, np.arange(1000)), TEN)) == 3


@pytest.mark.parametrize(
    ("name", "cuts"), [("clip.mp4", True), ("clip.mkv", True), ("clip.ts", False), ("clip.avi", False)]
)
def test_a_file_without_an_index_that_can_be_sought_by_is_not_cut(tmp_path: Path, name: str, cuts: bool) -> None:
    path = numbered_video(tmp_path / name, 120, g="20")
    found = time_table(demux(path))
    assert bool(len(found.keys)) == cuts
    if cuts:
        with av.open(str(path)) as container:
            decoded = sorted((frame.pts, frame.key_frame) for frame in container.decode(video=0))
        assert found.keys.tolist() == [at for at, (_, is_key) in enumerate(decoded) if is_key]


def test_a_key_frame_that_shares_its_time_with_another_is_no_place_to_cut(tmp_path: Path) -> None:
    video = demux(numbered_video(tmp_path / "clip.mp4", 120, g="20"))
    keys = time_table(video).keys
    video.pts[keys[2] + 1] = video.pts[keys[2]]
    assert time_table(video).keys.tolist() == [*keys[:2].tolist(), *keys[3:].tolist()]
