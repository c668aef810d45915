"""HDR becomes what ordinary screens show: grey stays grey, what was darker stays darker, paper is light and not white."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.video.color_conversion import Transfer, tone_mapped


def grey(*levels: float) -> np.ndarray:
    return np.repeat(np.array(levels)[:, None], 3, axis=1)


@pytest.mark.parametrize("kind", ["HLG", "PQ"])
def test_grey_stays_grey_from_black_to_white_and_in_order(kind: Transfer) -> None:
    mapped = tone_mapped(grey(*np.linspace(0, 1, 65)), kind)
    assert np.abs(mapped - mapped.mean(axis=1, keepdims=True)).max() < 0.01
    assert (np.diff(mapped[:, 1]) >= 0).all()
    assert mapped[0].max() < 0.01
    assert mapped[-1].min() > 0.98


@pytest.mark.parametrize(("kind", "paper"), [("HLG", 0.75), ("PQ", 0.58)])
def test_the_white_of_paper_is_light_but_leaves_room_for_highlights(kind: Transfer, paper: float) -> None:
    level = float(tone_mapped(grey(paper), kind)[0, 1])
    assert 0.75 < level < 0.92


@pytest.mark.parametrize("kind", ["HLG", "PQ"])
def test_the_brightest_color_stays_the_brightest(kind: Transfer) -> None:
    colors = np.random.default_rng(0).uniform(0.1, 0.7, (200, 3))
    clear = colors[np.sort(colors, axis=1)[:, 2] - np.sort(colors, axis=1)[:, 1] > 0.1]
    assert (tone_mapped(clear, kind).argmax(axis=1) == clear.argmax(axis=1)).all()
