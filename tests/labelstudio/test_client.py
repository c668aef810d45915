"""The client against a real HTTP server that answers as Label Studio does. The real one is in `tests/e2e`."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from flask import Flask, Response, jsonify, redirect, request
from loopback import closed_port, serving

from ml_backend.errors import (
    ColdblitzError,
    LabelStudioError,
    LabelStudioMissing,
    LabelStudioRefused,
    LabelStudioUnreachable,
)
from ml_backend.labelstudio.client import Client, Project, Task
from ml_backend.labelstudio.payloads import ProjectKey

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PROJECT = {
    "id": 7,
    "title": "A street",
    "label_config": "<View/>",
    "model_version": None,
    "created_at": "2026-01-31T12:00:00Z",
}


class Studio(Flask):
    """Answers what a test tells it to, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("studio")
        self.asked: list[Any] = []
        self.answers: dict[tuple[str, str], Callable[[], Any]] = {}
        self.add_url_rule("/", view_func=self.answer, defaults={"path": ""}, methods=["GET"])
        self.add_url_rule("/<path:path>", view_func=self.answer, methods=["GET", "POST", "PATCH", "DELETE"])

    def answer(self, path: str) -> Any:
        self.asked.append((request.method, f"/{path}", request.args.to_dict(), request.get_json(silent=True)))
        self.authorization = request.headers.get("Authorization")
        return self.answers[request.method, f"/{path}"]()

    def will(self, method: str, path: str, answer: Callable[[], Any]) -> None:
        self.answers[method, path] = answer


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Studio, str]]:
    studio = Studio()
    with serving(studio) as address:
        yield studio, address


@pytest.fixture
def studio(server: tuple[Studio, str]) -> Studio:
    studio, _ = server
    studio.asked, studio.answers = [], {}
    return studio


@pytest.fixture
def url(server: tuple[Studio, str]) -> str:
    return server[1]


@pytest.fixture(scope="module")
def client(server: tuple[Studio, str]) -> Client:
    return Client(server[1] + "/", LEGACY, timeout=5)


