"""`GET /jobs`: what is going on, and what is wrong with what."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from embedded import do_jobs
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.checks import Finding
from ml_backend.projects import registry, reports
from ml_backend.projects.reports import VIDEO, StoppingReport
from ml_backend.queueing.kinds import KINDS, Kind
from ml_backend.queueing.queue import enqueue
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

P = "7.1769860800"


@pytest.fixture
def client(redis: Redis, redis_settings: Settings) -> FlaskClient:
    return create_app(redis_settings).test_client()


def test_at_rest(client: FlaskClient) -> None:
    assert client.get("/jobs").get_json() == {
        "queued": [],
        "running": [],
        "finished": [],
        "failed": [],
        "counts": {"queued": 0, "running": 0, "finished": 0, "failed": 0},
        "problems": {},
        "findings": {},
        "versions": {},
        "stopping": {},
        "companions": {},
    }


def test_where_the_suggested_frames_are_images(client: FlaskClient, redis: Redis) -> None:
    registry.note_companion(redis, P, registry.KnownCompanion("9.1769860800", 40, 12))
    found = client.get("/jobs").get_json()["companions"]
    assert found == {P: {"key": "9.1769860800", "project": 9, "images": 40, "answered": 12}}


def test_what_waits_and_what_each_project_shows_and_lacks(client: FlaskClient, redis: Redis) -> None:
    registry.remember(redis, registry.Known(P, "<View/>"))
    registry.remember(redis, registry.Known("8.1", "<View/>"))
    registry.activate(redis, P, "cold-v3")
    registry.set_problems(redis, P, "settings", ["Extra param 'samplin' is unknown."])
    finding = Finding(
        kind="variable rate",
        message="Its frames are not evenly spaced.",
        remedy="None.",
        severity="note",
    )
    registry.note_findings(redis, P, 5, [finding])
    enqueue(redis, "suggest", P, 5)
    found = client.get("/jobs").get_json()
    (row,) = found["queued"]
    assert (row["kind"], row["project"], row["task"]) == ("suggest", P, 5)
    assert found["counts"]["queued"] == 1
    assert found["versions"] == {P: "cold-v3", "8.1": "keyframes-v1"}
    assert found["findings"] == {P: [{**asdict(finding), "tasks": [5]}]}
    assert found["problems"] == {P: ["Extra param 'samplin' is unknown."]}


def test_how_many_errors_the_active_version_leaves(client: FlaskClient, redis: Redis, redis_settings: Settings) -> None:
    made = StoppingReport("2026-01-03T12:00:00+00:00", "cold-v3", "go on", "Why.", 2, 34_000, 123.4, 1.0, 60)
    reports.save_stopping(redis_settings.data_dir, P, made, np.empty(0, VIDEO))
    registry.remember(redis, registry.Known(P, "<View/>"))
    registry.activate(redis, P, "cold-v3")
    found = client.get("/jobs").get_json()["stopping"][P]
    assert found["text"] == "About 120 errors are left in 34,000 frames"
    assert (found["verdict"], found["why"], found["errors"], found["worst"]) == ("go on", "Why.", 123.4, [])
    registry.activate(redis, P, "cold-v4")
    assert client.get("/jobs").get_json()["stopping"] == {}, "nobody has counted those of this version"


def test_a_failed_job_says_why_and_can_be_tried_again(
    client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "suggest", Kind("failing_jobs.suggest", 60))
    enqueue(redis, "suggest", P, 5)
    do_jobs(redis)
    (row,) = client.get("/jobs").get_json()["failed"]
    assert row["reason"] == "Task 5 has no video. Import it again."
    assert client.post("/jobs/retry").get_json() == {"queued": [row["id"]]}
    found = client.get("/jobs").get_json()
    assert (len(found["queued"]), found["failed"]) == (1, [])


def test_one_job_can_be_cancelled_and_tried_again(client: FlaskClient, redis: Redis) -> None:
    job_id = enqueue(redis, "suggest", P, 5)
    assert client.post(f"/jobs/{job_id}/cancel").get_json() == {"cancelled": True}
    (row,) = client.get("/jobs").get_json()["failed"]
    assert (row["id"], row["cancelled"]) == (job_id, True)
    assert client.post(f"/jobs/{job_id}/retry").get_json() == {"queued": job_id}
    assert client.get("/jobs").get_json()["queued"][0]["id"] == job_id


@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_a_job_that_is_not_known_is_said_to_be(client: FlaskClient, action: str) -> None:
    answer = client.post(f"/jobs/nonsense/{action}")
    assert answer.status_code == 404
    assert "no such job" in answer.get_json()["error"]


def test_looking_for_lost_projects_is_about_none(client: FlaskClient, redis: Redis) -> None:
    enqueue(redis, "discover", "http://studio:8080")
    (row,) = client.get("/jobs").get_json()["queued"]
    assert (row["kind"], row["project"]) == ("discover", None)
