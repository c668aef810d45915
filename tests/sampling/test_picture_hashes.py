"""Perceptual hashes of ImageHash and numbers are two forms of the same: whatever takes one takes the other."""

from __future__ import annotations

from itertools import pairwise

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sampling import Candidates, hash_differences, hash_pairs, unique
from sampling.unique import hash_numbers, image_hashes

NUMBERS = st.lists(st.integers(0, 2**64 - 1), max_size=30).map(lambda each: np.array(each, np.uint64))


def phashes(pictures: int) -> list[imagehash.ImageHash]:
    """Of noise, the first of them twice."""
    rng = np.random.default_rng(0)
    drawn = [Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)) for _ in range(pictures - 1)]
    return [imagehash.phash(picture) for picture in (drawn[0], *drawn)]


@given(NUMBERS)
def test_one_form_and_back_is_the_same(numbers: np.ndarray) -> None:
    assert hash_numbers(image_hashes(numbers)).tolist() == numbers.tolist()


@given(NUMBERS)
def test_a_hash_prints_as_its_number_in_sixteen_hexadecimal_digits(numbers: np.ndarray) -> None:
    assert [str(each) for each in image_hashes(numbers)] == [f"{number:016x}" for number in numbers.tolist()]


def test_the_bits_are_in_the_order_in_which_imagehash_prints_them() -> None:
    hashes = phashes(20)
    assert hash_numbers(hashes).tolist() == [int(str(each), 16) for each in hashes]


def test_distances_are_those_of_imagehash() -> None:
    hashes = phashes(20)
    numbers = hash_numbers(hashes)
    differing = [left - right for left, right in pairwise(hashes)]
    assert np.bitwise_count(numbers[1:] ^ numbers[:-1]).tolist() == differing
    np.testing.assert_allclose(hash_differences(hashes), np.array(differing) / 32)


def test_unique_keeps_the_same_frames_of_both() -> None:
    hashes, frames = phashes(20), np.arange(20) * 3
    kept = unique(frames, hashes, 20)
    assert kept.tolist() == unique(frames, hash_numbers(hashes), 20).tolist()
    assert 3 not in kept.tolist()  # the same picture as the one before


def test_copies_are_found_among_both() -> None:
    hashes = phashes(20)
    of_both = [list(hash_pairs(given)) for given in (hashes, hash_numbers(hashes))]
    found = [[(int(a), int(b)) for left, right in each for a, b in zip(left, right, strict=True)] for each in of_both]
    assert found[0] == found[1] == [(0, 1)]


def test_candidates_keep_numbers_of_both() -> None:
    hashes = phashes(3)
    (kept,) = {tuple(Candidates(np.arange(3), hashes=given).hashes) for given in (hashes, hash_numbers(hashes))}
    assert kept == tuple(hash_numbers(hashes))


def test_a_hash_of_another_size_is_refused() -> None:
    larger = imagehash.phash(Image.new("L", (64, 64)), hash_size=16)
    with pytest.raises(ValueError, match="of 256 bits is not one of 64: use hash_size=8"):
        unique(np.arange(1), [larger], 4)


def test_without_any_there_is_nothing() -> None:
    assert hash_numbers([]).shape == (0,)
    assert image_hashes(np.zeros(0, np.uint64)) == []
