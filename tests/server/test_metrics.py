"""`GET /metrics`: what this web process answered, and what all workers did."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from embedded import do_jobs, settings_for
from flask.testing import FlaskClient
from loopback import closed_port
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from ml_backend.projects import registry
from ml_backend.queueing import counters
from ml_backend.queueing.kinds import KINDS, Kind
from ml_backend.queueing.queue import enqueue
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

P = "7.1769860800"
PROJECT = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": "<View/>"}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def client(redis: Redis, redis_settings: Settings) -> FlaskClient:
    return create_app(redis_settings).test_client()


def samples(client: FlaskClient) -> Samples:
    """Every sample by its name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(client: FlaskClient, name: str, **labels: str) -> float | None:
    return samples(client).get((name, tuple(sorted(labels.items()))))


def test_requests_are_counted_by_route_and_status(client: FlaskClient) -> None:
    for _ in range(3):
        client.get("/health")
    client.post("/webhook", data="no JSON", content_type="application/json")
    assert value(client, "coldblitz_request_seconds_count", route="/health", status="200") == 3
    assert value(client, "coldblitz_request_seconds_count", route="/webhook", status="400") == 1


def test_however_many_addresses_are_tried_there_is_one_series(client: FlaskClient) -> None:
    for number in range(50):
        client.get(f"/guess/{number}")
    found = [labels for name, labels in samples(client) if name == "coldblitz_request_seconds_count"]
    assert found == [(("route", "none"), ("status", "404"))]


def test_events_are_counted_by_action_and_unknown_ones_together(client: FlaskClient) -> None:
    for action in ("ANNOTATION_CREATED", "ANNOTATION_CREATED", "INVENTED_1", "INVENTED_2"):
        assert client.post("/webhook", json={"action": action, "project": PROJECT}).status_code == 201
    assert value(client, "coldblitz_events_total", action="ANNOTATION_CREATED") == 2
    assert value(client, "coldblitz_events_total", action="other") == 2


def test_jobs_by_kind_and_state(client: FlaskClient, redis: Redis) -> None:
    for task in (1, 2, 3):
        enqueue(redis, "suggest", P, task)
    assert value(client, "coldblitz_jobs", kind="suggest", state="queued") == 3
    assert value(client, "coldblitz_jobs", kind="train", state="queued") == 0


def test_what_workers_did_with_them(client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "suggest", Kind("failing_jobs.suggest", 60))
    enqueue(redis, "suggest", P, 5)
    do_jobs(redis)
    assert value(client, "coldblitz_jobs_ended_total", kind="suggest", outcome="failed") == 1
    assert value(client, "coldblitz_jobs", kind="suggest", state="failed") == 1
    assert value(client, "coldblitz_job_seconds_bucket", kind="suggest", le="+Inf") == 1


def test_durations_are_a_histogram_that_prometheus_understands(client: FlaskClient, redis: Redis) -> None:
    for seconds in (0.05, 0.7, 0.7, 100_000.0):
        counters.count_job(redis, "train", "done", seconds)
    for bound, number in (("0.1", 1), ("0.5", 1), ("1.0", 3), ("7200.0", 3), ("+Inf", 4)):
        assert value(client, "coldblitz_job_seconds_bucket", kind="train", le=bound) == number
    assert value(client, "coldblitz_job_seconds_count", kind="train") == 4
    assert value(client, "coldblitz_job_seconds_sum", kind="train") == pytest.approx(100_001.45)


def test_frames_versions_reconciles_and_caches(client: FlaskClient, redis: Redis, redis_settings: Settings) -> None:
    counters.count_frames(redis, decoded=100, embedded=18, seconds=0.5)
    counters.count_reconciled(redis, missing=2)
    registry.note_reconciled(redis, P)
    registry.activate(redis, P, "cold-v3")
    folder = redis_settings.data_dir / "features"
    folder.mkdir(exist_ok=True)
    (folder / "x.safetensors").write_bytes(bytes(1000))
    try:
        assert value(client, "coldblitz_cache_bytes", cache="features") == 1000
    finally:
        (folder / "x.safetensors").unlink()
    assert value(client, "coldblitz_cache_bytes", cache="videos") == 0
    assert value(client, "coldblitz_frames_decoded_total") == 100
    assert value(client, "coldblitz_frames_embedded_total") == 18
    assert value(client, "coldblitz_embedding_seconds_total") == 0.5
    assert value(client, "coldblitz_reconciled_total") == 2
    assert (value(client, "coldblitz_reconciled_timestamp_seconds", project=P) or 0) > 1.7e9
    assert value(client, "coldblitz_model_version_info", project=P, version="cold-v3") == 1
    assert value(client, "coldblitz_workers") == 0
    assert value(client, "coldblitz_redis_up") == 1


def test_without_redis_it_tells_what_it_knows_itself(tmp_path: Path) -> None:
    without = settings_for(tmp_path, redis_url=f"redis://127.0.0.1:{closed_port()}")
    client = create_app(without).test_client()
    client.get("/health")
    assert value(client, "coldblitz_redis_up") == 0
    assert value(client, "coldblitz_request_seconds_count", route="/health", status="200") == 1


def test_it_asks_for_the_login_and_counts_those_who_fail(redis: Redis, redis_settings: Settings) -> None:
    locked = create_app(replace(redis_settings, basic_auth_user="studio", basic_auth_pass="secret")).test_client()
    assert locked.get("/metrics").status_code == 401
    text = locked.get("/metrics", auth=("studio", "secret")).text
    assert 'coldblitz_request_seconds_count{route="/metrics",status="401"} 1.0' in text
    assert "secret" not in text


def test_the_documentation_names_every_metric_and_no_other(client: FlaskClient, redis: Redis) -> None:
    client.get("/health")
    counters.count_job(redis, "train", "done", 1)
    registry.activate(redis, P, "cold-v3")
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("| `coldblitz_")]
    named = {name.removesuffix("_total") for line in table for name in re.findall(r"`(coldblitz_\w+)`", line)}
    families = text_string_to_metric_families(client.get("/metrics").text)
    told = {family.name.removesuffix("_total") for family in families if family.name.startswith("coldblitz_")}
    assert named == {name for name in told if not name.endswith("_created")}
