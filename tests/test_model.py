"""The model class under upstream's own server of the installed release, and called as upstream's 2.x calls it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from embedded import redis, redis_settings
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.projects import registry, stored_predictions
from ml_backend.queueing.queue import listing
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from ml_backend.model import Coldblitz

__all__ = ["redis", "redis_settings"]

P = "7.1769860800"
CONFIG = '<View><TimelineLabels name="t" toName="v"><Label value="A"/></TimelineLabels><Video name="v" value="$video"/></View>'
PROJECT = {"id": 7, "created_at": "2026-01-31T12:00:00Z", "label_config": CONFIG}
SETUP = {"project": P, "schema": CONFIG, "hostname": "", "access_token": "", "extra_params": {"frames_per_video": 5}}
EVENT = {"annotation": {"id": 28, "project": 7}, "task": {"id": 5}, "project": PROJECT}
ITEM = {"model_version": "keyframes-v1", "score": 0.0, "result": [{"id": "kf-1"}]}


@pytest.fixture(scope="module")
def model_class() -> type[Coldblitz]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # upstream's imports are of 2022
        from ml_backend.model import Coldblitz
    return Coldblitz


@pytest.fixture(autouse=True)
def environment(redis_settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", redis_settings.label_studio_url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", redis_settings.label_studio_api_key)
    monkeypatch.setenv("DATA_DIR", str(redis_settings.data_dir))
    stored_predictions.save(redis_settings.data_dir, P, {**ITEM, "task": 5})


def queued(redis: Redis) -> list[str]:
    return sorted(row["kind"] for row in listing(redis)["queued"])


class TestUpstreamsServer:
    @pytest.fixture
    def client(self, model_class: type[Coldblitz], tmp_path: Path) -> Iterator[FlaskClient]:
        from label_studio_ml.api import init_app
        from label_studio_ml.model import LabelStudioMLManager

        yield init_app(model_class, model_dir=str(tmp_path / "models")).test_client()
        LabelStudioMLManager._current_model = {}

    def test_it_is_up(self, client: FlaskClient) -> None:
        assert client.get("/health").get_json()["status"] == "UP"

    def test_setup_connects_the_project(self, client: FlaskClient, redis: Redis) -> None:
        assert client.post("/setup", json=SETUP).status_code == 200
        known = registry.recall(redis, P)
        assert known is not None
        assert (known.label_config, known.settings.frames_per_video) == (CONFIG, 5)
        assert queued(redis) == ["reconcile"]

    def test_predictions_come_in_order(self, client: FlaskClient) -> None:
        client.post("/setup", json=SETUP)
        tasks = [{"id": 4, "project": 7}, {"id": 5, "project": 7}]
        params = {"login": None, "password": None, "context": None}
        body = {"tasks": tasks, "project": P, "label_config": CONFIG, "params": params}
        assert client.post("/predict", json=body).get_json()["results"] == [[], ITEM]

    def test_each_project_gets_its_own(self, client: FlaskClient) -> None:
        client.post("/setup", json=SETUP)
        body = {"tasks": [{"id": 5}], "project": "8.1769860800", "label_config": CONFIG, "params": {}}
        assert client.post("/predict", json=body).get_json()["results"] == [[]]

    @pytest.mark.parametrize(
        ("event", "kinds"),
        [
            ("ANNOTATION_CREATED", ["train"]),
            ("ANNOTATIONS_DELETED", ["train"]),
            ("START_TRAINING", ["reconcile", "train"]),
            ("TASKS_CREATED", ["reconcile"]),
        ],
    )
    def test_its_training_process_queues_what_an_event_asks_for(
        self,
        client: FlaskClient,
        model_class: type[Coldblitz],
        redis: Redis,
        tmp_path: Path,
        event: str,
        kinds: list[str],
    ) -> None:
        from label_studio_ml.model import SimpleJobManager

        # What `/webhook` runs in a process of its own.
        SimpleJobManager(model_dir=str(tmp_path)).job(model_class, event, EVENT, "1769860900")
        assert queued(redis) == kinds


class TestTwoPointX:
    """There `MODEL_CLASS(project_id=..., label_config=...)` is made for each request, with the id alone."""

    def test_predict_takes_tasks_and_context(self, model_class: type[Coldblitz], redis: Redis) -> None:
        registry.remember(redis, registry.Known("7.1", CONFIG))
        registry.remember(redis, registry.Known(P, CONFIG))
        model = model_class(project_id="7", label_config=CONFIG)
        tasks: list[dict[str, Any]] = [{"id": 5, "data": {}}, {"id": 6, "data": {}}]
        assert model.predict(tasks, context=None) == [ITEM, []]
        assert model.predict(tasks, None, login=None, password=None) == [ITEM, []]

    def test_what_somebody_has_just_drawn_is_no_reason_to_show_the_whole_prediction(
        self, model_class: type[Coldblitz], redis: Redis
    ) -> None:
        registry.remember(redis, registry.Known(P, CONFIG))
        model = model_class(project_id=P, label_config=CONFIG)
        [found] = model.predict([{"id": 5, "data": {}}], context={"result": [{"type": "timelinelabels"}]})
        assert found["result"] == []

    def test_the_whole_name_of_a_project_will_do_too(self, model_class: type[Coldblitz]) -> None:
        assert model_class(project_id=P, label_config=CONFIG).predict([{"id": 5}]) == [ITEM]

    def test_an_unknown_project_has_nothing_yet(self, model_class: type[Coldblitz]) -> None:
        assert model_class(project_id="99", label_config=CONFIG).predict([{"id": 5}]) == [[]]
        assert model_class().predict([{"id": 5}]) == [[]]
        assert model_class().predict([]) == []

    def test_fit_takes_the_event_and_its_data(self, model_class: type[Coldblitz], redis: Redis) -> None:
        model = model_class(project_id="7", label_config=CONFIG)
        assert model.fit("ANNOTATION_CREATED", EVENT)["queued"]
        assert queued(redis) == ["train"]

    def test_an_event_without_data_asks_for_nothing(self, model_class: type[Coldblitz], redis: Redis) -> None:
        assert model_class().fit("ANNOTATION_CREATED") == {}
        assert model_class().fit(()) == {}
        assert queued(redis) == []


def test_it_needs_the_settings_of_the_environment(
    model_class: type[Coldblitz], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ml_backend.errors import SettingsError

    assert os.environ["LABEL_STUDIO_URL"]
    monkeypatch.delenv("LABEL_STUDIO_URL")
    with pytest.raises(SettingsError, match="LABEL_STUDIO_URL"):
        model_class()
