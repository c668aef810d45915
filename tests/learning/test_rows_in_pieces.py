"""Rows of a video are the same whichever pieces of it are asked for, by whichever families in turn."""

from __future__ import annotations

import numpy as np
import pytest
from handmade import video

from ml_backend.learning.cold import FAMILIES
from ml_backend.learning.families import Views

TRUTH = np.repeat([0, 1, 0], 20)
STILL = tuple(family for family in FAMILIES if not family.moving)


def test_pieces_are_those_of_the_whole() -> None:
    features = video(TRUTH)
    whole = {family.name: Views(features).rows(family) for family in STILL}
    views = Views(features)
    for at in (slice(0, 25), slice(25, 60), slice(0, 10), np.array([7, 3, 59]), slice(25, 60)):
        for family in STILL:
            assert views.rows(family, at) == pytest.approx(whole[family.name][at], abs=1e-6)


def test_rows_have_the_length_of_one_unless_they_show_nothing() -> None:
    features = video(TRUTH)
    features.blocks["appearance"][5] = 0
    for family in STILL:
        length = np.linalg.norm(Views(features).rows(family), axis=1)
        assert np.delete(length, 5) == pytest.approx(1, abs=1e-5)
        assert length[5] == pytest.approx(0 if family.name == "plain" else 1, abs=1e-5)
