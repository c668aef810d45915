"""Questions about tracks, as regions that are there at one frame."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from ml_backend.labelstudio.box_track import KeyFrame, Track
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.track_questions import TrackQuestion, answers, question_items
from ml_backend.labelstudio.tracks import Length, read_tracks, track_items
from ml_backend.provenance import RegionId, track_id
from ml_backend.video.timeline import StudioFrame

QUESTION = Question("box", "film", "$video", ("mouse", "cat"), "25", kind="tracks", labels_control="who")
BESIDE = replace(QUESTION, alone=False)
LENGTH = Length(100, 4.0, 25.0)
ABOUT = TrackQuestion(2, 40, (10.0, 20.0, 30.0, 40.0), "Which one is it?", True)
LOOK = TrackQuestion(3, 50, (70.0, 0.0, 30.0, 40.0), "Still the same?", False)
TRACK = Track(
    track_id(2), (KeyFrame(StudioFrame(1), 1, 2, 3, 4), KeyFrame(StudioFrame(90), 1, 2, 3, 4, enabled=False)), ("cat",)
)


def items(question: Question = QUESTION) -> list[dict[str, Any]]:
    asked = [*track_items([TRACK], question, LENGTH), *question_items([ABOUT, LOOK], question, LENGTH)]
    found: list[dict[str, Any]] = json.loads(json.dumps(asked))
    return found


def test_a_question_is_a_box_around_the_object_at_its_frame_alone_without_a_label_or_score() -> None:
    _, about, look = items()
    assert about["id"] == "coldblitz-question-label-2-40"
    assert about["meta"]["text"] == ["Which one is it?"]
    assert "labels" not in about["value"]
    assert "score" not in about
    [key] = about["value"]["sequence"]
    assert (key["frame"], key["enabled"]) == (40, False)
    shown = Track(
        "", (KeyFrame(StudioFrame(40), key["x"], key["y"], key["width"], key["height"], enabled=key["enabled"]),)
    )
    boxes = shown.boxes(np.arange(1, 101))
    assert np.flatnonzero(~np.isnan(boxes[:, 0])).tolist() == [39]
    x, y, width, height = boxes[39, :4]
    assert x < 10 < 40 < x + width
    assert y < 20 < 60 < y + height
    [key] = look["value"]["sequence"]
    assert key["x"] + key["width"] <= 100
    assert key["y"] == 0


def test_questions_are_no_tracks_whatever_became_of_them() -> None:
    for question in (QUESTION, BESIDE):
        asked = items(question)
        for each in asked[1:]:
            each["value"]["labels"] = ["mouse"]
            each["value"]["sequence"][0]["x"] += 5
        read = read_tracks(asked, question)
        assert [each.id for each in read.tracks] == ["coldblitz-track-2"]
        assert not read.refused


def test_only_a_label_on_a_question_about_one_is_an_answer() -> None:
    for question in (QUESTION, BESIDE):
        asked = items(question)
        assert answers(asked, question) == {}
        asked[2]["value"]["labels"] = ["cat"]
        assert answers(asked, question) == {}, "whether it is the same is no question of a label"
        asked[1]["value"]["labels"] = ["mouse"]
        assert answers(asked, question) == {2: "mouse"}
        assert answers(asked, replace(question, from_name="other")) == {}


def test_what_is_of_another_form_is_no_answer() -> None:
    name = "coldblitz-question-label-2-40"
    for bad in (None, 3, [], {"labels": 3}, {"labels": [3]}, {"labels": None}):
        assert answers([{"id": name, "from_name": "box", "value": bad}, "x", None], QUESTION) == {}
    for other in ("coldblitz-question-label-0-4", "coldblitz-question-who-2-4", f"{name}/..", f"{name}_short"):
        assert RegionId.parse(other) is None
