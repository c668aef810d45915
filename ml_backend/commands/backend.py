"""The backend that a command speaks to: the one of this machine, by its Redis and DATA_DIR, or any other by its address."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import requests
import typer
from redis import Redis
from redis.exceptions import RedisError
from requests.auth import HTTPBasicAuth

from ml_backend import requests_transport, transport
from ml_backend.errors import SettingsError
from ml_backend.projects import job_requests, label_report, model_versions, registry, reports, training_choice
from ml_backend.projects.model_versions import CardInLine, VersionSummary
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.interventions import result
from ml_backend.settings import Settings, secret, with_folder
from ml_backend.store.connect import connect

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="COLDBLITZ_URL",
        help="Address of a remote backend; the default is the one of this machine's DATA_DIR.",
    ),
]
_EVERY = 0.2
_TIMEOUT = 10.0


class Backend(Protocol):
    """What commands ask of a backend. Each may raise SettingsError; projects are given by number or key."""

    def ask(self, kind: str, project: str, tasks: Sequence[int]) -> dict[str, str]: ...
    def train(
        self, project: str, kind: str, blitz: Mapping[str, object], file: str | None = None
    ) -> dict[str, str]: ...
    def reconcile(self, project: str | None, thorough: bool) -> dict[str, str]: ...
    def result(self, job_id: str) -> dict[str, str]: ...
    def models(self, project: str) -> list[VersionSummary]: ...
    def model_card(self, project: str, version: str) -> CardInLine: ...
    def activate(self, project: str, version: str) -> None: ...
    def delete(self, project: str, version: str) -> None: ...
    def quality(self, project: str) -> dict[str, Any] | None: ...
    def labels(self, project: str, task: int | None) -> dict[str, Any] | None: ...


def backend(url: str | None) -> Backend:
    """Raises SettingsError when the environment lacks what the backend of this machine needs."""
    return There(url.rstrip("/")) if url else Here(Settings.from_environment())


def ended(backend: Backend, jobs: Mapping[str, str], seconds: float) -> dict[str, dict[str, str]]:
    """`state` and `text` of each job, by the name it has in `jobs`, when all have ended or `seconds` are over."""
    deadline = time.monotonic() + seconds
    while True:
        rows = {name: backend.result(job_id) for name, job_id in jobs.items()}
        if all(row["state"] in ("finished", "failed") for row in rows.values()) or time.monotonic() > deadline:
            return rows
        time.sleep(_EVERY)


@dataclass(frozen=True)
class Here:
    """The backend that has the same Redis and DATA_DIR as this process."""

    settings: Settings

    def __post_init__(self) -> None:
        connect(self.settings, Redis.from_url(redis_url(self.settings), socket_timeout=_TIMEOUT))

    def ask(self, kind: str, project: str, tasks: Sequence[int]) -> dict[str, str]:
        with self._redis() as redis:
            return job_requests.ask(redis, kind, project, tasks)

    def train(self, project: str, kind: str, blitz: Mapping[str, object], file: str | None = None) -> dict[str, str]:
        with self._redis() as redis:
            known = registry.recall(redis, job_requests.known(redis, project))
            if known is not None:
                has_file = self.settings.custom_model is not None
                training_choice.choose(self.settings.data_dir, known, kind, blitz, has_file=has_file, file=file)
            return job_requests.ask(redis, "train", project)

    def reconcile(self, project: str | None, thorough: bool) -> dict[str, str]:
        with self._redis() as redis:
            return job_requests.reconcile(redis, self.settings.label_studio_url, project, thorough=thorough)

    def result(self, job_id: str) -> dict[str, str]:
        with self._redis() as redis:
            return result(redis, job_id)

    def models(self, project: str) -> list[VersionSummary]:
        with self._redis() as redis:
            return model_versions.summaries(self.settings.data_dir, redis, self._key(project))

    def model_card(self, project: str, version: str) -> CardInLine:
        return model_versions.model_card(self.settings.data_dir, self._key(project), version)

    def activate(self, project: str, version: str) -> None:
        with self._redis() as redis:
            model_versions.activate(self.settings.data_dir, redis, self._key(project), version)

    def delete(self, project: str, version: str) -> None:
        with self._redis() as redis:
            model_versions.delete(self.settings.data_dir, redis, self._key(project), version)

    def quality(self, project: str) -> dict[str, Any] | None:
        report = reports.load_quality(self.settings.data_dir, self._key(project))
        return None if report is None else report.as_json()

    def labels(self, project: str, task: int | None) -> dict[str, Any] | None:
        account = label_report.load_account(self.settings.data_dir, self._key(project), task)
        return None if account is None else account.as_json()

    def _key(self, project: str) -> str:
        return model_versions.project_key(self.settings.data_dir, None, project)

    @contextmanager
    def _redis(self) -> Iterator[Redis]:
        redis = Redis.from_url(redis_url(self.settings), socket_timeout=5)
        try:
            yield redis
        except RedisError as error:
            raise SettingsError(
                f"No Coldblitz runs on {self.settings.data_dir}: its Redis does not answer.",
                "Start it with `make serve`, or give --url.",
            ) from error
        finally:
            redis.close()


@dataclass(frozen=True)
class There:
    """A backend at an address, with the login of BASIC_AUTH_USER and BASIC_AUTH_PASS when these are set."""

    url: str

    def ask(self, kind: str, project: str, tasks: Sequence[int]) -> dict[str, str]:
        return dict(self.call("POST", "/jobs", {"kind": kind, "project": project, "tasks": list(tasks)})["jobs"])

    def train(self, project: str, kind: str, blitz: Mapping[str, object], file: str | None = None) -> dict[str, str]:
        body = {"kind": kind, "blitz": dict(blitz), **({"file": file} if file is not None else {})}
        return {"train": str(self.call("POST", "/models/training", body, project=project)["job"])}

    def reconcile(self, project: str | None, thorough: bool) -> dict[str, str]:
        body = {"kind": "reconcile", "project": project, "thorough": thorough}
        return dict(self.call("POST", "/jobs", body)["jobs"])

    def result(self, job_id: str) -> dict[str, str]:
        return dict(self.call("GET", f"/jobs/{job_id}"))

    def models(self, project: str) -> list[VersionSummary]:
        with self._understood():
            return [VersionSummary.from_json(row) for row in self.call("GET", "/models", project=project)["models"]]

    def model_card(self, project: str, version: str) -> CardInLine:
        with self._understood():
            return CardInLine.from_json(self.call("GET", f"/models/{version}", project=project))

    def activate(self, project: str, version: str) -> None:
        self.call("POST", f"/models/{version}/activate", project=project)

    def delete(self, project: str, version: str) -> None:
        self.call("POST", f"/models/{version}/delete", project=project)

    def quality(self, project: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.call("GET", "/quality", project=project)["quality"]
        return found

    def labels(self, project: str, task: int | None) -> dict[str, Any] | None:
        query = {} if task is None else {"task": str(task)}
        found: dict[str, Any] | None = self.call("GET", "/labels", project=project, **query)["labels"]
        return found

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """An answer that this release cannot read is said to be one."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SettingsError(
                f"Coldblitz at {self.url} answers in a form that this version does not read ({error}).",
                "Use the same version here and there.",
            ) from error

    def call(self, method: str, path: str, body: object = None, **query: str) -> dict[str, Any]:
        """The JSON object of an answer. Raises SettingsError, with the backend's own words when it refuses."""
        environment = with_folder()
        user, password = environment.get("BASIC_AUTH_USER"), secret(environment, "BASIC_AUTH_PASS")
        # As text, requests would send Latin-1, which not every password is.
        login = HTTPBasicAuth(user.encode(), password.encode()) if user and password else None
        try:
            # Nobody else is to get the login.
            answer = requests_transport.session(self.url).request(
                method,
                f"{self.url}{path}",
                params=query,
                json=body,
                timeout=_TIMEOUT,
                auth=login,
                allow_redirects=False,
            )
            found = answer.json()
            if not isinstance(found, dict):
                raise ValueError("another service")
        except (requests.RequestException, ValueError) as error:
            reason, remedy = transport.why(error, self.url)
            raise SettingsError(
                f"No Coldblitz answers at {self.url} ({reason}).",
                remedy or "Start it with `make serve`, or give its --url.",
            ) from error
        if answer.status_code == 401:
            raise SettingsError(
                f"Coldblitz at {self.url} requires a different login.",
                "Set BASIC_AUTH_USER and BASIC_AUTH_PASS to the backend's login.",
            )
        if not answer.ok:
            raise SettingsError(
                str(found.get("error") or f"{self.url} answers {answer.status_code}."),
                str(found.get("remedy") or "See the backend's log."),
            )
        return found
