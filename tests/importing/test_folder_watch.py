"""A file that comes into a watched folder is taken when it is whole, and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_backend.errors import SettingsError
from ml_backend.importing.folder_watch import Arrivals, files_in


def test_a_file_that_grows_is_left_until_it_stays_the_same(tmp_path: Path) -> None:
    arrivals, path = Arrivals(tmp_path), tmp_path / "a.mp4"
    path.write_bytes(b"1")
    assert arrivals.poll() == []
    path.write_bytes(b"12")
    assert arrivals.poll() == []
    assert arrivals.poll() == [path]
    assert arrivals.poll() == []


def test_it_is_given_out_again_when_it_changes_or_is_asked_for(tmp_path: Path) -> None:
    arrivals, path = Arrivals(tmp_path), tmp_path / "a.mp4"
    path.write_bytes(b"1")
    assert (arrivals.poll(), arrivals.poll()) == ([], [path])
    arrivals.again(path)
    assert arrivals.poll() == [path]
    path.write_bytes(b"other")
    assert (arrivals.poll(), arrivals.poll()) == ([], [path])


def test_only_videos_are_taken(tmp_path: Path) -> None:
    for name in ("a.mp4", "B.MOV", "notes.txt", ".hidden.mp4", "film.mp4.part"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "folder.mp4").mkdir()
    assert [path.name for path in files_in(tmp_path)] == ["B.MOV", "a.mp4"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="missing cannot be read"):
        Arrivals(tmp_path / "missing").poll()
