"""How long the web process takes for each page of a project with many tasks."""

from __future__ import annotations

import http.client
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis

from benchmarks.scale.project import fill, key_of, pages
from benchmarks.scale.servers import TOKEN, redis_server, web_process
from ml_backend.queueing.queue import enqueue
from ml_backend.settings import Settings

_PROJECT, _WAITING = 1000, 400


def page_figures(folder: Path, tasks: int, projects: int, times: int) -> dict[str, object]:
    """`page_ms`: median and maximum of so many answers by page, each on a connection of its own; `page_first_ms`: of the first, when
    nothing has been read yet. `redis_bytes`: what Redis holds of the project of `tasks` tasks, the jobs that wait left out."""
    folder.mkdir(parents=True)
    with redis_server(folder) as address, Redis.from_url(address) as redis:
        empty = _memory(redis)
        fill(redis, folder, _PROJECT, tasks)
        held = _memory(redis) - empty
        for number in range(1, projects):
            fill(redis, folder, _PROJECT - number, 20)
        for task in range(_WAITING):
            enqueue(redis, "suggest", key_of(_PROJECT), task)
        with web_process(Settings("http://127.0.0.1:9", TOKEN, data_dir=folder, redis_url=address)) as url:
            found = {name: [_get(url, path) for _ in range(times + 1)] for name, path in pages(_PROJECT, tasks // 2)}
    return {
        "page_ms": {
            name: {"median": round(statistics.median(took[1:]), 1), "most": round(max(took[1:]), 1)}
            for name, took in found.items()
        },
        "page_first_ms": {name: round(took[0], 1) for name, took in found.items()},
        "redis_bytes": held,
    }


def _get(url: str, path: str) -> float:
    """Milliseconds. Raises RuntimeError for an answer that is none."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    try:
        connection.request("GET", path, headers={"Accept": "text/html" if path == "/" else "*/*"})
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status >= 400 and path != "/ready":
        raise RuntimeError(f"{path} is answered with {answer.status}: {content[:200]!r}")
    return 1000 * (time.perf_counter() - begun)


def _memory(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])
