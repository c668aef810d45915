"""Mean average precision as COCO counts it, held against values that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.learning.average_precision import THRESHOLDS, Boxed, average_precision, best_score

ONE, OTHER = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 30.0, 30.0)


def found(*rows: tuple[tuple[float, ...], float], kind: int = 1) -> Boxed:
    boxes = np.array([box for box, _ in rows], np.float64).reshape(-1, 4)
    return Boxed(boxes, np.full(len(rows), kind), np.array([score for _, score in rows]))


def true(*boxes: tuple[float, ...], kind: int = 1) -> Boxed:
    return Boxed.true(np.array(boxes, np.float64).reshape(-1, 4), np.full(len(boxes), kind))


def test_all_found_is_one_and_nothing_found_is_none() -> None:
    assert average_precision([found((ONE, 0.9))], [true(ONE)]) == pytest.approx(1)
    assert average_precision([found()], [true(ONE)]) == 0
    assert average_precision([found((ONE, 0.9))], [true()]) is None


def test_half_of_them_found_is_51_of_101_points() -> None:
    assert average_precision([found((ONE, 0.9))], [true(ONE, OTHER)], (0.5,)) == pytest.approx(51 / 101)


def test_a_wrong_one_that_is_surer_halves_the_precision_and_one_that_is_less_sure_nothing() -> None:
    surer = found(((50.0, 50.0, 60.0, 60.0), 0.95), (ONE, 0.9))
    assert average_precision([surer], [true(ONE)], (0.5,)) == pytest.approx(0.5)
    less = found(((50.0, 50.0, 60.0, 60.0), 0.1), (ONE, 0.9))
    assert average_precision([less], [true(ONE)], (0.5,)) == pytest.approx(1)


def test_a_second_box_on_one_object_is_wrong() -> None:
    twice = found((ONE, 0.9), (ONE, 0.8), (OTHER, 0.7))
    # Precision 1 up to a recall of a half (51 points), two thirds beyond (50).
    assert average_precision([twice], [true(ONE, OTHER)], (0.5,)) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_overlap_of_six_tenths_counts_at_three_of_the_ten_levels() -> None:
    # 10 x 10 within 10 x 16.6…: an IoU of .6.
    wide = (0.0, 0.0, 10.0, 10 / 0.601)
    assert average_precision([found((wide, 0.9))], [true(ONE)]) == pytest.approx(3 / len(THRESHOLDS))


def test_classes_count_each_for_itself_and_what_is_of_another_one_is_wrong() -> None:
    taken = [found((ONE, 0.9), kind=2)]
    assert average_precision(taken, [true(ONE, kind=1)], (0.5,)) == 0
    assert average_precision([each.of_one_class() for each in taken], [true(ONE, kind=1)], (0.5,)) == pytest.approx(1)
    both = [true(ONE, kind=1), true(OTHER, kind=2)]
    assert average_precision([found((ONE, 0.9)), found()], both, (0.5,)) == pytest.approx(0.5)


def test_pictures_are_ranked_together() -> None:
    # Precision by rank: 0, 1/2, 2/3.
    first, second = found((OTHER, 0.9), (ONE, 0.8)), found((ONE, 0.7))
    value = average_precision([first, second], [true(ONE), true(ONE)], (0.5,))
    assert value == pytest.approx(2 / 3)


def test_the_score_from_which_on_boxes_count_leaves_out_what_is_mostly_wrong() -> None:
    some = found((ONE, 0.6), (OTHER, 0.55), *[((100.0 + 20 * n, 0.0, 110.0 + 20 * n, 10.0), 0.33) for n in range(6)])
    assert 0.33 < best_score([some], [true(ONE, OTHER)], 0.2, 0.7) <= 0.55
