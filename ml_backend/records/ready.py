"""Predictions that were stored in Label Studio, kept as files so that `/predict` can answer from them in milliseconds.

A file is written only after Label Studio has the prediction; so an answer to `/predict` never makes a second one. Its
first line is the answer as JSON, its second the checksum of the first and the number of regions: an answer of 1,200 tasks
would take a tenth of a second to parse and write again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_backend.records.files import write_whole


def save(data_dir: Path, project: str, prediction: Mapping[str, Any]) -> None:
    """`prediction`: the item as it was pushed, with its task and model version. Raises StorageError."""
    path = _path(data_dir, project, prediction["model_version"], prediction["task"])
    text = json.dumps({key: value for key, value in prediction.items() if key != "task"}).encode()
    content = b"%b\n%08x %d" % (text, zlib.crc32(text), len(prediction["result"]))
    write_whole(path, content, "A prediction")


def load(data_dir: Path, project: str, version: str, task: int) -> dict[str, Any] | None:
    """The prediction; None when there is none or its file is damaged."""
    found = _read(data_dir, project, version, task)
    if found is None:
        return None
    prediction: dict[str, Any] = json.loads(found[0])
    return prediction


def answer(data_dir: Path, project: str, version: str, task: int) -> str | None:
    """The prediction as JSON; None also when it has no region."""
    found = _read(data_dir, project, version, task)
    return None if found is None or not found[1] else found[0].decode()


def _read(data_dir: Path, project: str, version: str, task: int) -> tuple[bytes, int] | None:
    try:
        # Without pathlib, which takes longer than the reading.
        with open(f"{data_dir}/projects/{project}/predictions/{version}/{task}.json", "rb") as file:
            content, _, tail = file.read().rpartition(b"\n")
        checksum, regions = tail.split()
        return (content, int(regions)) if int(checksum, 16) == zlib.crc32(content) else None
    except (OSError, ValueError):
        return None


def versions(data_dir: Path, project: str) -> list[str]:
    """The model versions of which some task has a prediction ready, sorted."""
    folder = _path(data_dir, project, "any", 0).parent.parent
    return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def number(data_dir: Path, project: str, version: str) -> int:
    """How many tasks have a prediction of a version ready."""
    try:
        with os.scandir(_path(data_dir, project, version, 0).parent) as entries:
            return sum(entry.name.endswith(".json") for entry in entries)
    except OSError:
        return 0


def tasks(data_dir: Path, project: str) -> set[int]:
    """The tasks that have a prediction ready, of whatever version."""
    found = _path(data_dir, project, "any", 0).parent.parent.glob("*/*.json")
    return {int(path.stem) for path in found if path.stem.isdecimal()}


def delete_task(data_dir: Path, project: str, task: int) -> None:
    for version in versions(data_dir, project):
        with contextlib.suppress(OSError):
            _path(data_dir, project, version, task).unlink(missing_ok=True)


def delete(data_dir: Path, project: str, version: str) -> None:
    shutil.rmtree(_path(data_dir, project, version, 0).parent, ignore_errors=True)


def _path(data_dir: Path, project: str, version: str, task: int) -> Path:
    return data_dir / "projects" / project / "predictions" / version / f"{task}.json"
