"""Whose a region of the timeline is, where each individual in a video has one of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml_backend.annotation import Region
from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.individuals import Cast, Individual, below_tracks
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.regions import Prediction, parse_regions, prediction_json
from ml_backend.prediction_item import ResultItem
from ml_backend.video.timeline import StudioFrame

QUESTION = parse_label_config(
    '<View><TimelineLabels name="does" toName="v"><Label value="walks"/></TimelineLabels><Video name="v" value="$v"/></View>'
).main


def individual(number: int, *spans: tuple[int, int], label: str | None = None, region: str | None = None) -> Individual:
    """In the picture from one frame to another, several times."""
    keys = [(at, 10.0 * (number % 10), 10.0, 5.0, 5.0, 0.0, at == start) for start, end in spans for at in (start, end)]
    return Individual(number, Track.placed(region or f"coldblitz-track-{number}", keys), 200, 2.0, label)


MOUSE = individual(1, (1, 100), label="mouse")
OTHER = individual(2, (50, 80), (120, 150), label="mouse")
VOLE = individual(3, (90, 200), label="vole", region="drawn")
CAST = Cast.of([MOUSE, OTHER, VOLE])


def region(start: int, end: int, name: str = "r", parent: str = "", remark: str = "") -> Region:
    return Region(name, StudioFrame(start), StudioFrame(end), ("walks",), parent=parent, remark=remark)


def whose(*args: Any, cast: Cast = CAST, **more: Any) -> int | None:
    found = cast.whose(region(*args, **more))
    return found.number if found is not None else None


def test_it_is_below_the_track_that_it_is_about() -> None:
    assert whose(55, 60, parent="coldblitz-track-2") == 2
    assert whose(55, 60, parent="coldblitz-track-2_0123abcd") == 2
    assert whose(55, 60, parent="drawn") == 3
    # Not below a track, and two are there.
    assert whose(55, 60, parent="elsewhere") is None


@pytest.mark.parametrize(
    ("remark", "number"),
    [
        ("who: mouse-2", 2),
        ("  WHO:Mouse 2 ", 2),
        ("who = mouse_1", 1),
        ("seen twice\nwho: vole", 3),
        ("who: 2", 2),
        ("who: track 3", 3),
        ("Mouse-2", 2),
        ("2", 2),
        ("who: mouse", None),
        ("who: rat", None),
        ("very near to mouse-2", None),
        ("", None),
    ],
)
def test_its_remark_says_it_however_that_is_written(remark: str, number: int | None) -> None:
    assert whose(55, 60, remark=remark) == number


def test_a_predicted_one_that_was_dragged_stays_whose_it_was() -> None:
    assert whose(52, 61, name="cold-v1-3_50_60_of2") == 2
    assert whose(55, 55, name="kf-cold-v1-of1-55") == 1


def test_of_a_predicted_one_what_a_person_changed_counts() -> None:
    drawn = {"name": "cold-v1-3_50_60_of2"}
    assert whose(50, 60, **drawn, parent="coldblitz-track-2", remark="who: mouse-1") == 1
    assert whose(50, 60, **drawn, parent="coldblitz-track-1", remark="who: mouse-2") == 1
    assert whose(50, 60, **drawn, parent="coldblitz-track-2", remark="who: mouse-2") == 2


def test_without_a_word_it_is_the_only_one_who_is_there() -> None:
    assert whose(10, 40) == 1
    assert whose(160, 170) == 3
    assert whose(40, 60) is None
    assert whose(85, 88) == 1


def test_who_is_named_and_not_there_is_not_taken_for_the_only_one_who_is() -> None:
    assert whose(10, 40, remark="who: mouse-9") is None
    assert whose(10, 40, remark="looks tired") == 1
    # What was predicted for a track that a person has replaced says nothing about who is there now.
    assert whose(10, 40, name="cold-v1-3_10_40_of9", remark="who: mouse-9") == 1


def test_a_name_counts_more_than_a_label_that_is_written_like_it() -> None:
    cast = Cast.of([individual(1, (1, 100), label="mouse-2"), individual(2, (1, 100), label="mouse")])
    assert whose(5, 9, cast=cast, remark="who: mouse-2") == 2
    assert whose(5, 9, "cold-v1-3_5_9_of2", "coldblitz-track-2", "who: mouse-2", cast=cast) == 2
    assert whose(5, 9, cast=cast, remark="who: mouse-2-1") == 1
    numbered = Cast.of([individual(1, (1, 100), label="2"), individual(2, (1, 100)), individual(21, (1, 100))])
    assert whose(5, 9, cast=numbered, remark="who: 2") == 2
    assert whose(5, 9, cast=numbered, remark="who: 2-1") == 1
    assert whose(5, 9, cast=numbered, remark="who: 21") == 21


def test_labels_may_be_any_signs() -> None:
    cast = Cast.of([individual(1, (1, 100), label="♀"), individual(2, (1, 100), label="Mäuschen “rot”")])
    assert whose(5, 9, cast=cast, remark="who: ♀") == 1
    assert whose(5, 9, cast=cast, remark="who: ♀-1") == 1
    # As a keyboard composes it, and without the quotes.
    assert whose(5, 9, cast=cast, remark="who: ma\u0308uschen rot-2") == 2


def test_nobody_is_there_at_all() -> None:
    assert whose(10, 40, cast=Cast()) is None


def test_those_who_are_seen_longest_are_kept_and_the_others_counted() -> None:
    cast = Cast.of([individual(number, (1, 10 * number)) for number in range(1, 6)], most=3)
    assert [each.number for each in cast.individuals] == [3, 4, 5]
    assert cast.left_out == 2


def test_behind_each_other_they_are_one_row_of_frames_without_absences() -> None:
    assert CAST.starts.tolist() == [0, 100, 162, 273]
    there = CAST.placed(region(60, 130), OTHER)
    # Frames 60 to 80, and 120 to 130.
    assert (there.start, there.end) == (100 + 11, 100 + 31 + 11)
    assert CAST.taken_apart(there.start, there.end) == [(OTHER, 60, 130)]
    away = CAST.placed(region(90, 110), OTHER)
    assert away.start > CAST.starts[-1]
    assert CAST.taken_apart(100, 101) == [(MOUSE, 100, 100), (OTHER, 50, 50)]


def test_a_shorter_video_has_only_those_who_are_in_it() -> None:
    cast = CAST.until(85)
    assert [each.number for each in cast.individuals] == [1, 2]
    assert cast.individuals[1].frames[-1] == 80


def test_a_track_of_100_000_key_frames_is_read() -> None:
    keys = [(at, 10.0 + at % 7, 10.0, 5.0, 5.0, 0.0, True) for at in range(1, 100_001)]
    long = Individual(1, Track.placed("long", keys), 100_000, 1.5)
    assert np.array_equal(Cast.of([long]).individuals[0].frames, np.arange(1, 100_001))


def test_who_it_is_survives_the_way_to_label_studio_and_back() -> None:
    said = region(5, 9, "cold-v1-1_5_9_of2", parent="coldblitz-track-2", remark="who: mouse-2")
    [item] = prediction_json(Prediction(1, "cold-v1", (said,), 0.5), QUESTION)["result"]
    assert (item["parentID"], item["meta"]) == ("coldblitz-track-2", {"text": ["who: mouse-2"]})
    [back] = parse_regions([{**item, "origin": "prediction"}], QUESTION)
    assert CAST.whose(back) == OTHER
    [plain] = prediction_json(Prediction(1, "cold-v1", (region(5, 9),), 0.5), QUESTION)["result"]
    assert "parentID" not in plain
    assert "meta" not in plain


def item(name: str, **more: Any) -> ResultItem:
    value = {"ranges": [{"start": 1, "end": 2}], "timelinelabels": ["walks"]}
    return {"id": name, "from_name": "does", "to_name": "v", "type": "timelinelabels", "value": value, **more}  # type: ignore[typeddict-item]


def test_those_of_a_track_that_is_gone_go_and_others_have_its_new_name() -> None:
    track: ResultItem = {
        "id": "coldblitz-track-2",
        "from_name": "box",
        "to_name": "v",
        "type": "videorectangle",
        "value": {"labels": ["vole"]},
    }
    items = [
        item("cold-v1-1_1_2_of1", parentID="coldblitz-track-1"),
        item("cold-v1-2_1_2_of2", parentID="coldblitz-track-2", meta={"text": ["who: mouse-2"]}),
        item("kf-cold-v1-of1-5", parentID="coldblitz-track-1"),
        item("cold-v1-3_1_2_of7", meta={"text": ["who: mouse-7"]}),
        item("kf-9"),
    ]
    found = below_tracks(items, {2: track})
    assert [each["id"] for each in found] == ["cold-v1-2_1_2_of2", "cold-v1-3_1_2_of7", "kf-9"]
    assert found[0]["meta"] == {"text": ["who: vole-2"]}
