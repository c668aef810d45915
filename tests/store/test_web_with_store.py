"""The web process answers what workers on other machines have made, and says so when it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from redis import Redis
from s3_server import S3Server

from ml_backend.cards.model_card import ModelCard
from ml_backend.export.bout_tables import write_report
from ml_backend.export.bouts import BoutVideo
from ml_backend.formats.events import Event, VideoEvents
from ml_backend.learning.versions import publish
from ml_backend.projects import job_requests, registry, stored_predictions
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server.app import create_app
from ml_backend.settings import Settings
from ml_backend.store import files

Machine = Callable[..., Path]
KEY, VERSION = "7.1769860800", "cold-v1"
CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="cat"/><Label value="dog"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)


@pytest.fixture
def worker(machine: Machine, redis: Redis) -> Path:
    """The data folder of a worker that has trained, predicted two tasks, and exported."""
    data_dir = machine("worker")
    registry.remember(redis, registry.Known(KEY, CONFIG, {}))
    registry.activate(redis, KEY, VERSION)
    models = ProjectFolder(data_dir, KEY).models
    models.mkdir(parents=True)
    card = ModelCard(
        name=VERSION,
        kind="cold",
        labels=("cat", "dog"),
        exclusive=True,
        backbone="net",
        created="2026-01-31T12:00:00+00:00",
    )
    assert publish(models, card, {"head.safetensors": b"weights"})
    for task in (1, 2):
        stored_predictions.save(
            data_dir, KEY, {"task": task, "model_version": VERSION, "score": 0.5, "result": [{"id": f"region {task}"}]}
        )
    files.write(job_requests.export_path(data_dir, KEY, "labels.csv"), b"task,label\n")
    return data_dir


@pytest.fixture
def client(
    worker: Path, settings: Settings, redis_settings: Settings, tmp_path: Path, machine: Machine
) -> Iterator[FlaskClient]:
    """Of the web process on a machine of its own."""
    address = redis_url(redis_settings)
    app = create_app(replace(settings, redis_url=address, data_dir=machine("web")))
    yield app.test_client()
    app.extensions["coldblitz"].redis.close()


def test_predict_and_pages_show_what_a_worker_elsewhere_has_made(client: FlaskClient, tmp_path: Path) -> None:
    assert not (tmp_path / "web" / "projects").exists()
    tasks = [
        {"id": task, "data": {"video": "/v.mp4"}, "created_at": "2026-01-31T12:00:00Z", "predictions": []}
        for task in (1, 2, 3)
    ]
    answer = client.post("/predict", json={"tasks": tasks, "project": KEY, "label_config": CONFIG, "params": {}})
    found = answer.get_json()["results"]
    assert [item["result"][0]["id"] for item in found[:2]] == ["region 1", "region 2"]
    assert found[2] == []
    assert [each["name"] for each in client.get("/models?project=7").get_json()["models"]] == [VERSION]
    with client.get("/exports/labels.csv?project=7") as answer:
        assert answer.data == b"task,label\n"
    assert client.get(f"/dashboard/projects/7/models/{VERSION}").status_code == 200


def test_bouts_that_a_worker_elsewhere_has_counted_are_shown_and_downloaded(
    client: FlaskClient, worker: Path, tmp_path: Path
) -> None:
    film = VideoEvents("", ("film.mp4",), (Event("cat", (0.0, 1.0), (0, 24), group="events"),), duration=2.0)
    counted = BoutVideo(1, film, {"events": ["cat", "dog"]}, "human")
    folder = ProjectFolder(worker, KEY).bouts
    for skipped in (["Task 2 is left out."], []):
        write_report(folder, [counted], skipped, {})
    assert "1 to 1 of 1" in client.get("/dashboard/projects/7/bouts").text
    for name in ("bouts.csv", "ethogram-1.svg"):
        with client.get(f"/dashboard/projects/7/bouts/{name}") as answer:
            assert answer.status_code == 200
    # The files of the first count are gone for all.
    assert len(files.names(folder)) == len(files.names(ProjectFolder(tmp_path / "web", KEY).bouts)) == 2


def test_a_version_that_is_deleted_on_a_page_is_gone_for_the_workers(
    client: FlaskClient, worker: Path, redis: Redis
) -> None:
    registry.activate(redis, KEY, "cold-v2")
    assert client.post(f"/models/{VERSION}/delete?project=7").status_code == 200
    assert files.names(ProjectFolder(worker, KEY).models) == []


class TestWhileTheStoreDoesNotAnswer:
    @pytest.fixture
    def store_url(self, bucket: str) -> str:
        return bucket

    def test_it_answers_from_its_folder_and_pages_say_so(
        self, client: FlaskClient, s3: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # What an earlier check has found counts for some seconds.
        monkeypatch.setattr("ml_backend.store.connect._checked", {})
        ask = {"tasks": [{"id": 1, "data": {"video": "/v.mp4"}}], "project": KEY, "label_config": CONFIG, "params": {}}
        before = client.post("/predict", json=ask).get_json()["results"]
        assert before != [[]]
        s3.stand_still()
        try:
            assert client.post("/predict", json=ask).get_json()["results"] == before
            ask["tasks"] = [{"id": task, "data": {"video": "/v.mp4"}} for task in (1, 2)]
            assert client.post("/predict", json=ask).get_json()["results"] == [*before, []], "it is asked again"
            told = client.get("/models/cold-v1?project=7").get_json()
            assert told["error"] == "The store s3://coldblitz/installation does not answer."
            page = client.get("/dashboard/projects/7/models/cold-v1", headers={"Accept": "text/html"})
            assert "The store s3://coldblitz/installation does not answer." in page.text
            checks = {each["name"]: each for each in client.get("/ready").get_json()["checks"]}
            assert checks["store"]["message"] == "The store s3://coldblitz/installation does not answer."
        finally:
            s3.go_on()