class TestAnswers:
    def test_a_project(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/projects/7/", lambda: jsonify(PROJECT))
        assert client.project(7) == Project(ProjectKey(7, 1769860800), "A street", "<View/>", "", (0, 0, 0, 0))
        assert studio.authorization == f"Token {LEGACY}"

    def test_it_says_how_many_annotations_of_each_kind_there_are(self, studio: Studio, client: Client) -> None:
        counts = {"total_annotations_number": 5, "skipped_annotations_number": 1, "num_tasks_with_annotations": None}
        studio.will("GET", "/api/projects/7/", lambda: jsonify({**PROJECT, **counts, "show_collab_predictions": False}))
        project = client.project(7)
        assert project.counts == (5, 1, 0, 0)
        assert not project.shows_predictions

    def test_an_answer_without_a_body_is_one(self, studio: Studio, client: Client) -> None:
        studio.will("DELETE", "/api/projects/3/model-versions/", lambda: ("", 204))
        client.delete_version(3, "cold-v1")

    def test_pinning_a_version_is_all_that_it_changes(self, studio: Studio, client: Client) -> None:
        studio.will("PATCH", "/api/projects/7/", lambda: jsonify(PROJECT))
        client.pin(7, "cold-v3")
        assert studio.asked[-1][3] == {"model_version": "cold-v3"}

    def test_the_webhooks_of_one_project_or_of_all(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/webhooks/", lambda: jsonify([{"id": 1}]))
        assert client.webhooks(7) == client.webhooks() == [{"id": 1}]
        assert [asked[2] for asked in studio.asked] == [{"project": "7"}, {}]


class Tasks:
    """The task list of a project, as Label Studio filters, orders and cuts it. `having`: for each model version, the tasks that
    have a prediction of it."""

    def __init__(self, studio: Studio, number: int, **having: set[int]) -> None:
        self.items = {i: {"id": i, "data": {"video": f"{i}.mp4"}} for i in range(1, number + 1)}
        self.having = {name.replace("_", "-"): tasks for name, tasks in having.items()}
        self.queries: list[dict[str, Any]] = []
        studio.will("GET", "/api/tasks", self.page)
        studio.will("GET", "/api/projects/7/model-versions/", self.counts)

    def page(self) -> Response:
        query = json.loads(request.args["query"])
        self.queries.append(query)
        conditions = query.get("filters", {}).get("items", [])
        found = [item for item in self.items.values() if all(self.meets(item["id"], one) for one in conditions)]
        (order,) = query["ordering"]
        found.sort(key=lambda item: item["id"], reverse=order.startswith("-"))
        shown = found[: int(request.args["page_size"])]
        if "predictions_model_versions" in request.args["include"]:
            shown = [{**item, "predictions_model_versions": ",".join(self.versions(item["id"]))} for item in shown]
        return jsonify(tasks=shown, total=len(found))

    def counts(self) -> Response:
        return jsonify({version: len(tasks) for version, tasks in self.having.items()})

    def versions(self, task: int) -> list[str]:
        return [version for version, tasks in self.having.items() if task in tasks]

    def meets(self, task: int, condition: dict[str, Any]) -> bool:
        column, value = condition["filter"].removeprefix("filter:tasks:"), condition["value"]
        if column == "predictions_model_versions":
            # Label Studio looks for the name anywhere in the version's.
            return not any(value[0] in version for version in self.versions(task))
        if column == "total_annotations":
            return True
        return bool({"greater": task > value, "less_or_equal": task <= value}[condition["operator"]])


class TestTheTaskList:
    def test_it_is_read_page_by_page(self, studio: Studio, client: Client) -> None:
        tasks = Tasks(studio, 250)
        assert list(client.tasks(7)) == [Task(i, {"video": f"{i}.mp4"}) for i in range(1, 251)]
        assert len(tasks.queries) == 3

    def test_none_is_lost_when_it_shrinks_while_it_is_read(self, studio: Studio, client: Client) -> None:
        tasks = Tasks(studio, 250, cold_v3=set())
        seen = []
        for task in client.tasks_lacking(7, "cold-v3"):
            seen.append(task.id)
            tasks.having["cold-v3"].add(task.id)
        assert seen == list(range(1, 251))

    def test_one_that_is_empty_ends(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[], total=250))
        assert list(client.tasks(7)) == []

    def test_tasks_that_lack_a_version_are_asked_for_by_filter(self, studio: Studio, client: Client) -> None:
        tasks = Tasks(studio, 10, cold_v3={2, 3}, cold_v2={5})
        assert [task.id for task in client.tasks_lacking(7, "cold-v3", after=4)] == [5, 6, 7, 8, 9, 10]
        asked = {c["filter"].removeprefix("filter:tasks:"): c["value"] for c in tasks.queries[0]["filters"]["items"]}
        assert asked == {"total_annotations": 0, "predictions_model_versions": ["cold-v3"], "id": 4}

    def test_version_12_is_not_taken_for_version_1(self, studio: Studio, client: Client) -> None:
        Tasks(studio, 5, cold_v1={1, 2}, cold_v12={2, 3})
        assert [task.id for task in client.tasks_without(7, "cold-v1")] == [3, 4, 5]
        assert [task.id for task in client.tasks_without(7, "cold-v12")] == [1, 4, 5]

    def test_ids_alone_come_in_large_pages(self, studio: Studio, client: Client) -> None:
        tasks = Tasks(studio, 10_500)
        assert sum(1 for _ in client.task_ids(7)) == 10_500
        assert len(tasks.queries) == 2

    def test_the_newest_and_how_many_are_asked_for_by_one_small_page_each(self, studio: Studio, client: Client) -> None:
        Tasks(studio, 30)
        assert client.newest_task(7) == (30, 30)
        assert client.number_up_to(7, 12) == 12
        assert {asked[2]["page_size"] for asked in studio.asked} == {"1"}

    def test_an_empty_project_has_none(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[], total=0))
        assert client.newest_task(7) == (0, 0)
        assert client.last_annotated(7) == ("", 0)

    def test_when_an_annotated_task_changed_last(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[{"id": 3, "updated_at": "2026-01-31"}], total=4))
        assert client.last_annotated(7) == ("2026-01-31", 4)
        query = json.loads(studio.asked[0][2]["query"])
        assert query["ordering"] == ["-tasks:updated_at"]
        assert query["filters"]["items"][0]["filter"] == "filter:tasks:total_annotations"

    def test_annotations_name_their_task(self, studio: Studio, client: Client) -> None:
        tasks = [{"id": 5, "data": {}, "annotations": [{"id": 28, "result": []}]}]
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=tasks, total=1))
        assert list(client.annotated(7)) == [(Task(5, {}), [{"id": 28, "result": [], "task": 5}])]


