"""How fast Label Studio is answered while the workers train, embed and roll out, and whether every event has had its effect."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import requests

from benchmarks.service.busy import busy_processes
from benchmarks.service.scene import connect
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import Loop, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.learning.versions import list_versions
from ml_backend.prediction_item import ResultItem, StoredItem
from ml_backend.projects import stored_predictions

EVENTS_A_SECOND = 200
PREDICT_TASKS = 1200
_PREDICT_EVERY = 0.25
_ANNOTATE_EVERY = 2.0
_REGIONS = 20
_CLIENTS = 16
# Label Studio waits no longer for a webhook's answer.
_PATIENCE = 1.0
_OTHER = "999999.1769860800"


@dataclass
class Answers:
    """Milliseconds of each answer, and how many requests were not answered with 200 in time."""

    milliseconds: list[float] = field(default_factory=list)
    missed: int = 0

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.milliseconds, share))


@dataclass(frozen=True)
class Service:
    webhook: Answers
    predict: Answers
    rate: float
    annotations: int
    unlearnt: int
    trainings: int


def measure(studio: Studio, backend: Backend, clips: Sequence[Clip], seconds: float, busy: int = 0) -> Service:
    """Sends events and asks for predictions for so long, while new videos come and people annotate, and as many other processes as
    `busy` says compute."""
    loop = connect(studio, backend, clips)
    loop.suggestions()
    [key] = backend.get("/jobs")["versions"].keys() & {_key(studio, loop)}
    trained_before = _trainings(backend)
    upload_tasks(studio, loop.project, [(path, clips[0].fps) for path in _variants(clips, backend.data, int(seconds))])
    event = json.dumps(_event(studio, loop)).encode()
    asked = _many_tasks(backend.data)
    stop = threading.Event()
    webhook = Answers()
    submitted: set[str] = set()
    # Else the senders' threads would hold up the reading of a large answer.
    beside = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with ThreadPoolExecutor(_CLIENTS + 1) as pool, beside, busy_processes(busy):
        beside.submit(_ask, backend.url, asked, 0).result()
        annotating = pool.submit(_annotate, loop, clips, stop, submitted)
        started = time.monotonic()
        sending = [
            pool.submit(_send, backend.url, event, started, range(n, int(seconds * EVENTS_A_SECOND), _CLIENTS), webhook)
            for n in range(_CLIENTS)
        ]
        asking = beside.submit(_ask, backend.url, asked, seconds)
        for each in sending:
            each.result()
        took = time.monotonic() - started
        stop.set()
        annotating.result()
        predict = asking.result()
    loop.wait_for("end of all jobs", lambda: backend.idle)
    learnt = set(list_versions(backend.data / "projects" / key / "models")[-1].annotations)
    return Service(
        webhook,
        predict,
        (len(webhook.milliseconds) + webhook.missed) / took,
        len(submitted),
        len(submitted - learnt),
        _trainings(backend) - trained_before,
    )


def _send(url: str, body: bytes, started: float, numbers: Sequence[int], answers: Answers) -> None:
    for number in numbers:
        time.sleep(max(0.0, started + number / EVENTS_A_SECOND - time.monotonic()))
        _post(url, "/webhook", body, answers)


def _ask(url: str, body: bytes, seconds: float) -> Answers:
    answers = Answers()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _post(url, "/predict", body, answers)
        time.sleep(_PREDICT_EVERY)
    return answers


def _post(url: str, path: str, body: bytes, answers: Answers) -> None:
    """One request on a connection of its own, as Label Studio sends it."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - begun
        if answer.status in (200, 201) and (path != "/webhook" or took <= _PATIENCE) and content:
            answers.milliseconds.append(1000 * took)
        else:
            answers.missed += 1
    except OSError:
        answers.missed += 1
    finally:
        connection.close()


def _annotate(loop: Loop, clips: Sequence[Clip], stop: threading.Event, submitted: set[str]) -> None:
    """Somebody submits an annotation every few seconds; each makes a training."""
    position = 0
    while True:
        at = position % len(loop.tasks)
        submitted.add(str(loop.answer(loop.tasks[at], clips[at]).id))
        position += 1
        if stop.wait(_ANNOTATE_EVERY):
            return


def _variants(clips: Sequence[Clip], folder: Path, count: int) -> Iterator[Path]:
    """Files of the same pictures and other content, so that each has to be embedded: an empty box is added at the end."""
    folder = folder / "variants"
    folder.mkdir(exist_ok=True)
    for number in range(count):
        clip = clips[number % len(clips)]
        path = folder / f"{clip.path.stem}-{number}.mp4"
        path.write_bytes(clip.path.read_bytes() + (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big"))
        yield path


def _event(studio: Studio, loop: Loop) -> dict[str, Any]:
    """As large as a real one: an annotation of many regions, the whole project and the task."""
    region = {"id": "kf-1", "from_name": "labels", "to_name": "video", "type": "timelinelabels", "origin": "manual"}
    value = {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["car"]}
    return {
        "action": "ANNOTATION_UPDATED",
        "annotation": {"id": 1, "result": [{**region, "value": value}] * _REGIONS, "task": loop.tasks[0]},
        "project": studio.get(f"/api/projects/{loop.project}/"),
        "task": {"id": loop.tasks[0], "data": {"video": "/data/upload/1/a.mp4"}},
    }


def _many_tasks(data: Path) -> bytes:
    """The body that asks for the predictions of 1,200 tasks, all of which are ready."""
    region: ResultItem = {
        "id": "kf-1",
        "from_name": "labels",
        "to_name": "video",
        "type": "timelinelabels",
        "score": 0.0,
        "value": {"ranges": [{"start": 1, "end": 1}], "timelinelabels": []},
    }
    item: StoredItem = {"model_version": "keyframes-v1", "score": 0.0, "result": [region] * 10}
    for task in range(1, PREDICT_TASKS + 1):
        stored_predictions.save(data, _OTHER, {**item, "task": task})
    task_fields = {"data": {"video": "/data/upload/1/4e2c68c0-a-video-with-a-name.mp4", "fps": 25.0}, "meta": {}}
    stamps = {"created_at": "2026-01-31T12:00:00.000000Z", "updated_at": "2026-01-31T12:00:00.000000Z"}
    rest = {"is_labeled": False, "overlap": 1, "annotations": [], "predictions": [], "comment_authors": []}
    tasks = [{"id": n, **task_fields, **stamps, **rest, "project": 999999} for n in range(1, PREDICT_TASKS + 1)]
    return json.dumps({"tasks": tasks, "project": _OTHER, "label_config": "<View/>", "params": {}}).encode()


def _key(studio: Studio, loop: Loop) -> str:
    from ml_backend.labelstudio.payloads import ProjectKey

    return str(ProjectKey.of(studio.get(f"/api/projects/{loop.project}/")))


def _trainings(backend: Backend) -> int:
    """How many trainings have ended well, by the backend's own count."""
    lines = requests.get(f"{backend.url}/metrics", timeout=10).text.splitlines()
    wanted = [line for line in lines if line.startswith("coldblitz_jobs_ended_total") and 'kind="train"' in line]
    return sum(int(float(line.rpartition(" ")[2])) for line in wanted if 'outcome="done"' in line)
