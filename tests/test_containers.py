"""The container files, read as Docker reads them: no engine runs where these tests do."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from embedded import redis, redis_settings
from redis import Redis

from ml_backend.cli import app
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.liveness import living, signs_of_life, worker_name
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]

ROOT = Path(__file__).resolve().parents[1]
OURS = ["web", "worker", "worker-gpu"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def image() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile as (NAME, arguments), continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_compose_has_the_web_the_workers_and_redis(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, "redis"}


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_every_service_is_watched_and_restarted(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["healthcheck"]["retries"] > 1


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_a_command_that_exists(compose: dict[str, Any], name: str) -> None:
    program, command = compose["services"][name]["command"]
    group = typer.main.get_command(app)
    assert program == "coldblitz"
    assert command in group.commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", OURS)
def test_our_services_get_settings_that_exist(compose: dict[str, Any], name: str) -> None:
    environment = {key: _substitute(value) for key, value in compose["services"][name]["environment"].items()}
    settings = Settings.from_environment(environment)
    assert settings.label_studio_url == "http://studio.example"
    assert settings.redis_url == "redis://redis:6379/0"
    assert (settings.basic_auth_user, settings.basic_auth_pass) == ("labelstudio", "password")
    assert settings.device == ("cuda" if name == "worker-gpu" else "auto")
    known = {field.upper() for field in Settings.__dataclass_fields__}
    # The log is set up before there are settings; libraries read the proxies.
    assert set(environment) <= known | {"LOG_FORMAT", "LOG_LEVEL", "CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}


@pytest.mark.parametrize("name", OURS)
def test_our_services_wait_for_redis_and_keep_their_data_in_a_volume(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}
    volume, path = service["volumes"][0].split(":")
    assert volume in compose["volumes"]
    assert path == "/data"


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_no_service_has_privileges_or_unbounded_memory(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["mem_limit"]
    assert "privileged" not in service
    assert service.get("user", "coldblitz") != "root"


def test_workers_give_way_to_the_web_process(compose: dict[str, Any]) -> None:
    shares = {name: service.get("cpu_shares", 1024) for name, service in compose["services"].items()}
    assert shares["worker"] == shares["worker-gpu"] < shares["web"] == shares["redis"]


@pytest.mark.parametrize("missing", ["LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS"])
def test_what_has_no_safe_default_is_asked_for(missing: str) -> None:
    """Compose stops at `${NAME:?message}` when the variable is empty."""
    assert f"${{{missing}:?" in (ROOT / "docker-compose.yml").read_text()


def test_only_the_web_is_published(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["web"]


def test_redis_keeps_every_write_in_a_volume(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    command = redis["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert redis["volumes"] == ["redis:/data"]
    assert "redis" in compose["volumes"]


def test_the_gpu_worker_is_there_only_when_asked_for(compose: dict[str, Any]) -> None:
    service = compose["services"]["worker-gpu"]
    assert service["profiles"] == ["gpu"]
    [device] = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert all("profiles" not in compose["services"][name] for name in ("web", "worker", "redis"))


@pytest.mark.parametrize("name", OURS)
def test_the_health_checks_are_programs_that_parse(compose: dict[str, Any], name: str) -> None:
    _, python, option, program = compose["services"][name]["healthcheck"]["test"]
    assert (python, option) == ("python", "-c")
    compile(program, "healthcheck", "exec")


def test_a_worker_is_healthy_while_it_gives_signs_of_life(
    compose: dict[str, Any], redis: Redis, redis_settings: Settings
) -> None:
    url = redis_url(redis_settings)
    program = compose["services"]["worker"]["healthcheck"]["test"][-1]

    def healthy() -> bool:
        environment = {**os.environ, "REDIS_URL": url}
        return subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0

    assert not healthy()
    with signs_of_life(url, worker_name(os.getpid(), "a")):
        while not living(redis):
            time.sleep(0.01)
        assert healthy()


def test_the_image_does_not_run_as_root(image: list[tuple[str, str]]) -> None:
    [user] = [rest for name, rest in image if name == "USER"]
    assert user == "coldblitz"
    assert any(name == "RUN" and "useradd" in rest and user in rest for name, rest in image)
    after = [name for name, _ in image[[name for name, _ in image].index("USER") :]]
    assert "RUN" not in after
    assert "COPY" not in after


def test_the_image_installs_what_the_lock_pins_and_nothing_else(image: list[tuple[str, str]]) -> None:
    installs = [shlex.split(rest) for name, rest in image if name == "RUN" and "pip install" in rest]
    assert all("--no-deps" in words for words in installs)
    [locked, ours] = installs
    assert "--require-hashes" in locked
    assert "requirements/product.lock" in locked
    assert ours[-1] == "."


def test_the_image_has_the_python_that_the_lock_is_made_for(image: list[tuple[str, str]]) -> None:
    bases = {rest.split()[0] for name, rest in image if name == "FROM"}
    [base] = bases
    [version] = re.findall(r"--python-version (\S+)", (ROOT / "requirements" / "lock").read_text())
    assert base.startswith(f"python:{version}-slim")


def test_the_image_serves_and_reports_its_health(image: list[tuple[str, str]]) -> None:
    named = dict(image)
    assert json.loads(named["CMD"]) == ["coldblitz", "serve"]
    assert named["EXPOSE"] == "9090"
    assert named["VOLUME"] == "/data"
    check = json.loads(named["HEALTHCHECK"].partition("CMD ")[2])
    assert check[:2] == ["python", "-c"]
    compile(check[2], "healthcheck", "exec")


def test_what_the_image_copies_is_sent_to_docker() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"pyproject.toml", "README.md", "LICENSE", "ml_backend", "sampling", "requirements/product.lock"} <= allowed
    assert all((ROOT / path).exists() for path in allowed)


def test_the_lock_files_record_no_host_and_pin_everything_with_a_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text()
        assert "://" not in text
        requirements = re.sub(r" \\\n", " ", text).splitlines()
        assert len(requirements) > 20
        for line in requirements:
            assert re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), f"{lock.name}: {line}"


def _substitute(value: str) -> str:
    """What Compose makes of a value when the three variables it requires are set and no other."""
    required = {
        "LABEL_STUDIO_URL": "http://studio.example",
        "LABEL_STUDIO_API_KEY": "token",
        "BASIC_AUTH_PASS": "password",
    }
    return re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}",
        lambda found: required[found[1]] if found[2] == "?" else (found[3] if found[2] == "-" else ""),
        value,
    )
