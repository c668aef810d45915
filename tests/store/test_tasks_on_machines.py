"""What lists tasks and finds those that say most sees at once what another machine has written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ml_backend.projects.storage import write_whole
from ml_backend.projects.task_files import best_of, tasks_with_file
from ml_backend.store import files


def put(folder: Path, task: int, *worths: float) -> None:
    write_whole(folder / f"{task}.json", json.dumps(worths).encode(), "A file")


def best(folder: Path) -> tuple[list[float], int]:
    return best_of(folder, lambda path: json.loads(path.read_text()), float, 1)


def test_what_another_machine_writes_changes_and_deletes_is_seen(machine: Callable[..., Path]) -> None:
    a, b = (machine(name) / "projects" / "7" for name in "ab")
    put(a, 1, 0.5)
    assert (tasks_with_file(b).tolist(), best(b)) == ([1], ([0.5], 1))
    put(a, 2, 0.7, 0.1)
    assert (tasks_with_file(b).tolist(), best(b)) == ([1, 2], ([0.7], 3))
    put(a, 2, 0.2)
    assert best(b) == ([0.5], 2)
    files.remove(a / "1.json")
    assert (tasks_with_file(b).tolist(), best(b)) == ([2], ([0.2], 1))
