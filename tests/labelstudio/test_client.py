"""The client against a real HTTP server that answers as Label Studio does. The real one is in `tests/e2e`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Response, jsonify, request
from told_studio import LEGACY, PROJECT, Studio

from ml_backend.errors import LabelStudioError, PredictionRefused
from ml_backend.labelstudio.payloads import ProjectKey
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.labelstudio.tasks import Task, condition


class TestAnswers:
    def test_a_project(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/projects/7/", lambda: jsonify(PROJECT))
        assert client.projects.get(7) == Project(ProjectKey(7, 1769860800), "A street", "<View/>", "", (0, 0, 0, 0))
        assert studio.authorization == f"Token {LEGACY}"

    def test_it_says_how_many_annotations_of_each_kind_there_are(self, studio: Studio, client: LabelStudio) -> None:
        counts = {"total_annotations_number": 5, "skipped_annotations_number": 1, "num_tasks_with_annotations": None}
        studio.will("GET", "/api/projects/7/", lambda: jsonify({**PROJECT, **counts, "show_collab_predictions": False}))
        project = client.projects.get(7)
        assert project.counts == (5, 1, 0, 0)
        assert not project.shows_predictions

    def test_an_answer_without_a_body_is_one(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("DELETE", "/api/projects/3/model-versions/", lambda: ("", 204))
        client.predictions.delete_version(3, "cold-v1")
        method, path, _, sent = studio.asked[-1]
        assert (method, path, sent) == ("DELETE", "/api/projects/3/model-versions/", {"model_version": "cold-v1"})

    def test_pinning_a_version_is_all_that_it_changes(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("PATCH", "/api/projects/7/", lambda: jsonify(PROJECT))
        client.projects.pin(7, "cold-v3")
        assert studio.asked[-1][3] == {"model_version": "cold-v3"}

    def test_the_webhooks_of_one_project_or_of_all(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/webhooks/", lambda: jsonify([{"id": 1}]))
        assert client.webhooks.all(7) == client.webhooks.all() == [{"id": 1}]
        assert [asked[2] for asked in studio.asked] == [{"project": "7"}, {}]


def task_answers(studio: Studio, **more: object) -> None:
    """A task on which the token's user has saved no draft, as far as it is asked for."""
    nothing = {"annotations": [], "drafts": [], "draft_exists": False, "predictions": []}
    item = {"id": 5, "data": {"video": "a.mp4"}, **nothing, **more}

    def included() -> Response:
        names = request.args["include"].split(",")
        return jsonify(tasks=[{name: item[name] for name in names if name in item}], total=1)

    studio.will("GET", "/api/tasks", included)


class TestOneTask:
    def test_it_comes_from_the_list_because_asking_for_it_makes_label_studio_call_us(
        self, studio: Studio, client: LabelStudio
    ) -> None:
        task_answers(studio)
        assert client.tasks.get(7, 5) == Task(5, {"video": "a.mp4"})
        (condition,) = json.loads(studio.asked[0][2]["query"])["filters"]["items"]
        assert (condition["filter"], condition["operator"], condition["value"]) == ("filter:tasks:id", "equal", 5)

    def test_one_that_is_gone_is_named(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[], total=0))
        with pytest.raises(LabelStudioError, match="Task 5 is not in project 7") as gone:
            client.tasks.get(7, 5)
        assert not gone.value.passes

    @pytest.mark.parametrize(
        ("work", "found"),
        [({}, 31), ({"annotations": [{"id": 1}]}, None), ({"draft_exists": True}, None), ({"predictions": []}, None)],
    )
    def test_its_suggestions_are_untouched_until_somebody_has_begun(
        self, studio: Studio, client: LabelStudio, work: dict[str, object], found: int | None
    ) -> None:
        predictions = [{"id": 30, "model_version": "cold-v1"}, {"id": 31, "model_version": "keyframes-v1"}]
        task_answers(studio, **{"predictions": predictions, **work})
        assert client.predictions.untouched(7, 5, "keyframes-v1") == found

    def test_a_prediction_is_replaced_in_place_so_that_nobodys_submit_fails(
        self, studio: Studio, client: LabelStudio
    ) -> None:
        studio.will("PATCH", "/api/predictions/31/", lambda: jsonify({}))
        client.predictions.replace(31, {"task": 5, "model_version": "keyframes-v1", "score": 0.5, "result": []})
        assert studio.asked == [("PATCH", "/api/predictions/31/", {}, {"score": 0.5, "result": []})]


