"""What is the same picture, be it encoded again: found without comparing every two, the same in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sampling.duplicates import groups, hash_pairs, near_pairs
from sampling.vector_codes import CellIndex, as_bytes, from_bytes, projected


def hashes(count: int, seed: int = 0) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


def flipped(one: np.uint64, *bits: int) -> np.uint64:
    return np.uint64(int(one) ^ sum(1 << int(bit) for bit in bits))


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def scenes(count: int, each: int, spread: float, seed: int = 0) -> NDArray[np.float32]:
    """Unit rows as those of videos: pictures around scenes."""
    rng = np.random.default_rng(seed)
    return unit(np.repeat(rng.normal(0, 1, (count, 128)), each, axis=0) + rng.normal(0, spread, (count * each, 128)))


def as_set(pairs) -> set[tuple[int, int]]:  # type: ignore[no-untyped-def]
    return {(int(a), int(b)) for left, right in pairs for a, b in zip(left, right, strict=True)}


class TestHashes:
    @pytest.mark.parametrize("bits", [0, 1, 4, 7])
    def test_all_pairs_within_the_distance_are_found_and_no_others(self, bits: int) -> None:
        rng = np.random.default_rng(1)
        known = hashes(200)
        near = np.array(
            [flipped(one, *rng.choice(64, 1 + place % 9, replace=False)) for place, one in enumerate(known)]
        )
        every = np.concatenate([known, near])
        distance = np.bitwise_count(every[:, None] ^ every[None, :])
        left, right = np.nonzero(np.triu(distance <= bits, 1))
        assert as_set(hash_pairs(every, bits)) == set(zip(left.tolist(), right.tolist(), strict=True))

    def test_a_picture_that_stays_costs_as_much_as_one(self) -> None:
        still = np.concatenate([np.full(50_000, 7, np.uint64), [np.uint64(6)], hashes(100)])
        found = list(hash_pairs(still))
        assert sum(len(left) for left, _ in found) < 51_000
        assert np.unique(groups(len(still), found)[:50_001]).tolist() == [0]

    @pytest.mark.parametrize("bits", [-1, 16])
    def test_distances_at_which_everything_is_alike_are_refused(self, bits: int) -> None:
        with pytest.raises(ValueError, match="between 0 and 15"):
            list(hash_pairs(hashes(3), bits))

    def test_of_nothing_and_of_one_there_is_no_pair(self) -> None:
        assert not as_set(hash_pairs(hashes(0)))
        assert not as_set(hash_pairs(hashes(1)))


class TestGroups:
    def test_chains_are_one_group_named_by_its_first(self) -> None:
        pairs = [(np.array([1, 5]), np.array([3, 6])), (np.array([3]), np.array([5]))]
        assert groups(8, pairs).tolist() == [0, 1, 2, 1, 4, 1, 1, 7]

    def test_the_order_of_pairs_does_not_matter(self) -> None:
        rng = np.random.default_rng(0)
        left, right = rng.integers(0, 300, (2, 200))
        forward = groups(300, [(left, right)])
        pieces = [(right[at : at + 7][::-1], left[at : at + 7][::-1]) for at in range(0, 200, 7)][::-1]
        assert (groups(300, pieces) == forward).all()
        assert all(first == forward[first] <= position for position, first in enumerate(forward))


class TestIndex:
    @pytest.mark.parametrize("least", [0.9, 0.98])
    def test_no_neighbour_is_missed(self, least: float) -> None:
        rows = scenes(60, 20, 0.15)
        cosine = rows @ rows.T
        sure = set(zip(*(side.tolist() for side in np.nonzero(np.triu(cosine >= least + 0.003, 1))), strict=True))
        maybe = set(zip(*(side.tolist() for side in np.nonzero(np.triu(cosine >= least - 0.003, 1))), strict=True))
        found = as_set(near_pairs(rows, least))
        assert sure
        assert sure <= found <= maybe

    def test_it_is_asked_about_others_than_its_own(self) -> None:
        rows = scenes(40, 10, 0.3)
        index = CellIndex.build(rows)
        asked = unit(rows[[5, 250]] + np.random.default_rng(2).normal(0, 0.001, (2, 128)))
        found = [
            (int(q), int(p)) for query, place, _ in index.within(asked, 0.99) for q, p in zip(query, place, strict=True)
        ]
        assert sorted(found) == [(0, 5), (1, 250)]

    def test_an_empty_one_finds_nothing(self) -> None:
        empty = np.zeros((0, 128), np.float32)
        assert not list(CellIndex.build(empty).within(scenes(1, 2, 0.1), 0.5))
        assert not as_set(near_pairs(empty, 0.9))

    def test_a_byte_for_each_number_is_enough(self) -> None:
        rows = scenes(30, 10, 0.5)
        again = unit(from_bytes(*as_bytes(rows)))
        assert np.einsum("nd,nd->n", rows, again).min() > 0.9995

    def test_projections_keep_what_is_alike(self) -> None:
        rows = unit(np.abs(np.random.default_rng(0).normal(0, 1, (300, 1280))))
        near = unit(rows + np.random.default_rng(1).normal(0, 0.002, rows.shape))
        cosine = np.einsum("nd,nd->n", projected(rows, 128), projected(near, 128))
        assert abs(float(cosine.mean()) - float(np.einsum("nd,nd->n", rows, near).mean())) < 0.001
