"""Exports over HTTP: asked for, listed, downloaded, and nothing else of the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded import settings_for
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import registry
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

P = "7.1769860800"


@pytest.fixture
def settings(redis_settings: Settings, tmp_path: Path) -> Settings:
    return settings_for(tmp_path, redis_url=redis_url(redis_settings))


@pytest.fixture
def client(redis: Redis, settings: Settings) -> Iterator[FlaskClient]:
    registry.remember(redis, registry.Known(P, "<View/>"))
    app = create_app(settings)
    yield app.test_client()
    app.extensions["coldblitz"].redis.close()


def test_asking_queues_one_job(client: FlaskClient, redis: Redis) -> None:
    for _ in range(3):
        assert client.post("/exports/frames-every-5.zip?project=7").status_code == 202
    assert [(job["kind"], job["version"]) for job in listing(redis)["queued"]] == [("export", "frames-every-5.zip")]


def test_what_is_made_is_listed_and_downloaded(client: FlaskClient, settings: Settings) -> None:
    folder = settings.data_dir / "projects" / P / "exports"
    folder.mkdir(parents=True)
    (folder / "labels.csv").write_text("task\n1\n")
    (folder / "new-frames.zip.part").write_text("half a file")
    [row] = client.get("/exports?project=7").get_json()["exports"]
    assert (row["name"], row["bytes"]) == ("labels.csv", 7)
    answer = client.get("/exports/labels.csv?project=7")
    assert answer.data == b"task\n1\n"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    answer.close()


def test_what_is_not_made_yet_says_how(client: FlaskClient) -> None:
    answer = client.get("/exports/labels.csv?project=7")
    assert (answer.status_code, answer.get_json()["remedy"]) == (400, "Request it with a POST, and follow it in /jobs.")


@pytest.mark.parametrize("name", ["labels.exe", "..%2F..%2Fmodels", "frames-every-0.zip", "new-frames.zip"])
def test_other_names_are_refused(client: FlaskClient, redis: Redis, name: str) -> None:
    for answer in (client.post(f"/exports/{name}?project=7"), client.get(f"/exports/{name}?project=7")):
        assert answer.status_code in (400, 404)
    assert listing(redis)["queued"] == []


def test_a_project_must_be_named_and_known(client: FlaskClient) -> None:
    assert client.get("/exports").status_code == 400
    assert client.post("/exports/labels.csv?project=9").status_code == 400
