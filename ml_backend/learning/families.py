"""Feature families: ways to turn a video's embeddings into rows that a linear head can separate.

A part of a row is some blocks of `VideoFeatures`, either *raw* (what is constant in a video stays visible: clothing, the
room) or seen against the video's own frames, *centred* (its mean subtracted) or *standardised* (and divided by its
standard deviation), which is what carries over from one video to another. Each part is scaled to unit length, so that
no part wins by its number of features, and then weighted.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.blocks import VideoFeatures
from sampling.unit import unit

Floats = NDArray[np.float32]
View = Literal["raw", "centred", "standardised"]


class Part(NamedTuple):
    blocks: tuple[str, ...]
    view: View
    scale: float = 1.0


class Family(NamedTuple):
    name: str
    parts: tuple[Part, ...]


# Rows are made and used in pieces of this many, which stay in the processor's cache.
CHUNK = 512

LAYERS = ("appearance", "middle", "early")

SCENE = Family("scene", (Part(LAYERS, "standardised"), Part(("motion",), "standardised", 0.3)))
APPEARANCE = Family("appearance", (Part(("appearance",), "raw"), Part(("early",), "standardised")))
SHAPE = Family("shape", (Part(("middle",), "standardised"), Part(("early",), "standardised")))


class Views:
    """The rows of one video; what is constant in it is measured once."""

    def __init__(self, features: VideoFeatures) -> None:
        self._features = features
        self._measured: dict[str, tuple[Floats, Floats]] = {}
        # Frames are embedded more densely where the picture moves; each counts for the frames around it.
        shown = np.gradient(features.frames.astype(np.float64)) if len(features.frames) > 1 else np.ones(1)
        self._share = (shown / shown.sum()).astype(np.float32)

    def __len__(self) -> int:
        return len(self._features.frames)

    def rows(self, family: Family, at: slice | NDArray[np.int64] = slice(None)) -> Floats:
        """(k, d) float32 rows of unit length, for the embedded frames at positions `at`."""
        parts = []
        for part in family.parts:
            blocks = [self._block(name, part.view, at) for name in part.blocks]
            rows = unit(blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1))
            parts.append(rows if part.scale == 1 else rows * np.float32(part.scale))
        return parts[0] if len(parts) == 1 else unit(np.concatenate(parts, axis=1))

    def _block(self, name: str, view: View, at: slice | NDArray[np.int64]) -> Floats:
        block = self._features.blocks[name][at].astype(np.float32)
        if view == "raw":
            return block
        mean, spread = self._mean_and_spread(name)
        block -= mean
        if view == "standardised":
            block *= 1 / spread
        return block

    def _mean_and_spread(self, name: str) -> tuple[Floats, Floats]:
        if name not in self._measured:
            block = self._features.blocks[name]
            mean, squares = np.zeros(block.shape[1]), np.zeros(block.shape[1])
            for start in range(0, len(block), CHUNK):
                rows = block[start : start + CHUNK].astype(np.float32)
                share = self._share[start : start + CHUNK]
                mean += share @ rows
                squares += np.einsum("n,nd,nd->d", share, rows, rows)
            spread = np.sqrt(np.maximum(squares - mean**2, 0))
            # A feature that hardly moves is noise; the floor keeps it from being blown up.
            floor = 1e-3 * float(np.sqrt((spread**2).mean())) + 1e-8
            self._measured[name] = (mean.astype(np.float32), (spread + floor).astype(np.float32))
        return self._measured[name]


def scene_rows(features: VideoFeatures) -> Floats:
    """(m, d) what to choose frames to label by: everything that Cold sees, movement included."""
    return Views(features).rows(SCENE)
