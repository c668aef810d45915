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

from ml_backend.features.embedding import VideoFeatures

Floats = NDArray[np.float32]
View = Literal["raw", "centred", "standardised"]


class Part(NamedTuple):
    blocks: tuple[str, ...]
    view: View
    scale: float = 1.0


class Family(NamedTuple):
    name: str
    parts: tuple[Part, ...]


LAYERS = ("appearance", "middle", "early")

SCENE = Family("scene", (Part(LAYERS, "standardised"), Part(("motion",), "standardised", 0.3)))
LOOK = Family("look", (Part(("appearance",), "raw"), Part(("early",), "standardised")))
SHAPE = Family("shape", (Part(("middle",), "standardised"), Part(("early",), "standardised")))
PLAIN = Family("plain", (Part(("appearance",), "raw"),))
MOVE = Family("move", (Part(("appearance",), "raw"), Part(("motion",), "standardised", 0.5)))
PLACE = Family("place", (Part(("early_grid",), "centred"), Part(("appearance",), "raw")))
TEXTURE = Family("texture", (Part(("early",), "standardised"),))
GRID = Family("grid", (Part(("early_grid",), "centred"),))

BY_NAME = {family.name: family for family in (SCENE, LOOK, SHAPE, PLAIN, MOVE, PLACE, TEXTURE, GRID)}


class Views:
    """The rows of one video, each block seen once however many families share it."""

    def __init__(self, features: VideoFeatures) -> None:
        self._features = features
        self._seen: dict[tuple[str, View], Floats] = {}

    def rows(self, family: Family) -> Floats:
        """(m, d) float32 rows of unit length, one for each embedded frame."""
        parts = []
        for part in family.parts:
            blocks = [self._block(name, part.view) for name in part.blocks if name in self._features.blocks]
            if blocks:
                parts.append(part.scale * unit(np.concatenate(blocks, axis=1)))
        return unit(np.concatenate(parts, axis=1))

    def _block(self, name: str, view: View) -> Floats:
        if (name, view) not in self._seen:
            block = self._features.blocks[name].astype(np.float32)
            if view != "raw":
                block -= block.mean(axis=0)
            if view == "standardised":
                spread = block.std(axis=0)
                # A feature that hardly moves is noise; the floor keeps it from being blown up.
                block /= spread + 1e-3 * float(block.std()) + 1e-8
            self._seen[name, view] = block
        return self._seen[name, view]


def unit(rows: Floats) -> Floats:
    """Rows of length 1; rows of zeros stay."""
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    return np.asarray(rows / np.maximum(length, 1e-9)[:, None], np.float32)
