"""Where a person had better look in a video, and in which order."""

from __future__ import annotations

from ml_backend.projects.label_report import HumanRegion
from ml_backend.server.dashboard import jumps
from ml_backend.server.dashboard.jumps import Difference


def said(start: int, end: int, *labels: str) -> HumanRegion:
    return HumanRegion(start, end, labels, 11, "person")


class TestCertainty:
    def test_is_that_of_the_answer_where_one_label_holds_at_a_time_be_it_none(self) -> None:
        assert jumps.certainty({"a": [90, 50, 5], "b": [10, 48, 10]}) == [90, 50, 85]

    def test_is_that_of_the_least_sure_label_where_several_may_hold(self) -> None:
        assert jumps.certainty({"a": [90, 100], "b": [70, 0]}) == [70, 100]

    def test_of_one_label_is_about_yes_and_no(self) -> None:
        assert jumps.certainty({"a": [20, 80]}) == [80, 80]


class TestDoubts:
    def test_come_least_sure_first_each_valley_once(self) -> None:
        found = jumps.doubts([100, 80, 60, 80, 100, 50, 100, 90, 100, 100], 100)
        assert [(each.start, each.end, each.percent) for each in found] == [(51, 60, 50), (11, 40, 60), (71, 80, 90)]
        assert all(each.start <= each.worst <= each.end for each in found)

    def test_a_ridge_parts_two_valleys(self) -> None:
        found = jumps.doubts([50, 70, 90, 70, 55], 50)
        assert sorted(each.percent for each in found) == [50, 55]

    def test_there_are_none_where_it_is_sure_and_none_of_nothing(self) -> None:
        assert jumps.doubts([100, 96, 95], 30) == []
        assert jumps.doubts([], 30) == []

    def test_stay_inside_a_video_that_is_shorter_than_its_stretches(self) -> None:
        assert all(1 <= each.start <= each.worst <= each.end <= 2 for each in jumps.doubts([10, 20, 30, 40], 2))


class TestChanges:
    def test_are_where_a_region_begins_or_ends_within_the_video(self) -> None:
        assert jumps.changes([said(1, 10, "a"), said(11, 20, "b"), said(31, 40, "a")], 40) == [11, 21, 31]

    def test_questions_are_none(self) -> None:
        assert jumps.changes([said(5, 5)], 40) == []


class TestDifferences:
    def test_are_where_the_labels_are_others(self) -> None:
        one, other = [said(1, 10, "a"), said(11, 20, "b")], [said(1, 12, "a"), said(13, 20, "b")]
        assert jumps.differences(one, other, 20) == [Difference(11, 12, ("b",), ("a",))]

    def test_a_gap_of_who_may_not_have_looked_is_none(self) -> None:
        one, other = [said(1, 10, "a")], [said(1, 20, "a")]
        assert jumps.differences(one, other, 20) == [Difference(11, 20, (), ("a",))]
        assert jumps.differences(one, other, 20, partial=True) == []

    def test_regions_of_one_label_that_touch_or_lie_on_each_other_are_one_answer(self) -> None:
        one, other = [said(1, 10, "a"), said(5, 20, "a")], [said(1, 20, "a")]
        assert jumps.differences(one, other, 20) == []

    def test_beyond_the_video_there_are_none(self) -> None:
        assert jumps.differences([said(1, 90, "a")], [said(1, 20, "a")], 20) == []

    def test_of_a_thousand_regions_each_takes_no_time(self) -> None:
        one = [said(2 * n + 1, 2 * n + 1, "a") for n in range(1000)]
        other = [said(2 * n + 2, 2 * n + 2, "a") for n in range(1000)]
        assert len(jumps.differences(one, other, 2000)) == 2000
