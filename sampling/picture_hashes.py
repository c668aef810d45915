"""Perceptual hashes: as `imagehash` has them, one for each picture, and as numbers, of which millions are compared at once.

Whoever hashes pictures one at a time uses ImageHash and hands over what it gives; the pipeline hashes many in one step and
keeps numbers. Both have the same bits in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

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
