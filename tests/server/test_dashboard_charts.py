"""Charts: numbers in, SVG out, with words for those who cannot see it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.annotation import Region
from ml_backend.projects.label_report import HumanRegion
from ml_backend.projects.model_versions import ReliabilityBin
from ml_backend.server.dashboard import charts, formatting, strips
from ml_backend.video.timeline import StudioFrame


def drawn(picture: str, tag: str) -> list[dict[str, str]]:
    return [dict(each.attrib) for each in ElementTree.fromstring(picture).iter(tag)]


def test_shares_add_up_to_the_whole_bar_and_are_told_in_words() -> None:
    picture = charts.shares([("cat", 30, "#111"), ("dog", 10, "#222")], "Labels")
    assert [(each["x"], each["width"], each["fill"]) for each in drawn(picture, "rect")] == [
        ("0", "75", "#111"),
        ("75", "25", "#222"),
    ]
    assert drawn(picture, "svg")[0]["aria-label"] == "Labels. cat 75 %, dog 25 %"


def test_a_single_frame_can_still_be_seen_and_stays_inside() -> None:
    spans = [charts.Span(0, 1, "#111", "first"), charts.Span(9999, 10000, "#222", "last")]
    first, last = drawn(charts.timeline(10_000, spans, "Model", ""), "rect")
    assert (first["x"], first["width"]) == ("0", "2")
    assert float(last["x"]) + float(last["width"]) <= 1000


def test_heat_draws_equal_neighbours_once_and_leaves_nothing_where_there_is_nothing() -> None:
    cells = drawn(charts.heat([0, 0, 50, 51, 100, 100], 600, "#111", "cat", "frames"), "rect")
    assert [(each["x"], each["width"], each.get("fill-opacity")) for each in cells] == [
        ("333.33", "333.33", "0.5"),
        ("666.67", "333.33", None),
    ]


def test_heat_of_an_hour_is_no_larger_than_that_of_a_minute() -> None:
    assert len(charts.heat([n % 101 for n in range(300)], 90_000, "#111", "cat", "frames")) < 60_000


def test_curves_rise_on_the_page_when_the_numbers_rise() -> None:
    series = charts.Series("score", [(1, 0.2), (2, 0.8)], band=[(0.1, 0.3), None])
    picture = charts.lines([series], "Learning curve", "frames", "macro-F1")
    (line,) = drawn(picture, "polyline")
    (x1, y1), (x2, y2) = (tuple(map(float, point.split(","))) for point in line["points"].split())
    assert x1 < x2
    assert y1 > y2
    assert "score 0.8 at the end" in drawn(picture, "svg")[0]["aria-label"]


def test_nothing_measured_draws_nothing() -> None:
    assert charts.lines([], "t", "x", "y") == ""
    assert charts.sparkline([None, None], "t") == ""
    assert charts.shares([], "t")


def test_honest_bins_lie_on_the_diagonal() -> None:
    picture = charts.reliability([ReliabilityBin(14 / 15, 1.0, decisions=5, confidence=1.0, right=1.0)], "Calibration")
    (diagonal,) = [line for line in drawn(picture, "line") if line["class"] == "diagonal"]
    (dot,) = drawn(picture, "circle")
    assert (dot["cx"], dot["cy"]) == (diagonal["x2"], diagonal["y2"])


@given(st.text(), st.text())
def test_any_name_gives_well_formed_svg(name: str, colour: str) -> None:
    clean = "".join(letter for letter in name if letter.isprintable())
    shade = "".join(letter for letter in colour if letter.isprintable())
    picture = charts.shares([(clean, 1, shade)], clean)
    assert drawn(picture, "rect")[0]["fill"] == shade


def region(start: int, end: int, *labels: str, score: float | None = None) -> Region:
    return Region("r", StudioFrame(start), StudioFrame(end), labels, "prediction", score)


class TestStrips:
    at = strips.Clock(25.0)

    def test_a_stretch_begins_when_its_first_frame_is_shown(self) -> None:
        assert self.at.stretch(26, 50).begins == 1.0

    def test_the_least_sure_regions_come_first(self) -> None:
        found = strips.least_sure(
            [region(1, 9, "a", score=0.9), region(10, 19, "b", score=0.4), region(20, 29)], self.at
        )
        assert [(one.labels, one.score) for one in found] == [(("b",), 0.4), (("a",), 0.9)]

    def test_people_and_model_differ_where_the_model_lacks_their_label(self) -> None:
        people = [HumanRegion(1, 100, ("a",), 11, "person")]
        model = [region(1, 20, "a"), region(21, 30, "b"), region(40, 90, "a")]
        found = strips.differing(people, model, self.at)
        assert [(one.start, one.end, one.labels, one.other) for one in found] == [
            (21, 39, ("a",), ("b",)),
            (91, 100, ("a",), ()),
        ]

    def test_a_gap_says_that_nothing_is_there_once_the_whole_video_was_looked_at(self) -> None:
        people = [HumanRegion(1, 40, ("a",), 11, "person"), HumanRegion(61, 80, ("a",), 11, "accepted")]
        model = [region(1, 50, "a"), region(61, 90, "a"), region(95, 95)]
        assert strips.differing(people, model, self.at) == []
        found = strips.differing(people, model, self.at, whole=True)
        assert [(one.start, one.end, one.labels, one.other) for one in found] == [
            (41, 50, (), ("a",)),
            (81, 90, (), ("a",)),
        ]

    def test_what_was_taken_over_from_a_model_agrees_with_it(self) -> None:
        assert strips.differing([HumanRegion(1, 9, ("a",), 11, "accepted")], [region(1, 5, "a")], self.at) == []

    def test_agreement_is_no_difference(self) -> None:
        assert strips.differing([HumanRegion(5, 9, ("a",), 11, "person")], [region(1, 20, "a")], self.at) == []


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (formatting.duration(0.31), "0.3 s"),
        (formatting.duration(75), "1 min 15 s"),
        (formatting.duration(3 * 3600 + 120), "3 h 2 min"),
        (formatting.duration(None), "–"),
        (formatting.size(412_000), "412 kB"),
        (formatting.size(12_300_000), "12.3 MB"),
        (formatting.clock(62.5), "1:02.50"),
        (formatting.count(1, "frame", "frames"), "1 frame"),
        (formatting.count(1234, "frame", "frames"), "1,234 frames"),
        (formatting.ago(None), "never"),
        (formatting.ago("no time"), "never"),
        (formatting.score(None), "–"),
    ],
)
def test_numbers_as_people_read_them(told: str, said: str) -> None:
    assert told == said
