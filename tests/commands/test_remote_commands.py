"""Commands say the same of a backend elsewhere, over HTTP, as of the one of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from embedded import redis, redis_settings, settings_for
from loopback import closed_port
from redis import Redis
from typer.testing import CliRunner, Result
from werkzeug.serving import make_server

from ml_backend.cli import app
from ml_backend.commands.backend import There
from ml_backend.errors import SettingsError
from ml_backend.learning.versions import ModelCard, publish
from ml_backend.project_settings import BlitzSettings
from ml_backend.projects import registry, reports, training_choice
from ml_backend.projects.reports import QualityReport
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.queue import listing
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]
P = "7.1769860800"
LOGIN = {"BASIC_AUTH_USER": "admin", "BASIC_AUTH_PASS": "a long password"}


@pytest.fixture
def settings(redis: Redis, redis_settings: Settings, tmp_path: Path) -> Settings:
    """Project 7 with two versions, of which the first is active."""
    made = settings_for(tmp_path, redis_url=redis_url(redis_settings))
    models = tmp_path / "projects" / P / "models"
    models.mkdir(parents=True)
    for name, created in (("cold-v1", "2026-01-31T12:00:00Z"), ("cold-v2", "2026-02-01T12:00:00Z")):
        publish(models, ModelCard(name, "cold", ("cat", "dog"), True, "none", created, labelled_frames=20), {})
    registry.remember(redis, registry.Known(P, "<View/>"))
    registry.activate(redis, P, "cold-v1")
    return replace(made, basic_auth_user=LOGIN["BASIC_AUTH_USER"], basic_auth_pass=LOGIN["BASIC_AUTH_PASS"])


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """The backend's address; it asks for the login."""
    made = create_app(settings)
    server = make_server("127.0.0.1", 0, made, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    made.extensions["coldblitz"].redis.close()


def here(settings: Settings, *command: str) -> Result:
    environment = {
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
        "REDIS_URL": str(settings.redis_url),
        "DATA_DIR": str(settings.data_dir),
    }
    return CliRunner().invoke(app, [*command, "--json"], env=environment)


def there(url: str, *command: str) -> Result:
    """With the address and the login alone: no token of Label Studio, no Redis, no folder."""
    return CliRunner().invoke(app, [*command, "--json"], env={"COLDBLITZ_URL": url, **LOGIN})


@pytest.mark.parametrize("command", [("models", "list", "7"), ("models", "show", "7", "cold-v2"), ("quality", "7")])
def test_what_is_told_of_a_project(settings: Settings, url: str, command: tuple[str, ...]) -> None:
    reports.save_quality(settings.data_dir, P, QualityReport("2026-02-01", 2, 0, (), {}, {}, 0))
    told = there(url, *command)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == json.loads(here(settings, *command).stdout)


@pytest.mark.parametrize(
    "command",
    [
        ("train", "7"),
        ("train", "7", "--kind", "blitz", "--fit", "finetune", "--cycles", "20"),
        ("suggest", "7"),
        ("suggest", "7", "--task", "4"),
        ("predict", "7"),
        ("reconcile", "7"),
        ("reconcile",),
    ],
)
def test_what_is_asked_of_the_workers(settings: Settings, redis: Redis, url: str, command: tuple[str, ...]) -> None:
    asked = there(url, *command, "--seconds", "0")
    queued = [(row["kind"], row["project"], row["task"]) for row in listing(redis)["queued"]]
    assert queued
    redis.flushdb()
    registry.remember(redis, registry.Known(P, "<View/>"))
    registry.activate(redis, P, "cold-v1")
    assert json.loads(asked.stdout) == json.loads(here(settings, *command, "--seconds", "0").stdout)
    assert queued == [(row["kind"], row["project"], row["task"]) for row in listing(redis)["queued"]]
    assert asked.exit_code == 1  # nobody has done it yet


def test_how_to_train_is_chosen_from_both(settings: Settings, url: str) -> None:
    known = registry.Known(P, "<View/>")
    there(url, "train", "7", "--kind", "blitz", "--validation-split", "0.3", "--seconds", "0")
    made = training_choice.in_force(settings.data_dir, known)
    assert made is not None
    assert (made.kind, made.blitz) == ("blitz", BlitzSettings(validation_split=0.3))
    here(settings, "train", "7", "--kind", "extra-params", "--seconds", "0")
    assert training_choice.in_force(settings.data_dir, known) is None
    (settings.data_dir / "custom_models").mkdir()
    (settings.data_dir / "custom_models" / "bird.py").write_text("")
    for ask in (partial(there, url), partial(here, settings)):
        ask("train", "7", "--kind", "custom", "--file", "bird.py", "--seconds", "0")
        made = training_choice.in_force(settings.data_dir, known)
        assert made is not None
        assert made.file == "bird.py"
        training_choice.forget(settings.data_dir, P)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--kind", "blitz", "--cycles", "500"), "blitz.cycles cannot be set: 500 is not between 1 and 100"),
        (("--kind", "warm"), "'warm' cannot be trained"),
        (("--cycles", "5"), "Add --kind blitz"),
        (("--kind", "cold", "--fit", "finetune"), "Add --kind blitz"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_both(
    settings: Settings, redis: Redis, url: str, options: tuple[str, ...], message: str
) -> None:
    for told in (there(url, "train", "7", *options), here(settings, "train", "7", *options)):
        assert isinstance(told.exception, SettingsError)
        assert message in str(told.exception)
    assert listing(redis)["queued"] == []


def test_a_version_is_rolled_out(settings: Settings, redis: Redis, url: str) -> None:
    assert json.loads(there(url, "models", "activate", "7", "cold-v2").stdout) == {"wanted": "cold-v2"}
    assert registry.wanted_version(redis, P) == "cold-v2"


def test_a_version_is_deleted(settings: Settings, url: str) -> None:
    assert json.loads(there(url, "models", "delete", "7", "cold-v2").stdout) == {"deleted": "cold-v2"}
    assert [path.name for path in (settings.data_dir / "projects" / P / "models").glob("cold-*")] == ["cold-v1"]


def test_its_refusal_is_told_in_its_own_words(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="Project 3 is not known to this backend"):
        There(url).ask("train", "3", [])
    with pytest.raises(SettingsError, match="cold-v1 is the active version"):
        There(url).delete("7", "cold-v1")


def test_without_the_login_it_is_asked_for(url: str) -> None:
    with pytest.raises(SettingsError, match="requires a different login"):
        There(url).models("7")


def test_an_address_where_nobody_answers_is_named() -> None:
    nobody = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(SettingsError, match=f"No Coldblitz answers at {nobody}"):
        There(nobody).models("7")
