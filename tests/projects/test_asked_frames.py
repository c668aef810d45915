"""What is noted of a project's pictures and videos can be replaced, dropped, cut off and thrown away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import StorageError
from ml_backend.projects import asked_frames
from ml_backend.projects.asked_frames import NONE, PICTURE, VIDEO, Repeat

P = "7.1769860800"


def asked(task: int, *frames: int, same: tuple[int, int] | None = None) -> np.ndarray:
    rows = np.zeros(len(frames), PICTURE)
    rows["task"], rows["frame"] = task, frames
    rows["same_task"], rows["same_frame"] = same or (NONE, NONE)
    return rows


def put(folder: Path, task: int, rows: np.ndarray) -> None:
    with asked_frames.writing(folder, P):
        asked_frames.put_pictures(folder, P, task, rows)


def video(folder: Path, task: int, copy_of: int = NONE) -> None:
    row = np.zeros(1, VIDEO)
    row["task"], row["copy_of"] = task, copy_of
    with asked_frames.writing(folder, P):
        asked_frames.put_video(folder, P, row)


def held(folder: Path) -> list[tuple[int, int]]:
    rows = asked_frames.pictures(folder, P)
    return sorted((int(row["task"]), int(row["frame"])) for row in rows if row["task"] >= 0)


def test_of_an_unknown_project_nothing_is_held(tmp_path: Path) -> None:
    assert not len(asked_frames.pictures(tmp_path, P))
    assert asked_frames.copies(tmp_path, P) == []
    assert asked_frames.repeats(tmp_path, P) == []


def test_a_task_s_pictures_take_the_place_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, 1, asked(1, 10, 20, 30))
    put(tmp_path, 2, asked(2, 5))
    put(tmp_path, 1, asked(1, 40))
    put(tmp_path, 3, asked(3, 6, 7, 8))
    assert held(tmp_path) == [(1, 40), (2, 5), (3, 6), (3, 7), (3, 8)]
    assert len(asked_frames.pictures(tmp_path, P)) == 5, "room that became free is used again"


def test_a_row_that_was_cut_off_is_none(tmp_path: Path) -> None:
    put(tmp_path, 1, asked(1, 10, 20))
    (path,) = tmp_path.rglob("pictures.rows")
    path.write_bytes(path.read_bytes()[:-1])
    assert held(tmp_path) == [(1, 10)]
    put(tmp_path, 2, asked(2, 5))
    assert held(tmp_path) == [(1, 10), (2, 5)]


def test_tasks_that_are_gone_are_dropped_with_what_points_to_them(tmp_path: Path) -> None:
    for task in (1, 2, 3):
        video(tmp_path, task, NONE if task == 1 else 1)
    put(tmp_path, 1, asked(1, 10))
    put(tmp_path, 2, asked(2, 11, same=(1, 10)))
    assert asked_frames.copies(tmp_path, P) == [[1, 2, 3]]
    assert asked_frames.repeats(tmp_path, P) == [Repeat(2, 11, 1, 10)]
    assert asked_frames.shared_pictures(tmp_path, P, 10) == ([(2, 1, 1)], 1)
    asked_frames.drop(tmp_path, P, [3])
    assert asked_frames.copies(tmp_path, P) == [[1, 2]]
    asked_frames.drop(tmp_path, P, [1])
    assert asked_frames.copies(tmp_path, P) == []
    assert asked_frames.repeats(tmp_path, P) == []
    assert asked_frames.shared_pictures(tmp_path, P, 10) == ([], 0)
    assert held(tmp_path) == [(2, 11)]


def test_pairs_of_tasks_that_share_most_pictures_come_first(tmp_path: Path) -> None:
    put(tmp_path, 1, asked(1, 10))
    put(tmp_path, 2, asked(2, 11, same=(1, 10)))
    put(tmp_path, 3, asked(3, 12, 13, same=(1, 10)))
    put(tmp_path, 4, asked(4, 12, 13, same=(2, 11)))
    assert asked_frames.shared_pictures(tmp_path, P, 2) == ([(3, 1, 2), (4, 2, 2)], 3)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "projects").write_text("in the way")
    with pytest.raises(StorageError, match="DATA_DIR"):
        put(tmp_path, 1, asked(1, 10))
