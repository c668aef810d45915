"""Frames that differ from the one kept before (Sørensen, *AI Generated Video Annotation*, 2019, Algorithm 2), by perceptual hashes: as
`imagehash` has them, and as numbers, of which millions are compared at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from imagehash import ImageHash, hex_to_hash
from numpy.typing import NDArray

BITS = 64

Hashes = NDArray[np.uint64] | Sequence[ImageHash]


def hash_numbers(hashes: Hashes) -> NDArray[np.uint64]:
    """(n,) uint64, the first bit of each hash the highest. Raises ValueError for hashes of another size than 64 bits."""
    if isinstance(hashes, np.ndarray) and hashes.dtype != object:
        return np.asarray(hashes, np.uint64)
    for each in hashes:
        if each.hash.size != BITS:
            raise ValueError(f"a perceptual hash of {each.hash.size} bits is not one of {BITS}: use hash_size=8")
    bits = np.array([each.hash.ravel() for each in hashes], bool).reshape(-1, BITS)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def image_hashes(hashes: NDArray[np.uint64]) -> list[ImageHash]:
    """The same of (n,) uint64, to be printed, stored, or subtracted from each other."""
    return [hex_to_hash(f"{number:016x}") for number in hashes.tolist()]


def unique(frames: NDArray[np.int64], hashes: Hashes, threshold: int) -> NDArray[np.int64]:
    """Those of `frames` (n,) whose perceptual hash differs from the last kept one's in `threshold` bits or more.

    `hashes`: one per frame, n of ImageHash or (n,) uint64. `threshold`: 1..64 bits of the Hamming distance. The first frame is always kept.
    """
    pairs = zip(frames.tolist(), hash_numbers(hashes).tolist(), strict=True)
    return np.fromiter(unique_stream(pairs, threshold), dtype=np.int64)


def unique_stream(frames: Iterable[tuple[int, int]], threshold: int) -> Iterator[int]:
    """The same for pairs of frame index and hash as they come, holding one hash at a time."""
    if not 1 <= threshold <= BITS:
        raise ValueError(f"a threshold of {threshold} bits is not between 1 and 64")
    kept: int | None = None
    for frame, picture in frames:
        if kept is None or (kept ^ picture).bit_count() >= threshold:
            kept = picture
            yield frame
