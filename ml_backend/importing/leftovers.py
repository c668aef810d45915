"""Uploads of which no task was made, because the import was killed or heard no answer. A note tells the next import of each."""

from __future__ import annotations

import fcntl
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml_backend.labelstudio.uploads import Intake


@contextmanager
def noted(folder: Path, intake: Intake, project: int, name: str, size: int) -> Iterator[Path]:
    """Keeps a note in `folder`, which it yields, that a file of `size` bytes is being brought in under `name`. It stays
    when an error ends the `with` block, or a kill."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{uuid.uuid4().hex}.upload"
    with note.open("w") as file:
        # Whoever finds the note free knows that its import is over.
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump([intake.url, project, name, size], file)
        file.flush()
        yield note
        note.unlink(missing_ok=True)


def remove_leftovers(folder: Path, intake: Intake, project: int, key: str) -> int:
    """Deletes the uploads that notes in `folder` tell of, unless a task uses them; returns how many. `key`: where a task's
    data name its video. Raises as Intake does."""
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
        if (url, of_project) != (intake.url, project):
            continue
        alike = [each for each in intake.uploads(project) if each.size == size and _name(each.address) == _stored(name)]
        # Asked afterwards, so that what another import brings in meanwhile is not among the uploads, or has its task.
        used = {task.data.get(key) for task in intake.held(project)}
        for upload in alike:
            if upload.address not in used:
                intake.forget(project, upload)
                found += 1
        note.unlink(missing_ok=True)
    return found


def _name(address: str) -> str:
    """Label Studio puts eight letters and a dash before it."""
    return address.rpartition("/")[2][9:]


def _stored(name: str) -> str:
    """The name that Label Studio gives to a file."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
