"""What a strategy chooses among, so that strategies compose: *filter, then spread, then pick*.

A filter leaves out candidates (`sampling.quality.good`), a strategy picks some of them, and spreading makes another
strategy of one (`sampling.shots.per_shot`). The modules' plain functions on arrays remain for those who need no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sampling.picture_hashes import hash_numbers
from sampling.spacing import Frames, indices

_Mask = NDArray[np.bool_] | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """m frames of one video and what is known of them; None is not known.

    `frames`: (m,) int64, ascending frame indices. `hashes`: perceptual hashes, given as (m,) uint64 or m of ImageHash and
    kept as numbers. `sharpness`: (m,) 0 or more, the variance of the Laplacian. `brightness`: (m,) 0..255, the mean grey.
    `entropy`: (m,) 0..8 bits, of the grey values. `embeddings`: (m, d).
    `probabilities`: (m, L) in 0..1 by a model. Raises ValueError when they do not fit together.
    """

    frames: Frames
    hashes: NDArray[np.uint64] | None = None
    sharpness: NDArray[np.floating] | None = None
    brightness: NDArray[np.floating] | None = None
    entropy: NDArray[np.floating] | None = None
    embeddings: NDArray[np.floating] | None = None
    probabilities: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", indices(len(self.frames), self.frames))
        if self.hashes is not None:
            object.__setattr__(self, "hashes", hash_numbers(self.hashes))
        for name, rows in vars(self).items():
            if rows is not None and len(rows) != len(self.frames):
                raise ValueError(f"{len(rows)} {name} do not belong to {len(self.frames)} frames")

    def __len__(self) -> int:
        return len(self.frames)

    def only(self, which: _Mask) -> Candidates:
        """Those of a mask (m,) bool, or at these ascending positions."""
        known: Mapping[str, NDArray[Any] | None] = vars(self)
        return replace(self, **{name: rows[which] for name, rows in known.items() if rows is not None})


# At most so many of the candidates' frame indices, sorted and distinct.
Strategy = Callable[[Candidates, int], Frames]
