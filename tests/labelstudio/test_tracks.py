"""Label Studio's items of box tracks, to and from tracks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.box_track import KeyFrame, Track
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.tracks import ReadTracks, checksum, has_own_label, is_untouched, read_tracks, track_items
from ml_backend.provenance import track_id
from ml_backend.video.timeline import StudioFrame, Timeline, studio_grid

QUESTION = Question("box", "film", "$video", ("mouse", "cat"), "25", kind="tracks", labels_control="who")
BESIDE = replace(QUESTION, alone=False)
GRID = studio_grid(Timeline(np.arange(100) * 3600, Fraction(1, 90_000), Fraction(4)), 25)

percents = st.floats(0, 100)
key_frames = st.builds(
    KeyFrame,
    st.integers(1, 100).map(StudioFrame),
    percents,
    percents,
    percents,
    percents,
    st.floats(-180, 180),
    st.booleans(),
)
keys_of = st.lists(key_frames, min_size=1, max_size=6, unique_by=lambda key: key.frame).map(
    lambda keys: tuple(sorted(keys, key=lambda key: key.frame))
)
tracks_of = st.builds(
    Track,
    st.integers(1, 99).map(track_id),
    keys_of,
    st.sampled_from([(), ("mouse",), ("mouse", "cat")]),
    st.none() | st.floats(0, 1),
    st.just("prediction"),
    st.sampled_from(["", "who: mouse-2"]),
)


def key(frame: object = 1, **more: object) -> dict[str, Any]:
    return {
        "frame": frame,
        "enabled": True,
        "rotation": 0,
        "x": 10,
        "y": 20,
        "width": 30,
        "height": 40,
        "time": 0.04,
    } | more


def item(*sequence: object, **more: object) -> dict[str, Any]:
    value = {"sequence": list(sequence or (key(),)), "labels": ["mouse"], "framesCount": 100, "duration": 4}
    return {
        "id": "b1",
        "from_name": "box",
        "to_name": "film",
        "type": "videorectangle",
        "origin": "manual",
        "value": value,
        **more,
    }


def submitted(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the editor makes of an untouched prediction on Submit: other times and counts, in the JSON of a browser."""
    found: list[dict[str, Any]] = json.loads(json.dumps(items))
    for each in found:
        each["origin"] = "prediction"
        each["value"] |= {"framesCount": 99, "duration": 3.96}
        for placed in each["value"]["sequence"]:
            placed["time"] = placed["frame"] / 30
            placed |= {
                name: int(number)
                for name, number in placed.items()
                if isinstance(number, float) and number.is_integer()
            }
    return found


def read(*items: object, question: Question = QUESTION) -> ReadTracks:
    return read_tracks(items, question)


def reason(broken: object) -> str:
    """Why an item is refused; those beside it are not."""
    found = read(item(id="before"), broken, item(id="after"))
    assert [track.id for track in found.tracks] == ["before", "after"]
    (error,) = found.refused
    assert error.remedy
    return error.message


class TestWriting:
    def test_an_item_as_label_studio_takes_it(self) -> None:
        keys = (
            KeyFrame(StudioFrame(1), 10, 20, 30, 40),
            KeyFrame(StudioFrame(26), 11.123456, -0.0, 30, 40, 5, enabled=False),
        )
        track = Track(track_id(2), keys, ("mouse",), 0.91, "prediction", "who: mouse-2")
        assert track_items([track], QUESTION, GRID) == [
            {
                "id": "coldblitz-track-2",
                "from_name": "box",
                "to_name": "film",
                "type": "videorectangle",
                "score": 0.91,
                "meta": {"text": ["who: mouse-2"], "pushed": checksum(track), "pushed_labels": ["mouse"]},
                "value": {
                    "labels": ["mouse"],
                    "framesCount": 100,
                    "duration": 4.0,
                    "sequence": [
                        {
                            "frame": 1,
                            "enabled": True,
                            "rotation": 0,
                            "x": 10,
                            "y": 20,
                            "width": 30,
                            "height": 40,
                            "time": 0.04,
                        },
                        {
                            "frame": 26,
                            "enabled": False,
                            "rotation": 5,
                            "x": 11.12346,
                            "y": 0,
                            "width": 30,
                            "height": 40,
                            "time": 1.04,
                        },
                    ],
                },
            }
        ]

    def test_without_a_label_score_or_remark(self) -> None:
        track = Track(track_id(1), (KeyFrame(StudioFrame(3), 1, 2, 3, 4),))
        (found,) = track_items([track], QUESTION, GRID)
        assert "labels" not in found["value"]
        assert "score" not in found
        assert found["meta"].keys() == {"pushed", "pushed_labels"}

    def test_a_label_config_without_labels_gets_none(self) -> None:
        track = Track(track_id(1), (KeyFrame(StudioFrame(3), 1, 2, 3, 4),), ("mouse",), origin="prediction")
        items = track_items([track], replace(QUESTION, labels=(), labels_control=None), GRID)
        assert "labels" not in items[0]["value"]
        assert is_untouched(read(*submitted(items)).tracks[0])

    def test_ids_of_two_questions_differ_and_are_read_the_same(self) -> None:
        track = Track(track_id(1), (KeyFrame(StudioFrame(3), 1, 2, 3, 4),))
        other = replace(BESIDE, from_name="second")
        one, two = track_items([track], BESIDE, GRID) + track_items([track], other, GRID)
        assert one["id"] != two["id"]
        assert [each.id for q in (BESIDE, other) for each in read(one, two, question=q).tracks] == [track.id] * 2

    @pytest.mark.parametrize("frames", [[], [2, 1], [2, 2], [0], [101]])
    def test_key_frames_that_label_studio_cannot_show_are_a_mistake(self, frames: list[int]) -> None:
        keys = tuple(KeyFrame(StudioFrame(frame), 1, 2, 3, 4) for frame in frames)
        with pytest.raises(ValueError, match="key frames of coldblitz-track-1"):
            track_items([Track(track_id(1), keys)], QUESTION, GRID)

    def test_so_are_boxes_that_are_no_numbers_and_ids_that_are_the_same(self) -> None:
        track = Track(track_id(1), (KeyFrame(StudioFrame(3), 1, 2, 3, 4),))
        with pytest.raises(ValueError, match="same id"):
            track_items([track, track], QUESTION, GRID)
        with pytest.raises(ValueError, match="numbers"):
            track_items([replace(track, keys=(KeyFrame(StudioFrame(3), math.nan, 2, 3, 4),))], QUESTION, GRID)

    def test_a_score_is_always_one_that_label_studio_opens(self) -> None:
        track = Track(track_id(1), (KeyFrame(StudioFrame(3), 1, 2, 3, 4),))
        scores = [track_items([replace(track, score=s)], QUESTION, GRID)[0]["score"] for s in (math.nan, -1, 2, 1 / 3)]
        assert scores == [0, 0, 1, 0.333333]