class TestTheReviewTab:
    def saved(self, studio: Studio, client: LabelStudio, *tabs: dict[str, Any]) -> list[tuple[str, str, str]]:
        """Method, path and title of what is written when a project has `tabs`."""
        studio.will("GET", "/api/dm/views/", lambda: jsonify(list(tabs)))
        studio.will("POST", "/api/dm/views/", lambda: (jsonify({}), 201))
        studio.will("PATCH", "/api/dm/views/4/", lambda: jsonify({}))
        client.tabs.save_review(7, "cold-v3")
        return [(method, path, body["data"]["title"]) for method, path, _, body in studio.asked if method != "GET"]

    def test_label_studios_own_first_tab_stays_beside_it(self, studio: Studio, client: LabelStudio) -> None:
        (first, ours) = self.saved(studio, client)
        assert first == ("POST", "/api/dm/views/", "Default")
        assert ours[:2] == ("POST", "/api/dm/views/")

    def test_it_lists_the_annotated_tasks_with_a_timeline_of_the_version(
        self, studio: Studio, client: LabelStudio
    ) -> None:
        self.saved(studio, client, {"id": 3, "data": {"title": "Default"}})
        (asked,) = [body for method, _, _, body in studio.asked if method == "POST"]
        conditions = {c["filter"].split(":")[-1]: c["value"] for c in asked["data"]["filters"]["items"]}
        assert conditions == {"total_annotations": 0, "predictions_model_versions": ["cold-v3"]}

    def made(self, studio: Studio, client: LabelStudio) -> dict[str, Any]:
        """The tab as it was made for cold-v3."""
        self.saved(studio, client, {"id": 3, "data": {"title": "Default"}})
        [tab] = [body["data"] for method, _, _, body in studio.asked if method == "POST"]
        studio.asked.clear()
        return dict(tab)

    def followed(self, studio: Studio, client: LabelStudio, tab: dict[str, Any]) -> list[dict[str, Any]]:
        """What is written of a tab when cold-v4 comes."""
        studio.will("GET", "/api/dm/views/", lambda: jsonify([{"id": 4, "data": tab}]))
        client.tabs.save_review(7, "cold-v4")
        return [body["data"] for method, _, _, body in studio.asked if method == "PATCH"]

    def test_it_follows_the_version(self, studio: Studio, client: LabelStudio) -> None:
        tab = self.made(studio, client)
        [changed] = self.followed(studio, client, tab)
        assert [item["value"] for item in changed["filters"]["items"]] == [0, ["cold-v4"]]
        assert changed["title"] == tab["title"]

    def test_what_people_have_changed_of_it_stays(self, studio: Studio, client: LabelStudio) -> None:
        tab = self.made(studio, client)
        theirs = {"filter": "filter:tasks:completed_by", "operator": "contains", "type": "List", "value": [2]}
        tab.update(ordering=["-tasks:updated_at"], hiddenColumns={"explore": ["tasks:inner_id"]})
        tab["filters"] = {"conjunction": "or", "items": [theirs, *tab["filters"]["items"]]}
        [changed] = self.followed(studio, client, tab)
        assert changed["filters"]["items"][0] == theirs
        assert changed["filters"]["conjunction"] == "or"
        assert (changed["ordering"], changed["hiddenColumns"]) == (tab["ordering"], tab["hiddenColumns"])

    @pytest.mark.parametrize("items", [[], [condition("predictions_model_versions", "contains", "List", ["yolo"])]])
    def test_without_our_condition_it_is_left_alone(
        self, studio: Studio, client: LabelStudio, items: list[Any]
    ) -> None:
        tab = self.made(studio, client)
        assert self.followed(studio, client, {**tab, "filters": {"conjunction": "and", "items": items}}) == []

    def test_nothing_is_written_when_the_version_is_the_same(self, studio: Studio, client: LabelStudio) -> None:
        tab = self.made(studio, client)
        studio.will("GET", "/api/dm/views/", lambda: jsonify([{"id": 4, "data": tab}]))
        client.tabs.save_review(7, "cold-v3")
        assert [method for method, *_ in studio.asked] == ["GET"]


