"""For whoever watches an installation: `GET /ready`, whether the backend can do its work now and if not, what to do (`/health` only says
that it runs), and `GET /metrics` for Prometheus."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

from flask import Flask, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from ml_backend.checks import Check, fault
from ml_backend.labelstudio.access import check_label_studio, check_token
from ml_backend.projects import installation, registry
from ml_backend.queueing import counters, queue
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.liveness import living
from ml_backend.settings import Settings
from ml_backend.store.connect import check_store

_SECONDS = 2.0
# However often it is asked, Label Studio is asked no more often than this.
_KEPT_SECONDS = 5.0


class Readiness:
    """Runs checks side by side, none of them for more than `seconds`, and keeps the answer for `kept` seconds."""

    def __init__(
        self, checks: Mapping[str, Callable[[], Check]], seconds: float = _SECONDS, kept: float = _KEPT_SECONDS
    ) -> None:
        self._checks = checks
        self._seconds = seconds
        self._kept = kept
        self._pool = ThreadPoolExecutor(len(checks), thread_name_prefix="ready")
        self._running: dict[str, Future[Check]] = {}
        self._found: list[Check] = []
        self._until = 0.0
        self._one_at_a_time = threading.Lock()

    def now(self) -> list[Check]:
        with self._one_at_a_time:
            if time.monotonic() >= self._until:
                self._found = self._ask()
                self._until = time.monotonic() + self._kept
            return self._found

    def _ask(self) -> list[Check]:
        for name, check in self._checks.items():
            # One that still hangs from the last time is not started beside itself.
            if name not in self._running:
                self._running[name] = self._pool.submit(check)
        wait(self._running.values(), timeout=self._seconds)
        return [self._result(name) for name in self._checks]

    def _result(self, name: str) -> Check:
        if not self._running[name].done():
            return fault(name, f"There was no answer within {self._seconds:g} s.", "Find out what it is waiting for.")
        try:
            return self._running.pop(name).result()
        except Exception as error:
            return fault(name, f"It could not be checked ({type(error).__name__}).", "Please report this.")


def add_readiness(app: Flask, settings: Settings) -> None:
    """Adds the route to `app`."""
    redis = Redis.from_url(redis_url(settings), socket_timeout=1, socket_connect_timeout=1)
    # The token takes two calls.
    each = _SECONDS / 2 - 0.1
    readiness = Readiness(
        {
            "redis": lambda: installation.check_redis(redis),
            "label studio": lambda: check_label_studio(settings.label_studio_url, each),
            "token": lambda: check_token(settings.label_studio_url, settings.label_studio_api_key, each),
            "weights": lambda: installation.check_weights(redis),
            "text": lambda: installation.check_text(redis, settings.text_model),
            "disk": lambda: installation.check_disk(settings.data_dir),
            **({"store": lambda: check_store(settings)} if settings.store_url else {}),
            "workers": lambda: installation.check_workers(redis),
        }
    )

    @app.get("/ready")
    def ready() -> tuple[Response, int]:
        checks = readiness.now()
        is_ready = all(check.state != "fault" for check in checks)
        return jsonify(ready=is_ready, checks=[asdict(check) for check in checks]), 200 if is_ready else 503


_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# The folders of DATA_DIR that CACHE_MAX_BYTES bounds.
_CACHES = ("videos", "features")
_MEASURED_EVERY = 30.0
# A series each; more projects than this would burden Prometheus.
_MOST_PROJECTS = 500


def add_metrics(app: Flask, settings: Settings) -> None:
    """Adds the route to `app`, and measures its requests."""
    collectors = CollectorRegistry()
    ProcessCollector(registry=collectors)
    collectors.register(_Done(Redis.from_url(redis_url(settings), socket_timeout=1, socket_connect_timeout=1)))
    collectors.register(_Caches(settings.data_dir))
    seconds = Histogram(
        "coldblitz_request_seconds",
        "Time that a request took, by route and status; 401 is a failed login.",
        ("route", "status"),
        registry=collectors,
        buckets=_BUCKETS,
    )

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(answer: Response) -> Response:
        # The rule, not the path: there are as many paths as anybody likes to ask for.
        route = request.url_rule.rule if request.url_rule else "none"
        seconds.labels(route, str(answer.status_code)).observe(time.perf_counter() - g.begun)
        return answer

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(collectors), content_type=CONTENT_TYPE_LATEST)


class _Done(Collector):
    """What all web processes and workers have done and have before them, as Redis knows it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def describe(self) -> list[Metric]:
        return []  # else it would be asked before anybody wants to know

    def collect(self) -> Iterator[Metric]:
        try:
            yield from [*self._jobs(), *self._tally(), *self._projects()]
            up = 1
        except RedisError:
            up = 0
        yield GaugeMetricFamily("coldblitz_redis_up", "Whether Redis answers; without it most else is missing.", up)

    def _jobs(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "coldblitz_jobs",
            "Jobs by kind and state; scheduled ones wait for their next try.",
            labels=["kind", "state"],
        )
        for kind, states in queue.depths(self._redis).items():
            for state, number in states.items():
                waiting.add_metric([kind, state], number)
        yield waiting
        yield GaugeMetricFamily("coldblitz_workers", "Workers that live.", len(living(self._redis)))

    def _tally(self) -> Iterator[Metric]:
        found = counters.read_tally(self._redis)
        outcomes = CounterMetricFamily("coldblitz_jobs_ended", "Tries of jobs that ended.", labels=["kind", "outcome"])
        for (kind, outcome), number in found.jobs.items():
            outcomes.add_metric([kind, outcome], number)
        yield outcomes
        seconds = HistogramMetricFamily("coldblitz_job_seconds", "Time that a try of a job took.", labels=["kind"])
        for kind, (numbers, total) in found.seconds.items():
            bounds = [*(str(bound) for bound in counters.BUCKETS), "+Inf"]
            cumulated = [float(sum(numbers[: n + 1])) for n in range(len(numbers))]
            seconds.add_metric([kind], list(zip(bounds, cumulated, strict=True)), total)
        yield seconds
        events = CounterMetricFamily("coldblitz_events", "Events that Label Studio sent.", labels=["action"])
        for action, number in found.events.items():
            events.add_metric([action], number)
        yield events
        for name, text, value in (
            ("coldblitz_frames_decoded", "Frames of the videos that were embedded.", found.frames_decoded),
            ("coldblitz_frames_embedded", "Frames among them that the network saw.", found.frames_embedded),
            ("coldblitz_embedding_seconds", "Time that this took.", found.embedding_seconds),
            ("coldblitz_reconciled", "Kinds of work that reconciles found to be missing.", found.reconciled),
        ):
            yield CounterMetricFamily(name, text, value)

    def _projects(self) -> Iterator[Metric]:
        versions = GaugeMetricFamily(
            "coldblitz_model_version_info", "The model version that a project shows.", labels=["project", "version"]
        )
        for project, version in sorted(registry.active_versions(self._redis).items())[-_MOST_PROJECTS:]:
            versions.add_metric([project, version], 1)
        yield versions
        reconciled = GaugeMetricFamily(
            "coldblitz_reconciled_timestamp_seconds",
            "When a project was last compared with Label Studio.",
            labels=["project"],
        )
        for project, when in sorted(registry.reconciled_at(self._redis).items())[-_MOST_PROJECTS:]:
            reconciled.add_metric([project], when)
        yield reconciled


class _Caches(Collector):
    """How much of the disk the videos and embeddings take. Looked up now and then: there may be many files."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._bytes: dict[str, int] = {}
        self._until = 0.0

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        if time.monotonic() >= self._until:
            self._bytes = {name: _size(self._data_dir / name) for name in _CACHES}
            self._until = time.monotonic() + _MEASURED_EVERY
        sizes = GaugeMetricFamily("coldblitz_cache_bytes", "Size of what is kept to be found again.", labels=["cache"])
        for name, size in self._bytes.items():
            sizes.add_metric([name], size)
        yield sizes


def _size(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_size
            except OSError:  # a worker evicts at the same time
                continue
    return total
