"""A real Label Studio on loopback, for the demo, the tests and the benchmarks.

It runs from its own environment (`make setup` makes it; `COLDBLITZ_STUDIO` names another) and starts from a copy of a
database that was migrated once, which saves about 25 s a boot.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from ml_backend import requests_transport
from ml_backend.demo.process import Child, DidNotStart, answers, free_port, start, wait_until
from ml_backend.errors import SettingsError

USER = "demo@example.com"
PASSWORD = "coldblitz-demo"

# What an admin sets, too, so that Label Studio may call a backend on the same machine; the first alone creates no
# webhook.
REACH_LOCAL_BACKEND = {"ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "false"}
_QUIET = {
    "COLLECT_ANALYTICS": "0",
    "LATEST_VERSION_CHECK": "0",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "FEATURE_FLAGS_OFFLINE": "1",
    "DEBUG": "0",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Studio:
    """A running Label Studio. `token` is a personal access token, `legacy_token` one of the old kind; `files` is the
    folder it may serve local files from."""

    url: str
    user: str
    password: str
    token: str = field(repr=False)
    legacy_token: str = field(repr=False)
    files: Path
    child: Child

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, params=query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, json={} if body is None else body)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, json=body)

    def delete(self, path: str, body: Any = None) -> Any:
        return self.call("DELETE", path, json=body)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Calls Label Studio's API as the demo's user; returns the JSON, raises `requests.HTTPError` with the body on
        4xx and 5xx."""
        headers = {"Authorization": f"Token {self.legacy_token}"}
        answer = requests_transport.session(self.url).request(
            method, f"{self.url}{path}", headers=headers, timeout=120, **options
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:500]}", response=answer)
        return answer.json() if answer.content else None

    # What the demo, the tests and the benchmarks do with it, in the words of its own pages.

    def create_project(self, title: str, label_config: str, **settings: Any) -> int:
        return int(self.post("/api/projects/", {"title": title, "label_config": label_config, **settings})["id"])

    def upload(self, project: int, video: Path) -> str:
        """Uploads a file as the Import page does, without making a task of it; returns the path for a task's data."""
        with video.open("rb") as file:
            path = f"/api/projects/{project}/import?commit_to_project=false"
            answer = self.call("POST", path, files={"file": (video.name, file, "video/mp4")})
        [number] = answer["file_upload_ids"]
        return f"/data/{self.get(f'/api/import/file-upload/{number}')['file']}"

    def import_tasks(self, project: int, data: Sequence[Mapping[str, Any]]) -> list[int]:
        """Makes one task of each item; returns their ids in the same order."""
        path = f"/api/projects/{project}/import?return_task_ids=true"
        return [int(task) for task in self.post(path, [{"data": dict(item)} for item in data])["task_ids"]]

    def connect(self, project: int, backend: str, extra_params: Mapping[str, Any] | None = None, **more: Any) -> int:
        """What the Model page's *Connect Model* does."""
        body = {"project": project, "url": backend, "title": "Coldblitz", "extra_params": extra_params, **more}
        return int(self.post("/api/ml/", body)["id"])

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Every task of the project with its annotations and predictions."""
        answer = self.get("/api/tasks/", project=project, fields="all", page_size=1000)
        return sorted(answer["tasks"], key=lambda task: int(task["id"]))

    def predictions(self, task: int) -> list[dict[str, Any]]:
        return list(self.get("/api/predictions/", task=task))

    def stop(self) -> None:
        self.child.stop()


def environment_folder() -> Path:
    """Where Label Studio's own Python environment is."""
    return Path(os.environ.get("COLDBLITZ_STUDIO") or Path(__file__).resolve().parents[2] / ".studio" / "venv")


@contextmanager
def label_studio(
    folder: Path | None = None, *, port: int = 0, settings: Mapping[str, str] | None = None
) -> Iterator[Studio]:
    """A Label Studio of its own for the time of the `with` block."""
    with tempfile.TemporaryDirectory(prefix="coldblitz-studio-") as temporary:
        studio = start_studio(folder or Path(temporary), port=port, settings=settings)
        try:
            yield studio
        finally:
            studio.stop()


def start_studio(folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None) -> Studio:
    """Boots Label Studio with its data in `folder` (used again when it holds some) on `port`, or any free one when
    that is taken.

    `settings` are further environment variables. Raises SettingsError when its environment is missing, DidNotStart
    when it does not boot.
    """
    database = folder / "label_studio.sqlite3"
    folder.mkdir(parents=True, exist_ok=True)
    if not database.exists():
        _copy_database(_template(), database)
        _change_legacy_token(database)
    child, url = _boot(folder, port, settings or {})
    studio = Studio(url, USER, PASSWORD, "", _legacy_token(database), folder / "files", child)
    try:
        _check_that_it_is_ours(studio)
        token = folder / "token"
        if not token.exists():  # Label Studio gives a user one personal access token and shows it once
            token.touch(mode=0o600)
            token.write_text(studio.post("/api/token/")["token"])
    except BaseException:
        child.stop()
        raise
    return replace(studio, token=token.read_text())


def _check_that_it_is_ours(studio: Studio) -> None:
    try:
        studio.get("/api/current-user/whoami")
    except requests.HTTPError as error:
        # It takes the next port, silently, when another server was quicker.
        problem = f"Another server answers at {studio.url} ({error.response.status_code})."
        raise DidNotStart(problem, "Stop it, or start again.") from error


def _boot(folder: Path, port: int, settings: Mapping[str, str]) -> tuple[Child, str]:
    binary = environment_folder() / "bin" / "label-studio"
    if not binary.exists():
        raise SettingsError(
            f"There is no Label Studio at {binary}.", "Run `make setup`, or let COLDBLITZ_STUDIO name its environment."
        )
    files = folder / "files"
    files.mkdir(exist_ok=True)
    port = free_port(port)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO_", "ML_", "DJANGO_"))
    }
    environment = {
        **inherited,
        **_QUIET,
        **REACH_LOCAL_BACKEND,
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(files),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        **settings,
    }
    command: list[str | Path] = [binary, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    command += ["--username", USER, "--password", PASSWORD]
    child = start("Label Studio", command, folder / "label-studio.log", environment, folder)
    url = f"http://localhost:{port}"
    wait_until(child, lambda: answers(f"{url}/health"), 180)
    return child, url


def _template() -> Path:
    """A database that was migrated once and holds the demo's user, made beside the environment when it is missing."""
    template = environment_folder().parent / "template.sqlite3"
    if not template.exists():
        with tempfile.TemporaryDirectory(prefix="coldblitz-template-") as temporary:
            folder = Path(temporary)
            child, _ = _boot(folder, 0, {})
            child.stop()
            _copy_database(folder / "label_studio.sqlite3", template)
    return template


def _copy_database(source: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(partial)) as new:
        old.backup(new)
    partial.replace(target)


def _change_legacy_token(database: Path) -> None:
    """Gives the copy a token of its own, by which one Label Studio is told from another."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("update authtoken_token set key = ?", (secrets.token_hex(20),))


def _legacy_token(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        query = "select t.key from authtoken_token t join htx_user u on u.id = t.user_id where u.email = ?"
        row = connection.execute(query, (USER,)).fetchone()
    if row is None:
        raise DidNotStart(
            f"Label Studio's database {database} does not hold the user {USER}.", "Remove it and start again."
        )
    return str(row[0])
