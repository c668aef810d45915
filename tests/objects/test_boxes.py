"""Boxes are shares of the picture; tracks know where an object is and where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.objects.boxes import Track, clipped, covered, in_pixels, in_shares, iou, iou_matrix


def test_overlap_is_what_two_boxes_share() -> None:
    box = np.array([0.0, 0.0, 0.2, 0.2])
    assert iou(box, box) == pytest.approx(1)
    assert iou(box, np.array([0.1, 0.0, 0.2, 0.2])) == pytest.approx(1 / 3)
    assert iou(box, np.array([0.5, 0.5, 0.2, 0.2])) == 0
    assert iou(np.zeros(4), np.zeros(4)) == 0
    assert iou_matrix(box[None], np.zeros((0, 4))).shape == (1, 0)


def test_a_box_inside_another_is_covered() -> None:
    small, large = np.array([[0.1, 0.1, 0.1, 0.1]]), np.array([[0.0, 0.0, 0.5, 0.5]])
    assert covered(small, large)[0, 0] == pytest.approx(1)
    assert covered(large, small)[0, 0] == pytest.approx(0.04)


def test_boxes_are_cut_to_the_picture() -> None:
    cut = clipped(np.array([[-0.1, 0.9, 0.3, 0.3], [1.2, 0.0, 0.5, 0.5]]))
    np.testing.assert_allclose(cut, [[0, 0.9, 0.2, 0.1], [1, 0, 0, 0.5]], atol=1e-6)


def test_pixels_and_shares_are_inverse() -> None:
    pixels = np.array([[10, 20, 30, 40]])
    np.testing.assert_allclose(in_pixels(in_shares(pixels, 640, 360), 640, 360), pixels, rtol=1e-6)


def test_a_track_with_a_gap_has_two_spans() -> None:
    frames = np.array([3, 4, 5, 9, 10])
    boxes = np.tile(np.array([0.1, 0.1, 0.2, 0.2], np.float32), (5, 1))
    track = Track(1, frames, boxes, np.ones(5, np.float32), 0.9)
    assert (track.first, track.last) == (3, 10)
    assert list(track.spans()) == [(0, 3), (3, 5)]
    assert track.box(6) is None
    assert track.box(9) is not None
    assert track.box(11) is None
