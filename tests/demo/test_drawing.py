"""What is drawn is where its box says, and a picture is the same whether all of it is worked out or what has changed."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.demo.drawing import Blob, Camera, Floats, Limb, Panel, Part, cast_shadow, curve, extent, paint

_RED = (220.0, 60.0, 40.0)


@pytest.mark.parametrize(
    "part",
    [
        Blob((60.3, 40.8), (31, 12), _RED, 0.7),
        Limb((30, 20.5), (80, 60), (9, 4), _RED, fur=1),
        Panel(((20, 20), (90, 30), (70, 70)), _RED, (120, 30, 20)),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_part_fills_its_box_and_nothing_else(part: Part) -> None:
    picture = np.zeros((90, 120, 3), np.float32)
    paint(picture, [part])
    rows, columns = np.nonzero(picture.max(axis=2) > 20)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(seen, part.box, atol=2.1)
    assert extent([part, part]) == pytest.approx(part.box)


def test_light_comes_from_the_upper_left() -> None:
    picture = np.zeros((60, 60, 3), np.float32)
    paint(picture, [Blob((30, 30), (20, 20), _RED)])
    assert picture[20, 22].sum() > 1.5 * picture[40, 38].sum()


def test_what_is_outside_of_the_picture_is_cut_off() -> None:
    picture = np.zeros((40, 40, 3), np.float32)
    paint(picture, [Blob((-50, 10), (10, 10), _RED), Limb((60, 60), (90, 90), (4, 4), _RED)])
    cast_shadow(picture, (200, 200), (10, 10))
    assert not picture.any()
    paint(picture, [Blob((0, 20), (10, 10), _RED)])
    assert picture[20, 2].any()


def test_a_tail_is_as_thick_as_asked_at_both_ends() -> None:
    parts = curve([(0, 0), (10, 0), (20, 5)], (4, 1), _RED)
    radii = [part.radii for part in parts if isinstance(part, Limb)]
    assert radii == [(4, 2.5), (2.5, 1)]


def test_a_camera_sees_the_whole_scene_though_it_works_out_a_part_of_it() -> None:
    ground = np.random.default_rng(1).uniform(40, 200, (50, 80, 3)).astype(np.float32)
    blob = Blob((70, 20), (15, 9), _RED, 0.3)

    def tone(seen: Floats) -> Floats:
        return seen * np.float32(0.5)

    def draw(scene: Floats) -> None:
        paint(scene, [blob])

    camera = Camera(ground, np.random.default_rng(2), 0.0, tone)
    taken = [camera.picture(number, blob.box, draw) for number in range(7)]
    whole = ground.copy()
    draw(whole)
    for picture in taken:
        np.testing.assert_array_equal(picture, (whole * 0.5).astype(np.uint8))
    empty = camera.picture(7, (200, 200, 210, 210), lambda scene: None)
    np.testing.assert_array_equal(empty, (ground * 0.5).astype(np.uint8), "what was drawn before is gone")
