"""Model versions over HTTP: what `coldblitz models` does, for scripts and the dashboard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from embedded import settings_for
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.cards.measurements import Measurements
from ml_backend.learning.versions import ModelCard, publish
from ml_backend.projects import registry, reports, track_faults
from ml_backend.projects.reports import QualityReport
from ml_backend.projects.track_faults import TrackFault
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

P = "7.1769860800"
METRICS = {"macro_f1": 0.91, "macro_f1_interval": [0.85, 0.95], "judgement": "Measured on 4 recordings."}


@pytest.fixture
def settings(redis_settings: Settings, tmp_path: Path) -> Settings:
    return settings_for(tmp_path, redis_url=redis_url(redis_settings))


@contextmanager
def running(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    try:
        yield app.test_client()
    finally:
        app.extensions["coldblitz"].redis.close()


@pytest.fixture
def client(redis: Redis, settings: Settings) -> Iterator[FlaskClient]:
    """A backend that knows project 7 with two versions, of which the first is active."""
    root = settings.data_dir / "projects" / P / "models"
    root.mkdir(parents=True)
    for name, created, metrics in (
        ("cold-v1", "2026-01-31T12:00:00Z", METRICS),
        ("cold-v2", "2026-02-01T12:00:00Z", {}),
    ):
        card = ModelCard(
            name,
            "cold",
            ("cat", "dog"),
            True,
            "none",
            created,
            metrics=Measurements.from_json(metrics),
            labelled_frames=20,
        )
        publish(root, card, {})
    registry.remember(redis, registry.Known(P, "<View/>"))
    registry.activate(redis, P, "cold-v1")
    with running(settings) as made:
        yield made


def test_they_are_listed_with_their_scores_and_which_is_active(client: FlaskClient) -> None:
    answer = client.get("/models?project=7")
    assert answer.status_code == 200
    first, second = answer.get_json()["models"]
    assert (first["name"], first["active"], first["macro_f1"], first["labels"]) == (
        "cold-v1",
        True,
        0.91,
        ["cat", "dog"],
    )
    assert (second["name"], second["active"], second["macro_f1"]) == ("cold-v2", False, None)
    assert second["judgement"] == "Not measured yet."
    assert client.get(f"/models?project={P}").get_json() == answer.get_json()


def test_a_card_comes_whole_with_the_learning_curve_up_to_it(client: FlaskClient) -> None:
    card = client.get("/models/cold-v2?project=7").get_json()
    assert card["annotations"] == {}
    assert [(row["name"], row["macro_f1"]) for row in card["learning_curve"]] == [("cold-v1", 0.91), ("cold-v2", None)]
    assert len(client.get("/models/cold-v1?project=7").get_json()["learning_curve"]) == 1


def test_activating_queues_the_roll_out(client: FlaskClient, redis: Redis) -> None:
    assert client.post("/models/cold-v2/activate?project=7").get_json() == {"wanted": "cold-v2"}
    assert registry.wanted_version(redis, P) == "cold-v2"
    (row,) = listing(redis)["queued"]
    assert (row["kind"], row["version"]) == ("rollout", "cold-v2")


def test_one_that_is_not_active_can_be_deleted(client: FlaskClient) -> None:
    assert client.post("/models/cold-v2/delete?project=7").get_json() == {"deleted": "cold-v2"}
    assert [row["name"] for row in client.get("/models?project=7").get_json()["models"]] == ["cold-v1"]
    refused = client.post("/models/cold-v1/delete?project=7")
    assert refused.status_code == 400
    assert refused.get_json() == {"error": "cold-v1 is the active version.", "remedy": "Activate another one first."}


def test_nor_one_that_is_being_rolled_out(client: FlaskClient) -> None:
    client.post("/models/cold-v2/activate?project=7")
    refused = client.post("/models/cold-v2/delete?project=7")
    assert refused.get_json() == {"error": "cold-v2 is being rolled out.", "remedy": "Activate another one first."}
    assert len(client.get("/models?project=7").get_json()["models"]) == 2


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("get", "/models", "names no project"),
        ("get", "/models?project=8", "No project 8"),
        ("get", "/models?project=..", "No project .."),
        ("get", "/models/cold-v9?project=7", "no model version cold-v9"),
        ("get", "/models/..?project=7", "not a model version"),
        ("get", "/models/%00?project=7", "not a model version"),
        ("post", "/models/cold-v9/activate?project=7", "no model version cold-v9"),
        ("post", "/models/cold-v9/delete?project=7", "no model version cold-v9"),
        ("post", "/models/keyframes-v1/activate?project=7", "not a model version"),
    ],
)
def test_a_mistake_is_said_as_json(client: FlaskClient, method: str, path: str, said: str) -> None:
    answer = getattr(client, method)(path)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]
    assert answer.get_json()["remedy"]


def test_how_it_trains_is_chosen_and_a_training_queued(client: FlaskClient, redis: Redis) -> None:
    assert client.get("/models/training?project=7").get_json() == {"training": {"kind": "extra-params"}}
    answer = client.post("/models/training?project=7", json={"kind": "blitz", "blitz": {"cycles": 20}})
    assert answer.status_code == 202
    (row,) = listing(redis)["queued"]
    assert (row["kind"], row["id"]) == ("train", answer.get_json()["job"])
    chosen = answer.get_json()["training"]
    assert (chosen["kind"], chosen["blitz"]["cycles"], chosen["blitz"]["fit"]) == ("blitz", 20, "head")
    assert client.get("/models/training?project=7").get_json() == {"training": chosen}
    client.post("/models/training?project=7", json={"kind": "extra-params"})
    assert client.get("/models/training?project=7").get_json() == {"training": {"kind": "extra-params"}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "kind or file is not a text"),
        ([], "no object of kind, blitz and file"),
        ({"kind": "cold", "cycles": 3}, "no object of kind, blitz and file"),
        ({"kind": "custom", "file": 3}, "file is not a text"),
        ({"kind": "custom", "file": "../x.py"}, "cannot be used for custom"),
        ({"kind": "blitz", "blitz": []}, "blitz not an object"),
        ({"kind": "blitz", "blitz": {"cycles": 0}}, "blitz.cycles cannot be set: 0 is not between 1 and 100."),
        ({"kind": "auto"}, "'auto' cannot be trained"),
        ({"kind": "custom"}, "No model file is named"),
    ],
)
def test_what_cannot_be_trained_is_said(client: FlaskClient, redis: Redis, body: object, said: str) -> None:
    answer = client.post("/models/training?project=7", json=body)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]
    assert listing(redis)["queued"] == []


def test_changing_needs_a_post(client: FlaskClient) -> None:
    assert client.get("/models/cold-v2/delete?project=7").status_code == 405


def test_the_login_holds_here_too(settings: Settings, client: FlaskClient) -> None:
    with running(replace(settings, basic_auth_user="studio", basic_auth_pass="secret")) as locked:
        assert locked.get("/models?project=7").status_code == 401
        assert locked.post("/models/cold-v2/delete?project=7").status_code == 401
        assert locked.get("/models?project=7", auth=("studio", "secret")).status_code == 200


def test_what_was_found_about_labels_is_null_until_something_was(client: FlaskClient, settings: Settings) -> None:
    assert client.get("/quality?project=7").get_json() == {
        "quality": None,
        "track_faults": {"found": 0, "faults": []},
    }
    report = QualityReport("2026-01-31T12:00:00Z", 2, 0, (), {"cat": 0.8}, {"11": None}, 40)
    reports.save_quality(settings.data_dir, P, report)
    found = client.get("/quality?project=7").get_json()["quality"]
    assert (found["label_kappa"], found["annotator_kappa"], found["suspects"]) == ({"cat": 0.8}, {"11": None}, [])


def test_tracks_that_are_probably_wrong_are_told_the_most_doubtful_first(
    client: FlaskClient, settings: Settings
) -> None:
    jump = TrackFault(1, "a.mp4", "model", ("mouse 4",), 100, 101, 3.96, 0.7, "jump", "It jumps.", "box", (4,))
    still = TrackFault(1, "a.mp4", "human", ("mouse",), 1, 250, 0.0, 0.8, "still", "It stands still.")
    track_faults.save(settings.data_dir, P, 1, "model", [jump])
    track_faults.save(settings.data_dir, P, 1, "human", [still])
    told = client.get("/quality?project=7").get_json()["track_faults"]
    assert told["found"] == 2
    worst, other = told["faults"]
    assert (worst["source"], worst["kind"], worst["numbers"]) == ("human", "still", [])
    assert (other["tracks"], other["numbers"], other["start"]) == (["mouse 4"], [4], 100)


def test_reading_cards_loads_nothing_heavy(client: FlaskClient, settings: Settings) -> None:
    assert client.get("/models?project=7").status_code == 200
    code = (
        "import sys; from pathlib import Path; from ml_backend.projects.model_versions import model_card; "
        f"model_card(Path({str(settings.data_dir)!r}), {P!r}, 'cold-v2'); "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "safetensors" in loaded
    assert not set(loaded) & {"torch", "torchvision", "cv2", "sklearn", "scipy", "openvino", "label_studio_sdk"}
