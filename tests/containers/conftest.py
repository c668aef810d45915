"""One installation in containers for all of these tests: the image, and Label Studio beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine import ROOT, Compose, Web, build, eventually, studio_of, web_of, why_not

from ml_backend.demo.clips import LABELS, Clip, make_clips
from ml_backend.demo.loop import Loop, label_config, upload_tasks
from ml_backend.demo.process import free_port
from ml_backend.demo.studio import Studio

REPORT = ROOT / ".artifacts" / "containers.txt"
_BEGUN = time.monotonic()


@pytest.fixture(scope="session")
def say() -> Callable[[str], None]:
    """Tells what was measured, to who watches and in a file."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("")

    def said(text: str) -> None:
        line = f"[{time.monotonic() - _BEGUN:6.1f} s] {text}"
        with REPORT.open("a") as file:
            print(line, file=file)

    return said


@pytest.fixture(scope="session")
def image(say: Callable[[str], None]) -> str:
    """The image for processors, as the compose file calls it."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    begun = time.monotonic()
    build("cpu", "coldblitz")
    say(f"The image for processors is built in {time.monotonic() - begun:.0f} s.")
    return "coldblitz"


@dataclass
class Installation:
    """`docker compose --profile studio up` and what its log of `first-project` says; `loop` is that project with clips of a street."""

    compose: Compose
    studio: Studio
    web: Web
    loop: Loop
    clips: list[Clip]
    told: str


def clips_in(folder: Path) -> list[Clip]:
    return make_clips(folder)


@pytest.fixture(scope="session")
def installation(
    image: str, say: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    port, studio_port = free_port(), free_port()
    environment = {"PORT": str(port), "STUDIO_PORT": str(studio_port)}
    compose = Compose("coldblitz-test", environment, profiles=["studio"])
    compose("down", "--volumes", "--remove-orphans")
    begun = time.monotonic()
    try:
        compose("up", "--detach", "--no-build", seconds=900)
        for service in ("redis", "web", "worker", "label-studio"):
            eventually(f"healthy {service}", lambda service=service: compose.is_healthy(service))  # type: ignore[misc]
        eventually("end of first-project", lambda: compose.container("first-project")["State"]["Status"] == "exited")
        told = compose.logs("first-project")
        assert compose.container("first-project")["State"]["ExitCode"] == 0, told
        say(f"All of `--profile studio` is healthy and connected {time.monotonic() - begun:.0f} s after `up`.")
        studio = studio_of(compose, studio_port)
        web = web_of(compose, port, ("labelstudio", compose.read("web", "/settings/BASIC_AUTH_PASS")))
        [project] = studio.get("/api/projects/")["results"]
        studio.patch(f"/api/projects/{project['id']}/", {"label_config": label_config(LABELS)})
        clips = clips_in(tmp_path_factory.mktemp("clips"))
        tasks = upload_tasks(studio, int(project["id"]), [(clip.path, clip.fps) for clip in clips])
        loop = Loop(studio, web, int(project["id"]), tuple(tasks))
        yield Installation(compose, studio, web, loop, clips, told)
    finally:
        for service in ("web", "worker", "label-studio", "first-project"):
            (REPORT.parent / f"{service}.log").write_text(compose.logs(service, 400))
        compose("down", "--volumes", "--remove-orphans", check=False)
