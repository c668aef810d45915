"""The pictures of docs/labels.md are drawn from what the code does: each is read, and its meaning compared."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from handmade import annotation, grid, region

from ml_backend.annotation import Annotation, Region
from ml_backend.learning.frame_labels import frame_labels

PAGE = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
LABELS = {"c": "cat", "d": "dog"}
MEANING = {(1, 0): "c", (0, 1): "d", (1, 1): "b", (0, 0): ".", (-1, -1): "?"}
# What each row of an annotation began from; rows of the same number are one annotation.
ROWS = {
    "suggested": 1,
    "answered": 1,
    "dragged": 1,
    "drawn": 2,
    "and": 2,
    "changed": 3,
    "untouched": 3,
    "asked": 3,
    "Ann": 4,
    "Ben": 5,
    "Cem": 6,
    "truth": 7,
}
SAID = {"means", "weight", "reviewed", "default", "shows"}

Picture = dict[str, list[str]]


def pictures() -> list[Picture]:
    blocks = re.findall(r"(?:^    \S.*\n)+", PAGE, re.MULTILINE)
    return [{line.split()[0]: line.split()[1:] for line in block.splitlines()} for block in blocks]


def regions_of(row: str, cells: list[str]) -> list[Region]:
    """Regions of a row: of equal neighbours one, of answered frames one each."""
    runs, at = [], 1
    for cell, run in groupby(cells):
        length = len(list(run))
        single = row in ("answered", "asked")
        runs += [(cell, at + n, at + n) for n in range(length)] if single else [(cell, at, at + length - 1)]
        at += length
    made = []
    for cell, start, end in runs:
        if cell == ".":
            continue
        name = dict.fromkeys(("suggested", "answered", "dragged", "asked"), "kf-")
        name |= dict.fromkeys(("changed", "untouched"), "cold-v3-")
        origin = {"changed": "prediction-changed", "untouched": "prediction"}.get(row, "manual")
        nothing = row == "suggested" or (row == "asked" and cell == "x")
        labels = () if nothing else (LABELS.get(cell, "bird"),)
        made.append(region(start, end, *labels, name=f"{name.get(row, 'hand-')}{start}", origin=origin))  # type: ignore[arg-type]
    return made


def annotations_of(picture: Picture) -> list[Annotation]:
    found: dict[int, list[Region]] = {}
    for row, cells in picture.items():
        if row in ROWS:
            found.setdefault(ROWS[row], []).extend(regions_of(row, cells))
    made = []
    for number, regions in found.items():
        answered = {r.start for r in regions if r.labels}
        # A suggestion that was answered is one region, not two.
        kept = [r for r in regions if r.labels or r.start not in answered]
        # Each of several people looked at the whole video; the picture of ground truth is about its first frames.
        reviewed = True if "reviewed" in picture or 4 <= number <= 6 else None
        made.append(annotation(*kept, number=number, ground_truth=number == 7, reviewed=reviewed))
    return made


@pytest.mark.parametrize("picture", pictures(), ids=lambda picture: " ".join(picture))
def test_the_picture_is_what_the_code_does(picture: Picture) -> None:
    assert set(picture) <= set(ROWS) | SAID
    frames = len(next(cells for row, cells in picture.items() if row in ROWS))
    assert all(len(cells) == frames for row, cells in picture.items() if row in ROWS or row == "shows")
    shown = [int(cell) for cell in picture.get("shows", map(str, range(frames)))]
    default = picture.get("default", [None])[0]
    known = frame_labels(annotations_of(picture), grid(max(shown) + 1, shown), tuple(LABELS.values()), default)
    assert [MEANING[int(cat), int(dog)] for cat, dog in known.values] == picture["means"]
    if "weight" in picture:
        assert known.weight == pytest.approx(np.array([float(Fraction(cell)) for cell in picture["weight"]]), abs=1e-6)


def test_every_rule_has_a_picture() -> None:
    drawn = pictures()
    assert len(drawn) >= 17
    assert set().union(*drawn) == set(ROWS) | SAID
