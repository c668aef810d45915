"""What is written in a format and read again is the same, at every frame rate, but for what the format is said not to hold."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ml_backend.export.event_files import video_events
from ml_backend.formats.events import Asked, Event, VideoEvents
from ml_backend.formats.table import FORMATS, read_events
from ml_backend.importing.event_spans import spans_of
from ml_backend.labelstudio.event_items import StudioEvent
from ml_backend.labelstudio.label_config import LabelConfig, Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.video.timeline import StudioFrame, Timeline, studio_grid

FRAMES = 240
WHAT = Question("what", "film", "$video", ("groom", "rear", "chew & “gnaw”"), framerate="$fps")
WHERE = Question("where", "film", "$video", ("nest",), framerate="$fps")
CONFIG = LabelConfig((WHAT, WHERE))


def constant(rate: Fraction) -> Timeline:
    return Timeline(np.arange(FRAMES) * rate.denominator, Fraction(1, rate.numerator), FRAMES / rate)


def varying() -> Timeline:
    """As phones film: mostly 30 frames a second, some much later, in ticks of 1/90000."""
    gaps = np.random.default_rng(3).choice([3000, 3000, 3000, 1500, 6000, 12000], FRAMES)
    pts = np.cumsum(gaps) - gaps[0]
    return Timeline(pts, Fraction(1, 90000), Fraction(int(pts[-1]) + 3000, 90000))


TIMELINES = {
    **{
        f"{float(rate):.3f}": constant(rate)
        for rate in map(Fraction, ("7.3", "24000/1001", "25", "30000/1001", "30", "60000/1001", "120"))
    },
    "varying": varying(),
}


def labeled(timeline: Timeline, framerate: float) -> tuple[Task, list[tuple[Question, StudioEvent]]]:
    """Regions of every kind on Label Studio's frames."""
    last = len(studio_grid(timeline, framerate))
    at = [StudioFrame(max(1, round(share * last))) for share in np.linspace(0, 1, 25)]
    found = [
        StudioEvent("what", "groom", at[0], at[3], "mouse-1", "hard to see\nin the corner"),
        StudioEvent("what", "groom", StudioFrame(at[3] + 1), at[5], "mouse-1"),
        StudioEvent("what", "groom", at[2], at[6], "mouse-2", "both at once"),
        StudioEvent("what", "rear", at[7], at[7], "mouse-2"),
        StudioEvent("what", "rear", at[9], at[9]),
        StudioEvent("what", "chew & “gnaw”", at[10], at[12], comment="a <tag> & an arrow"),
        StudioEvent("where", "nest", at[4], at[11]),
        StudioEvent("where", "nest", at[20], at[24], "mouse-1"),
    ]
    questions = {"what": WHAT, "where": WHERE}
    return Task(5, {"video": "film.mp4", "fps": framerate}), [(questions[each.control], each) for each in found]


def natural(timeline: Timeline) -> float:
    return len(timeline) / float(timeline.duration)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", TIMELINES)
@pytest.mark.parametrize("share", [1.0, 0.5, 2.0])
def test_no_frame_and_no_word_is_lost(tmp_path: Path, form: str, name: str, share: float) -> None:
    timeline, kind = TIMELINES[name], FORMATS[form]
    framerate = max(1.0, share * natural(timeline))
    task, found = labeled(timeline, framerate)
    video = video_events(task, "my film.mp4", found, timeline, predicted=False)
    if not kind.overlaps:
        # Events of one label that touch are one there; what is about one label each at a time is whole.
        video = replace(
            video, events=tuple(each for each in video.events if each.label != "groom" or each.who == "mouse-2")
        )
    path = tmp_path / f"my film{kind.endings[0] if kind.endings else ''}"
    if not kind.endings:
        path.mkdir()
    kind.write([video], path)
    labels = {label for question in CONFIG.timelines for label in question.labels}
    [again] = read_events(path, Asked(labels))
    assert again.names[0] in ("my film.mp4", "my film")
    spans = spans_of(again, timeline)
    assert sorted(zip((each.label for each in again.events), spans, strict=True)) == sorted(
        (each.label, each.span) for each in video.events
    )

    def said(event: Event, span: tuple[int, int]) -> tuple[object, ...]:
        group = event.group if kind.groups else ""
        who, comment = event.who if kind.who else "", event.comment if kind.comments else ""
        return (event.label, span, who, comment, group)

    assert sorted(map(said, again.events, spans)) == sorted(said(each, each.span) for each in video.events)


@pytest.mark.parametrize("form", [form for form, kind in FORMATS.items() if not kind.each])
def test_several_videos_in_one_file(tmp_path: Path, form: str) -> None:
    kind, timeline = FORMATS[form], TIMELINES["25.000"]
    task, found = labeled(timeline, 25)
    videos = [video_events(task, name, found, timeline, predicted=False) for name in ("one.mp4", "two.mp4")]
    path = tmp_path / f"all{kind.endings[0] if kind.endings else ''}"
    if not kind.endings:
        path.mkdir()
    kind.write(videos, path)
    again = read_events(path, Asked())
    assert [Path(each.names[0]).stem for each in again] == ["one", "two"]
    assert [len(each.events) for each in again] == [len(found)] * 2


