"""Label Studio's result items to and from regions."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.annotation import Region, WholeVideo
from ml_backend.labelstudio.label_config import Question, parse_label_config
from ml_backend.labelstudio.regions import (
    KEYFRAMES_VERSION,
    Prediction,
    asked,
    is_untouched_whole,
    joined_json,
    parse_annotations,
    parse_regions,
    parse_whole,
    prediction_json,
    suggestion,
)
from ml_backend.provenance import whole_id
from ml_backend.video.timeline import StudioFrame

CONFIG = Question("events", "film", "$video", ("cat", "dog"), "25", "state")


def region(start: int, end: int, *labels: str, score: float | None = None) -> Region:
    return Region("cold-v3-1", StudioFrame(start), StudioFrame(end), labels, "prediction", score)


def item(start: object = 3, end: object = 9, labels: object = ("cat",), **more: object) -> dict[str, Any]:
    value: dict[str, Any] = {"ranges": [{"start": start, "end": end}]}
    if labels is not None:
        value["timelinelabels"] = list(labels) if isinstance(labels, tuple) else labels
    return {
        "id": "x1",
        "from_name": "events",
        "to_name": "film",
        "type": "timelinelabels",
        "origin": "manual",
        "value": value,
        **more,
    }


class TestPredictions:
    def test_what_is_less_sure_than_the_control_asks_is_left_out(self) -> None:
        sure, unsure = region(3, 9, "cat", score=0.75), region(10, 12, "dog", score=0.5)
        question = replace(CONFIG, score_threshold=0.6)
        made = prediction_json(
            Prediction(5, "cold-v3", (*asked("cold-v3", [StudioFrame(1)]), unsure, sure), 0.5), question
        )
        assert [item["value"]["timelinelabels"] for item in made["result"]] == [[], ["cat"]], "questions have no score"
        whole = replace(question, kind="choices")
        for score, shown in ((0.59, 0), (0.6, 1)):
            answer = WholeVideo("id", ("cat",), "prediction", score)
            assert len(prediction_json(Prediction(5, "cold-v3", (), 0.5, answer), whole)["result"]) == shown

    def test_a_prediction_as_label_studio_takes_it(self) -> None:
        made = prediction_json(Prediction(5, "cold-v3", (region(3, 9, "cat", score=0.75),), 0.5), CONFIG)
        assert made == {
            "task": 5,
            "model_version": "cold-v3",
            "score": 0.5,
            "result": [
                {
                    "id": "cold-v3-1",
                    "from_name": "events",
                    "to_name": "film",
                    "type": "timelinelabels",
                    "score": 0.75,
                    "value": {"ranges": [{"start": 3, "end": 9}], "timelinelabels": ["cat"]},
                }
            ],
        }

    def test_a_suggestion_is_one_frame_with_an_empty_list_of_labels(self) -> None:
        made = prediction_json(suggestion(5, [StudioFrame(1), StudioFrame(40)]), CONFIG)
        assert made["model_version"] == KEYFRAMES_VERSION
        assert [r["id"] for r in made["result"]] == ["kf-1", "kf-40"]
        # The bulk import drops a region without the key.
        assert [r["value"] for r in made["result"]] == [
            {"ranges": [{"start": 1, "end": 1}], "timelinelabels": []},
            {"ranges": [{"start": 40, "end": 40}], "timelinelabels": []},
        ]

    def test_a_question_is_the_same_and_tells_which_model_asks(self) -> None:
        questions = asked("cold-v3", [StudioFrame(7), StudioFrame(40)])
        made = prediction_json(Prediction(5, "cold-v3", (*questions, region(1, 9, "cat", score=0.4)), 0.5), CONFIG)
        assert [r["value"]["timelinelabels"] for r in made["result"]] == [[], [], ["cat"]]
        assert [r["id"] for r in made["result"][:2]] == ["kf-cold-v3-7", "kf-cold-v3-40"]
        assert all("score" not in r for r in made["result"][:2])
        assert parse_regions(made["result"], CONFIG)[0].labels == ()

    def test_there_is_one_range_per_region_because_an_edit_destroys_more(self) -> None:
        made = prediction_json(Prediction(5, "v", (region(1, 2, "cat"), region(5, 9, "cat")), 1), CONFIG)
        assert [len(r["value"]["ranges"]) for r in made["result"]] == [1, 1]

    @pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, -1.0, 2.0])
    def test_a_score_is_always_a_number_from_0_to_1(self, score: float) -> None:
        made = prediction_json(Prediction(5, "v", (region(1, 2, "cat", score=score),), score), CONFIG)
        for written in (made["score"], made["result"][0]["score"]):
            assert 0 <= json.loads(json.dumps(written, allow_nan=False)) <= 1

    @given(
        st.lists(
            st.builds(
                Region,
                id=st.text(min_size=1),
                start=st.integers(1, 50).map(StudioFrame),
                end=st.integers(51, 100).map(StudioFrame),
                labels=st.lists(st.sampled_from(["cat", "dog"]), unique=True).map(tuple),
                origin=st.none(),
                score=st.none() | st.floats(0, 1).map(lambda score: round(score, 6)),
            )
        )
    )
    def test_regions_come_back_as_they_went(self, regions: list[Region]) -> None:
        sent = json.loads(json.dumps(prediction_json(Prediction(5, "v", tuple(regions), 1), CONFIG)))
        assert parse_regions(sent["result"], CONFIG) == tuple(regions)


class TestReadingRegions:
    @pytest.mark.parametrize(
        ("start", "end", "read"),
        [
            (3, 9, (3, 9)),
            (9, 3, (3, 9)),
            (0, 4, (1, 4)),
            (0, 0, (1, 1)),
            (-5, 0, (1, 1)),
            (2.6, 4.4, (3, 4)),
            ("3", "9", (3, 9)),
        ],
    )
    def test_any_two_numbers_are_a_span_of_frames(self, start: object, end: object, read: tuple[int, int]) -> None:
        (found,) = parse_regions([item(start, end)], CONFIG)
        assert (found.start, found.end) == read

    @pytest.mark.parametrize("start", [None, "x", math.nan, math.inf, [], {}])
    def test_what_is_no_frame_is_left_out(self, start: object) -> None:
        assert parse_regions([item(start)], CONFIG) == ()

    @pytest.mark.parametrize("labels", [None, (), "cat", 5])
    def test_an_unanswered_suggestion_has_no_label(self, labels: object) -> None:
        (found,) = parse_regions([item(labels=labels)], CONFIG)
        assert found.labels == ()

    def test_a_region_of_several_ranges_is_several_regions(self) -> None:
        several = item()
        several["value"]["ranges"] = [{"start": 1, "end": 2}, {"start": 5, "end": 6}]
        assert [(r.start, r.end) for r in parse_regions([several], CONFIG)] == [(1, 2), (5, 6)]

    @pytest.mark.parametrize(
        "change",
        [
            {"type": "choices"},
            {"from_name": "others"},
            {"value": None},
            {"value": {}},
            {"value": {"ranges": None}},
            {"value": {"ranges": 5}},
            {"value": {"ranges": {"start": 1, "end": 2}}},
            {"value": {"ranges": ["x", None]}},
        ],
    )
    def test_other_controls_and_strange_items_are_left_out(self, change: dict[str, Any]) -> None:
        assert parse_regions([item(**change)], CONFIG) == ()

    def test_the_origin_is_kept_and_an_unknown_one_counts_as_manual(self) -> None:
        read = parse_regions([item(origin="prediction-changed"), item(origin="magic")], CONFIG)
        assert [r.origin for r in read] == ["prediction-changed", "manual"]


class TestReadingAnnotations:
    ANNOTATION = {  # noqa: RUF012
        "id": 28,
        "completed_by": 3,
        "was_cancelled": False,
        "ground_truth": False,
        "updated_at": "2026-01-31T12:00:00.5Z",
        "result": [item()],
    }

    def test_one_person_s_work_on_one_task(self) -> None:
        (read,) = parse_annotations(5, [self.ANNOTATION], CONFIG)
        assert (read.id, read.task, read.author) == (28, 5, 3)
        assert read.updated_at == datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC)
        assert [r.labels for r in read.regions] == [("cat",)]

    def test_a_skipped_one_is_left_out(self) -> None:
        assert parse_annotations(5, [{**self.ANNOTATION, "was_cancelled": True}], CONFIG) == ()

    def test_the_author_may_come_with_all_details(self) -> None:
        (read,) = parse_annotations(5, [{**self.ANNOTATION, "completed_by": {"id": 4, "email": "a@b"}}], CONFIG)
        assert read.author == 4

    @pytest.mark.parametrize(
        ("answer", "reviewed"),
        [
            (["Reviewed"], True),
            (["broken"], False),
            (["broken", "reviewed"], True),
            ([], None),
            (None, None),
            ("reviewed", None),
        ],
    )
    def test_the_reviewed_choice_says_that_the_whole_video_was_seen(
        self, answer: object, reviewed: bool | None
    ) -> None:
        choice = {"type": "choices", "from_name": "state", "to_name": "film", "value": {"choices": answer}}
        (read,) = parse_annotations(5, [{**self.ANNOTATION, "result": [item(), choice]}], CONFIG)
        assert read.reviewed is reviewed

    @pytest.mark.parametrize("result", [None, {}, "x", [None, 5, "x", []], [{"type": "choices", "from_name": "state"}]])
    def test_a_strange_result_is_an_annotation_that_says_nothing(self, result: object) -> None:
        (read,) = parse_annotations(5, [{**self.ANNOTATION, "result": result}], CONFIG)
        assert (read.regions, read.reviewed) == ((), None)


class TestSeveralQuestions:
    """Two timelines and a class of the whole video, all in one result."""

    ACTION, PLACE, KIND = parse_label_config(
        """<View><TimelineLabels name="action" toName="v"><Label value="walks"/><Label value="rests"/></TimelineLabels>
        <TimelineLabels name="place" toName="v"><Label value="tree"/><Label value="rests"/></TimelineLabels>
        <Choices name="kind" toName="v" choice="multiple"><Choice value="cat"/><Choice value="dog"/></Choices>
        <Video name="v" value="$video"/></View>"""
    ).questions

    def predicted(self) -> list[dict[str, Any]]:
        walks = Region("cold-v1-1_5_9", StudioFrame(5), StudioFrame(9), ("walks",), "prediction", 0.9)
        tree = Region("cold-v1-1_5_9", StudioFrame(5), StudioFrame(9), ("tree",), "prediction", 0.8)
        whole = WholeVideo(whole_id("cold-v1", ["dog", "cat"]), ("cat", "dog"), "prediction", 0.7)
        item = joined_json(
            [
                (self.ACTION, Prediction(3, "cold-v1", (*asked("cold-v1", [StudioFrame(7)]), walks), 0.6)),
                (self.PLACE, Prediction(3, "cold-v1", (tree,), 0.4)),
                (self.KIND, Prediction(3, "cold-v1", (), 0.5, whole)),
            ]
        )
        assert (item["task"], item["model_version"], item["score"]) == (3, "cold-v1", 0.4)
        return [{**each, "origin": "prediction"} for each in item["result"]]

    def test_each_item_names_its_own_control_and_no_two_share_an_id(self) -> None:
        result = self.predicted()
        assert [each["from_name"] for each in result] == ["action", "action", "place", "kind"]
        assert [each["type"] for each in result] == ["timelinelabels"] * 3 + ["choices"]
        assert len({each["id"] for each in result}) == 4

    def test_each_question_reads_its_own_items_with_the_ids_that_it_would_have_alone(self) -> None:
        result = self.predicted()
        assert [region.id for region in parse_regions(result, self.ACTION)] == ["kf-cold-v1-7", "cold-v1-1_5_9"]
        (tree,) = parse_regions(result, self.PLACE)
        assert (tree.id, tree.origin, tree.labels) == ("cold-v1-1_5_9", "prediction", ("tree",))
        assert parse_regions(result, self.KIND) == ()
        assert parse_whole(result, self.PLACE) is None

    def test_what_a_person_says_about_another_questions_region_is_their_own_word(self) -> None:
        # Label Studio's editor puts it beside the region's own item, with the same id and origin.
        result = self.predicted()
        result.insert(
            2, {**result[1], "from_name": "place", "value": {**result[1]["value"], "timelinelabels": ["rests"]}}
        )
        assert [(each.labels, each.origin) for each in parse_regions(result, self.PLACE)] == [
            (("rests",), "manual"),
            (("tree",), "prediction"),
        ]

    def test_a_suggested_frame_may_be_answered_to_any_question(self) -> None:
        result = self.predicted()
        result.insert(
            1, {**result[0], "from_name": "place", "value": {**result[0]["value"], "timelinelabels": ["tree"]}}
        )
        assert [each.id for each in parse_regions(result, self.PLACE)] == ["kf-cold-v1-7", "cold-v1-1_5_9"]

    def test_a_frame_that_several_questions_ask_about_is_one_row(self) -> None:
        parts = [
            (question, Prediction(3, "cold-v1", asked("cold-v1", map(StudioFrame, frames)), 0.5))
            for question, frames in ((self.ACTION, (7, 20)), (self.PLACE, (7, 30)))
        ]
        found = [(each["from_name"], each["value"]["ranges"][0]["start"]) for each in joined_json(parts)["result"]]
        assert found == [("action", 7), ("action", 20), ("place", 30)]

    def test_of_videos_side_by_side_each_is_asked_about(self) -> None:
        left, right = parse_label_config(
            """<View><TimelineLabels name="a" toName="l"><Label value="x"/></TimelineLabels><Video name="l" value="$l"/>
            <TimelineLabels name="b" toName="r"><Label value="x"/></TimelineLabels><Video name="r" value="$r"/></View>"""
        ).questions
        parts = [(question, suggestion(3, [StudioFrame(7)])) for question in (left, right)]
        assert [each["to_name"] for each in joined_json(parts)["result"]] == ["l", "r"]

    def test_an_id_from_when_there_was_one_control_belongs_to_the_control_that_comes_first(self) -> None:
        old = {**self.predicted()[1], "id": "cold-v1-1_5_9"}
        added = {**old, "from_name": "place"}
        assert [each.origin for each in parse_regions([old, added], self.ACTION)] == ["prediction"]
        assert [each.origin for each in parse_regions([old, added], self.PLACE)] == ["manual"]

    def test_a_class_that_was_left_as_predicted_is_told_from_a_changed_one(self) -> None:
        result = self.predicted()
        left = parse_whole(result, self.KIND)
        assert left is not None
        assert (left.labels, left.score, is_untouched_whole(left)) == (("cat", "dog"), 0.7, True)
        result[3]["value"] = {"choices": ["dog"]}
        changed = parse_whole(result, self.KIND)
        assert changed is not None
        assert (changed.labels, is_untouched_whole(changed)) == (("dog",), False)

    @pytest.mark.parametrize("choices", [None, "cat", [], [["cat"]], [5], {"cat": 1}])
    def test_what_is_no_choice_answers_nothing(self, choices: object) -> None:
        item = {"type": "choices", "from_name": "kind", "value": {"choices": choices}}
        assert parse_whole([item], self.KIND) is None


class TestCopiedRegions:
    def test_what_label_studio_copies_from_a_prediction_has_no_origin(self) -> None:
        (copied,) = parse_regions([{**item(), "origin": None}], CONFIG)
        (silent,) = parse_regions([{key: value for key, value in item().items() if key != "origin"}], CONFIG)
        assert copied.origin is None
        assert silent.origin is None
        assert parse_regions([item(origin="made up")], CONFIG)[0].origin == "manual"

    def test_an_annotation_knows_that_it_began_from_a_prediction(self) -> None:
        common = {"id": 1, "updated_at": "2026-01-01T00:00:00Z", "result": []}
        made = parse_annotations(
            5, [{**common, "parent_prediction": 12}, {**common, "parent_prediction": None}], CONFIG
        )
        assert [each.from_prediction for each in made] == [True, False]

    @pytest.mark.parametrize(
        ("name", "origin", "untouched"),
        [
            (whole_id("cold-v3", ["cat"]), "prediction", True),
            (whole_id("cold-v3", ["cat"]), None, True),
            (whole_id("cold-v3", ["dog"]), None, False),
            (whole_id("cold-v3", ["cat"]), "prediction-changed", False),
            ("of-yolo", "prediction", True),
            ("of-yolo", "prediction-changed", False),
            ("by-hand", "manual", False),
        ],
    )
    def test_an_answer_about_a_whole_video_that_nobody_gave(self, name: str, origin: Any, untouched: bool) -> None:
        assert is_untouched_whole(WholeVideo(name, ("cat",), origin)) is untouched


class TestReviewedOnARegion:
    """`<Choices perRegion="true">`: the answer has the id and the range of its region."""

    def ticked(self, name: str, *choices: str) -> dict[str, Any]:
        value = {"ranges": [{"start": 3, "end": 9}], "choices": list(choices)}
        return {"id": name, "from_name": "state", "to_name": "film", "type": "choices", "value": value}

    def read(self, *result: dict[str, Any]) -> Any:
        (made,) = parse_annotations(
            5, [{"id": 1, "updated_at": "2026-01-01T00:00:00Z", "result": list(result)}], CONFIG
        )
        return made

    def test_it_is_about_that_region_and_not_about_the_video(self) -> None:
        made = self.read(item(id="x1"), item(id="x2"), self.ticked("x1", "Reviewed"))
        assert made.reviewed is None
        assert [each.reviewed for each in made.regions] == [True, False]

    def test_also_where_the_answer_repeats_the_region_s_id_alone(self) -> None:
        bare = {**self.ticked("x1", "reviewed"), "value": {"choices": ["reviewed"]}}
        made = self.read(item(id="x1"), bare)
        assert (made.reviewed, made.regions[0].reviewed) == (None, True)

    def test_also_where_the_region_is_a_box(self) -> None:
        value = {"sequence": [{"frame": 3, "enabled": True}], "choices": ["reviewed"]}
        made = self.read(item(id="x1"), {**self.ticked("box", "reviewed"), "value": value})
        assert (made.reviewed, made.regions[0].reviewed) == (None, False)

    def test_another_answer_of_the_control_is_no_review(self) -> None:
        made = self.read(item(id="x1"), self.ticked("x1", "broken"))
        assert (made.reviewed, made.regions[0].reviewed) == (None, False)

    def test_a_suggestion_without_a_label_was_found_to_show_none(self) -> None:
        made = self.read(item(3, 3, (), id="kf-3"), self.ticked("kf-3", "reviewed"))
        assert made.regions[0].nothing