class TestRoundTrip:
    @given(st.lists(tracks_of, max_size=4, unique_by=lambda track: track.id), st.sampled_from([QUESTION, BESIDE]))
    def test_what_was_predicted_comes_back_and_nobody_has_touched_it(
        self, tracks: list[Track], question: Question
    ) -> None:
        items = track_items(tracks, question, GRID)
        found = read(*submitted(items), question=question)
        assert found.refused == ()
        assert [(t.id, t.labels, t.text) for t in found.tracks] == [(t.id, t.labels, t.text) for t in tracks]
        for track, was in zip(found.tracks, tracks, strict=True):
            assert [key.frame for key in track.keys] == [key.frame for key in was.keys]
            frames = np.arange(1, 101)
            assert np.allclose(track.boxes(frames)[:, :4], was.boxes(frames)[:, :4], atol=1e-4, equal_nan=True)
            assert track.pushed == checksum(was)
            assert is_untouched(track)
            assert is_untouched(replace(track, origin=None)), "copied to an annotation"
        assert track_items(found.tracks, question, GRID) == items, "the same again"

    @given(tracks_of, st.data())
    def test_a_drag_a_toggle_or_a_key_frame_more_is_seen(self, track: Track, data: st.DataObject) -> None:
        (changed,) = submitted(track_items([track], QUESTION, GRID))
        sequence = changed["value"]["sequence"]
        at = data.draw(st.integers(0, len(sequence) - 1))
        if data.draw(st.booleans()):
            sequence[at]["enabled"] = not sequence[at]["enabled"]
        elif data.draw(st.booleans()):
            sequence[at]["x"] += 0.5
        elif len(sequence) > 1:
            del sequence[at]
        else:
            sequence.append({**sequence[0], "frame": 200})
        assert not is_untouched(read(changed).tracks[0])


class TestTouched:
    def test_a_drawn_box_and_another_label_are_a_persons(self) -> None:
        assert not is_untouched(read(item()).tracks[0])
        assert not is_untouched(read(item(origin="prediction-changed")).tracks[0])

    def test_a_predicted_label_that_was_kept_while_the_box_was_moved_is_no_persons_word(self) -> None:
        track = Track(track_id(1), (KeyFrame(StudioFrame(3), 1, 2, 3, 4),), ("mouse",), origin="prediction")
        [moved] = submitted(track_items([track], QUESTION, GRID))
        moved["value"]["sequence"][0]["x"] = 50
        [kept] = read(moved).tracks
        assert (is_untouched(kept), has_own_label(kept)) == (False, False)
        moved["value"]["labels"] = ["cat"]
        assert has_own_label(read(moved).tracks[0])
        assert has_own_label(read(item()).tracks[0]), "drawn"
        assert has_own_label(read(item(meta={"pushed": "0" * 8})).tracks[0]), "by an older release, which did not say"

    def test_tracks_of_other_models_are_compared_with_what_was_predicted(self) -> None:
        theirs = read(item(key(1), key(9), origin="prediction")).tracks[0]
        moved = read(item(key(1), key(9, x=11), origin="prediction")).tracks[0]
        assert is_untouched(theirs, [theirs])
        assert not is_untouched(moved, [theirs])
        assert is_untouched(moved), "nobody is known to have changed it"
        assert not is_untouched(replace(moved, origin=None))

    def test_a_checksum_that_is_none_is_not_believed(self) -> None:
        for written in ("x", 5, None, "0" * 9, ["00000000"]):
            assert read(item(meta={"pushed": written})).tracks[0].pushed is None


