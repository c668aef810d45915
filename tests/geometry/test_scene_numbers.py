"""Numbers of individuals and of pairs, against ways for which they can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml_backend.geometry.statistics import Row, Scene
from ml_backend.geometry.trajectory import Trajectory
from ml_backend.geometry.zones import Zone

RATE, ASPECT, SIDE = 25.0, 16 / 9, 6.0


def walker(name: str, x: list[float], at: list[float], y: float = 20.0, seconds: float = 20) -> Trajectory:
    """Through the given places at the given seconds, in percent of the width."""
    frames = np.arange(1, round(seconds * RATE) + 1)
    along = np.interp((frames - 1) / RATE, at, x)
    boxes = np.column_stack([along - SIDE / 2, np.full(len(frames), y - SIDE / 2), np.full((len(frames), 2), SIDE)])
    boxes[:, [1, 3]] *= ASPECT
    return Trajectory.of(name, frames, boxes, RATE, ASPECT)


def test_time_visits_and_latency_of_a_zone() -> None:
    # Inside from second 4 to 7 1/3, and from 12 2/3 to 15 1/3.
    one = walker("a", [10, 50, 10, 50, 10], [0, 6, 10, 14, 18])
    zone = Zone.parse("middle=36.6667,0,30,100")
    [row] = Scene([one], 20, ASPECT, [zone]).rows()
    [found] = row.zones
    assert (found.zone, found.visits) == ("middle", 2)
    assert found.latency == pytest.approx(4.0, abs=0.1)
    assert found.seconds == pytest.approx(6.0, abs=0.1)


def test_a_polygon_on_a_circle_holds_its_share_of_the_time() -> None:
    angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    boxes = np.column_stack([50 + 20 * np.cos(angle), 28 + 20 * np.sin(angle), np.full((1000, 2), SIDE)])
    boxes[:, :2] -= SIDE / 2
    boxes[:, [1, 3]] *= ASPECT
    one = Trajectory.of("a", np.arange(1, 1001), boxes, RATE, ASPECT)
    # A triangle from the middle to far outside: an eighth of the circle.
    far = 28 * ASPECT + 100 * ASPECT
    zone = Zone("eighth", ((50, 28 * ASPECT), (150, 28 * ASPECT), (150, far)))
    [row] = Scene([one], 40, ASPECT, [zone]).rows()
    assert row.zones[0].seconds == pytest.approx(40 / 8, abs=0.1)
    assert (row.zones[0].visits, row.zones[0].latency) == (1, 0.0)


def test_a_step_to_the_edge_and_back_is_no_visit() -> None:
    one = walker("a", [30, 30, 41, 30, 30], [0, 5, 5.1, 5.2, 20])
    [row] = Scene([one], 20, ASPECT, [Zone.parse("right=39,0,61,100")]).rows()
    assert (row.zones[0].visits, row.zones[0].latency) == (0, None)


def test_two_meet_twice_and_stay_for_as_long_as_they_are_near() -> None:
    one = walker("a", [20, 20], [0, 20])
    # Nearer than a length (6 %) from x = 26 on: with 8 % a second from second 3 to 7, and again from 13 to 17.
    other = walker("b", [50, 18, 50, 50, 18, 50], [0, 4, 8, 10, 14, 18])
    [pair] = Scene([one, other], 20, ASPECT).pairs()
    assert (pair.name, pair.other, pair.contacts, pair.together) == ("a", "b", 2, 20)
    assert pair.contact_seconds == pytest.approx(4.0, abs=0.3)
    rows = list(Scene([one, other], 20, ASPECT).rows())
    assert [(row.contacts, row.contact_seconds) for row in rows] == [(2, pair.contact_seconds)] * 2
    assert [each.contacts for each in Scene([one, other], 20, ASPECT, contact=0.5).pairs()] == [2]
    [longer] = Scene([one, other], 20, ASPECT, contact=2.0).pairs()
    assert longer.contact_seconds > pair.contact_seconds + 1


def test_parts_of_the_video_add_up_to_the_whole() -> None:
    one = walker("a", [10, 50, 10, 50, 10], [0, 6, 10, 14, 18])
    other = walker("b", [50, 18, 50, 50, 18, 50], [0, 4, 8, 10, 14, 18])
    scene = Scene([one, other], 20, ASPECT, [Zone.parse("left=0,0,40,100")])
    for whole, parts in zip(scene.rows(), _by_name(list(scene.rows(3.0))), strict=True):
        assert len(parts) == 7
        assert (parts[0].start, parts[-1].end) == (0, 20)
        assert sum(each.distance for each in parts) == pytest.approx(whole.distance, abs=1e-6)
        assert sum(each.seen for each in parts) == pytest.approx(whole.seen)
        assert sum(each.contacts for each in parts) == whole.contacts
        assert sum(each.zones[0].visits for each in parts) == whole.zones[0].visits
        assert sum(each.zones[0].seconds for each in parts) == pytest.approx(whole.zones[0].seconds)


def _by_name(rows: list[Row]) -> list[list[Row]]:
    return [[row for row in rows if row.name == name] for name in dict.fromkeys(row.name for row in rows)]


def test_nobody_touches_what_is_not_seen_at_the_same_time() -> None:
    one, other = walker("a", [20, 20], [0, 20]), walker("b", [20, 20], [0, 20])
    early, late = (
        replace(each, frames=each.frames[part], boxes=each.boxes[part])
        for each, part in ((one, slice(0, 200)), (other, slice(200, None)))
    )
    [pair] = Scene([early, late], 20, ASPECT).pairs()
    assert (pair.together, pair.contacts, pair.distance) == (0, 0, None)
