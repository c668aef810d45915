"""The videos of the tutorials, by the name of each: what a reader makes and what the tests label are the same files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ml_backend.demo.animals import PAIRS, PenClip, make_pens
from ml_backend.demo.clips import Clip
from ml_backend.demo.film import make_films
from ml_backend.demo.signing import make_signs
from ml_backend.demo.traffic import make_roads


def make_pairs(folder: Path) -> list[PenClip]:
    """Two mice in a box that walk and rest."""
    return make_pens(folder, PAIRS)


MAKERS: Mapping[str, Callable[[Path], Sequence[Clip | PenClip]]] = {
    "mice": make_pairs,
    "sign-language": make_signs,
    "traffic": make_roads,
    "film": make_films,
}