class TestPushing:
    def test_many_go_in_bulk(self, studio: Studio, client: LabelStudio) -> None:
        studio.will(
            "POST", "/api/projects/7/import/predictions", lambda: (jsonify(created=len(request.get_json())), 201)
        )
        client.predictions.push(7, [{"task": i} for i in range(450)])
        sent = [item["task"] for asked in studio.asked for item in asked[3]]
        assert sent == list(range(450))
        assert len(studio.asked) == 3

    def pushed(
        self, studio: Studio, client: LabelStudio, answer: Callable[[list[int]], Any], *tasks: int
    ) -> dict[int, str]:
        """What is refused when Label Studio answers so to the tasks that it is sent."""
        studio.will(
            "POST",
            "/api/projects/7/import/predictions",
            lambda: answer([item["task"] for item in request.get_json()]),
        )
        refused = client.predictions.push(7, [{"task": task, "model_version": "cold-v1"} for task in tasks])
        assert all(error.passes for error in refused.values()), "made anew, it may be taken"
        return {task: error.message for task, error in refused.items()}

    def sent(self, studio: Studio) -> list[list[int]]:
        return [[item["task"] for item in asked[3]] for asked in studio.asked if asked[0] == "POST"]

    @pytest.mark.parametrize("unknown", [[], [4], [1, 8], [1, 2, 3, 4, 5, 6, 7, 8]])
    def test_one_that_makes_it_refuse_all_holds_up_no_other(
        self, studio: Studio, client: LabelStudio, unknown: list[int]
    ) -> None:
        stored: list[int] = []

        def answer(tasks: list[int]) -> Any:
            if set(tasks) & set(unknown):
                return jsonify(detail=f"task ID {min(set(tasks) & set(unknown))} not found in project 7"), 400
            stored.extend(tasks)
            return jsonify(created=len(tasks)), 201

        refused = self.pushed(studio, client, answer, 1, 2, 3, 4, 5, 6, 7, 8)
        assert stored == [task for task in range(1, 9) if task not in unknown]
        assert sorted(refused) == unknown
        assert all(f"task ID {task} not found" in why for task, why in refused.items())

    def test_what_it_drops_without_a_word_is_found_among_the_others(self, studio: Studio, client: LabelStudio) -> None:
        studio.will("GET", "/api/projects/7/model-versions/", lambda: jsonify({"cold-v1": 2}))
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[{"id": 2, "data": {}}], total=1))
        refused = self.pushed(studio, client, lambda tasks: (jsonify(created=len(tasks) - 1), 201), 1, 2, 3)
        assert list(refused) == [2]
        assert self.sent(studio) == [[1, 2, 3]], "what it has kept is not sent again"

    @pytest.mark.parametrize("answer", [{"created": 0}, {}, []])
    def test_or_it_has_kept_none(self, studio: Studio, client: LabelStudio, answer: object) -> None:
        assert list(self.pushed(studio, client, lambda _: (jsonify(answer), 201), 1, 2)) == [1, 2]

    @pytest.mark.parametrize("status", [401, 403, 404, 409, 500])
    def test_any_other_refusal_is_of_the_whole(self, studio: Studio, client: LabelStudio, status: int) -> None:
        with pytest.raises(LabelStudioError) as refused:
            self.pushed(studio, client, lambda _: (jsonify(detail="No."), status), 1, 2)
        assert not isinstance(refused.value, PredictionRefused)
        assert self.sent(studio) == [[1, 2]] or status == 401

    def test_nothing_is_sent_for_nothing(self, studio: Studio, client: LabelStudio) -> None:
        client.predictions.push(7, [])
        assert studio.asked == []
