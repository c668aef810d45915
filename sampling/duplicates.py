"""Pictures that are there twice: exact and re-encoded ones by their hash, near ones by their embedding.

A 64-bit perceptual hash finds copies of a picture, at another size or bit rate, and next to nothing else: at distances
that would also take in near-duplicates it takes in everything. Those are a matter of embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sampling.unique import BITS, Hashes, hash_numbers
from sampling.vector_codes import CellIndex

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]

# Bits of 64 in which copies of one picture may differ; see docs/duplicates.md.
COPY_BITS = 4
_CHUNK = 1 << 20


def hash_pairs(hashes: Hashes, bits: int = COPY_BITS) -> Iterator[Pairs]:
    """All pairs of `hashes` (n of ImageHash, or (n,) uint64) that differ in at most `bits` (0 to 15), as positions
    `first` < `second`, in pieces.

    Multi-index hashing (Norouzi, Punjani and Fleet, "Fast exact search in Hamming space with multi-index hashing",
    2014): of bits + 1 disjoint stretches of the hash at least one is equal, so only hashes that share a stretch are
    compared. Equal hashes come as a chain of neighbours, and only the first of them is compared with others, so that a
    picture that stays for hours costs no more than one: what is connected is the same. Raises ValueError.
    """
    if not 0 <= bits < 16:
        raise ValueError(f"{bits} bits are not between 0 and 15")
    every = hash_numbers(hashes)
    order = np.argsort(every, kind="stable")
    sorted_hashes = every[order]
    repeated = sorted_hashes[1:] == sorted_hashes[:-1]
    if repeated.any():
        yield order[:-1][repeated], order[1:][repeated]
    different = order[np.concatenate([[True], ~repeated])] if len(order) else order
    known = every[different]
    edges = np.linspace(0, BITS, bits + 2).astype(np.uint64) if bits else np.array([], np.uint64)
    for low, high in pairwise(edges):
        stretch = (known >> low) & np.uint64((1 << int(high - low)) - 1)
        for left, right in _sharing(stretch):
            close = np.bitwise_count(known[left] ^ known[right]) <= bits
            one, other = different[left[close]], different[right[close]]
            yield np.minimum(one, other), np.maximum(one, other)


def near_pairs(rows: NDArray[np.floating], least: float, seed: int = 0) -> Iterator[Pairs]:
    """Pairs of (n, d) unit `rows` whose cosine is `least` or more, found by a `CellIndex`, `first` < `second`, in pieces."""
    index = CellIndex.build(rows, seed=seed)
    for query, found, _ in index.within(rows, least):
        ahead = query < found
        yield query[ahead], found[ahead]


def groups(count: int, pairs: Iterable[Pairs]) -> NDArray[np.intp]:
    """(count,) for each thing the first one (the lowest position) that a chain of pairs connects it with: itself when none.

    So the number of a group is its representative, whatever the order of the pairs.
    """
    first_of: NDArray[np.intp] = np.arange(count, dtype=np.intp)
    for left, right in _collected(pairs, max(count, _CHUNK)):
        # Joined as they come, so that what is held does not grow with their number.
        graph = coo_matrix((np.ones(len(left), bool), (first_of[left], first_of[right])), shape=(count, count))
        _, numbers = connected_components(graph, directed=False)
        _, firsts = np.unique(numbers, return_index=True)
        first_of = np.asarray(firsts[numbers], np.intp)[first_of]
    return first_of


def _collected(pairs: Iterable[Pairs], enough: int) -> Iterator[Pairs]:
    """The same pairs in pieces of about `enough`."""
    held: list[Pairs] = []
    number = 0
    for piece in pairs:
        held.append(piece)
        number += len(piece[0])
        if number >= enough:
            yield np.concatenate([left for left, _ in held]), np.concatenate([right for _, right in held])
            held, number = [], 0
    if number:
        yield np.concatenate([left for left, _ in held]), np.concatenate([right for _, right in held])


def _sharing(values: NDArray[np.uint64]) -> Iterator[Pairs]:
    """All pairs of positions whose values are equal, in pieces of bounded size."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(ranked) else np.zeros(0, int)
    sizes = np.diff(np.concatenate([starts, [len(ranked)]]))
    last = np.repeat(starts + sizes, sizes)
    # Each is paired with those after it in its bucket.
    partners = last - np.arange(len(ranked)) - 1
    begin = 0
    reach = np.cumsum(partners)
    while begin < len(ranked):
        done = reach[begin - 1] if begin else 0
        end = max(int(np.searchsorted(reach, done + _CHUNK, side="right")), begin + 1)
        number = partners[begin:end]
        left = np.repeat(np.arange(begin, end), number)
        step = np.arange(len(left)) - np.repeat(np.cumsum(number) - number, number) + 1
        yield order[left], order[left + step]
        begin = end
