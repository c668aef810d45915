"""What takes the place of frames that were left out is unlike all that is shown, the most unlike first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sampling.candidates import unit
from sampling.k_centre import instead

SAME = 0.98


def on_a_quarter_circle(count: int) -> NDArray[np.float32]:
    """(count, 2) rows, each as far from the next; neighbours of 91 have a cosine of .9998."""
    turned = np.linspace(0, np.pi / 2, count)
    return unit(np.stack([np.cos(turned), np.sin(turned)], axis=1))


def test_the_farthest_come_first() -> None:
    rows = on_a_quarter_circle(91)
    assert instead(rows, rows, np.array([0]), 2, SAME).tolist()[0] == 90
    assert 35 <= instead(rows, rows, np.array([0, 90]), 1, SAME)[0] <= 55


def test_none_looks_like_one_that_is_there() -> None:
    rows = on_a_quarter_circle(91)
    kept = np.array([10, 40])
    chosen = instead(rows, rows, kept, 20, SAME)
    shown = rows[np.concatenate([kept, chosen])]
    assert 4 <= len(chosen) < 20
    assert (np.tril(shown @ shown.T, -1) < SAME).all()


def test_nothing_is_chosen_where_all_look_the_same() -> None:
    rows = np.ones((50, 3)) / np.sqrt(3)
    assert not len(instead(np.random.default_rng(0).random((50, 4)), rows, np.array([7]), 5, SAME))


def test_only_what_is_free_is_chosen_and_no_more_than_is_wanted() -> None:
    rows = on_a_quarter_circle(91)
    free = np.arange(91) % 2 == 1
    chosen = instead(rows, rows, np.array([0]), 3, SAME, free)
    assert len(chosen) == 3
    assert (chosen % 2 == 1).all()
    assert not len(instead(rows, rows, np.array([0]), 0, SAME))


def test_rows_without_a_look_are_chosen_once() -> None:
    chosen = instead(np.random.default_rng(0).random((6, 3)), np.zeros((6, 2)), np.array([0]), 10, SAME)
    assert sorted(chosen.tolist()) in ([1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])
    assert len(set(chosen.tolist())) == len(chosen)
