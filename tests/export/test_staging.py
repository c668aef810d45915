"""Several outputs are there together, or none of them is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ml_backend.errors import SettingsError, StorageError
from ml_backend.export.staging import MARK, Output, check_outputs, staged


@pytest.fixture
def outputs(tmp_path: Path) -> tuple[Output, Output]:
    return Output(tmp_path / "new" / "boxes.json", "--out", False), Output(tmp_path / "pictures", "--images", True)


def write(outputs: tuple[Output, ...], text: str, *, fail: bool = False) -> None:
    with staged(outputs) as places:
        places["--out"].write_text(text)
        (places["--images"] / f"{text}.jpg").write_text(text)
        if fail:
            raise KeyboardInterrupt


def test_all_are_written(outputs: tuple[Output, Output], tmp_path: Path) -> None:
    write(outputs, "one")
    assert (tmp_path / "new" / "boxes.json").read_text() == "one"
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [MARK, "one.jpg"]
    assert not list(tmp_path.rglob("*.part"))


def test_what_fails_leaves_nothing_and_what_was_there_stays(outputs: tuple[Output, Output], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(outputs, "one", fail=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    write(outputs, "one")
    with pytest.raises(KeyboardInterrupt):
        write(outputs, "two", fail=True)
    assert (tmp_path / "new" / "boxes.json").read_text() == "one"
    assert (tmp_path / "pictures" / "one.jpg").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_overwriting_leaves_nothing_of_what_was_there(outputs: tuple[Output, Output], tmp_path: Path) -> None:
    write(outputs, "one")
    check_outputs(outputs, [], overwrite=True)
    write(outputs, "two")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [MARK, "two.jpg"]


def test_what_is_there_is_refused(outputs: tuple[Output, Output]) -> None:
    check_outputs(outputs, [], overwrite=False)
    write(outputs, "one")
    with pytest.raises(SettingsError, match="already exists"):
        check_outputs(outputs, [], overwrite=False)


def test_a_folder_of_somebody_else_is_never_overwritten(outputs: tuple[Output, Output], tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(SettingsError, match="is not overwritten"):
        check_outputs(outputs, [], overwrite=True)
    (tmp_path / "boxes").mkdir()
    with pytest.raises(SettingsError, match="no file"):
        check_outputs([Output(tmp_path / "boxes", "--out", False)], [], overwrite=True)


def test_nor_is_a_link(outputs: tuple[Output, Output], tmp_path: Path) -> None:
    write(outputs, "one")
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    with pytest.raises(SettingsError, match="is not overwritten"):
        check_outputs([Output(tmp_path / "link", "--drawn", True)], [], overwrite=True)


def test_a_video_is_not_overwritten_nor_what_it_lies_in(outputs: tuple[Output, Output], tmp_path: Path) -> None:
    write(outputs, "one")
    film = tmp_path / "pictures" / "film.mp4"
    film.write_text("film")
    with pytest.raises(SettingsError, match="has one in it"):
        check_outputs(outputs, [film], overwrite=True)
    with pytest.raises(SettingsError, match="is a video that is to be read"):
        check_outputs([Output(film, "--out", False)], [film], overwrite=True)


def test_one_place_is_not_in_another(tmp_path: Path) -> None:
    for other in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(SettingsError, match="lies in --images"):
            check_outputs([Output(tmp_path / "a", "--images", True), Output(other, "--drawn", True)], [], False)


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    def write() -> None:
        with staged([Output(tmp_path / "file" / "boxes.json", "--out", False)]):
            pass

    with pytest.raises(StorageError, match="cannot be written"):
        write()


def test_nor_is_a_folder_with_the_name_of_an_unfinished_one(outputs: tuple[Output, Output], tmp_path: Path) -> None:
    unfinished = tmp_path / "pictures.part"
    unfinished.mkdir()
    with pytest.raises(SettingsError, match="is in the way"):
        check_outputs(outputs, [], overwrite=True)
    # A run that was killed left this one.
    (unfinished / MARK).touch()
    check_outputs(outputs, [], overwrite=False)
    write(outputs, "one")
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "Free up disk space, or give another name."),
        (errno.EDQUOT, "Free up disk space, or give another name."),
        (errno.EROFS, "Make the folder writable for this user, or give another name."),
        (errno.EACCES, "Make the folder writable for this user, or give another name."),
        (errno.ENAMETOOLONG, "Give another name."),
        (errno.ENOTDIR, "Give another name."),
    ],
)
def test_what_to_do_fits_the_reason(tmp_path: Path, number: int, said: str) -> None:
    with pytest.raises(StorageError) as raised, staged([Output(tmp_path / "boxes.json", "--out", False)]):
        raise OSError(number, os.strerror(number), str(tmp_path / "boxes.json.part"))
    assert raised.value.message == f"{tmp_path / 'boxes.json.part'} cannot be written ({os.strerror(number)})."
    assert raised.value.remedy == said


def test_a_name_that_is_too_long_is_not_a_full_disk(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"File name too long\)\. Give another name\."),
        staged([Output(tmp_path / ("x" * 300), "--out", True)]),
    ):
        pass
