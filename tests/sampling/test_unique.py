"""Frames whose perceptual hash differs from that of the frame kept before."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.unique import unique, unique_stream

HASH = st.integers(0, 2**64 - 1)
THRESHOLD = st.integers(1, 64)


def kept(hashes: list[int], threshold: int) -> list[int]:
    return unique(np.arange(len(hashes)), np.array(hashes, dtype=np.uint64), threshold).tolist()


def differing_bits(one: int, other: int) -> int:
    return bin(one ^ other).count("1")


def dissertation(hashes: list[int], threshold: int) -> list[int]:
    """Algorithm 2 as its code compared: how many of the eight *bytes* differ, against a threshold of eight."""
    found: list[int] = []
    last = None
    for frame, picture in enumerate(hashes):
        ours = picture.to_bytes(8, "big")
        if last is None or sum(a != b for a, b in zip(ours, last, strict=True)) >= threshold:
            found.append(frame)
            last = ours
    return found


def test_the_distance_is_counted_in_bits_from_the_last_kept_frame() -> None:
    assert kept([0b0, 0b1, 0b11, 0b111, 0b1111, 0b11111], 2) == [0, 2, 4]


def test_the_highest_bit_counts_like_any_other() -> None:
    assert kept([0, 2**63, 2**64 - 1], 1) == [0, 1, 2]
    assert kept([0, 2**64 - 1], 64) == [0, 1]
    assert kept([0, 2**64 - 2], 64) == [0]


def test_a_slow_change_is_noticed_once_it_has_added_up() -> None:
    assert kept([2**bits - 1 for bits in range(65)], 10) == [0, 10, 20, 30, 40, 50, 60]


def test_the_dissertations_rule_sees_a_change_only_when_it_touches_every_byte() -> None:
    another_scene = int.from_bytes(b"\x00" + b"\xff" * 7, "big")
    a_trace_everywhere = int.from_bytes(b"\x01" * 8, "big")
    assert differing_bits(0, another_scene) == 56
    assert differing_bits(0, a_trace_everywhere) == 8
    # 56 of 64 bits differ and it keeps nothing; 8 bits differ, one in each byte, and it keeps the frame.
    assert dissertation([0, another_scene], 8) == [0]
    assert dissertation([0, a_trace_everywhere], 8) == [0, 1]
    assert kept([0, another_scene], 10) == [0, 1]
    assert kept([0, a_trace_everywhere], 10) == [0]


@given(HASH, HASH)
def test_what_differs_by_the_dissertations_rule_differs_by_eight_bits_of_ours(one: int, other: int) -> None:
    if dissertation([one, other], 8) == [0, 1]:
        assert kept([one, other], 8) == [0, 1]


@given(st.lists(HASH, min_size=1, max_size=50), THRESHOLD)
def test_the_first_frame_always_stays_and_neighbours_differ_enough(hashes: list[int], threshold: int) -> None:
    frames = kept(hashes, threshold)
    assert frames[0] == 0
    assert frames == sorted(set(frames))
    for before, after in pairwise(frames):
        assert differing_bits(hashes[before], hashes[after]) >= threshold
        for between in range(before + 1, after):
            assert differing_bits(hashes[before], hashes[between]) < threshold


@given(HASH, st.integers(1, 50), THRESHOLD)
def test_of_a_video_that_stands_still_one_frame_stays(picture: int, length: int, threshold: int) -> None:
    assert kept([picture] * length, threshold) == [0]


def test_frame_indices_come_back_not_positions() -> None:
    assert unique(np.array([7, 30, 90]), np.array([0, 0, 255], dtype=np.uint64), 8).tolist() == [7, 90]
    assert list(unique_stream([(7, 0), (30, 0), (90, 255)], 8)) == [7, 90]


def test_without_frames_there_is_nothing_to_keep() -> None:
    assert kept([], 10) == []


@pytest.mark.parametrize("threshold", [-1, 0, 65])
def test_a_threshold_outside_the_64_bits_is_an_error(threshold: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 64"):
        kept([0, 1], threshold)
