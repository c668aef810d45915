"""Label Studio is the truth: without Redis and without the data folder, the backend finds its way back from there alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Serve

from benchmarks.service.scene import Outcome, annotate, connect, outcome
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import Loop
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e


def test_with_everything_wiped_it_learns_again_and_shows_the_same(
    studio: Studio, serve: Serve, clips: list[Clip], calm: Outcome, tmp_path: Path
) -> None:
    with serve(tmp_path) as backend:
        loop = connect(studio, backend, clips)
        loop.suggestions()
        annotate(loop, clips)
        before, _ = loop.timelines()
        port = int(backend.url.rpartition(":")[2])
    shutil.rmtree(tmp_path)
    assert loop.shown_version() == before, "what was shown stays until there is something new"
    with serve(tmp_path, port=port, new=True) as backend:
        again = Loop(studio, backend, loop.project, loop.tasks)
        after, _ = again.timelines(newer_than=before)
        found = outcome(again)
    assert int(after.rpartition("-v")[2]) > int(before.rpartition("-v")[2]), "no name is used twice"
    assert found.differences(calm) == 0
