"""A region of interest is four percentages, and what is not is said with what to write."""

from __future__ import annotations

import pytest

from ml_backend.roi import RegionOfInterest, RoiError, roi_of
from ml_backend.video.view import SCALER, View, part_in, with_view


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ([25, 10, 50, 60], (25, 10, 50, 60)),
        ("25, 10, 50, 60", (25, 10, 50, 60)),
        ("[25.5,10,50,60]", (25.5, 10, 50, 60)),
        # Label Studio's rectangles end a little beyond the picture.
        ([40, 0, 60.0001, 100.0001], (40, 0, 60, 100)),
    ],
)
def test_it_may_be_a_list_or_a_text_of_a_table(written: object, meant: tuple[float, ...]) -> None:
    assert roi_of({"video": "a.mp4", "roi": written}) == meant


@pytest.mark.parametrize("nothing", [{}, {"roi": None}, {"roi": ""}])
def test_data_need_not_name_one(nothing: dict[str, object]) -> None:
    assert roi_of(nothing) is None


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("the left half", "is not four numbers"),
        ([25, 10, 50], "is not four numbers"),
        ([25, 10, "wide", 60], "is not four numbers"),
        ([25, 10, float("nan"), 60], "is not four numbers"),
        ([True, 10, 50, 60], "is not four numbers"),
        ([10**400, 10, 50, 60], "is not four numbers"),
        ({"x": 25}, "is not four numbers"),
        (25, "is not four numbers"),
        ([60, 10, 50, 60], "reaches beyond the picture"),
        ([-1, 10, 50, 60], "reaches beyond the picture"),
        ([25, 10, 1, 60], "is less than 2 percent wide or high"),
    ],
)
def test_what_is_none_is_said_with_what_to_write(written: object, why: str) -> None:
    with pytest.raises(ValueError, match=rf"{why}: write \[x, y, width, height\] in percent"):
        RegionOfInterest.parse(written)


def test_what_is_wrong_and_what_to_write_are_told_apart() -> None:
    with pytest.raises(RoiError) as refused:
        RegionOfInterest.parse("a: b")
    assert refused.value.what == "'a: b' is not four numbers"
    assert refused.value.remedy.startswith("write [x, y, width, height]")


def test_two_that_differ_by_a_tenth_of_a_percent_are_not_taken_for_each_other() -> None:
    one, other = RegionOfInterest(25, 10, 50, 60), RegionOfInterest(25, 10.1, 50, 60)
    assert (one.key, other.key) == ("+25+10+50+60", "+25+10.1+50+60")


def test_one_that_begins_at_minus_zero_is_found_in_a_backbone_s_key() -> None:
    minus = View().at(RegionOfInterest.parse("-0, -0.0, 50, 50"))
    assert minus == View().at(RegionOfInterest(0, 0, 50, 50))
    key = with_view(f"mobilenet_v2-0123-160-{SCALER}-bf16-v3", minus)
    assert part_in(key) == minus.part == "+0+0+50+50"
