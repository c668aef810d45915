"""The container files, read as Docker reads them; `tests/containers` runs them where there is an engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml
from embedded import redis, redis_settings
from redis import Redis

from ml_backend.cli import app
from ml_backend.commands.compose import BACKEND, STUDIO, STUDIO_ENVIRONMENT
from ml_backend.demo.studio import REACH_LOCAL_BACKEND
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.liveness import living, signs_of_life, worker_name
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]

ROOT = Path(__file__).resolve().parents[1]
OURS = ["web", "worker", "worker-gpu"]
ONCE = ["settings", "first-project"]


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
    assert set(compose["services"]) == {*OURS, *ONCE, "redis", "label-studio"}
    alone = {name for name, service in compose["services"].items() if "profiles" not in service}
    assert alone == {"settings", "web", "worker", "redis"}


@pytest.mark.parametrize("name", [*OURS, "redis", "label-studio"])
def test_every_service_is_watched_and_restarted(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["healthcheck"]["retries"] > 1


@pytest.mark.parametrize("name", [*OURS, *ONCE])
def test_our_services_run_a_command_that_exists(compose: dict[str, Any], name: str) -> None:
    program, *words = compose["services"][name]["command"]
    assert program == "coldblitz"
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]


@pytest.mark.parametrize("name", OURS)
def test_our_services_get_settings_that_exist(compose: dict[str, Any], name: str) -> None:
    environment = {key: _substitute(value) for key, value in compose["services"][name]["environment"].items()}
    settings = Settings.from_environment(environment)
    assert settings.label_studio_url == "http://studio.example"
    assert settings.redis_url == "redis://redis:6379/0"
    assert (settings.basic_auth_user, settings.basic_auth_pass) == ("labelstudio", "password")
    assert settings.device == ("cuda" if name == "worker-gpu" else "auto")
    known = {field.upper() for field in Settings.__dataclass_fields__}
    # The log is set up before there are settings; libraries read the proxies and the store's credentials.
    assert set(environment) <= known | {
        *("LOG_FORMAT", "LOG_LEVEL", "CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SETTINGS_DIR"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"),
    }


@pytest.mark.parametrize("name", OURS)
def test_our_services_wait_for_redis_and_keep_their_data_in_a_volume(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["depends_on"]["redis"] == {"condition": "service_healthy"}
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


@pytest.mark.parametrize("name", OURS)
def test_our_services_start_when_their_settings_are_there_and_cannot_change_them(
    compose: dict[str, Any], name: str
) -> None:
    service, makes = compose["services"][name], compose["services"]["settings"]
    assert service["depends_on"]["settings"] == {"condition": "service_completed_successfully"}
    folder = service["environment"]["SETTINGS_DIR"]
    assert f"settings:{folder}:ro" in service["volumes"]
    assert f"settings:{folder}" in makes["volumes"]
    assert makes["network_mode"] == "none"
    assert {service["restart"] for service in (compose["services"][each] for each in ONCE)} <= {"no", "on-failure:5"}


def test_what_has_no_safe_default_has_none(compose: dict[str, Any]) -> None:
    """`coldblitz compose settings` makes it, or says that it is missing."""
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS"):
        assert compose["services"]["settings"]["environment"][name] == f"${{{name}:-}}"


def test_label_studio_reads_what_was_made_for_it_and_reaches_the_backend(compose: dict[str, Any]) -> None:
    service, web = compose["services"]["label-studio"], compose["services"]["web"]
    [pinned] = (ROOT / "requirements" / "studio.in").read_text().split()
    assert service["image"].rpartition(":")[2] == pinned.rpartition("==")[2]
    assert service["environment"]["ENV_INJECT_SOURCES"] == f"/settings/{STUDIO_ENVIRONMENT}"
    assert service["environment"].items() >= REACH_LOCAL_BACKEND.items()
    assert service["environment"]["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"
    assert urlsplit(STUDIO).netloc == "label-studio:8080"
    assert web["networks"]["default"]["aliases"] == ["ml-backend", urlsplit(BACKEND).hostname]
    assert urlsplit(BACKEND).port == 9090
    waits = {"label-studio": {"condition": "service_healthy"}, "web": {"condition": "service_healthy"}}
    assert compose["services"]["first-project"]["depends_on"] == waits


@pytest.mark.parametrize("name", OURS)
def test_a_label_studio_on_the_host_can_be_reached(compose: dict[str, Any], name: str) -> None:
    assert compose["services"][name]["extra_hosts"] == ["host.docker.internal:host-gateway"]


def test_only_what_people_open_is_published(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["web", "label-studio"]


def test_redis_keeps_every_write_in_a_volume(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    command = redis["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert redis["volumes"] == ["redis:/data"]
    assert "redis" in compose["volumes"]


def test_the_gpu_worker_is_there_only_when_asked_for(compose: dict[str, Any]) -> None:
    service = compose["services"]["worker-gpu"]
    assert service["profiles"] == ["gpu"]
    assert (service["image"], service["build"]["target"]) == ("coldblitz-gpu", "gpu")
    assert {compose["services"][name]["build"]["target"] for name in ("web", "worker", "settings")} == {"cpu"}
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


def stage(image: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    """The instructions of one stage, its FROM first."""
    begins = [position for position, (word, _) in enumerate(image) if word == "FROM"]
    [begin] = [position for position in begins if image[position][1].endswith(f" AS {name}")]
    return image[begin : next((position for position in begins if position > begin), len(image))]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_image_does_not_run_as_root(image: list[tuple[str, str]], target: str) -> None:
    runtime = stage(image, "runtime")
    assert [rest for name, rest in runtime if name == "USER"] == ["coldblitz"]
    assert any(name == "RUN" and "useradd" in rest for name, rest in runtime)
    first, *rest = stage(image, target)
    assert first == ("FROM", f"runtime AS {target}")
    assert {name for name, _ in rest} == {"COPY"}


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_our_code_is_the_last_layer(image: list[tuple[str, str]], target: str) -> None:
    sources = [rest.split()[0] for name, rest in stage(image, target) if name == "COPY"]
    assert sources == [f"--from=torch-{target}", "--from=code"]


def test_the_image_for_processors_is_the_default(image: list[tuple[str, str]]) -> None:
    assert [rest for name, rest in image if name == "FROM"][-1] == "runtime AS cpu"


def test_the_image_installs_what_the_lock_pins_and_nothing_else(image: list[tuple[str, str]]) -> None:
    texts = [rest for name, rest in image if name == "RUN" and "pip install" in rest]
    installs = [words for text in texts for words in re.findall(r"pip install ([^;&]*)", text)]
    assert len(installs) == 5
    assert all("--no-deps" in words for words in installs)
    hashed = [words for words in installs if "--require-hashes" in words]
    [by_version, ours] = [words for words in installs if words not in hashed]
    assert all(re.search(r"--requirement (rest|torch|cuda)\.lock", words) for words in hashed)
    assert "--index-url" in by_version
    assert ours.split()[-1] == "."


def test_each_package_of_the_lock_is_in_one_layer_but_for_triton(image: list[tuple[str, str]], tmp_path: Path) -> None:
    [split] = [rest for name, rest in stage(image, "environment") if name == "RUN" and "awk" in rest]
    lock = (ROOT / "requirements" / "product.lock").read_text()
    (tmp_path / "product.lock").write_text(lock)
    subprocess.run(["sh", "-c", split], cwd=tmp_path, check=True)
    parts = {path.stem: path.read_text() for path in tmp_path.glob("*.lock") if path.stem != "product"}
    assert set(parts) == {"rest", "torch", "cuda", "none"}
    assert sorted("".join(parts.values()).splitlines()) == sorted(lock.splitlines())
    named = {part: set(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)) for part, text in parts.items()}
    assert named["torch"] == {"torch", "torchvision"}
    assert named["none"] == {"triton"}
    assert all(name.startswith(("nvidia-", "cuda-")) for name in named["cuda"])


def test_the_image_has_the_python_that_the_lock_is_made_for(image: list[tuple[str, str]]) -> None:
    stages = {rest.split()[2] for name, rest in image if name == "FROM"}
    [base] = {rest.split()[0] for name, rest in image if name == "FROM"} - stages
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
    """What Compose makes of a value when these three variables are set and no other."""
    given = {
        "LABEL_STUDIO_URL": "http://studio.example",
        "LABEL_STUDIO_API_KEY": "token",
        "BASIC_AUTH_PASS": "password",
    }
    return re.sub(
        r"\$\{(\w+)(?::-([^}]*))?\}",
        lambda found: given.get(found[1], found[2] or ""),
        value,
    )
