"""Files of rows, which several processes change and read at the same time."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ml_backend.projects import playback, stored_predictions
from ml_backend.projects.storage import mapped_rows, put_rows

P = "7.1769860800"
ROW = np.dtype([("task", "<i8"), ("number", "<i8"), ("rest", "i1", (200,))])
_EACH = 150


def note_places(data_dir: Path, first: int) -> None:
    for task in range(first, first + _EACH):
        playback.note_place(data_dir, P, task, (float(task % 90), 0.0))


def save_order(data_dir: Path, first: int) -> None:
    for task in range(first, first + _EACH):
        row = np.zeros(1, stored_predictions.PLACED)
        row["task"] = task
        stored_predictions.save_order(data_dir, P, "cold-v1", row)


@pytest.mark.parametrize("write", [note_places, save_order])
def test_what_processes_write_at_the_same_time_is_all_there(tmp_path: Path, write: Callable[[Path, int], None]) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as workers:
        workers.starmap(write, [(tmp_path, first * _EACH) for first in range(3)])
    rows = (
        playback.places(tmp_path, P) if write is note_places else stored_predictions.load_order(tmp_path, P, "cold-v1")
    )
    assert sorted(rows["task"].tolist()) == list(range(3 * _EACH))


def test_a_file_that_is_cut_off_while_it_is_read_is_no_error(tmp_path: Path) -> None:
    path, stop = tmp_path / "rows", threading.Event()
    put_rows(path, ROW, [1], np.zeros(500, ROW))
    content = path.read_bytes()

    def cut() -> None:
        with path.open("r+b") as file:
            while not stop.is_set():
                file.truncate(ROW.itemsize)
                file.seek(0)
                file.write(content)
                file.flush()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        found = {len(mapped_rows(path, ROW)) for _ in range(3000)}
    finally:
        stop.set()
        thread.join()
    assert found <= set(range(501))
    assert max(found) > 0


def test_what_was_forgotten_where_nothing_is_leaves_nothing(tmp_path: Path) -> None:
    playback.delete(tmp_path, P, [1, 2])
    assert list(tmp_path.iterdir()) == []
