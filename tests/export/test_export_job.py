"""The exports of the dashboard: asked for again while one is made, it is made once more afterwards, and nobody waits for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numbered import numbered_video
from redis import Redis
from studio import CONFIG, KEY, Studio
from workroom import context, redis, redis_settings, studio

from ml_backend.export import job as exporting
from ml_backend.export.job import export
from ml_backend.jobs.context import JobContext
from ml_backend.projects import job_requests, registry
from ml_backend.queueing.queue import listing

__all__ = ["context", "redis", "redis_settings", "studio"]
ANSWER = {
    "id": "a",
    "from_name": "events",
    "to_name": "film",
    "type": "timelinelabels",
    "value": {"ranges": [{"start": 1, "end": 20}], "timelinelabels": ["cat"]},
}


@pytest.mark.parametrize(("name", "made"), [("labels.csv", "60 rows"), ("frames.zip", "60 pictures")])
def test_one_that_is_asked_for_while_it_is_made_is_whole_and_made_once_more(
    context: JobContext,
    studio: Studio,
    redis: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    made: str,
) -> None:
    film = numbered_video(tmp_path / "film.mp4", 30)
    for task in (1, 2, 3):
        studio.add_task(task, film, annotations=1)
        studio.tasks[task]["annotations"][0]["result"] = [ANSWER]
    registry.remember(redis, registry.Known(KEY, CONFIG))
    write = exporting.write_export

    def asked_meanwhile(*arguments: Any) -> dict[str, Any]:
        assert export.within(context, KEY, name) == f"{name} is being created, and will be created again after that"
        return write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(exporting, "write_export", asked_meanwhile)
        assert export.within(context, KEY, name) == f"{name}: {made}"
    assert [row["kind"] for row in listing(redis)["queued"]] == ["export"]
    with ThreadPoolExecutor(3) as workers:
        assert f"{name}: {made}" in workers.map(lambda _: export.within(context, KEY, name), range(3))
    assert [file.name for file in job_requests.exports_made(tmp_path, KEY)] == [name]
