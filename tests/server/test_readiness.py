"""`GET /ready`: the truth about what the backend stands on, in bounded time, and without hammering Label Studio."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from loopback import closed_port, serving, silent_port
from redis import Redis

from ml_backend.checks import Check, fault, ok
from ml_backend.errors import WeightsError
from ml_backend.projects.installation import note_text, note_weights, text_state, weights_state
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.liveness import living, signs_of_life, worker_name
from ml_backend.server.app import create_app
from ml_backend.server.monitoring import Readiness
from ml_backend.settings import Settings


class LabelStudio(Flask):
    """What it answers to those who ask for its version and who they are; counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__("label-studio")
        self.asked = 0
        self.add_url_rule("/api/version", view_func=self.version)
        self.add_url_rule("/api/current-user/whoami", view_func=self.whoami)

    def version(self) -> Response:
        self.asked += 1
        return jsonify(release="1.23.2")

    def whoami(self) -> tuple[Response, int]:
        if request.headers.get("Authorization") == "Token the-token":
            return jsonify(id=1), 200
        return jsonify(detail="Invalid token."), 401


@pytest.fixture
def label_studio() -> LabelStudio:
    return LabelStudio()


@pytest.fixture
def settings(label_studio: LabelStudio, redis_settings: Settings) -> Iterator[Settings]:
    with serving(label_studio) as url:
        yield replace(redis_settings, label_studio_url=url)


@pytest.fixture
def worker(redis: Redis, redis_settings: Settings) -> Iterator[None]:
    with signs_of_life(redis_url(redis_settings), worker_name(os.getpid(), "abc")):
        while not living(redis):
            time.sleep(0.01)
        yield


def ask(settings: Settings) -> tuple[int, dict[str, Any]]:
    """The status and each check by its name."""
    answer = create_app(settings).test_client().get("/ready")
    body = answer.get_json()
    assert body["ready"] == (answer.status_code == 200)
    for check in body["checks"]:
        assert check["message"].endswith(".")
        assert bool(check["remedy"]) == (check["state"] != "ok"), "whatever is wrong comes with what to do"
    return answer.status_code, {check["name"]: check for check in body["checks"]}


@pytest.mark.usefixtures("worker")
class TestWhatItSays:
    def test_all_is_well(self, settings: Settings) -> None:
        status, checks = ask(settings)
        assert status == 200
        assert set(checks) == {"redis", "label studio", "token", "weights", "text", "disk", "workers"}
        assert {check["state"] for check in checks.values()} == {"ok"}
        assert "1.23.2" in checks["label studio"]["message"]

    def test_the_token_is_refused(self, settings: Settings) -> None:
        status, checks = ask(replace(settings, label_studio_api_key="another-token"))
        assert (status, checks["token"]["state"]) == (503, "fault")
        assert "Invalid token" in checks["token"]["message"]
        assert "another-token" not in str(checks)

    @pytest.mark.parametrize("hangs", [False, True], ids=["down", "hangs"])
    def test_label_studio_does_not_answer(self, settings: Settings, hangs: bool) -> None:
        with silent_port() as port:
            url = f"http://127.0.0.1:{port if hangs else closed_port()}"
            status, checks = ask(replace(settings, label_studio_url=url))
        assert (status, checks["label studio"]["state"], checks["token"]["state"]) == (503, "fault", "fault")
        assert "LABEL_STUDIO_URL" in checks["label studio"]["remedy"]

    @pytest.mark.parametrize("hangs", [False, True], ids=["down", "hangs"])
    def test_redis_does_not_answer(self, settings: Settings, hangs: bool) -> None:
        with silent_port() as port:
            url = f"redis://127.0.0.1:{port if hangs else closed_port()}"
            status, checks = ask(replace(settings, redis_url=url))
        assert status == 503
        assert "Redis does not answer" in checks["redis"]["message"]
        assert {checks[name]["state"] for name in ("redis", "workers", "weights")} == {"fault"}
        assert checks["token"]["state"] == "ok"

    def test_the_disk_cannot_be_written(self, settings: Settings, redis: Redis, tmp_path: Path) -> None:
        in_the_way = tmp_path / "data"
        in_the_way.write_text("a file")
        url = f"unix://{redis.connection_pool.connection_kwargs['path']}"
        status, checks = ask(replace(settings, data_dir=in_the_way, redis_url=url))
        assert (status, checks["disk"]["state"]) == (503, "fault")
        assert "DATA_DIR" in checks["disk"]["remedy"]

    def test_untrained_weights_are_a_warning_and_broken_ones_a_fault(self, settings: Settings, redis: Redis) -> None:
        note_weights(redis, weights_state("The backbone x is untrained, because of this: set BACKBONE_WEIGHTS."))
        status, checks = ask(settings)
        assert (status, checks["weights"]["state"]) == (200, "warning")
        assert checks["weights"]["remedy"] == "Set BACKBONE_WEIGHTS."
        note_weights(redis, weights_state(None, "The processor calculates in f32."))
        _, checks = ask(settings)
        assert checks["weights"]["message"] == "The backbone is loaded and trained. The processor calculates in f32."
        note_weights(redis, WeightsError("The file is cut off.", "Download it again."))
        status, checks = ask(settings)
        assert (status, checks["weights"]["message"]) == (503, "The file is cut off.")


