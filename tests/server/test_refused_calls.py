"""What is refused: what Label Studio would never send, what comes while Redis is unavailable, and who does not log in."""

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
from studio_calls import CONFIG, PROJECT, SETUP, P, client, is_refused

from ml_backend.projects import registry
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

__all__ = ["client"]

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
        assert registry.recall(redis, P) is None

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
