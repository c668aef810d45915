"""Files in Label Studio: uploaded ones, and those that a local-files storage has."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.session import Session

# Of what a browser plays, Label Studio takes these as uploads.
UPLOADABLE = (".mp4", ".webm")
# Label Studio answers when it has written the file to its own storage.
_UPLOAD_SECONDS = 600.0


@dataclass(frozen=True)
class Upload:
    """A file in Label Studio that is no task yet. `address`: for a task's data. `size`: in bytes, when it was asked for."""

    number: int
    address: str
    size: int | None = None


class Uploads:
    """What is asked about files and done with them; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, project: int, path: Path, name: str, progress: Callable[[float], None]) -> Upload:
        """Uploads a file under `name` without making a task of it; `progress` gets the share sent so far, 0..1."""
        with path.open("rb") as file:
            sent = _Counted(file, progress)
            numbers = self.add_several(project, {"file": (name, sent, "application/octet-stream")})
        try:
            [number] = numbers
            stored = self._session.json("GET", f"/api/import/file-upload/{number}")["file"]
        except (KeyError, TypeError, ValueError) as error:
            raise self._session.unexpected("/import") from error
        return Upload(number, self.address(stored))

    def add_several(self, project: int, files: Mapping[str, Any]) -> list[int]:
        """Uploads files, as httpx takes them, in one request without making tasks of them; returns their numbers."""
        path, query = f"/api/projects/{project}/import", {"commit_to_project": "false"}
        answer = self._session.json("POST", path, query, files=files, read_seconds=_UPLOAD_SECONDS)
        try:
            return [int(number) for number in answer["file_upload_ids"]]
        except (KeyError, TypeError, ValueError) as error:
            raise self._session.unexpected("/import") from error

    def all(self, project: int) -> list[Upload]:
        """All files that were uploaded to the project, with or without a task."""
        return self._listed(project, {"all": "true"})

    def numbered(self, project: int, numbers: Sequence[int]) -> list[Upload]:
        """Those of the numbers, in any order."""
        return self._listed(project, {"ids": json.dumps(list(numbers))})

    def delete(self, project: int, numbers: Sequence[int]) -> None:
        """Deletes files of which there are no tasks."""
        path = f"/api/projects/{project}/file-uploads"
        self._session.json("DELETE", path, body={"file_upload_ids": list(numbers)})

    def discard(self, project: int, upload: Upload) -> None:
        """Deletes a file of which no task was made, if Label Studio lets us. Raises nothing."""
        with suppress(LabelStudioError):
            self.delete(project, [upload.number])

    def address(self, stored: str) -> str:
        """The address for a task's data of a file where Label Studio has stored it."""
        return f"{self._session.path}/data/{stored}"

    def link(self, project: int, path: Path, root: Path) -> str:
        """The address for a task's data of a file below Label Studio's document root, of which a storage of the project
        holds the folder; one is made when there is none yet. Raises ValueError when it is not in a subfolder of it."""
        folder = path.parent
        below = PurePosixPath(path.relative_to(root))
        if len(below.parts) == 1:
            raise ValueError(f"{path} lies in {root} itself")
        if not any(folder.is_relative_to(held) for held in self.local_folders(project)):
            storage = {"project": project, "path": str(folder), "use_blob_urls": True, "title": folder.name}
            self._session.json("POST", "/api/storages/localfiles/", body=storage)
        return self.address(f"local-files/?d={quote(str(below))}")

    def local_folders(self, project: int) -> list[str]:
        """The folders of the project's local-files storages."""
        storages = self._session.json("GET", "/api/storages/localfiles/", {"project": project})
        return [str(each["path"]) for each in storages]

    def _listed(self, project: int, which: Mapping[str, str]) -> list[Upload]:
        found = self._session.json("GET", f"/api/projects/{project}/file-uploads", which)
        try:
            return [Upload(int(each["id"]), self.address(each["file"]), each.get("size")) for each in found]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._session.unexpected("/file-uploads") from error


class _Counted(io.RawIOBase):
    """A file that tells which share of it was read."""

    def __init__(self, file: io.BufferedReader, progress: Callable[[float], None]) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        part = self._file.read(size)
        # It may have grown meanwhile, or be empty.
        at = self._file.tell()
        self._progress(at / max(self._size, at, 1))
        return part

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()
