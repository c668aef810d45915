"""The order of a version's tasks grows and shrinks with them, and is another for each version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import StorageError
from ml_backend.projects import stored_predictions
from ml_backend.projects.stored_predictions import PLACED

P = "7.1769860800"


def save(folder: Path, version: str, **scores: float) -> None:
    rows = np.zeros(len(scores), PLACED)
    rows["task"], rows["score"] = [int(task[1:]) for task in scores], list(scores.values())
    stored_predictions.save_order(folder, P, version, rows)


def scores(folder: Path, version: str) -> dict[int, float]:
    return {int(row["task"]): float(row["score"]) for row in stored_predictions.load_order(folder, P, version)}


def test_tasks_take_their_places_and_change_them(tmp_path: Path) -> None:
    assert scores(tmp_path, "cold-v1") == {}
    save(tmp_path, "cold-v1", t1=0.25, t2=0.5)
    save(tmp_path, "cold-v1", t2=0.75, t3=1)
    save(tmp_path, "cold-v2", t1=0)
    assert scores(tmp_path, "cold-v1") == {1: 0.25, 2: 0.75, 3: 1}
    assert scores(tmp_path, "cold-v2") == {1: 0}


def test_those_that_are_gone_leave_it_in_all_versions(tmp_path: Path) -> None:
    stored_predictions.drop_from_order(tmp_path, P, [1])
    for version in ("cold-v1", "cold-v2"):
        save(tmp_path, version, t1=0.25, t2=0.5)
    stored_predictions.drop_from_order(tmp_path, P, [1])
    assert scores(tmp_path, "cold-v1") == scores(tmp_path, "cold-v2") == {2: 0.5}


def test_a_version_that_is_gone_takes_its_order_along(tmp_path: Path) -> None:
    save(tmp_path, "cold-v1", t1=0.25)
    for _ in range(2):
        stored_predictions.delete_order(tmp_path, P, "cold-v1")
    assert scores(tmp_path, "cold-v1") == {}


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "projects").write_text("in the way")
    with pytest.raises(StorageError, match="DATA_DIR"):
        save(tmp_path, "cold-v1", t1=0.25)
