"""Label Studio sends an event once. Those that nobody received are made up for from the annotations themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Serve

from benchmarks.service.scene import connect
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_at
from ml_backend.demo.studio import Studio
from ml_backend.learning.versions import list_versions

pytestmark = pytest.mark.e2e
ANNOTATIONS = 50


def test_annotations_submitted_while_the_backend_was_down_are_all_learnt(
    studio: Studio, serve: Serve, clips: list[Clip], tmp_path: Path
) -> None:
    with serve(tmp_path) as backend:
        loop = connect(studio, backend, clips[:1])
        [first] = loop.suggestions().values()
        loop.wait_for("pinned suggestions", lambda: loop.shown_version() == SUGGESTIONS)
        port = int(backend.url.rpartition(":")[2])
        data = studio.tasks(loop.project)[0]["data"]
        backend.child.kill()
    served = studio.get(f"/api/projects/{loop.project}/next")
    assert [prediction["model_version"] for prediction in served["predictions"]] == [SUGGESTIONS], "nobody misses it"
    tasks = studio.import_tasks(loop.project, [data] * ANNOTATIONS)
    answers = [
        {**region, "value": {**region["value"], "timelinelabels": [label_at(clips[0], region["value"]["ranges"][0]["start"])]}}
        for region in first
    ]  # fmt: skip
    submitted = {str(studio.post(f"/api/tasks/{task}/annotations/", {"result": answers})["id"]) for task in tasks}
    with serve(tmp_path, port=port) as backend:
        again = Loop(studio, backend, loop.project, (*loop.tasks, *tasks))
        again.timelines()
        [models] = (tmp_path / "projects").glob("*/models")
        newest = list_versions(models)[-1]
    assert len(submitted) == ANNOTATIONS
    assert set(newest.annotations) == submitted