def task_answers(studio: Studio, **more: object) -> None:
    item = {"id": 5, "data": {"video": "a.mp4"}, "annotations": [], "drafts": [], "predictions": [], **more}
    studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[item], total=1))


class TestOneTask:
    def test_it_comes_from_the_list_because_asking_for_it_makes_label_studio_call_us(
        self, studio: Studio, client: Client
    ) -> None:
        task_answers(studio)
        assert client.task(7, 5) == Task(5, {"video": "a.mp4"})
        (condition,) = json.loads(studio.asked[0][2]["query"])["filters"]["items"]
        assert (condition["filter"], condition["operator"], condition["value"]) == ("filter:tasks:id", "equal", 5)

    def test_one_that_is_gone_is_named(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/tasks", lambda: jsonify(tasks=[], total=0))
        with pytest.raises(LabelStudioError, match="Task 5 is not in project 7") as gone:
            client.task(7, 5)
        assert not gone.value.passes

    @pytest.mark.parametrize(
        ("work", "found"),
        [({}, 31), ({"annotations": [{"id": 1}]}, None), ({"drafts": [{"id": 1}]}, None), ({"predictions": []}, None)],
    )
    def test_its_suggestions_are_untouched_until_somebody_has_begun(
        self, studio: Studio, client: Client, work: dict[str, object], found: int | None
    ) -> None:
        predictions = [{"id": 30, "model_version": "cold-v1"}, {"id": 31, "model_version": "keyframes-v1"}]
        task_answers(studio, **{"predictions": predictions, **work})
        assert client.untouched_prediction(7, 5, "keyframes-v1") == found

    def test_a_prediction_is_replaced_in_place_so_that_nobodys_submit_fails(
        self, studio: Studio, client: Client
    ) -> None:
        studio.will("PATCH", "/api/predictions/31/", lambda: jsonify({}))
        client.replace_prediction(31, {"task": 5, "model_version": "keyframes-v1", "score": 0.5, "result": []})
        assert studio.asked == [("PATCH", "/api/predictions/31/", {}, {"score": 0.5, "result": []})]


class TestTheReviewTab:
    def saved(self, studio: Studio, client: Client, *tabs: dict[str, Any]) -> list[tuple[str, str, str]]:
        """Method, path and title of what is written when a project has `tabs`."""
        studio.will("GET", "/api/dm/views/", lambda: jsonify(list(tabs)))
        studio.will("POST", "/api/dm/views/", lambda: (jsonify({}), 201))
        studio.will("PATCH", "/api/dm/views/4/", lambda: jsonify({}))
        client.save_review_tab(7, "cold-v3")
        return [(method, path, body["data"]["title"]) for method, path, _, body in studio.asked if method != "GET"]

    def test_label_studios_own_first_tab_stays_beside_it(self, studio: Studio, client: Client) -> None:
        (first, ours) = self.saved(studio, client)
        assert first == ("POST", "/api/dm/views/", "Default")
        assert ours[:2] == ("POST", "/api/dm/views/")

    def test_it_lists_the_annotated_tasks_with_a_timeline_of_the_version(self, studio: Studio, client: Client) -> None:
        self.saved(studio, client, {"id": 3, "data": {"title": "Default"}})
        (asked,) = [body for method, _, _, body in studio.asked if method == "POST"]
        conditions = {c["filter"].split(":")[-1]: c["value"] for c in asked["data"]["filters"]["items"]}
        assert conditions == {"total_annotations": 0, "predictions_model_versions": ["cold-v3"]}

    def test_a_second_version_changes_it(self, studio: Studio, client: Client) -> None:
        ((_, _, title),) = self.saved(studio, client, {"id": 3, "data": {"title": "Default"}})
        studio.asked.clear()
        assert self.saved(studio, client, {"id": 4, "data": {"title": title}}) == [("PATCH", "/api/dm/views/4/", title)]


class TestPushing:
    def test_many_go_in_bulk(self, studio: Studio, client: Client) -> None:
        studio.will(
            "POST", "/api/projects/7/import/predictions", lambda: (jsonify(created=len(request.get_json())), 201)
        )
        client.push(7, [{"task": i} for i in range(450)])
        sent = [item["task"] for asked in studio.asked for item in asked[3]]
        assert sent == list(range(450))
        assert len(studio.asked) == 3

    @pytest.mark.parametrize("answer", [{"created": 1}, {"created": 0}, {}, []])
    def test_what_label_studio_drops_without_a_word_is_an_error(
        self, studio: Studio, client: Client, answer: object
    ) -> None:
        studio.will("POST", "/api/projects/7/import/predictions", lambda: (jsonify(answer), 201))
        with pytest.raises(LabelStudioError, match="of 2 predictions for project 7"):
            client.push(7, [{"task": 1}, {"task": 2}])

    def test_nothing_is_sent_for_nothing(self, studio: Studio, client: Client) -> None:
        client.push(7, [])
        assert studio.asked == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (400, LabelStudioError),
            (401, LabelStudioRefused),
            (403, LabelStudioRefused),
            (404, LabelStudioMissing),
            (429, LabelStudioUnreachable),
            (500, LabelStudioUnreachable),
            (502, LabelStudioUnreachable),
            (503, LabelStudioUnreachable),
        ],
    )
    def test_each_status_says_whether_trying_again_helps(
        self, studio: Studio, client: Client, status: int, error: type[ColdblitzError]
    ) -> None:
        studio.will("GET", "/api/projects/7/", lambda: (jsonify(detail="the reason"), status))
        with pytest.raises(LabelStudioError, match="the reason") as refused:
            client.project(7)
        assert type(refused.value) is error
        assert refused.value.passes == (error is LabelStudioUnreachable)

    def test_an_error_page_is_cut_short(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/projects/7/", lambda: ("<html>" + "Bad gateway. " * 1000, 502))
        with pytest.raises(LabelStudioUnreachable) as refused:
            client.project(7)
        assert len(str(refused.value)) < 500

    @pytest.mark.parametrize(
        "answer", ["<html>Welcome to nginx</html>", "[]", "{}", '{"id": 7}', '"OK"', "null", '{"results": 3}']
    )
    def test_a_server_that_is_not_label_studio_is_told_by_its_answers(
        self, studio: Studio, client: Client, answer: str
    ) -> None:
        studio.will("GET", "/api/projects/7/", lambda: answer)
        studio.will("GET", "/api/projects/", lambda: answer)
        for ask in (lambda: client.project(7), lambda: list(client.projects())):
            with pytest.raises(LabelStudioError, match="LABEL_STUDIO_URL"):
                ask()

    def test_a_redirect_is_an_address_to_correct(self, studio: Studio, client: Client) -> None:
        studio.will("GET", "/api/projects/7/", lambda: redirect("https://studio.example/api/projects/7/"))
        with pytest.raises(LabelStudioError, match=r"https://studio\.example.*LABEL_STUDIO_URL"):
            client.project(7)

    def test_no_answer_passes(self) -> None:
        client = Client(f"http://127.0.0.1:{closed_port()}", LEGACY, timeout=2)
        with pytest.raises(LabelStudioUnreachable, match="does not answer"):
            client.project(7)

    def test_an_answer_that_takes_too_long_passes(self, studio: Studio, url: str) -> None:
        studio.will("GET", "/api/projects/7/", lambda: time.sleep(0.6) or jsonify(PROJECT))
        with pytest.raises(LabelStudioUnreachable, match="does not answer"):
            Client(url, LEGACY, timeout=0.2).project(7)

    def test_errors_reach_other_processes_whole(self) -> None:
        error = pickle.loads(pickle.dumps(LabelStudioRefused("No.", "Ask again.")))
        assert (type(error), error.message, error.remedy) == (LabelStudioRefused, "No.", "Ask again.")


def personal_token(seconds: float = 3600, kind: str = "refresh") -> str:
    claims = {"token_type": kind, "exp": int(time.time() + seconds), "jti": f"{kind}{time.time()}"}
    return jwt.encode(claims, "a key that only Label Studio knows, long enough", "HS256")


@pytest.mark.filterwarnings("ignore:The `parse_obj` method:DeprecationWarning")  # the SDK's own
class TestPersonalAccessTokens:
    def test_it_is_exchanged_for_a_short_lived_one(self, studio: Studio, url: str) -> None:
        access = personal_token(300, "access")
        studio.will("POST", "/api/token/refresh/", lambda: jsonify(access=access))
        studio.will("GET", "/api/projects/7/", lambda: jsonify(PROJECT))
        token = personal_token()
        client = Client(url, token)
        client.project(7)
        client.project(7)
        assert studio.authorization == f"Bearer {access}"
        refreshed = [body for _, path, _, body in studio.asked if path == "/api/token/refresh/"]
        assert refreshed == [{"refresh": token}]

    def test_an_expired_one_is_exchanged_again(self, studio: Studio, url: str) -> None:
        studio.will("POST", "/api/token/refresh/", lambda: jsonify(access=personal_token(-10, "access")))
        studio.will("GET", "/api/projects/7/", lambda: jsonify(PROJECT))
        client = Client(url, personal_token())
        client.project(7)
        client.project(7)
        assert sum(path == "/api/token/refresh/" for _, path, _, _ in studio.asked) == 2

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (lambda: (jsonify(detail="Token is invalid"), 401), LabelStudioRefused),
            (lambda: (jsonify(detail="database is locked"), 500), LabelStudioUnreachable),
            (lambda: ("<html>", 502), LabelStudioUnreachable),
            (lambda: jsonify(something="else"), LabelStudioError),
        ],
    )
    def test_a_failed_exchange_is_told_like_any_refusal(
        self, studio: Studio, url: str, answer: Callable[[], Any], error: type[ColdblitzError]
    ) -> None:
        studio.will("POST", "/api/token/refresh/", answer)
        token = personal_token()
        with pytest.raises(error) as refused:
            Client(url, token).project(7)
        assert token not in str(refused.value)

    def test_one_that_ends_before_its_time_is_exchanged_again(self, studio: Studio, url: str) -> None:
        """So it looks after the clock was set back."""
        ended, fresh = personal_token(300, "ended"), personal_token(300, "fresh")
        exchanged = iter((ended, fresh))

        def project() -> Any:
            is_ended = studio.authorization == f"Bearer {ended}"
            return (jsonify(detail="Token is expired"), 401) if is_ended else jsonify(PROJECT)

        studio.will("POST", "/api/token/refresh/", lambda: jsonify(access=next(exchanged)))
        studio.will("GET", "/api/projects/7/", project)
        assert Client(url, personal_token()).project(7).title == "A street"
        assert studio.authorization == f"Bearer {fresh}"

    def test_an_expired_token_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(LabelStudioRefused, match="expired"):
            Client(url, personal_token(-10))


