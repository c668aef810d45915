"""Machines that share no disk are one installation, whichever of them dies, and while the store is away."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from embedded import settings_for
from line import Line, line_to
from machines import Killer, Machines, machines
from s3_server import BUCKET, S3Server, s3

from benchmarks.service.scene import Outcome, annotate, connect, outcome, versions_shown
from ml_backend.demo.clips import Clip
from ml_backend.demo.studio import Studio
from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.counters import read_tally
from ml_backend.store import connect as stores
from ml_backend.store import files

__all__ = ["s3"]
log = logging.getLogger(__name__)
pytestmark = pytest.mark.e2e
# Of one worker while a project goes its way; more of them, and more projects, in a long run.
KILLS, PROJECTS = int(os.environ.get("CHAOS_KILLS", "4")), int(os.environ.get("CHAOS_PROJECTS", "1"))


@pytest.fixture(scope="module")
def line(s3: S3Server) -> Iterator[Line]:
    """Between all machines and the store."""
    with line_to(s3.url) as made:
        yield made


@pytest.fixture(scope="module")
def three(
    studio: Studio,
    line: Line,
    s3: S3Server,
    warm: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Machines]:
    store = {**s3.environment, "AWS_ENDPOINT_URL": line.url, "STORE_URL": f"s3://{BUCKET}/three"}
    with machines(studio, tmp_path_factory.mktemp("machines"), warm, store) as made:
        yield made


@pytest.fixture
def desk(three: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder of a fourth machine, on which the test looks at what all have."""
    for name, value in three.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    stores.connect(settings_for(tmp_path, store_url=three.environment["STORE_URL"]), three.redis)
    yield tmp_path
    files.attach(tmp_path, None)


def reasons(three: Machines) -> list[str]:
    """Why jobs failed, as the admin is told."""
    return [str(job["reason"]) for state in ("queued", "failed") for job in three.web.jobs()[state]]


def test_one_embeds_the_other_trains_and_the_third_answers(
    three: Machines, studio: Studio, clips: list[Clip], line: Line, desk: Path
) -> None:
    with three.worker("a") as a:
        loop = connect(studio, three.web, clips)
        loop.suggestions()
        loop.wait_for("embeddings", lambda: three.web.idle)
        embedded = read_tally(three.redis).frames_decoded
        assert embedded > 0
    with three.worker("b") as b:
        annotate(loop, clips, b)
        version, _ = loop.timelines()
        assert read_tally(three.redis).frames_decoded == embedded, "nothing is embedded twice"
    key = f"{loop.project}."
    [folder] = [each for each in ProjectFolder.all(desk) if each.key.startswith(key)]
    assert not (a.data / "projects" / folder.key / "models").exists(), "what it has no use for is not there"

    tasks = [studio.get(f"/api/tasks/{task}") for task in loop.tasks]
    body = {"tasks": tasks, "project": folder.key, "label_config": "", "params": {}}
    # Label Studio asks for what it has not stored.
    for task in tasks:
        task["predictions"] = []
    items = requests.post(f"{three.web.url}/predict", json=body, timeout=30).json()["results"]
    assert [item["model_version"] for item in items] == [version] * len(clips)
    line.cut()
    try:
        again = requests.post(f"{three.web.url}/predict", json=body, timeout=30).json()["results"]
        assert again == items, "from its own folder"
        told = {each["name"]: each for each in requests.get(f"{three.web.url}/ready", timeout=30).json()["checks"]}
        assert told["store"]["state"] == "fault"
        assert told["store"]["message"] == f"The store s3://{BUCKET}/three does not answer."
    finally:
        line.mend()


def test_one_that_is_killed_and_a_store_that_is_away_change_nothing(
    three: Machines, studio: Studio, clips: list[Clip], calm: Outcome, line: Line, desk: Path
) -> None:
    failed, moments = [], []
    with three.worker("a") as a, three.worker("b") as b:
        for number in range(PROJECTS):
            files.remove_folder(desk / "features")
            killer = Killer(a, KILLS - len(moments), random.Random(number))
            with killer.at_work():
                loop = connect(studio, three.web, clips)
                loop.suggestions()
                loop.wait_for("embeddings", lambda: three.web.idle)
                if number == 0:
                    line.cut()
                annotate(loop, clips, a, b)
                if number == 0:
                    loop.wait_for(
                        "word of the store", lambda: any("does not answer" in each for each in reasons(three))
                    )
                    line.mend()
                found = outcome(loop)
            moments += killer.moments
            assert found.differences(calm) == 0
            assert all(len(names) == len(set(names)) for names in versions_shown(loop).values())
            failed += three.web.jobs()["failed"]
            for task in loop.tasks:
                studio.delete(f"/api/tasks/{task}/")
    log.info("killed while jobs did: %s", moments)
    assert any(moments), "no kill has hit anything"
    assert failed == []
    secret = three.environment["AWS_SECRET_ACCESS_KEY"].encode()
    assert not any(secret in log.read_bytes() for log in three.root.glob("*/log"))
