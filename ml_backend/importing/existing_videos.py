"""What a project holds already, found out from Label Studio alone; and uploads of which an earlier import made no task."""

from __future__ import annotations

import fcntl
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_backend.features.hashing import Signature, alike, signature_of_features
from ml_backend.features.store import FeatureStore
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.labelstudio.task_data import in_bucket
from ml_backend.labelstudio.tasks import LARGE_PAGE, Task
from ml_backend.video.cache import VideoFolder

RECORD = "coldblitz"


@dataclass(frozen=True)
class Record:
    """`source`: SHA-256 of the imported file; `part`: which stretch and rate of it, empty for all; `file`: SHA-256 of what
    was made from it, the same as `source` when it was taken as it was."""

    source: str
    part: str
    file: str
    signature: Signature

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "part": self.part,
            "file": self.file,
            "look": self.signature.text(),  # by this name it stands in the tasks of earlier imports
            "seconds": round(self.signature.seconds, 3),
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Record | None:
        """From a task's data; None when it has none, or one that somebody changed."""
        try:
            said = data[RECORD]
            seen = Signature.parse(said["look"], float(said["seconds"]))
            return cls(str(said["source"]), str(said["part"]), str(said["file"]), seen)
        except (KeyError, TypeError, ValueError):
            return None


@dataclass
class Holdings:
    """Grows with each import, so that a file that is named twice is imported once."""

    _tasks: dict[tuple[str, str], int] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)
    _signatures: list[tuple[int, str, Signature]] = field(default_factory=list)

    def add(self, task: int, record: Record) -> None:
        self._tasks[record.source, record.part] = task
        self._tasks[record.file, ""] = task
        self._signatures.append((task, record.source, record.signature))

    def add_unrecorded(self, task: int, content: str, seen: Signature | None) -> None:
        """A task that was not made by an import."""
        self._tasks.setdefault((content, ""), task)
        if seen is not None:
            self._signatures.append((task, content, seen))

    def add_in_bucket(self, task: int, uri: str) -> None:
        """A task that was not made by an import, and whose video lies there."""
        self._places.setdefault(uri, task)

    def task_at(self, uri: str) -> int | None:
        """The task, not made by an import, whose video lies at this place in a bucket."""
        return self._places.get(uri)

    def task_of(self, content: str, part: str) -> int | None:
        """The task with just this video."""
        return self._tasks.get((content, part))

    def alike(self, seen: Signature, source: str) -> int | None:
        """A task that shows the same in another encoding. Parts of one `source` are never copies of each other: they may
        all show the same still scene."""
        return next((task for task, other, own in self._signatures if other != source and alike(seen, own)), None)


def holdings(
    studio: LabelStudio, tasks: Iterable[Task], key: str, videos: VideoFolder, store: FeatureStore
) -> Holdings:
    """Of the `tasks` of a project, whose data name their video under `key`."""
    found = Holdings()
    for task in tasks:
        if (record := Record.of(task.data)) is not None:
            found.add(task.id, record)
            continue
        if (uri := in_bucket(task.data.get(key))) is not None:
            found.add_in_bucket(task.id, uri)
        address = studio.videos.address(task.data.get(key))
        content = videos.content_of(address.url) if address else None
        if content is not None:
            features = store.any_of(content)
            found.add_unrecorded(task.id, content, signature_of_features(features) if features else None)
    return found


@contextmanager
def noted(folder: Path, studio: LabelStudio, project: int, name: str, size: int) -> Iterator[Path]:
    """Keeps a note in `folder`, which it yields, that a file of `size` bytes is being brought in under `name`. It stays
    when an error ends the `with` block, or a kill."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{uuid.uuid4().hex}.upload"
    with note.open("w") as file:
        # Whoever finds the note free knows that its import is over.
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump([studio.url, project, name, size], file)
        file.flush()
        yield note
        note.unlink(missing_ok=True)


def remove_leftovers(folder: Path, studio: LabelStudio, project: int, key: str) -> int:
    """Deletes the uploads that notes in `folder` tell of, unless a task uses them; returns how many. `key`: where a task's
    data name its video. Raises as LabelStudio does."""
    found = 0
    for note in folder.glob("*.upload"):
        with note.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                url, of_project, name, size = json.load(file)
            except BlockingIOError:
                continue
            except ValueError:
                note.unlink(missing_ok=True)
                continue
        if (url, of_project) != (studio.url, project):
            continue
        alike = [
            each for each in studio.uploads.all(project) if each.size == size and _name(each.address) == _stored(name)
        ]
        # Asked afterwards, so that what another import brings in meanwhile is not among the uploads, or has its task.
        used = {task.data.get(key) for task in studio.tasks.all(project, page=LARGE_PAGE)}
        for upload in alike:
            if upload.address not in used:
                studio.uploads.discard(project, upload)
                found += 1
        note.unlink(missing_ok=True)
    return found


def _name(address: str) -> str:
    """Label Studio puts eight letters and a dash before it."""
    return address.rpartition("/")[2][9:]


def _stored(name: str) -> str:
    """The name that Label Studio gives to a file."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
