"""`coldblitz serve` for a real Label Studio, and what a project looks like in the end when nothing has gone wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from benchmarks.service.kills import undisturbed
from benchmarks.service.scene import SCRIPTS, Outcome
from ml_backend.demo.clips import Clip, make_clips
from ml_backend.demo.process import Backend, coldblitz
from ml_backend.demo.studio import Studio

Serve = Callable[..., AbstractContextManager[Backend]]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), SCRIPTS)


@pytest.fixture(scope="session")
def serve(studio: Studio, warm: Callable[[Path], Path]) -> Serve:
    """Starts `coldblitz serve`, for `url` when that is another way to the same Label Studio.

    Unless all is `new`, its backbone is converted already: what goes wrong then does so in the work itself.
    """

    def start(
        data: Path, url: str = studio.url, port: int = 0, new: bool = False, **settings: str
    ) -> AbstractContextManager[Backend]:
        if not new:
            warm(data)
        return coldblitz(url, studio.token, data, port=port, settings={"BACKBONE_WEIGHTS": "none", **settings})

    return start


@pytest.fixture(scope="session")
def calm(studio: Studio, serve: Serve, clips: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What annotators are shown in the end when nothing goes wrong."""
    with serve(tmp_path_factory.mktemp("calm")) as backend:
        return undisturbed(studio, backend, clips)


@pytest.fixture(autouse=True)
def only_project(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test's project is gone at its end: a backend finds all that are Coldblitz's, and would train them all."""
    yield
    if "studio" in request.fixturenames:
        studio: Studio = request.getfixturevalue("studio")
        for project in studio.get("/api/projects/", page_size=100)["results"]:
            studio.delete(f"/api/projects/{project['id']}/")