class TestReading:
    def test_items_of_other_controls_and_kinds_are_left_out(self) -> None:
        phantom = {"id": "b1", "from_name": "events", "type": "timelinelabels", "value": {"timelinelabels": ["mouse"]}}
        found = read(item(from_name="other"), phantom, {**item(), "type": "labels"}, None, "nonsense", item())
        assert [track.id for track in found.tracks] == ["b1"]
        assert read(item(), question=replace(QUESTION, kind="timeline")) == ReadTracks()

    def test_a_box_that_was_drawn(self) -> None:
        (track,) = read(item(key(12), meta={"text": ["the left one", "hurt"]})).tracks
        assert track == Track(
            "b1", (KeyFrame(StudioFrame(12), 10, 20, 30, 40),), ("mouse",), None, "manual", "the left one\nhurt"
        )

    def test_key_frames_in_any_order_and_several_at_one_frame(self) -> None:
        (track,) = read(item(key(9, x=1), key(3, x=2), key(9, x=3), key(0, x=4), key(4.4, x=5))).tracks
        assert [(k.frame, k.x) for k in track.keys] == [(1, 4), (3, 2), (4, 5), (9, 3)]

    def test_what_is_not_written_is_as_the_editor_takes_it(self) -> None:
        bare = {"frame": 3, "x": 1, "y": 2, "width": 3, "height": 4}
        (track,) = read(item(bare, value={"sequence": [bare]}, origin=None)).tracks
        assert track == Track("b1", (KeyFrame(StudioFrame(3), 1, 2, 3, 4, 0, enabled=False),), origin=None)
        assert read(item(meta=None, score="high", origin="imported")).tracks[0].origin == "manual"

    def test_boxes_may_leave_the_picture(self) -> None:
        (track,) = read(item(key(1, x=-20, width=150))).tracks
        assert (track.keys[0].x, track.keys[0].width) == (-20, 150)

    def test_a_hundred_thousand_key_frames(self) -> None:
        (track,) = read(item(*(key(frame, x=frame % 70) for frame in range(100_000, 0, -1)))).tracks
        assert len(track.keys) == 100_000
        assert track.boxes(np.array([1, 50_000]))[:, 0].tolist() == [1, 50_000 % 70]

    @pytest.mark.parametrize(
        ("broken", "why"),
        [
            ({"id": "x", "type": "videorectangle", "from_name": "box"}, "it has no key frames"),
            (item(value={"sequence": []}), "it has no key frames"),
            (item(value={"sequence": "abc"}), "it has no key frames"),
            (item(key(), None), "its key frame 2 has no box"),
            (item(key(), {"frame": 3, "x": 1}), "its key frame 2 has no y"),
            (item(key(x=math.nan)), "the x of its key frame 1 is not a number"),
            (item(key(width=math.inf)), "the width of its key frame 1 is not a number"),
            (item(key(height="40")), "the height of its key frame 1 is not a number"),
            (item(key(rotation=[0])), "the rotation of its key frame 1 is not a number"),
            (item(key(True)), "the frame of its key frame 1 is not a number"),
            (item(key(10**400)), "the frame of its key frame 1 is not a number"),
            (item(key(1e9)), "its key frame 1 is at frame 1e+09, which no video has"),
            (item(key(width=-1)), "its key frame 1 has a box of negative size"),
            (item(key(x=1280)), "its key frame 1 is not in percent of the picture"),
            (item(id="before"), "another one has the same id"),
        ],
    )
    def test_one_that_cannot_be_read_is_refused_with_its_name_and_the_others_are_read(
        self, broken: Any, why: str
    ) -> None:
        assert reason(broken) == f"The boxes of region “{broken['id']}” on “box” cannot be read: {why}."

    def test_names_in_reasons_are_short_and_on_one_line(self) -> None:
        told = reason(item(None, id="a\nb" + "c" * 1000))
        assert "a?bc" in told
        assert len(told) < 200


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(
        st.builds(
            lambda base, name, junk, at, field: (
                {**base, name: junk}
                if at is None
                else {**base, "value": {**base["value"], "sequence": [{**key(), field: junk}]}}
            ),
            st.builds(item, id=st.sampled_from(["a", "b"])),
            st.sampled_from(["id", "value", "meta", "score", "origin", "from_name", "type"]),
            anything,
            st.none() | st.just(0),
            st.sampled_from(["frame", "x", "y", "width", "height", "rotation", "enabled", "time"]),
        )
        | anything,
        max_size=4,
    )
)
def test_whatever_stands_in_a_result_it_is_read_or_refused(result: list[Any]) -> None:
    found = read_tracks(result, QUESTION)
    for track in found.tracks:
        boxes = track.boxes(np.arange(1, 20))
        assert np.isfinite(boxes).all() | np.isnan(boxes).any()
        assert track.keys[0].frame >= 1
    assert all(error.message.startswith("The boxes of region") for error in found.refused)
