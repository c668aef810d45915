"""What Label Studio sends, parsed: every event of a real one is understood, and anything else is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import PayloadError
from ml_backend.labelstudio.payloads import (
    ANNOTATION_ACTIONS,
    TASK_ACTIONS,
    ProjectKey,
    parse_event,
    parse_predict,
    parse_setup,
)

CAPTURED = Path(__file__).parents[2].parent / "shared" / "label-studio" / "payloads"
PROJECT = {"id": 7, "created_at": "2026-01-31T12:00:00.987654Z", "label_config": "<View/>", "token": "secret"}
KEY = ProjectKey(7, 1769860800)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


class TestProjectKey:
    def test_id_and_creation_time_tell_a_project_from_an_earlier_one_of_the_same_id(self) -> None:
        assert ProjectKey.parse("7.1769860800") == KEY == ProjectKey.of(PROJECT)
        assert str(KEY) == "7.1769860800"

    def test_the_creation_times_offset_counts(self) -> None:
        assert ProjectKey.of({**PROJECT, "created_at": "2026-01-31T13:00:00+01:00"}) == KEY

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "7",
            "7.",
            ".7",
            "7.8.9",
            "7.1e9",
            " 7.8",
            "7.8\n",
            "../7.8",
            "-7.8",
            "٧.٨",
            "9" * 5000 + ".1",
            7.8,
            7,
            None,
            [],
        ],
    )
    def test_anything_else_is_refused(self, text: object) -> None:
        with pytest.raises(PayloadError):
            ProjectKey.parse(text)

    @pytest.mark.parametrize(
        "change",
        [
            {"id": None},
            {"id": "x"},
            {"id": -1},
            {"id": float("inf")},
            {"id": 1e300},
            {"created_at": None},
            {"created_at": "yesterday"},
            {"created_at": 12},
            {"created_at": "0001-01-01T00:00:00+00:00"},
        ],
    )
    def test_a_project_without_a_key_is_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(PayloadError):
            ProjectKey.of({**PROJECT, **change})


class TestSetup:
    BODY = {  # noqa: RUF012
        "project": "7.1769860800",
        "schema": "<View/>",
        "hostname": "http://localhost:8080",
        "access_token": "a token that is worth nothing",
        "extra_params": {"sampling": "uniform"},
    }

    def test_project_config_and_extra_params_are_read_and_the_token_is_not(self) -> None:
        setup = parse_setup(self.BODY)
        assert (setup.project, setup.label_config, setup.extra_params) == (KEY, "<View/>", {"sampling": "uniform"})
        assert "worth nothing" not in repr(setup)

    @pytest.mark.parametrize(
        ("given", "read"),
        [
            (None, None),
            ("", ""),
            ('{"sampling": "uniform"}', {"sampling": "uniform"}),
            ("sampling: uniform", "sampling: uniform"),
            ("[" * 20_000, "[" * 20_000),
        ],
    )
    def test_extra_params_come_as_json_or_as_its_text(self, given: object, read: object) -> None:
        assert parse_setup({**self.BODY, "extra_params": given}).extra_params == read

    @pytest.mark.parametrize("missing", ["project", "schema"])
    def test_what_is_missing_is_named(self, missing: str) -> None:
        with pytest.raises(PayloadError, match=missing):
            parse_setup({key: value for key, value in self.BODY.items() if key != missing})


class TestPredict:
    def test_tasks_keep_their_order_and_name_the_versions_they_have(self) -> None:
        body = {
            "project": "7.1769860800",
            "tasks": [
                {"id": 3, "data": {}, "predictions": [{"model_version": "cold-v1"}, {"model_version": "keyframes-v1"}]},
                {"id": 1, "predictions": [{"model_version": None}, {}, "strange"]},
                {"id": 2},
            ],
        }
        project, tasks = parse_predict(body)
        assert project == KEY
        assert [task.id for task in tasks] == [3, 1, 2]
        assert [set(task.versions) for task in tasks] == [{"cold-v1", "keyframes-v1"}, set(), set()]

    def test_a_project_need_not_be_named(self) -> None:
        assert parse_predict({"tasks": []}) == (None, ())

    @pytest.mark.parametrize("tasks", [None, {}, "x", [1], [{}], [{"id": "3"}], [{"id": None}], [None]])
    def test_strange_tasks_are_refused(self, tasks: object) -> None:
        with pytest.raises(PayloadError):
            parse_predict({"tasks": tasks})


ANNOTATION = {
    "id": 28,
    "task": 5,
    "project": 7,
    "result": [],
    "was_cancelled": False,
    "updated_at": "2026-01-31T12:00:00Z",
}
EVENTS = [
    {"action": "ANNOTATION_CREATED", "annotation": ANNOTATION, "task": {"id": 5}},
    {"action": "ANNOTATION_CREATED", "annotation": {**ANNOTATION, "was_cancelled": True}, "task": {"id": 5}},
    {"action": "ANNOTATION_UPDATED", "annotation": ANNOTATION, "task": {"id": 5}},
    {"action": "ANNOTATIONS_CREATED", "annotation": [ANNOTATION, ANNOTATION], "task": [{"id": 5}, {"id": 6}]},
    {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 28}, {"id": 29}]},
    {"action": "TASKS_CREATED", "tasks": [{"id": 5, "data": {"video": "a.mp4"}}]},
    {"action": "TASKS_DELETED", "tasks": [{"id": 5}]},
    {"action": "PROJECT_UPDATED"},
    {"action": "START_TRAINING"},
]


class TestEvents:
    @pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["action"])
    def test_every_kind_is_read_and_the_share_token_dropped(self, event: dict[str, Any]) -> None:
        parsed = parse_event({**event, "project": PROJECT})
        assert (parsed.action, parsed.project, parsed.label_config) == (event["action"], KEY, "<View/>")
        assert "secret" not in repr(parsed)

    def test_the_kinds_that_change_annotations_or_tasks_are_known(self) -> None:
        named = {event["action"] for event in EVENTS}
        assert named - ANNOTATION_ACTIONS - TASK_ACTIONS == {"PROJECT_UPDATED", "START_TRAINING"}

    @pytest.mark.parametrize(
        "body",
        [
            None,
            [],
            "ANNOTATION_CREATED",
            {},
            {"action": "ANNOTATION_CREATED"},
            {"action": "ANNOTATION_CREATED", "project": 7},
            {"action": "ANNOTATION_CREATED", "project": {"id": 7}},
            {"action": 3, "project": PROJECT},
            {"project": PROJECT},
        ],
    )
    def test_a_body_without_action_or_project_is_refused(self, body: object) -> None:
        with pytest.raises(PayloadError):
            parse_event(body)

    @given(JSON)
    def test_no_json_does_worse_than_being_refused(self, body: object) -> None:
        for parse in (parse_setup, parse_predict, parse_event):
            with pytest.raises(PayloadError):
                parse(body)
            with pytest.raises(PayloadError):
                parse({"project": body, "tasks": [body], "action": "x"})


def captured_requests() -> list[Any]:
    """Every request that a real Label Studio has sent to a backend, with its path."""
    if not CAPTURED.is_dir():
        return [pytest.param("", {}, marks=pytest.mark.skip(reason=f"no captured payloads at {CAPTURED}"))]
    found = []
    for file in sorted(CAPTURED.glob("*.json")):
        document = json.loads(file.read_text())
        stack = [document]
        while stack:
            value = stack.pop()
            if isinstance(value, list):
                stack.extend(value)
            elif isinstance(value, dict):
                stack.extend(value.values())
                path = str(value.get("path", "")).rstrip("/")
                if value.get("method") == "POST" and path.endswith(("/webhook", "/setup", "/predict")):
                    found.append(pytest.param(path.rpartition("/")[2], value.get("body"), id=f"{file.stem}{path}"))
    return found


@pytest.mark.parametrize(("path", "body"), captured_requests())
def test_what_a_real_label_studio_has_sent_is_understood(path: str, body: object) -> None:
    assert isinstance(body, dict)
    if path == "webhook":
        assert parse_event(body).action == body["action"]
    elif path == "setup":
        assert str(parse_setup(body).project) == body["project"]
    else:
        assert [task.id for task in parse_predict(body)[1]] == [task["id"] for task in body["tasks"]]
