"""The labels that a project's tasks bring along (`<TimelineLabels value="$labels">`), over all of its tasks, as a file beside its
models. Imports nothing heavy: the web reads it too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_backend.projects.files import write_whole
from ml_backend.projects.folder import ProjectFolder

Labels = Mapping[str, Sequence[str]]


def save(data_dir: Path, project: str, state: Sequence[Any], labels: Labels) -> None:
    """`labels`: by control. `state`: tells one state of the tasks and the config from another. Raises StorageError."""
    content = json.dumps({"state": state, "labels": labels}, ensure_ascii=False).encode()
    write_whole(_path(data_dir, project), content, "Labels of tasks")


def load(data_dir: Path, project: str, state: Sequence[Any] | None = None) -> Labels | None:
    """None when they are not known, or not of this `state`; whatever they are of when that is None."""
    try:
        stored = json.loads(_path(data_dir, project).read_text(encoding="utf-8"))
        fits = state is None or stored["state"] == list(state)
        return {str(name): tuple(map(str, found)) for name, found in stored["labels"].items()} if fits else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _path(data_dir: Path, project: str) -> Path:
    return ProjectFolder(data_dir, project).task_labels
