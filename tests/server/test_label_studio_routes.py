"""What Label Studio's calls are answered, from a real Redis and without any worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from embedded import settings_for
from flask.testing import FlaskClient
from loopback import closed_port
from redis import Redis
from studio_calls import CONFIG, PROJECT, SETUP, P, client

from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.payloads import companion_mark
from ml_backend.projects import links, reconcile_state, registry, stored_predictions
from ml_backend.projects.reconcile_state import Identity
from ml_backend.queueing.queue import listing
from ml_backend.roi import usable_roi
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

__all__ = ["client"]
CAPTURED = Path(__file__).parents[2].parent / "shared" / "label-studio" / "payloads"
KEYFRAMES = {"model_version": "keyframes-v1", "score": 0, "result": [{"id": "kf-1", "value": {}}]}


def queued(redis: Redis) -> list[str]:
    return sorted(row["kind"] for row in listing(redis)["queued"])


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
        answer = client.post("/setup", json={**SETUP, "extra_params": {"frames_per_video": 5}})
        assert answer.get_json() == {"model_version": "keyframes-v1"}
        known = registry.recall(redis, P)
        assert known is not None
        assert known.label_config == CONFIG
        assert known.settings.frames_per_video == 5
        assert queued(redis) == ["reconcile"]

    def test_the_version_is_the_active_one(self, client: FlaskClient, redis: Redis) -> None:
        registry.activate(redis, P, "cold-v3")
        assert client.post("/setup", json=SETUP).get_json() == {"model_version": "cold-v3"}

    def test_the_address_of_the_request_is_not_taken_for_ours(self, client: FlaskClient, redis: Redis) -> None:
        client.post("/setup", json=SETUP, base_url="http://behind-a-proxy:9090/sub/path")
        kept = b"".join(redis.dump(key) or b"" for key in redis.scan_iter())
        assert b"behind-a-proxy" not in kept

    def test_one_that_comes_for_a_disconnected_project_has_its_entries_asked_anew(
        self, client: FlaskClient, redis: Redis
    ) -> None:
        links.note(redis, P, links.Link("http://ours", 1, connected=False))
        reconcile_state.put(redis, P, "entries", {"2 http://ours": "other"})
        client.post("/setup", json=SETUP)
        assert reconcile_state.get(redis, P, "entries") is None
        assert queued(redis) == ["reconcile"]

    def test_the_access_token_is_not_kept(self, client: FlaskClient, redis: Redis) -> None:
        client.post("/setup", json={**SETUP, "access_token": "very-secret"})
        kept = b"".join(redis.dump(key) or b"" for key in redis.scan_iter())
        assert b"very-secret" not in kept

    def test_a_config_that_cannot_be_used_is_refused_with_the_tag_and_the_reason(
        self, client: FlaskClient, redis: Redis
    ) -> None:
        rating = '<View><Rating name="böx" toName="v"/><Video name="v" value="$video"/></View>'
        answer = client.post("/setup", json={**SETUP, "schema": rating})
        # Label Studio shows the reason in the status line, and no body.
        assert answer.status == (
            '400 The label config has nothing that can be predicted. <Rating name="b?x"> is ignored: '
            "only <TimelineLabels>, <Choices> and <VideoRectangle> on a <Video> are predicted."
        )
        assert answer.get_json()["error"].startswith("The label config has nothing that can be predicted")

    def test_but_the_project_is_remembered_for_its_config_may_change(self, client: FlaskClient, redis: Redis) -> None:
        client.post("/setup", json={**SETUP, "schema": "<View/>"})
        assert registry.recall(redis, "7.1769860800") is not None
        assert queued(redis) == ["reconcile"]

    def test_controls_that_are_left_alone_beside_others_refuse_nothing(self, client: FlaskClient) -> None:
        beside = SETUP["schema"].replace("</View>", '<Rating name="stars" toName="video"/></View>')
        assert client.post("/setup", json={**SETUP, "schema": beside}).status_code == 200


class TestPredict:
    def ask(self, client: FlaskClient, *tasks: Any, project: str = P) -> list[Any]:
        tasks_json = [task if isinstance(task, dict) else {"id": task, "predictions": []} for task in tasks]
        answer = client.post("/predict", json={"tasks": tasks_json, "project": project, "label_config": CONFIG})
        assert answer.status_code == 200
        found: list[Any] = answer.get_json()["results"]
        assert len(found) == len(tasks)
        return found

    def save(self, settings: Settings, task: int, version: str = "keyframes-v1", **more: Any) -> None:
        stored_predictions.save(settings.data_dir, P, {**KEYFRAMES, "model_version": version, "task": task, **more})

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
        registry.activate(redis, P, "cold-v3")
        assert self.ask(client, 31)[0]["model_version"] == "cold-v3"
        assert client.post("/setup", json=SETUP).get_json()["model_version"] == "cold-v3"

    def test_what_a_roll_out_has_written_is_answered_at_once(
        self, client: FlaskClient, redis_settings: Settings, redis: Redis
    ) -> None:
        self.save(redis_settings, 32)
        assert self.ask(client, 32, 33) == [{**KEYFRAMES, "model_version": "keyframes-v1"}, []]
        registry.activate(redis, P, "cold-v4")
        for score in (0.1, 0.2, 0.3):
            for task in (32, 33):
                self.save(redis_settings, task, "cold-v4", score=score)
            found = self.ask(client, 32, 33)
            assert [(item["model_version"], item["score"]) for item in found] == [("cold-v4", score)] * 2
        stored_predictions.delete_task(redis_settings.data_dir, P, 33)
        assert [bool(item) for item in self.ask(client, 32, 33)] == [True, False]

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

    def test_what_was_made_for_another_task_of_that_number_or_another_video_is_not_given(
        self, client: FlaskClient, redis_settings: Settings, redis: Redis
    ) -> None:
        client.post("/setup", json=SETUP)
        config, made = parse_label_config(CONFIG), "2026-01-31T12:00:00Z"
        data = {"video": "/data/upload/7/a.mp4"}
        for task in (55, 56, 57):
            self.save(redis_settings, task)
            reconcile_state.note_identities(redis_settings.data_dir, P, {task: Identity.of(made, config.shown(data))})
        same = {"id": 55, "created_at": made, "data": data}
        later = {"id": 56, "created_at": "2026-02-01T12:00:00Z", "data": data}
        exchanged = {"id": 57, "created_at": made, "data": {"video": "/data/upload/7/b.mp4"}}
        found = self.ask(client, later, same, exchanged)
        assert [bool(item) for item in found] == [False, True, False]
        assert queued(redis) == ["reconcile"]

    def test_what_was_made_of_a_part_of_the_video_is_given_for_that_part(
        self, client: FlaskClient, redis_settings: Settings, redis: Redis
    ) -> None:
        client.post("/setup", json=SETUP)
        config, made = parse_label_config(CONFIG), "2026-01-31T12:00:00Z"
        data = {"video": "/data/upload/7/a.mp4", "roi": [0, 0, 50, 50]}
        for task in (58, 59):
            self.save(redis_settings, task)
            mine = Identity.of(made, config.shown(data), usable_roi(data))
            reconcile_state.note_identities(redis_settings.data_dir, P, {task: mine})
        same = {"id": 58, "created_at": made, "data": data}
        other = {"id": 59, "created_at": made, "data": {**data, "roi": [50, 50, 50, 50]}}
        assert [bool(item) for item in self.ask(client, same, other)] == [True, False]

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
        said = answer.get_json()
        assert (answer.status_code, said["status"]) == (201, "ok"), "as upstream's example backends answer"
        assert len(said["queued"]) == len(kinds)
        assert said["result"] == {"queued": said["queued"]}
        assert queued(redis) == kinds

    def test_a_hundred_annotations_are_one_training(self, client: FlaskClient, redis: Redis) -> None:
        for number in range(100):
            client.post(
                "/webhook", json={"action": "ANNOTATION_CREATED", "annotation": {"id": number}, "project": PROJECT}
            )
        assert queued(redis) == ["train"]

    def test_a_project_update_of_our_own_making_queues_nothing(self, client: FlaskClient, redis: Redis) -> None:
        registry.remember(redis, registry.Known(P, CONFIG))
        pinned = {"action": "PROJECT_UPDATED", "project": {**PROJECT, "model_version": "cold-v1"}}
        assert client.post("/webhook", json=pinned).get_json()["queued"] == []

    def test_another_label_config_is_learnt_anew(self, client: FlaskClient, redis: Redis) -> None:
        registry.remember(redis, registry.Known(P, CONFIG, {"sampling": "uniform"}))
        changed = CONFIG.replace('value="A"', 'value="B"')
        event = {"action": "PROJECT_UPDATED", "project": {**PROJECT, "label_config": changed}}
        client.post("/webhook", json=event)
        assert queued(redis) == ["reconcile", "train"]
        assert registry.recall(redis, P) == registry.Known(P, changed, {"sampling": "uniform"})

    @pytest.mark.parametrize("action", ["ANNOTATION_CREATED", "TASKS_CREATED", "START_TRAINING"])
    def test_events_of_a_disconnected_project_only_have_it_looked_at(
        self, client: FlaskClient, redis: Redis, action: str
    ) -> None:
        links.note(redis, P, links.Link("http://ours", 1, connected=False))
        client.post("/webhook", json={"action": action, "project": PROJECT})
        assert queued(redis) == ["reconcile"]

    @pytest.mark.parametrize(
        ("action", "kinds"),
        [("ANNOTATION_CREATED", ["train"]), ("ANNOTATION_UPDATED", ["train"]), ("ANNOTATIONS_DELETED", ["train"])]
        + [(action, []) for action in ("TASKS_CREATED", "TASKS_DELETED", "PROJECT_UPDATED", "START_TRAINING")],
    )
    def test_an_answer_in_the_companion_project_trains_the_video_project_and_nothing_else_does(
        self, client: FlaskClient, redis: Redis, action: str, kinds: list[str]
    ) -> None:
        described = f"Frames suggested for labeling. {companion_mark('12.1769860800')}"
        client.post("/webhook", json={"action": action, "project": {**PROJECT, "description": described}})
        assert [(row["kind"], row["project"]) for row in listing(redis)["queued"]] == [
            (kind, "12.1769860800") for kind in kinds
        ]
        assert registry.known_keys(redis) == [], "the companion is no project of videos"


class TestVersions:
    def test_those_with_predictions_ready(self, client: FlaskClient, redis: Redis, redis_settings: Settings) -> None:
        project = "8.1769860800"
        for version in ("keyframes-v1", "cold-v1"):
            stored_predictions.save(
                redis_settings.data_dir, project, {**KEYFRAMES, "model_version": version, "task": 1}
            )
        assert client.post("/versions", json={"project": project}).get_json()["versions"] == ["cold-v1", "keyframes-v1"]
        registry.remember(redis, registry.Known(project, CONFIG))
        for answer in (client.get("/versions"), client.post("/versions"), client.post("/versions", json={})):
            assert answer.get_json()["versions"] == ["cold-v1", "keyframes-v1"]

    def test_who_we_are_is_said_only_while_one_of_our_workers_asks(self, client: FlaskClient, redis: Redis) -> None:
        assert client.get("/versions").get_json()["versions"] == []
        instance = links.ask(redis)
        assert client.get("/versions").get_json()["versions"] == [instance] == [links.ask(redis)]
        redis.delete("coldblitz:asking")
        assert client.get("/versions").get_json()["versions"] == []

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
    assert answer.status_code == (201 if path == "/webhook" else 200)
    if path == "/predict":
        assert len(answer.get_json()["results"]) == len(body["tasks"])