class TestVideoAddresses:
    @pytest.mark.parametrize(
        "value", ["/data/upload/7/4e2c-a.mp4", "/data/local-files/?d=films/a.mp4", "//elsewhere.example/a.mp4"]
    )
    def test_a_path_is_label_studios_and_gets_the_token(self, client: Client, value: str) -> None:
        address = client.video_address(value)
        assert address is not None
        assert address.url == client.url + value
        assert address.headers == {"Authorization": f"Token {LEGACY}"}

    def test_so_does_its_full_address(self, client: Client) -> None:
        address = client.video_address(f" {client.url}/data/upload/7/a.mp4 ")
        assert address is not None
        assert "Authorization" in address.headers

    @pytest.mark.parametrize(
        "value",
        [
            "http://elsewhere.example/a.mp4",
            "https://{host}/a.mp4",
            "http://{host}.elsewhere.example/a.mp4",
            "http://{host}@elsewhere.example/a.mp4",
            "http://user@{host}/a.mp4",
            "http://127.0.0.1:1/a.mp4",
            "s3://bucket/a.mp4",
            "http://[bad/a.mp4",
        ],
    )
    def test_no_other_host_gets_the_token(self, client: Client, value: str) -> None:
        value = value.format(host=client.url.removeprefix("http://"))
        address = client.video_address(value)
        assert address is not None
        assert address.url == value
        assert address.headers == {}

    @pytest.mark.parametrize("value", [None, "", "  ", 5, ["a.mp4"], {"url": "a.mp4"}])
    def test_a_task_without_an_address_has_none(self, client: Client, value: object) -> None:
        assert client.video_address(value) is None
