"""The Docker engine that answers here, and compose projects on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests

from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
PYTHON = "python:3.11-slim-bookworm"
_Found = TypeVar("_Found")


def run(
    *words: str | Path, seconds: float = 120, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    told = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=seconds, check=False, **options
    )
    assert not check or told.returncode == 0, (
        f"{' '.join(map(str, words))}\n{told.stdout[-3000:]}\n{told.stderr[-3000:]}"
    )
    return told


def docker(*words: str | Path, seconds: float = 120, check: bool = True, **options: Any) -> str:
    # The builder that reads our Dockerfile is not the default of engines before 23.0.
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    return run("docker", *words, seconds=seconds, check=check, env=environment, **options).stdout


def why_not() -> str | None:
    """Why no container can run here."""
    if shutil.which("docker") is None or run("docker", "info", check=False).returncode:
        return "No Docker engine answers here; `make containers` starts one."
    if _compose_command() is None:
        return "There is neither `docker compose` nor `docker-compose` here."
    images = (PYTHON, *re.findall(r"^    image: (\S+:\S+)", FILE.read_text(), re.MULTILINE))
    missing = [
        each for each in images if not has(each) and run("docker", "pull", each, seconds=600, check=False).returncode
    ]
    if missing:
        return f"{', '.join(missing)} cannot be fetched here; `make containers` makes stand-ins."
    return None


def has(image: str) -> bool:
    return run("docker", "image", "inspect", image, check=False).returncode == 0


def _compose_command() -> list[str] | None:
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) and run(*words, "version", check=False).returncode == 0:
            return words
    return None


def build(target: str, tag: str, context: Path = ROOT) -> None:
    """TORCH_INDEX of the environment counts where it is set, be it empty."""
    index = [f"--build-arg=TORCH_INDEX={os.environ['TORCH_INDEX']}"] if "TORCH_INDEX" in os.environ else []
    docker("build", "--network=host", f"--target={target}", f"--tag={tag}", *index, context, seconds=3000)


def layers(image: str) -> list[str]:
    return list(json.loads(docker("image", "inspect", image))[0]["RootFS"]["Layers"])


def layer_sizes(image: str) -> dict[str, int]:
    """Bytes of each layer by what made it, the newest first; those without any are left out."""
    lines = docker("history", "--no-trunc", "--human=false", "--format={{.Size}}\t{{.CreatedBy}}", image).splitlines()
    rows = [line.split("\t", 1) for line in lines]
    return {what: int(size) for size, what in rows if int(size)}


def eventually(what: str, look: Callable[[], _Found | None], seconds: float = 240) -> _Found:
    """What `look` returns once it is neither None nor False; a server that does not answer meanwhile is asked again."""
    limit = time.monotonic() + seconds
    error: Exception | None = None
    while time.monotonic() < limit:
        try:
            if (found := look()) is not None and found is not False:
                return found
        except (requests.RequestException, KeyError) as failed:
            error = failed
        time.sleep(0.5)
    raise AssertionError(f"There was no {what} within {seconds:.0f} s. {error or ''}")


@dataclass
class Compose:
    """A compose project of its own name, ports and environment."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    file: Path = FILE
    profiles: Sequence[str] = ()

    def __call__(self, *words: str, seconds: float = 600, check: bool = True) -> str:
        command = _compose_command()
        assert command is not None
        named = ["--project-name", self.name, "--file", str(self.file)]
        profiles = [word for profile in self.profiles for word in ("--profile", profile)]
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO_", "BASIC_AUTH_"))
        }
        environment = {**kept, "BACKBONE_WEIGHTS": "none", **self.environment}
        return run(*command, *named, *profiles, *words, seconds=seconds, check=check, env=environment).stdout

    def container(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        label = "label=com.docker.compose"
        query = [f"--filter={label}.project={self.name}", f"--filter={label}.service={service}"]
        [number] = docker("ps", "--all", "--quiet", *query).split()
        found: dict[str, Any] = json.loads(docker("inspect", number))[0]
        return found

    def is_healthy(self, service: str) -> bool:
        return bool(self.container(service)["State"].get("Health", {}).get("Status") == "healthy")

    def logs(self, service: str, lines: int = 40) -> str:
        told = run("docker", "logs", f"--tail={lines}", self.container(service)["Id"], check=False)
        return told.stdout + told.stderr

    def read(self, service: str, path: str) -> str:
        return docker("exec", self.container(service)["Id"], "cat", path).strip()

    def crash(self, service: str) -> None:
        """Ends a container as a lack of memory does, after which the engine starts it again."""
        there = self.container(service)
        try:
            os.kill(int(there["State"]["Pid"]), signal.SIGKILL)
        except (PermissionError, ProcessLookupError):
            # Not root, or the engine is not on this machine. This one is somebody's wish, after which it is not started again.
            docker("kill", there["Id"])
            docker("start", there["Id"])


@dataclass(frozen=True)
class Containers:
    """What the demo's loop asks of a program that it started."""

    compose: Compose

    @property
    def running(self) -> bool:
        return True

    def last_lines(self) -> str:
        return "\n".join(self.compose.logs(service) for service in ("web", "worker"))


@dataclass(frozen=True)
class Web(Backend):
    """The web process in its container, which asks for a login."""

    login: tuple[str, str] = ("", "")

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", timeout=10, auth=self.login)
        answer.raise_for_status()
        return answer.json()


def studio_of(compose: Compose, port: int) -> Studio:
    """The Label Studio of the profile `studio`, as its user sees it."""
    token, password = (compose.read("label-studio", f"/settings/studio-{name}") for name in ("token", "password"))
    child: Any = Containers(compose)
    return Studio(f"http://localhost:{port}", "admin@example.com", password, token, token, Path("/nowhere"), child)


def web_of(compose: Compose, port: int, login: tuple[str, str]) -> Web:
    child: Any = Containers(compose)
    return Web(f"http://localhost:{port}", Path("/nowhere"), child, login)