def test_without_a_worker_it_is_not_ready(settings: Settings, redis: Redis) -> None:
    note_weights(redis, WeightsError("What a worker that is gone said.", "Nothing."))
    status, checks = ask(settings)
    assert (status, checks["workers"]["state"], checks["weights"]["state"]) == (503, "fault", "ok")
    assert "coldblitz worker" in checks["workers"]["remedy"]


def test_it_asks_for_the_login(settings: Settings) -> None:
    locked = create_app(replace(settings, basic_auth_user="studio", basic_auth_pass="secret")).test_client()
    assert locked.get("/ready").status_code == 401
    assert locked.get("/ready", auth=("studio", "secret")).status_code in (200, 503)


def test_however_often_it_is_asked_label_studio_is_asked_once(settings: Settings, label_studio: LabelStudio) -> None:
    client = create_app(settings).test_client()
    for _ in range(20):
        client.get("/ready")
    assert label_studio.asked == 1


def test_one_that_hangs_holds_up_no_other_and_is_not_started_twice() -> None:
    started: list[str] = []
    go_on = threading.Event()

    def hanging() -> Check:
        started.append("once")
        go_on.wait(60)
        return fault("hanging", "It was long.", "Nothing.")

    readiness = Readiness({"hanging": hanging, "other": lambda: ok("other", "Fine.")}, seconds=0.1, kept=0)
    for _ in range(3):
        hangs, other = readiness.now()
        assert (hangs.state, other.message) == ("fault", "Fine.")
        assert "no answer within" in hangs.message
    go_on.set()
    while readiness.now()[0].message != "It was long.":
        pass
    assert started[0] == "once"


def test_a_check_that_breaks_is_a_fault() -> None:
    def broken() -> Check:
        raise ZeroDivisionError

    (check,) = Readiness({"broken": broken}).now()
    assert check.state == "fault"


@pytest.mark.usefixtures("worker")
class TestTheTextModel:
    def test_it_is_off(self, settings: Settings) -> None:
        assert ask(settings)[1]["text"]["message"] == "Off: TEXT_MODEL is not set."

    def test_what_a_worker_says_of_it(self, settings: Settings, redis: Redis) -> None:
        wanting = replace(settings, text_model="some/clip")
        assert "The text model is not loaded yet" in ask(wanting)[1]["text"]["message"]
        note_text(redis, text_state("some/clip"))
        assert ask(wanting)[1]["text"]["message"] == "some/clip reads the labels."

    def test_one_that_cannot_be_loaded_keeps_nobody_from_working(self, settings: Settings, redis: Redis) -> None:
        note_text(redis, text_state("some/clip", WeightsError("It has no weights.", "Give it some.")))
        status, checks = ask(replace(settings, text_model="some/clip"))
        assert checks["text"]["state"] == "warning"
        assert checks["text"]["message"] == "Off: It has no weights."
        assert status == 200
