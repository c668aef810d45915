"""The disk with DATA_DIR is full while people annotate: the admin is told, and all is made up for when there is room again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from conftest import Serve
from embedded import settings_for

from benchmarks.service.scene import Outcome, annotate, connect, outcome
from ml_backend.demo.clips import Clip
from ml_backend.demo.process import Backend, answers
from ml_backend.demo.studio import Studio
from ml_backend.queueing.embedded_redis import running_redis

pytestmark = pytest.mark.e2e
SIZE = 400 << 20  # in memory; less than half of it free is already too little for the backend


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leaves not a byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for _ in range(SIZE >> 10):
            file.write(bytes(1 << 10))
    assert shutil.disk_usage(folder).free == 0
    return filler


def faults(backend: Backend) -> dict[str, str]:
    """What `/ready` says is wrong."""
    checks = requests.get(f"{backend.url}/ready", timeout=30).json()["checks"]
    return {check["name"]: f"{check['message']} {check['remedy']}" for check in checks if check["state"] == "fault"}


@pytest.mark.parametrize("redis", ["on it", "elsewhere"])
def test_a_full_disk_is_named_and_heals(
    redis: str, studio: Studio, serve: Serve, clips: list[Clip], calm: Outcome, small_disk: Path, tmp_path: Path
) -> None:
    data = small_disk / "data"
    with ExitStack() as stack:
        address = {}
        if redis == "elsewhere":
            address["REDIS_URL"] = stack.enter_context(running_redis(settings_for(tmp_path / "elsewhere")))
        backend = stack.enter_context(serve(data, **address))
        loop = connect(studio, backend, clips)
        loop.suggestions()
        loop.wait_for("embeddings", lambda: backend.idle)

        filler = fill(small_disk)
        annotate(loop, clips)
        told = loop.wait_for("word of the full disk", lambda: faults(backend).get("disk"))
        assert answers(f"{backend.url}/health")
        assert loop.shown_version() == "keyframes-v1", "what is shown stays"
        if redis == "elsewhere":
            loop.wait_for(
                "reason", lambda: any("No space left" in str(row["reason"]) for row in backend.jobs()["failed"])
            )

        filler.unlink()
        loop.wait_for("end of the fault", lambda: "disk" not in faults(backend))
        loop.wait_for("Redis", lambda: answers(f"{backend.url}/jobs"))
        # Within minutes it looks by itself; opening the Model page makes it look now.
        studio.get("/api/ml/", project=loop.project)
        found = outcome(loop)
    assert str(data) in told
    assert found.differences(calm) == 0
