"""python -m benchmarks.service.painting [--tasks 10000]: how soon a browser paints a video's page in a large project."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import sync_playwright
from redis import Redis
from werkzeug.serving import make_server

from benchmarks.alignment.player import chromium
from ml_backend.checks import Finding
from ml_backend.labelstudio.recommended import recommended_config
from ml_backend.projects import label_report, registry, stored_predictions, task_view
from ml_backend.projects.label_report import HumanRegion, LabelReport
from ml_backend.projects.task_view import TaskView
from ml_backend.queueing.embedded_redis import redis_url, running_redis
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

_KEY, _FRAMES, _LABELS = "7.1769860800", 9000, {"clear": "#999999", "ball": "#E69F00", "car": "#0072B2"}
_TRIES = 9


def fill(settings: Settings, redis: Redis, tasks: int) -> None:
    """A project whose tasks are all predicted, the first ones by two versions, every tenth labeled, every fifth with a finding."""
    data = settings.data_dir
    registry.remember(redis, registry.Known(_KEY, recommended_config(_LABELS)))
    registry.note_overview(redis, _KEY, title="Large", tasks=tasks, versions={"cold-v2": tasks})
    registry.activate(redis, _KEY, "cold-v2")
    percent = {label: [(7 * n + 31 * b) % 101 for b in range(300)] for n, label in enumerate(_LABELS)}
    spans = [(300 * n + 1, 300 * n + 300, list(_LABELS)[n % 3]) for n in range(_FRAMES // 300)]
    result = [
        {
            "id": f"cold-v2-{start}",
            "from_name": "labels",
            "to_name": "video",
            "type": "timelinelabels",
            "value": {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]},
            "score": 0.5 + (start % 50) / 100,
        }
        for start, end, label in spans
    ]
    for task in range(1, tasks + 1):
        for version in ("cold-v1", "cold-v2") if task < 100 else ("cold-v2",):
            item = {"task": task, "model_version": version, "score": 0.6, "result": result}
            stored_predictions.save(data, _KEY, item)  # type: ignore[arg-type]
        task_view.save(data, _KEY, TaskView(task, f"{task}.mp4", 25.0, _FRAMES, _FRAMES / 25, "cold-v2", percent, 25.0))
        if task % 5 == 0:
            registry.note_findings(redis, _KEY, task, [Finding("sound", "It has sound.", "Nothing to do.", "note")])
    labeled = tuple(range(10, tasks + 1, 10))
    regions = [HumanRegion(start, end, (label,), 11, "person") for start, end, label in spans]
    report = LabelReport("2026-01-03T12:00:00+00:00", labeled, labeled, dict.fromkeys(_LABELS, 9), {}, ())
    label_report.save(data, _KEY, report, [(task, regions) for task in labeled])


def first_paints(address: str, program: str, task: int) -> list[float]:
    """Milliseconds from asking for a page until something of it is seen, each with an empty cache."""
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(_TRIES):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{address}/dashboard/projects/7/videos/{task}", timeout=120_000)
            page.wait_for_timeout(300)
            found.append(float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")))
            page.close()
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    options = parser.parse_args()
    program = chromium()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings("http://studio.invalid", "the-token", data_dir=Path(folder))
        with running_redis(settings):
            redis = Redis.from_url(redis_url(settings))
            fill(settings, redis, options.tasks)
            server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}"
            client = create_app(settings).test_client()
            for name, path in (("a video", "videos/10"), ("the list", "videos")):
                taken, computed = [], []
                for _ in range(_TRIES):
                    start, processor = time.perf_counter(), time.thread_time()
                    client.get(f"/dashboard/projects/7/{path}", headers={"Accept": "text/html"})
                    taken.append(1000 * (time.perf_counter() - start))
                    computed.append(1000 * (time.thread_time() - processor))
                print(
                    f"{name} of {options.tasks} tasks: answered within {median(taken):.0f} ms, at most {max(taken):.0f} ms; "
                    f"{median(computed):.0f} ms of it the processor's",
                    flush=True,
                )
            if program is not None:
                paints = np.array(first_paints(address, program, 10))
                print(f"first paint of a video's page: {np.median(paints):.0f} ms, at most {paints.max():.0f} ms")
            server.shutdown()
            redis.close()


if __name__ == "__main__":
    main()
