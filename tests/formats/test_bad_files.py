"""Files that cannot be used are refused whole, each in a sentence that says where and what to do; other encodings are read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ml_backend.errors import SettingsError
from ml_backend.formats import text
from ml_backend.formats.elan import write_elan
from ml_backend.formats.events import Asked, Event, VideoEvents
from ml_backend.formats.table import FORMATS, read_events

LABELS = Asked({"groom", "rear"})
HEAD = "Observation id,Subject,Behavior,Behavior type,Time,Media file name,Comment\n"


def read(path: Path, content: str | bytes, asked: Asked = LABELS) -> list[VideoEvents]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_events(path, asked)


def boris(*events: list[Any], **more: Any) -> str:
    observation = {"file": {"1": ["C:\\videos\\film.mp4"]}, "time offset": 0.0, "events": list(events), **more}
    conf = {"0": {"code": "groom", "type": "State event"}, "1": {"code": "rear", "type": "Point event"}}
    return json.dumps({"behaviors_conf": conf, "observations": {"day 1": observation}})


def eaf(body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-16"?><ANNOTATION_DOCUMENT>{body}</ANNOTATION_DOCUMENT>'


EVENTS = (
    '<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="b"/>'
    '<TIME_SLOT TIME_SLOT_ID="c" TIME_VALUE="3000"/>'
    '</TIME_ORDER><TIER TIER_ID="groom"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="1" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b">'
    "<ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>"
)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    table = f"{HEAD}day 1,Müller,gähnen,START,1.5,Über.mp4,naïve\nday 1,Müller,gähnen,STOP,2.5,Über.mp4,\n"
    [video] = read(tmp_path / "x.csv", table.encode(encoding))
    assert (video.names[0], video.events) == ("Über.mp4", (Event("gähnen", (1.5, 2.5), who="Müller", comment="naïve"),))


@pytest.mark.parametrize(
    ("table", "event"),
    [
        ("Behavior;Start (s);Stop (s)\ngroom;1,5;2,25\n", Event("groom", (1.5, 2.25))),
        ("label\tstart\tend\tconfidence\ngroom\t0:01.5\t0:00:02.25\t.5\n", Event("groom", (1.5, 2.25), score=0.5)),
        (
            # As old releases of BORIS.
            "Media file(s)\nMedia file 1,C:/a/film.mp4\n\nTime,Subject,Behavior,Status\n1.5,,groom,START\n2.25,,groom,STOP\n",
            None,
        ),
        (
            '"Time_Relative_sf","Observation","Behavior","Modifier_1","Event_Type"\n1.5,film,rear,fast,Point\n',
            Event("rear", (1.5, 1.5), comment="modifiers: fast"),
        ),
        (
            'Marker Name,Description,In,Out\ngroom,"who: a\nwell",00:00:01:05,00:00:02:00\n',
            Event("groom", timecodes=("00:00:01:05", "00:00:02:00"), who="a", comment="well"),
        ),
        ("Behavior,Start,Stop,Behavior type\nrear,1.5,,POINT\n", Event("rear", (1.5, 1.5))),
    ],
)
def test_tables_as_several_programs_write_them(tmp_path: Path, table: str, event: Event | None) -> None:
    [video] = read(tmp_path / "x.csv", table)
    assert video.events == ((event or Event("groom", (1.5, 2.25))),)
    if event is None:
        assert video.names[0] == "film.mp4"


def test_a_table_of_frames_has_columns_that_are_no_labels(tmp_path: Path) -> None:
    table = ",nose_x,groom,rear,Probability_groom\n0,1.5,0,-1,0.1\n1,1.5,1,0,0.2\n2,2,1.0,1,.3\n3,2,1,0,.2\n"
    [video] = read(tmp_path / "film.csv", table)
    assert (video.names, video.frames) == (("film",), 4)
    assert video.events == (Event("groom", frames=(1, 3)), Event("rear", frames=(2, 2)))
    [counted] = read(tmp_path / "film.csv", "frame,groom\n2,1\n3,1\n9,1\n")
    assert counted.events == (Event("groom", frames=(2, 3)), Event("groom", frames=(9, 9)))


def test_a_project_of_boris(tmp_path: Path) -> None:
    said = boris(
        [1.5, "m", "groom", "", "well", 37], [2.0, "", "rear", "None|fast", "", 50], [2.5, "m", "groom", "", "", 62]
    )
    [video] = read(tmp_path / "x.boris", said)
    assert video.names == ("film.mp4", "day 1")
    rear = Event("rear", (2.0, 2.0), comment="modifiers: None|fast")
    assert video.events == (Event("groom", (1.5, 2.5), who="m", comment="well"), rear)
    assert read(tmp_path / "x.json", said)[0].events == video.events


def test_a_state_holds_once_with_each_modifier(tmp_path: Path) -> None:
    at = [(1.0, "face"), (2.0, "body"), (3.0, "face"), (4.0, "body")]
    both = [(1.0, 3.0), (2.0, 4.0)]
    [video] = read(tmp_path / "x.boris", boris(*([time, "m", "groom", how, "", "NA"] for time, how in at)))
    assert [each.seconds for each in video.events] == both
    head = "Subject,Behavior,Modifier #1,Behavior type,Time\n"
    rows = [f"m,groom,{how},{'START' if time < 3 else 'STOP'},{time}" for time, how in at]
    [video] = read(tmp_path / "x.csv", head + "\n".join(rows))
    assert [(each.seconds, each.comment) for each in video.events] == list(
        zip(both, ("modifiers: face", "modifiers: body"), strict=True)
    )
    [video] = read(tmp_path / "x.csv", f"{head}m,groom,face,START,1\nm,groom,,STOP,3\n")
    assert [each.seconds for each in video.events] == [(1.0, 3.0)]


def test_an_observation_of_boris_without_a_video(tmp_path: Path) -> None:
    [video] = read(tmp_path / "x.boris", boris([1.0, "", "rear", "", ""], file={"1": None}))
    assert video.names == ("day 1",)
    with pytest.raises(SettingsError, match="time offset"):
        read(tmp_path / "x.boris", boris(**{"time offset": "00:00:05"}))


def test_what_refers_to_another_annotation_of_elan_has_its_time(tmp_path: Path) -> None:
    def refers(own: int, to: int, label: str, more: str = "") -> str:
        return (
            f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{own}" ANNOTATION_REF="{to}"{more}><ANNOTATION_VALUE>{label}'
            "</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        )

    words = refers(3, 1, "rear", ' PREVIOUS_ANNOTATION="2"') + refers(2, 1, "groom")
    body = f'{EVENTS}<TIER TIER_ID="gloss">{refers(4, 3, "gaze")}</TIER><TIER TIER_ID="words">{words}</TIER>'
    [video] = read(tmp_path / "x.eaf", eaf(body), Asked(tiers=["gloss", "words"]))
    # Two words divide the second that the tier above them spans.
    assert video.events == (
        Event("groom", (1.0, 1.5), group="words"),
        Event("gaze", (1.5, 2.0), group="gloss"),
        Event("rear", (1.5, 2.0), group="words"),
    )
    with pytest.raises(SettingsError, match="annotation 9 is at no time"):
        read(tmp_path / "x.eaf", eaf(f'{EVENTS}<TIER TIER_ID="a">{refers(9, 9, "x")}</TIER>'))


def test_the_video_of_an_elan_file_begins_where_it_says_and_is_called_as_on_disk(tmp_path: Path) -> None:
    media = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/mice/day%201.mp4" TIME_ORIGIN="2500"/>'
    [video] = read(tmp_path / "x.eaf", eaf(media + EVENTS))
    assert video.events == (Event("groom", (3.5, 4.5), group="groom"),)
    assert "day 1.mp4" in video.names
    with pytest.raises(SettingsError, match="begin at different times"):
        read(tmp_path / "x.eaf", eaf(media + '<MEDIA_DESCRIPTOR MEDIA_URL="b.mp4"/>' + EVENTS))
    with pytest.raises(SettingsError, match="begins at 'soon'"):
        read(tmp_path / "x.eaf", eaf(media.replace("2500", "soon") + EVENTS))


def test_a_comment_that_xml_has_no_place_for_can_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "x.eaf"
    write_elan([VideoEvents("x.mp4", ("x.mp4",), (Event("groom", (1.0, 2.0), comment="page\x0bbreak ♀"),))], path)
    [video] = read_events(path, Asked())
    assert [each.comment for each in video.events] == ["page break ♀"]


def test_times_that_elan_leaves_open_lie_between_their_neighbors(tmp_path: Path) -> None:
    [video] = read(tmp_path / "x.eaf", eaf(EVENTS))
    assert video.events == (Event("groom", (1.0, 2.0), group="groom"),)
    [none] = read(
        tmp_path / "x.eaf", eaf(EVENTS.replace('"groom"', '"other"') + '<TIER TIER_ID="it"/>'), Asked(tiers=["it"])
    )
    assert none.events == ()


def test_subtitles_that_others_wrote(tmp_path: Path) -> None:
    [video] = read(
        tmp_path / "x.vtt",
        "WEBVTT - by hand\n\nNOTE nothing\n\n1\n00:01.500 --> 00:02.250 line:0\n<v Anna><i>groom</i> &amp; more\n",
    )
    assert video.events == (Event("groom & more", (1.5, 2.25), who="Anna"),)
    [video] = read(tmp_path / "x.srt", "1\r\n00:00:01,500 --> 00:00:02,250\r\ngroom\r\n\r\n")
    assert video.events == (Event("groom", (1.5, 2.25)),)
    tagged = '1\r\n00:01,5 --> 00:02,25\r\n{\\an8}<i><font color="#fff">groom <3</font></i>\r\n'
    assert read(tmp_path / "x.srt", "\ufeff" + tagged)[0].events == (Event("groom <3", (1.5, 2.25)),)


def test_a_list_of_several_clips_and_dropped_frames(tmp_path: Path) -> None:
    said = (
        "TITLE: x\nFCM: DROP FRAME\n\n001  A1  V  C  00:00:59;28 00:01:00;02 01:00:00;00 01:00:00;02\n* FROM CLIP NAME: a.mp4\n"
        "* COMMENT: groom\n002  B1  V  C  00:10:00:00 00:10:01:00 01:00:00:02 01:00:01:02\n* FROM CLIP NAME: b.mp4\n"
    )
    a, b = read(tmp_path / "x.edl", said)
    assert (a.names[0], a.events[0].label, b.names[0], b.events[0].label) == ("a.mp4", "groom", "b.mp4", "b.mp4")
    # The frames 00:01:00;00 and 00:01:00;01 do not exist.
    assert [text.timecode_count(each, 30) for each in a.events[0].codes] == [1798, 1800]
    assert [text.timecode_count(each, 30) for each in b.events[0].codes] == [17982, 18012]
    assert text.timecode_count("00:01:00;04", 60) == 3600
    assert text.timecode_count("00:01:00;02", 25) == 1502, "only 30 and 60 leave numbers out"


def test_a_markers_length_black_pictures_and_notes(tmp_path: Path) -> None:
    said = (
        "TITLE: x\nFCM: NON-DROP FRAME\n\n001  BL  V  C  00:00:00:00 00:00:01:00 01:00:00:00 01:00:01:00\n"
        "002  001  V  C  01:00:01:00 01:00:01:01 01:00:01:00 01:00:01:01\n |C:ResolveColorBlue |M:groom |D:48\n"
        "5 seconds of what comes at 01:00:10:00\n003  001  V  C  01:00:20:00 01:00:20:01 01:00:20:00 01:00:20:01\n"
        " |C:ResolveColorRed |M:rear |D:1\n"
    )
    [video] = read(tmp_path / "x.edl", said)
    assert [(each.label, each.codes) for each in video.events] == [
        ("groom", ("01:00:01:00", "+48")),
        ("rear", ("01:00:20:00", "01:00:20:01")),
    ]


def test_what_is_wrong_with_an_observation_that_does_not_count_is_no_matter(tmp_path: Path) -> None:
    rows = HEAD + "d,m,groom,START,1,f.mp4,\ne,m,groom,START,1,g.mp4,\ne,m,groom,STOP,2,g.mp4,\n"
    (tmp_path / "x.csv").write_text(rows)
    first, second = read_events(tmp_path / "x.csv", Asked(only=["e"]))
    assert (first.events, len(second.events)) == ((), 1)
    unread = {"file": {"1": ["f.mp4"]}, "events": [[1.0, "m", "groom", "", ""]]}
    whole = {"file": {"1": ["g.mp4"]}, "events": [[1.0, "m", "groom", "", ""], [2.0, "m", "groom", "", ""]]}
    (tmp_path / "x.boris").write_text(json.dumps({"observations": {"d": unread, "e": whole}}))
    first, second = read_events(tmp_path / "x.boris", Asked(only=["g.mp4"]))
    assert (first.events, len(second.events)) == ((), 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", HEAD + "d,m,groom,START,1,f.mp4,\n", ["“groom” of m begins at 1 s (line 2) and never ends"]),
        ("x.csv", HEAD + "d,,groom,STOP,1,f.mp4,\n", ["“groom” ends at 1 s (line 2) and has not begun"]),
        (
            "x.csv",
            HEAD + "d,,groom,START,1,f.mp4,\nd,,groom,START,2,f.mp4,\n",
            ["begins at 1 s (line 2) and again at 2 s"],
        ),
        ("x.csv", HEAD + "d,,groom,WHAT,1,f.mp4,\n", ["line 2", "WHAT"]),
        ("x.csv", HEAD + "d,,groom,START,soon,f.mp4,\n", ["line 2", "soon"]),
        ("x.csv", HEAD + "d,,groom,POINT,1,a.mp4,\nd,,groom,POINT,2,b.mp4,\n", ["a.mp4", "b.mp4"]),
        ("x.csv", "Behavior,Start,Stop\ngroom,2,1\n", ["“groom” in line 2 ends at 1 s, before it begins at 2 s"]),
        ("x.csv", "Behavior,Start,Stop\ngroom,2,\n", ["line 2", "never ends"]),
        ("x.csv", "Behavior,Start,Stop\n,2,3\n", ["line 2 has no label"]),
        ("x.csv", "Behavior,Start,Stop\ngroom,-2,3\n", ["begins before the video"]),
        ("x.csv", "Behavior,Start,Stop,Time offset (s)\ngroom,2,3,5\n", ["time offset"]),
        ("x.csv", "a,b\n1,2\n", ["none of its columns is called like a label", "a, b", "--label"]),
        ("x.csv", "groom\n2\n", ["line 2", "neither 0 nor 1"]),
        ("x.csv", "frame,groom\n3,1\n2,1\n", ["frame 2 after frame 3"]),
        ("x.csv", "frame,groom\nx,1\n", ["line 2 has no frame"]),
        ("x.csv", 'groom\n"' + "1" * 200_000 + '"\n', ["it is no table"]),
        ("x.csv", "", ["none of its columns"]),
        ("x.csv", b"PK\x03\x04\x00\x00\x01\x00", ["not a text file"]),
        ("x.boris", "{", ["no JSON"]),
        ("x.boris", "[" * 100_000, ["no JSON"]),
        ("x.boris", "{}", ["no observations"]),
        (
            "x.boris",
            boris([1.0, "m", "groom", "", "", 1]),
            ["“groom” of m begins at 1 s (event 1 of day 1) and never ends"],
        ),
        ("x.boris", boris(["x", "m", "groom"]), ["event 1 of day 1"]),
        ("x.boris", boris([float("nan"), "", "rear"]), ["event 1 of day 1 has no time"]),
        ("x.boris", boris(**{"time offset": 5}), ["time offset"]),
        ("x.boris", boris(file={"1": ["a.mp4", "b.mp4"]}), ["2 videos one after the other"]),
        ("x.eaf", "<ANNOTATION_DOCUMENT>", ["XML is damaged"]),
        ("x.eaf", "<x/>", ["<x>"]),
        ("x.eaf", '<!DOCTYPE a [<!ENTITY b "c">]><ANNOTATION_DOCUMENT/>', ["entities"]),
        ("x.eaf", eaf(EVENTS.replace('REF2="b"', 'REF2="z"')), ["annotation 1 is at no time"]),
        ("x.eaf", eaf(EVENTS.replace('"1000"', '"soon"')), ["time slot a"]),
        ("x.eaf", eaf(EVENTS.replace('"1000"', '"4000"').replace('"3000"', '"1000"')), ["ends at", "before it begins"]),
        ("x.vtt", "00:01.000 --> 00:02.000\ngroom", ["first line is not WEBVTT"]),
        ("x.vtt", "WEBVTT\n\n00:01.000 --> soon\ngroom", ["is no time"]),
        ("x.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n", ["nothing is said"]),
        ("x.srt", "1\n00:00:02,000 --> 00:00:01,000\ngroom\n", ["ends at 1, before it begins at 2"]),
        ("x.srt", "groom\n", ["no time above 'groom'"]),
        ("x.edl", "TITLE: x\n", ["no event"]),
        ("x.edl", "001  AX V C 00:00:01:00 00:00:02:00\n", ["line 1", "four timecodes"]),
        ("x.edl", "001  AX  V  C  00:00:01:00 00:00:02:00 00:00:01:00 00:00:02:00\n", ["no label"]),
        ("x.json", '{"labels": {"a": [{"label": "groom"}]}}', ["neither support nor timestamps"]),
        ("x.json", '{"labels": {"a": 3}}', ["the labels of a"]),
        ("x.json", "[]", ["no labels of videos"]),
        ("x.h5", "", ["its kind is unknown", ".boris"]),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, content: str | bytes, words: list[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path / name, content)
    assert all(word in raised.value.message + raised.value.remedy for word in words), raised.value.message
    assert str(tmp_path / name) in raised.value.message
    assert raised.value.remedy


def test_files_and_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_events(tmp_path / "none.boris", LABELS)
    with pytest.raises(SettingsError, match="no file with labels"):
        read_events(tmp_path, LABELS)


def test_a_tier_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path / "x.eaf", eaf(EVENTS), Asked(tiers=["gloss"]))
    assert ("no tier gloss" in raised.value.message, raised.value.remedy) == (True, "It has groom.")


def test_too_much_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MOST_BYTES", 100)
    with pytest.raises(SettingsError, match="at most"):
        read(tmp_path / "x.csv", "groom\n" + "1\n" * 100)
    monkeypatch.undo()
    with pytest.raises(SettingsError, match="20,000 are shown"):
        read(tmp_path / "x.csv", "groom\n" + "1\n0\n" * 20_001)


def test_a_hundred_megabytes_are_read(tmp_path: Path) -> None:
    row = ",".join(["0.123456"] * 60) + ",0\n"
    path = tmp_path / "film.csv"
    path.write_text(
        ",".join(f"f{at}" for at in range(60)) + ",groom\n" + row * (100_000_000 // len(row)) + row[:-2] + "1\n"
    )
    assert path.stat().st_size > 99_000_000
    began = time.monotonic()
    [video] = read_events(path, LABELS)
    assert video.events == (Event("groom", frames=(video.frames - 1, video.frames - 1)),)
    assert time.monotonic() - began < 300


def test_every_format_says_what_it_writes() -> None:
    assert {kind.endings[0] for kind in FORMATS.values() if kind.endings} == {
        ".boris",
        ".csv",
        ".eaf",
        ".vtt",
        ".srt",
        ".edl",
    }
