"""Times as people write them, and the parts that a video is cut into."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest

from ml_backend.errors import SettingsError, VideoRefused
from ml_backend.importing.recipe import (
    Recipe,
    parse_clip,
    parse_segment,
    parse_time,
    parts,
    refuse_too_short,
    target_rate,
)
from ml_backend.video.timeline import Timeline, shown_at, unreachable, usual_lasting


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


def shown(*gaps: Fraction | int, times: int = 100) -> Timeline:
    """Frames that last so many seconds each, over and over."""
    *moments, end = accumulate([Fraction(gap) for gap in gaps] * times, initial=Fraction(0))
    return Timeline(np.array([round(at * 90_000) for at in moments]), Fraction(1, 90_000), end)


def at(rate: Fraction | int) -> Timeline:
    return shown(1 / Fraction(rate))


def test_a_constant_rate_is_kept_however_slow() -> None:
    assert target_rate(at(Fraction(30000, 1001)), True, None) == Fraction(30000, 1001)
    assert target_rate(at(25), True, None) == 25
    assert target_rate(at(Fraction(25, 2)), True, None) == Fraction(25, 2)
    assert target_rate(at(Fraction(1, 5)), True, None) == Fraction(1, 5)
    assert target_rate(at(Fraction(1, 60)), True, None) == Fraction(1, 60)


def test_at_most_so_many_are_left() -> None:
    assert target_rate(at(25), True, 10) == 10
    assert target_rate(at(10), True, 25) == 10


@pytest.mark.parametrize(
    ("gaps", "rate"),
    [
        # At 30 some would begin just between two.
        ((Fraction(1, 20), Fraction(1, 10), Fraction(1, 30), Fraction(1, 20)), 48),
        ((Fraction(1, 30), Fraction(1, 60)), 60),
        ((Fraction(38, 1000), Fraction(36, 1000)), 27),
        # A time-lapse that is not quite regular does not become a film.
        ((4, 5, 6), Fraction(1, 5)),
    ],
)
def test_a_varying_rate_becomes_the_lowest_that_shows_every_frame(
    gaps: tuple[Fraction, ...], rate: Fraction | int
) -> None:
    timeline = shown(*gaps)
    assert target_rate(timeline, False, None) == rate
    times = timeline.microseconds / 1e6
    frames = round((times[-1] + usual_lasting(timeline)) * rate)
    assert len(np.unique(shown_at(times, 0.0, Fraction(rate), frames))) == len(timeline)
    assert unreachable(timeline, max(rate, 1)) == 0


def test_parts_in_which_nothing_could_change_are_refused() -> None:
    with pytest.raises(VideoRefused, match=r"A picture of film lasts 5 s.*--segment 50s"):
        refuse_too_short(Recipe(segment=3), 5.0, "film")
    refuse_too_short(Recipe(segment=60), 5.0, "film")
