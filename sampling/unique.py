"""Frames that differ from the one kept before (Sørensen, *AI Generated Video Annotation*, 2019, Algorithm 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sampling.picture_hashes import BITS, Hashes, hash_numbers


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
