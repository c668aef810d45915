"""Times as people write them, and the parts that a video is cut into."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ml_backend.errors import SettingsError, VideoRefused
from ml_backend.importing.recipe import Recipe, parse_clip, parse_segment, parse_time, parts, target_rate


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("01:30", 90), ("1:01:30.5", 3690.5), ("2h", 7200)]
)
def test_a_time(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "00:10", "00:40-00:10", "a-b", "00:10-", "-5-10"])
def test_what_is_no_clip_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="00:10-00:40"):
        parse_clip(text)


@pytest.mark.parametrize("text", ["0s", "often", "-60s"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="60s"):
        parse_segment(text)


def spans(recipe: Recipe, begins: float = 0, ends: float = 130) -> list[tuple[float, float, str]]:
    return [(part.start, part.stop, part.name) for part in parts(recipe, begins, ends, "film")]


def test_a_video_is_cut_without_gaps() -> None:
    assert spans(Recipe()) == [(0, 130, "")]
    assert spans(Recipe(segment=60)) == [(0, 60, "0-60"), (60, 120, "60-120"), (120, 130, "120-130")]
    assert spans(Recipe(clip=(10, 40))) == [(10, 40, "10-40")]
    assert spans(Recipe(clip=(10, 500), segment=100)) == [(10, 110, "10-110"), (110, 130, "110-130")]
    assert spans(Recipe(clip=(0, 20)), begins=0.5) == [(0.5, 20, "0.5-20")]


def test_no_part_is_only_a_rounding_of_the_length() -> None:
    assert spans(Recipe(segment=60), ends=120.04) == [(0, 60, "0-60"), (60, 120.04, "60-120.04")]


def test_a_clip_behind_the_end_is_refused() -> None:
    with pytest.raises(VideoRefused, match=r"film ends at 130\.0 s"):
        spans(Recipe(clip=(200, 300)))


def test_a_constant_rate_is_kept_and_others_go_to_the_next_common_one() -> None:
    assert target_rate(29.97, True, None) == Fraction(30000, 1001)
    assert target_rate(25, True, None) == 25
    assert target_rate(12.5, True, None) == Fraction(25, 2)
    assert target_rate(27, False, None) == 30
    assert target_rate(25, True, 10) == 10
    assert target_rate(10, True, 25) == 10