def test_scores_of_predictions_where_there_is_a_place_for_them(tmp_path: Path) -> None:
    timeline = TIMELINES["25.000"]
    task, found = labeled(timeline, 25)
    scored = [(question, replace(event, score=0.25)) for question, event in found]
    video = video_events(task, "film.mp4", scored, timeline, predicted=True)
    for form, kind in FORMATS.items():
        assert kind.scores != any("how sure" in sentence for sentence in kind.lost([video])), form
    FORMATS["boris-aggregated"].write([video], tmp_path / "x.csv")
    [again] = read_events(tmp_path / "x.csv", Asked())
    assert {event.score for event in again.events} == {0.25}


def test_what_a_format_cannot_hold_is_said() -> None:
    timeline = TIMELINES["25.000"]
    video = video_events(*labeled(timeline, 25)[:1], "film.mp4", labeled(timeline, 25)[1], timeline, predicted=False)
    said = " ".join(FORMATS["simba"].lost([video]))
    assert all(word in said for word in ("whom", "comments", "controls", "same label"))
    assert FORMATS["boris"].lost([video]) == []
    quiet = VideoEvents("", ("film.mp4",), (Event("rest", (0, 1), (0, 24)),))
    assert all(kind.lost([quiet]) == [] for kind in FORMATS.values())


def test_a_label_that_two_controls_have_is_one_behavior_of_boris(tmp_path: Path) -> None:
    """A state of BORIS begins and ends in turn: two at once, of two controls, would cut each other."""
    times, frames = ((1.0, 5.0), (2.0, 3.0)), ((25, 124), (50, 74))
    events = [
        Event("nest", at, span, group=control)
        for control, at, span in zip(("what", "where"), times, frames, strict=True)
    ]
    video = VideoEvents("", ("film.mp4",), tuple(events), duration=10.0, frames=250)
    assert any("which control" in sentence for sentence in FORMATS["boris"].lost([video]))
    assert not any("which control" in sentence for sentence in FORMATS["elan"].lost([video]))
    FORMATS["boris"].write([video], tmp_path / "study.boris")
    [again] = read_events(tmp_path / "study.boris", Asked())
    assert [(event.label, event.times) for event in again.events] == [("nest", (1.0, 5.0))]


def test_a_comment_is_no_marker_of_an_edit_list(tmp_path: Path) -> None:
    event = Event("groom", (0, 1), (0, 24), ("00:00:00:00", "00:00:01:00"), comment="see |M:rear |D:5")
    FORMATS["edl"].write([VideoEvents("", ("film.mp4",), (event,), rate=Fraction(25))], tmp_path / "film.edl")
    [again] = read_events(tmp_path / "film.edl", Asked())
    assert [(each.label, each.comment) for each in again.events] == [("groom", event.comment)]


ODD = [
    "<b>bold</b>",
    "a <i> b",
    "</font>",
    "{\\an8}top",
    "&lt;b> is bold",
    "&amp;lt;b>",
    "1 < 2 & 3 > 2",
    "x |D: y",
    "x |D:5",
    "|M:x |D:7 |C:y",
    "a; b; c; d; e; f; g; h; i",
    "a, b",
    "a\tb",
    "a --> b",
    "a --&gt; b",
    "a --&amp;gt; b",
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("label", ODD)
def test_what_looks_like_a_mark_of_the_format_is_a_part_of_the_label(tmp_path: Path, form: str, label: str) -> None:
    """Of its comment and of who it is about, too, where the format has these."""
    asked = Question("what", "film", "$video", (label,), framerate="$fps")
    timeline = TIMELINES["25.000"]
    region = StudioEvent("what", label, StudioFrame(10), StudioFrame(30), label, label)
    task = Task(5, {"video": "film.mp4", "fps": 25.0})
    video = video_events(task, "film.mp4", [(asked, region)], timeline, predicted=False)
    kind = FORMATS[form]
    path = tmp_path / f"film{kind.endings[0] if kind.endings else ''}"
    if not kind.endings:
        path.mkdir()
    kind.write([video], path)
    [again] = read_events(path, Asked({label}))
    assert {event.label for event in again.events} == {label}
    if kind.comments:
        assert {event.comment for event in again.events} == {label}
    if kind.who:
        assert {event.who for event in again.events} == {label}


def test_an_edit_list_may_name_its_clip_once(tmp_path: Path) -> None:
    code = "001  AX  V  C  01:00:0{0}:00 01:00:0{0}:10 01:00:0{0}:00 01:00:0{0}:10\n"
    text = f"{code.format(1)}* FROM CLIP NAME: film.mp4\n|M:groom |D:3\n{code.format(2)}|M:rear |D:3\n"
    (tmp_path / "cut.edl").write_text(text, encoding="utf-8")
    [again] = read_events(tmp_path / "cut.edl", Asked())
    assert (again.names, [event.label for event in again.events]) == (("film.mp4", "cut"), ["groom", "rear"])
