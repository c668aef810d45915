"""Which tasks have a file, and which files say most: the same as reading all of them, while others write."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ml_backend.projects.storage import write_whole
from ml_backend.projects.task_files import best_of, tasks_with_file


def put(folder: Path, task: int, *worths: float) -> None:
    write_whole(folder / f"{task}.json", json.dumps(worths).encode(), "A file")


@pytest.fixture
def reads(tmp_path: Path) -> list[str]:
    return []


def best(folder: Path, most: int, reads: list[str]) -> tuple[list[float], int]:
    def read(path: Path) -> Sequence[float]:
        reads.append(path.name)
        return [float(worth) for worth in json.loads(path.read_text())]

    return best_of(folder, read, lambda worth: worth, most)


def long_ago(folder: Path) -> None:
    os.utime(folder, (1, 1))


class TestWhichTasksHaveOne:
    def test_none_where_there_is_no_folder(self, tmp_path: Path) -> None:
        assert tasks_with_file(tmp_path / "none").tolist() == []

    def test_ascending_and_without_what_else_lies_there(self, tmp_path: Path) -> None:
        for name in ("10.json", "9.json", ".abc.part", "report.json", "8.jpg"):
            (tmp_path / name).touch()
        assert tasks_with_file(tmp_path).tolist() == [9, 10]

    def test_one_that_comes_or_goes_right_after_is_noticed(self, tmp_path: Path) -> None:
        for task in range(1, 50):
            put(tmp_path, task)
            assert len(tasks_with_file(tmp_path)) == task
        (tmp_path / "1.json").unlink()
        assert len(tasks_with_file(tmp_path)) == 48

    def test_nothing_is_listed_again_while_nothing_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(tmp_path, 1)
        long_ago(tmp_path)
        assert tasks_with_file(tmp_path).tolist() == [1]
        with monkeypatch.context() as patched:
            patched.setattr(os, "listdir", lambda _: pytest.fail("it was listed again"))
            assert tasks_with_file(tmp_path).tolist() == [1]
        put(tmp_path, 2)
        assert tasks_with_file(tmp_path).tolist() == [1, 2]


class TestWhichSayMost:
    def test_none_where_there_is_no_folder(self, tmp_path: Path, reads: list[str]) -> None:
        assert best(tmp_path / "none", 3, reads) == ([], 0)

    def test_the_same_as_of_all_rows(self, tmp_path: Path, reads: list[str]) -> None:
        for task in range(1, 20):
            put(tmp_path, task, *(((7 * task + 3 * n) % 23) / 23 for n in range(task % 4)))
        rows = sorted((each for path in tmp_path.glob("*.json") for each in json.loads(path.read_text())), reverse=True)
        assert best(tmp_path, 5, reads) == (rows[:5], len(rows))

    def test_only_what_has_changed_is_read_again(self, tmp_path: Path, reads: list[str]) -> None:
        put(tmp_path, 1, 0.1)
        put(tmp_path, 2, 0.5)
        put(tmp_path, 3, 0.3)
        assert best(tmp_path, 1, reads) == ([0.5], 3)
        reads.clear()
        put(tmp_path, 1, 0.7, 0.6)
        assert best(tmp_path, 1, reads) == ([0.7], 4)
        assert reads == ["1.json", "1.json"], "once since it has changed, once since it is the best"

    def test_what_is_gone_does_not_count(self, tmp_path: Path, reads: list[str]) -> None:
        put(tmp_path, 1, 0.1)
        put(tmp_path, 2, 0.5)
        best(tmp_path, 1, reads)
        (tmp_path / "2.json").unlink()
        assert best(tmp_path, 1, reads) == ([0.1], 1)
