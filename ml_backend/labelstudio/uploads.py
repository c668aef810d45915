"""Bringing videos into Label Studio: uploads, local-files storages and tasks."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

from ml_backend import transport
from ml_backend.errors import LabelStudioError, LabelStudioMissing
from ml_backend.labelstudio.access import refusal
from ml_backend.labelstudio.client import Client, Project, Task

# Of what a browser plays, Label Studio takes these as uploads.
UPLOADABLE = (".mp4", ".webm")
_PAGE = 1000
# Label Studio answers when it has written the file to its own storage.
_UPLOAD_SECONDS = 600.0


@dataclass(frozen=True)
class Upload:
    """A file in Label Studio that is no task yet. `address`: for a task's data. `size`: in bytes, when it was asked for."""

    number: int
    address: str
    size: int | None = None


class Intake(Client):
    """What an import asks of Label Studio; raises as `Client` does."""

    def open(self, number: int) -> Project:
        """A project by its number."""
        try:
            return self.project(number)
        except LabelStudioMissing as error:
            raise LabelStudioMissing(
                f"There is no project {number} at {self.url}, or the token's user cannot see it.",
                "The number is part of the project's URL: /projects/NUMBER.",
            ) from error

    def held(self, project: int) -> Iterator[Task]:
        """All tasks, in few requests."""
        for item in self._tasks(project, "id,data", page=_PAGE):
            yield Task(item["id"], item["data"])

    def upload(self, project: int, path: Path, name: str, progress: Callable[[int], None]) -> Upload:
        """Uploads a file under `name` without making a task of it; `progress` gets the bytes sent so far."""
        with path.open("rb") as file:
            sent = _Counted(file, progress)
            answer = self._upload(project, {"file": (name, sent, "application/octet-stream")})
        try:
            [number] = answer["file_upload_ids"]
            stored = self._json("GET", f"/api/import/file-upload/{number}")["file"]
        except (KeyError, TypeError, ValueError) as error:
            raise self._stranger("/import") from error
        return Upload(int(number), f"{self.below}/data/{stored}")

    def uploads(self, project: int) -> list[Upload]:
        """All files that were uploaded to the project, with or without a task."""
        found = self._json("GET", f"/api/projects/{project}/file-uploads", {"all": "true"})
        try:
            return [Upload(int(each["id"]), f"{self.below}/data/{each['file']}", each.get("size")) for each in found]
        except (KeyError, TypeError, ValueError) as error:
            raise self._stranger("/file-uploads") from error

    def forget(self, project: int, upload: Upload) -> None:
        """Removes an upload of which no task was made."""
        with suppress(LabelStudioError):
            self._json(
                "DELETE", f"/api/projects/{project}/file-uploads", json_body={"file_upload_ids": [upload.number]}
            )

    def create_task(self, project: int, data: Mapping[str, Any]) -> int:
        """Makes one task; returns its id."""
        path = f"/api/projects/{project}/import"
        answer = self._json("POST", path, {"return_task_ids": "true"}, [{"data": dict(data)}])
        try:
            [number] = answer["task_ids"]
        except (KeyError, TypeError, ValueError) as error:
            raise self._stranger("/import") from error
        return int(number)

    def link(self, project: int, path: Path, root: Path) -> str:
        """The address for a task's data of a file below Label Studio's document root, of which a storage of the project
        holds the folder; one is made when there is none yet. Raises ValueError when it is not in a subfolder of it."""
        folder = path.parent
        below = PurePosixPath(path.relative_to(root))
        if len(below.parts) == 1:
            raise ValueError(f"{path} lies in {root} itself")
        if not any(folder.is_relative_to(held) for held in self.local_folders(project)):
            storage = {"project": project, "path": str(folder), "use_blob_urls": True, "title": folder.name}
            self._json("POST", "/api/storages/localfiles/", json_body=storage)
        return f"{self.below}/data/local-files/?d={quote(str(below))}"

    def _upload(self, project: int, files: Mapping[str, Any]) -> Mapping[str, Any]:
        def send() -> httpx.Response:
            try:
                return transport.ask(
                    "POST",
                    f"{self.url}/api/projects/{project}/import",
                    params={"commit_to_project": "false"},
                    files=files,
                    headers={"Authorization": self._authorization()},
                    timeout=httpx.Timeout(self._timeout, read=_UPLOAD_SECONDS),
                )
            except httpx.HTTPError as error:
                raise self._unreachable(error) from error

        response = send()
        if response.status_code == 401 and self._forget_access():
            response = send()
        if response.status_code >= 400:
            raise refusal(response.status_code, response.text, response.headers)
        self._refuse_redirect(response)
        try:
            answer = response.json()
        except ValueError as error:
            raise self._stranger("/import") from error
        return answer if isinstance(answer, Mapping) else {}


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, file: io.BufferedReader, progress: Callable[[int], None]) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        self._progress(self._file.tell())
        return part

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()
