"""What Label Studio's calls are answered, from a real Redis and without any worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from embedded import settings_for
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import closed_port
from redis import Redis
from werkzeug.test import TestResponse

from ml_backend.labelstudio.payloads import companion_mark
from ml_backend.queueing.queue import listing
from ml_backend.records import projects, ready
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

CAPTURED = Path(__file__).parents[2].parent / "shared" / "label-studio" / "payloads"
P = "7.1769860800"
CONFIG = '<View><TimelineLabels name="t" toName="v"><Label value="A"/></TimelineLabels><Video name="v" value="$video"/></View>'
SETUP = {"project": P, "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "x", "extra_params": None}
PROJECT = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": CONFIG, "token": "share"}
KEYFRAMES = {"model_version": "keyframes-v1", "score": 0, "result": [{"id": "kf-1", "value": {}}]}


@pytest.fixture
def client(redis: Redis, redis_settings: Settings) -> FlaskClient:
    return create_app(redis_settings).test_client()


def queued(redis: Redis) -> list[str]:
    return sorted(row["kind"] for row in listing(redis)["queued"])


def is_refused(answer: TestResponse, status: int = 400) -> bool:
    """Whether an answer is one clear message with what to do, and nothing of our insides."""
    body = answer.get_json()
    return answer.status_code == status and set(body) == {"error", "remedy"} and all(body.values())


class TestHealth:
    @pytest.mark.parametrize("path", ["/health", "/"])
    def test_it_is_up(self, client: FlaskClient, path: str) -> None:
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()["status"]) == (200, "UP")

    def test_even_without_redis(self, tmp_path: Path) -> None:
        without = settings_for(tmp_path, redis_url=f"redis://127.0.0.1:{closed_port()}")
        assert create_app(without).test_client().get("/health").status_code == 200


class TestSetup:
    def test_the_project_is_remembered_and_reconciled(self, client: FlaskClient, redis: Redis) -> None:
        answer = client.post(
            "/setup", json={**SETUP, "extra_params": {"frames_per_video": 5}}, base_url="http://here:9090"
        )
        assert answer.get_json() == {"model_version": "keyframes-v1"}
        known = projects.recall(redis, P)
        assert known is not None
        assert (known.label_config, known.backend_url) == (CONFIG, "http://here:9090")
        assert known.settings.frames_per_video == 5
        assert queued(redis) == ["reconcile"]

    def test_the_version_is_the_active_one(self, client: FlaskClient, redis: Redis) -> None:
        projects.activate(redis, P, "cold-v3")
        assert client.post("/setup", json=SETUP).get_json() == {"model_version": "cold-v3"}

    def test_an_address_with_a_path_is_kept(self, client: FlaskClient, redis: Redis) -> None:
        client.post("/setup", json=SETUP, base_url="http://here:9090/sub/path")
        known = projects.recall(redis, P)
        assert known is not None
        assert known.backend_url == "http://here:9090/sub/path"

    def test_the_access_token_is_not_kept(self, client: FlaskClient, redis: Redis) -> None:
        client.post("/setup", json={**SETUP, "access_token": "very-secret"})
        kept = b"".join(redis.dump(key) or b"" for key in redis.scan_iter())
        assert b"very-secret" not in kept

    def test_a_config_that_cannot_be_used_is_no_reason_to_refuse(self, client: FlaskClient, redis: Redis) -> None:
        assert client.post("/setup", json={**SETUP, "schema": "<View/>"}).status_code == 200
        assert queued(redis) == ["reconcile"]


class TestPredict:
    def ask(self, client: FlaskClient, *tasks: Any, project: str = P) -> list[Any]:
        tasks_json = [task if isinstance(task, dict) else {"id": task, "predictions": []} for task in tasks]
        answer = client.post("/predict", json={"tasks": tasks_json, "project": project, "label_config": CONFIG})
        assert answer.status_code == 200
        found: list[Any] = answer.get_json()["results"]
        assert len(found) == len(tasks)
        return found

    def save(self, settings: Settings, task: int, version: str = "keyframes-v1", **more: Any) -> None:
        ready.save(settings.data_dir, P, {**KEYFRAMES, "model_version": version, "task": task, **more})

    def test_what_is_ready_in_the_order_of_the_tasks(
        self, client: FlaskClient, redis_settings: Settings, redis: Redis
    ) -> None:
        for task in (11, 13):
            self.save(redis_settings, task, score=task / 100)
        found = self.ask(client, 13, 12, 11)
        assert [item["score"] if item else item for item in found] == [0.13, [], 0.11]
        assert queued(redis) == ["reconcile"]

    def test_when_all_is_ready_nothing_is_queued(
        self, client: FlaskClient, redis_settings: Settings, redis: Redis
    ) -> None:
        self.save(redis_settings, 21)
        assert self.ask(client, 21)[0]["model_version"] == "keyframes-v1"
        assert queued(redis) == []

    def test_of_the_active_version(self, client: FlaskClient, redis_settings: Settings, redis: Redis) -> None:
        self.save(redis_settings, 31)
        self.save(redis_settings, 31, "cold-v3")
        projects.activate(redis, P, "cold-v3")
        assert self.ask(client, 31)[0]["model_version"] == "cold-v3"
        assert client.post("/setup", json=SETUP).get_json()["model_version"] == "cold-v3"

    def test_a_prediction_that_label_studio_has_is_not_given_twice(
        self, client: FlaskClient, redis_settings: Settings, redis: Redis
    ) -> None:
        self.save(redis_settings, 41)
        assert self.ask(client, {"id": 41, "predictions": [{"model_version": "keyframes-v1"}]}) == [[]]
        assert queued(redis) == []

    def test_an_empty_result_is_never_given_because_label_studio_would_stop_asking(
        self, client: FlaskClient, redis_settings: Settings
    ) -> None:
        self.save(redis_settings, 51, result=[])
        assert self.ask(client, 51) == [[]]

    def test_scores_are_numbers(self, client: FlaskClient, redis_settings: Settings) -> None:
        self.save(redis_settings, 61, score=0.25)
        assert isinstance(self.ask(client, 61)[0]["score"], float)

    def test_without_tasks_there_is_nothing(self, client: FlaskClient) -> None:
        assert self.ask(client) == []

    def test_of_a_project_never_heard_of_there_is_nothing_yet(self, client: FlaskClient) -> None:
        assert self.ask(client, 1, 2, project="99.1") == [[], []]

    def test_a_thousand_tasks_are_one_reconcile(self, client: FlaskClient, redis: Redis) -> None:
        assert self.ask(client, *range(1000, 2200)) == [[]] * 1200
        assert queued(redis) == ["reconcile"]


class TestWebhook:
    @pytest.mark.parametrize(
        ("event", "kinds"),
        [
            ({"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "task": {"id": 1}}, ["train"]),
            ({"action": "ANNOTATIONS_CREATED", "annotation": [{"id": 1}], "task": [{"id": 1}]}, ["train"]),
            ({"action": "ANNOTATION_UPDATED", "annotation": {"id": 1}, "task": {"id": 1}}, ["train"]),
            ({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}]}, ["train"]),
            ({"action": "TASKS_CREATED", "tasks": [{"id": 1}]}, ["reconcile"]),
            ({"action": "TASKS_DELETED", "tasks": [{"id": 1}]}, ["reconcile"]),
            ({"action": "START_TRAINING"}, ["reconcile", "train"]),
            ({"action": "PROJECT_UPDATED"}, []),
            ({"action": "LABEL_LINK_CREATED"}, []),
        ],
        ids=lambda value: value["action"] if isinstance(value, dict) else "",
    )
    def test_each_event_queues_what_it_asks_for(
        self, client: FlaskClient, redis: Redis, event: dict[str, Any], kinds: list[str]
    ) -> None:
        answer = client.post("/webhook", json={**event, "project": PROJECT})
        assert answer.status_code == 200
        assert len(answer.get_json()["queued"]) == len(kinds)
        assert queued(redis) == kinds

    def test_a_hundred_annotations_are_one_training(self, client: FlaskClient, redis: Redis) -> None:
        for number in range(100):
            client.post(
                "/webhook", json={"action": "ANNOTATION_CREATED", "annotation": {"id": number}, "project": PROJECT}
            )
        assert queued(redis) == ["train"]

    def test_a_project_update_of_our_own_making_queues_nothing(self, client: FlaskClient, redis: Redis) -> None:
        projects.remember(redis, projects.Known(P, CONFIG))
        pinned = {"action": "PROJECT_UPDATED", "project": {**PROJECT, "model_version": "cold-v1"}}
        assert client.post("/webhook", json=pinned).get_json() == {"queued": []}

    def test_another_label_config_is_learnt_anew(self, client: FlaskClient, redis: Redis) -> None:
        projects.remember(redis, projects.Known(P, CONFIG, {"sampling": "uniform"}, "http://here"))
        changed = CONFIG.replace('value="A"', 'value="B"')
        event = {"action": "PROJECT_UPDATED", "project": {**PROJECT, "label_config": changed}}
        client.post("/webhook", json=event)
        assert queued(redis) == ["reconcile", "train"]
        assert projects.recall(redis, P) == projects.Known(P, changed, {"sampling": "uniform"}, "http://here")

    @pytest.mark.parametrize(
        ("action", "kinds"),
        [("ANNOTATION_CREATED", ["train"]), ("ANNOTATION_UPDATED", ["train"]), ("ANNOTATIONS_DELETED", ["train"])]
        + [(action, []) for action in ("TASKS_CREATED", "TASKS_DELETED", "PROJECT_UPDATED", "START_TRAINING")],
    )
    def test_an_answer_in_the_companion_project_trains_the_video_project_and_nothing_else_does(
        self, client: FlaskClient, redis: Redis, action: str, kinds: list[str]
    ) -> None:
        described = f"Frames suggested for labelling. {companion_mark('12.1769860800')}"
        client.post("/webhook", json={"action": action, "project": {**PROJECT, "description": described}})
        assert [(row["kind"], row["project"]) for row in listing(redis)["queued"]] == [
            (kind, "12.1769860800") for kind in kinds
        ]
        assert projects.known_keys(redis) == [], "the companion is no project of videos"


class TestVersions:
    def test_those_with_predictions_ready(self, client: FlaskClient, redis: Redis, redis_settings: Settings) -> None:
        project = "8.1769860800"
        for version in ("keyframes-v1", "cold-v1"):
            ready.save(redis_settings.data_dir, project, {**KEYFRAMES, "model_version": version, "task": 1})
        assert client.post("/versions", json={"project": project}).get_json()["versions"] == ["cold-v1", "keyframes-v1"]
        projects.remember(redis, projects.Known(project, CONFIG))
        for answer in (client.get("/versions"), client.post("/versions"), client.post("/versions", json={})):
            assert answer.get_json()["versions"] == ["cold-v1", "keyframes-v1"]

    def test_without_projects_there_are_none(self, client: FlaskClient) -> None:
        assert client.get("/versions").get_json()["versions"] == []


def captured() -> list[Any]:
    """One request of each kind and shape that a real Label Studio has sent."""
    if not CAPTURED.is_dir():
        return [pytest.param("", {}, marks=pytest.mark.skip(reason=f"no captured payloads at {CAPTURED}"))]
    found: dict[tuple[str, ...], Any] = {}
    for file in sorted(CAPTURED.glob("*.json")):
        stack = [json.loads(file.read_text())]
        while stack:
            value = stack.pop()
            stack.extend(value if isinstance(value, list) else value.values() if isinstance(value, dict) else ())
            if (
                isinstance(value, dict)
                and value.get("method") in ("GET", "POST")
                and isinstance(value.get("body"), dict)
            ):
                path = f"/{str(value.get('path')).rstrip('/').rpartition('/')[2]}"
                shape = (path, *sorted(value["body"]), str(value["body"].get("action")))
                if path in ("/setup", "/predict", "/webhook"):
                    found.setdefault(shape, pytest.param(path, value["body"], id=f"{file.stem}{path}"))
    return list(found.values())


@pytest.mark.parametrize(("path", "body"), captured())
def test_what_a_real_label_studio_has_sent_is_answered(client: FlaskClient, path: str, body: dict[str, Any]) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 200
    if path == "/predict":
        assert len(answer.get_json()["results"]) == len(body["tasks"])


POSTS = ["/setup", "/predict", "/webhook", "/versions"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = ["action", "project", "tasks", "schema", "extra_params", "id", "created_at", "label_config", "predictions"]
ALMOST = st.dictionaries(
    st.sampled_from(FIELDS),
    JSON
    | st.just(P)
    | st.just(PROJECT)
    | st.lists(st.fixed_dictionaries({"id": JSON, "predictions": JSON}), max_size=3),
)


class TestBadInput:
    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff\xfe",
            b"null",
            b"3",
            b'"text"',
            b"[]",
            b"{}",
            b'{"project": 7}',
            b'{"project": {"id": Infinity, "created_at": "2026-01-31T12:00:00Z"}, "action": "START_TRAINING"}',
            b'{"project": "' + b"9" * 5000 + b'.1", "schema": "", "tasks": []}',
            b'{"project": "../../x.1", "schema": "", "tasks": []}',
            b"[" * 100_000,
            b'{"project": "7.1", "schema": "", "tasks": [{"id": ' + b"9" * 5000 + b"}]}",
        ],
        ids=lambda body: repr(body[:24]) if isinstance(body, bytes) else str(body),
    )
    def test_what_label_studio_would_never_send_is_refused(self, client: FlaskClient, path: str, body: bytes) -> None:
        answer = client.post(path, data=body, content_type="application/json")
        assert is_refused(answer) or (path == "/versions" and answer.status_code == 200)

    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
    def test_what_is_not_sent_as_json_is_refused(self, client: FlaskClient, path: str, kind: str | None) -> None:
        assert is_refused(client.post(path, data=json.dumps(SETUP), content_type=kind), 415)

    def test_a_body_over_the_limit_is_refused_before_it_is_read(self, client: FlaskClient) -> None:
        promised = {"CONTENT_LENGTH": str(10**10), "CONTENT_TYPE": "application/json"}
        assert is_refused(client.post("/predict", data=b"{}", environ_overrides=promised), 413)

    def test_twelve_hundred_tasks_with_all_they_have_pass(self, client: FlaskClient) -> None:
        region = {
            "id": "x" * 20,
            "type": "timelinelabels",
            "value": {"ranges": [{"start": 1, "end": 2}]},
            "pad": "x" * 150,
        }
        prediction = {"model_version": "cold-v1", "result": [region] * 20}
        tasks = [{"id": number, "predictions": [prediction] * 5} for number in range(1200)]
        answer = client.post("/predict", json={"tasks": tasks, "project": P, "label_config": CONFIG})
        assert len(answer.get_json()["results"]) == 1200

    @pytest.mark.parametrize(
        "large", [{"schema": "x" * 2_000_000}, {"extra_params": {"x": "y" * 100_000}}, {"extra_params": "y" * 100_000}]
    )
    def test_what_is_kept_of_a_project_is_bounded(
        self, client: FlaskClient, redis: Redis, large: dict[str, Any]
    ) -> None:
        assert is_refused(client.post("/setup", json={**SETUP, **large}))
        assert projects.recall(redis, P) is None

    def test_deep_extra_params_are_refused(self, client: FlaskClient) -> None:
        deep: Any = None
        for _ in range(500):
            deep = [deep]
        assert client.post("/setup", json={**SETUP, "extra_params": deep}).status_code in (200, 400)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(path=st.sampled_from(POSTS), body=JSON | ALMOST)
    def test_no_json_is_worse_than_refused(self, client: FlaskClient, path: str, body: Any) -> None:
        answer = client.post(path, data=json.dumps(body), content_type="application/json")
        assert answer.status_code == 200 or is_refused(answer)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(path=st.sampled_from(POSTS), body=st.binary())
    def test_nor_are_any_bytes(self, client: FlaskClient, path: str, body: bytes) -> None:
        answer = client.post(path, data=body, content_type="application/json")
        assert answer.status_code == 200 or is_refused(answer)

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/nowhere", 404), ("GET", "/webhook", 405), ("DELETE", "/setup", 405), ("POST", "/health", 405)],
    )
    def test_other_addresses_and_methods_are_refused_in_json(
        self, client: FlaskClient, method: str, path: str, status: int
    ) -> None:
        assert is_refused(client.open(path, method=method), status)


class TestWithoutRedis:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/setup", SETUP),
            ("POST", "/predict", {"project": P, "tasks": [{"id": 1}]}),
            ("POST", "/webhook", {"action": "START_TRAINING", "project": PROJECT}),
            ("GET", "/versions", None),
            ("GET", "/jobs", None),
            ("POST", "/jobs/retry", None),
        ],
    )
    def test_it_is_said_clearly(self, tmp_path: Path, method: str, path: str, body: Any) -> None:
        without = settings_for(tmp_path, redis_url=f"redis://127.0.0.1:{closed_port()}")
        answer = create_app(without).test_client().open(path, method=method, json=body)
        assert is_refused(answer, 503)
        assert "Redis" in answer.get_json()["error"]


class TestLogin:
    @pytest.fixture
    def locked(self, redis: Redis, redis_settings: Settings) -> FlaskClient:
        from dataclasses import replace

        return create_app(replace(redis_settings, basic_auth_user="studio", basic_auth_pass="pässword")).test_client()

    ROUTES = [  # noqa: RUF012
        ("POST", "/setup"),
        ("POST", "/predict"),
        ("POST", "/webhook"),
        ("GET", "/versions"),
        ("GET", "/jobs"),
        ("POST", "/jobs/retry"),
        ("GET", "/nowhere"),
    ]

    @pytest.mark.parametrize(("method", "path"), ROUTES)
    def test_nothing_but_health_answers_without_it(self, locked: FlaskClient, method: str, path: str) -> None:
        answer = locked.open(path, method=method, json=SETUP if method == "POST" else None)
        assert is_refused(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert locked.get("/health").status_code == 200

    @pytest.mark.parametrize(
        "header", ["Basic", "Basic !!!", "Basic c3R1ZGlv", "Bearer c3R1ZGlvOnDDpHNzd29yZA==", "Basic c3R1ZGlvOndyb25n"]
    )
    def test_nor_with_a_wrong_one(self, locked: FlaskClient, header: str) -> None:
        assert is_refused(locked.get("/jobs", headers={"Authorization": header}), 401)
        assert is_refused(locked.get("/jobs", auth=("studio", "")), 401)
        assert is_refused(locked.get("/jobs", auth=("", "pässword")), 401)

    def test_with_the_right_one_everything_does(self, locked: FlaskClient) -> None:
        assert locked.get("/jobs", auth=("studio", "pässword")).status_code == 200
        assert locked.post("/setup", json=SETUP, auth=("studio", "pässword")).status_code == 200
