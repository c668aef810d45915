"""Zones of the picture, as somebody types them."""

from __future__ import annotations

import numpy as np
import pytest

from ml_backend.errors import SettingsError
from ml_backend.geometry.zones import Zone

RNG = np.random.default_rng(2)


def test_a_rectangle_has_its_share_of_points() -> None:
    zone = Zone.parse("nest=10,20,30,40")
    points = RNG.uniform(0, 100, (20_000, 2))
    inside = (points[:, 0] > 10) & (points[:, 0] < 40) & (points[:, 1] > 20) & (points[:, 1] < 60)
    assert np.array_equal(zone.contains(points), inside)


def test_a_triangle_and_a_polygon_with_a_notch_have_the_area_of_the_shoelace_formula() -> None:
    points = RNG.uniform(0, 100, (200_000, 2))
    for text in ("t=0,0 100,0 0,100", "u=10,10 90,10 90,90 60,90 60,40 40,40 40,90 10,90"):
        zone = Zone.parse(text)
        x, y = np.array(zone.corners).T
        area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
        assert 10_000 * zone.contains(points).mean() == pytest.approx(area, rel=0.02)
    assert not zone.contains(np.array([[50.0, 70.0]]))[0], "the notch is outside"


@pytest.mark.parametrize(
    "text", ["10,20,30,40", "=1,2,3,4", "a=1,2,3", "a=1,2 3,4", "a=1,2,0,4", "a=x,2,3,4", "a=1,2 3,4 nan,5", "a="]
)
def test_what_is_none_is_told_with_how_to_write_one(text: str) -> None:
    with pytest.raises(SettingsError, match="NAME=left,top,width,height"):
        Zone.parse(text)


def test_each_zone_has_columns_of_its_own() -> None:
    assert [zone.name for zone in Zone.parse_all(["nest=0,0,25,30", "arm=40,0,10,10"])] == ["nest", "arm"]
    with pytest.raises(SettingsError, match="same name"):
        Zone.parse_all(["nest=0,0,25,30", "nest=0,0,1,1"])
    for name in ("seen", "start", "end", "contact", "together"):
        with pytest.raises(SettingsError, match=f"called {name}"):
            Zone.parse_all([f"{name}=0,0,25,30"])
