"""A folder or a zip has its name only when it is whole, and what was interrupted is continued."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from ml_backend.errors import SettingsError, StorageError
from ml_backend.export.target import opened

CONTENT = {f"cat/{number}.jpg": bytes([number]) * 100 for number in range(6)}


def read(path: Path) -> dict[str, bytes]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def interrupt(path: Path, after: int, fingerprint: str = "these") -> None:
    def write() -> None:
        with opened(path, fingerprint) as target:
            for name, content in list(CONTENT.items())[:after]:
                target.write(name, content)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()


def finish(path: Path, fingerprint: str = "these") -> list[str]:
    """Writes what is missing; returns the names of it."""
    with opened(path, fingerprint) as target:
        missing = [name for name in CONTENT if not target.has(name)]
        for name in missing:
            target.write(name, CONTENT[name])
    return missing


@pytest.fixture(params=["out", "out.zip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "new" / request.param


def test_all_is_written(path: Path) -> None:
    finish(path)
    assert read(path) == CONTENT
    assert os.listdir(path.parent) == [path.name]


def test_nothing_has_the_final_name_before_it_is_whole(path: Path) -> None:
    interrupt(path, 3)
    assert not path.exists()


def test_an_interrupted_export_is_continued(path: Path) -> None:
    interrupt(path, 2)
    interrupt(path, 0)
    assert finish(path) == list(CONTENT)[2:]
    assert read(path) == CONTENT
    assert os.listdir(path.parent) == [path.name]


def test_an_export_of_something_else_begins_anew(path: Path) -> None:
    interrupt(path, 4, "those")
    assert finish(path) == list(CONTENT)
    assert read(path) == CONTENT


def test_what_is_there_already_is_not_touched(path: Path) -> None:
    finish(path)
    with pytest.raises(SettingsError, match="already exists"), opened(path, "others"):
        pass
    assert read(path) == CONTENT


def test_a_zip_of_which_the_end_was_lost_is_continued(tmp_path: Path) -> None:
    """Killed, or the machine lost power: the journal may know of more than the disk has."""
    path = tmp_path / "out.zip"
    interrupt(path, 5)
    part = path.with_name("out.zip.part")
    os.truncate(part, 3 * (part.stat().st_size // 8))
    missing = finish(path)
    assert 0 < len(missing) < len(CONTENT)
    assert read(path) == CONTENT


def test_a_journal_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "out.zip"
    interrupt(path, 3)
    journal = path.with_name("out.zip.part.entries")
    journal.write_text(journal.read_text()[:-20])
    assert finish(path) == list(CONTENT)[2:]
    assert read(path) == CONTENT


def test_a_target_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"cannot be written .*continues where this one stopped"):
        finish(tmp_path / "file" / "out")


def test_what_somebody_else_has_put_where_it_is_written_first_is_not_taken(path: Path) -> None:
    mine = path.with_name(f"{path.name}.part")
    path.parent.mkdir()
    if path.suffix == ".zip":
        mine.write_bytes(b"half of a download")
        kept = mine
    else:
        mine.mkdir()
        kept = mine / "mine.txt"
        kept.write_bytes(b"half of a download")
    with pytest.raises(SettingsError, match="is in the way, and no export has written it"):
        finish(path)
    assert kept.read_bytes() == b"half of a download"
