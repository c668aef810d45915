"""Whatever a file that claims to be a video holds, it is used as far as it is good, or refused with one clear error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.service.corpus import FRAMES, broken_files, lists, names
from benchmarks.service.examining import Examined, examine_all, trap

Found = dict[str, Examined]


@pytest.fixture(scope="module")
def asked_and_found(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Found]:
    with trap() as server:
        files = broken_files(tmp_path_factory.mktemp("broken"), server.url)
        return server.asked, {examined.name: examined for examined in examine_all(files)}


@pytest.fixture
def found(asked_and_found: tuple[list[str], Found]) -> Found:
    return asked_and_found[1]


@pytest.mark.parametrize("name", names())
def test_each_is_used_or_refused(found: Found, name: str) -> None:
    examined = found[name]
    assert examined.trouble is None
    assert (examined.frames is None) != (examined.error is None)
    if examined.error is not None:
        # What is wrong with which file, then what to do; a command is not followed by a period, so that it can be copied.
        assert re.fullmatch(r"\S.*\. \S.*(\.|: ffmpeg -.*)", examined.error)
        assert name in examined.error


def test_nothing_asks_for_the_addresses_they_name(asked_and_found: tuple[list[str], Found]) -> None:
    asked, found = asked_and_found
    assert len(found) == len(names())
    assert asked == []


@pytest.mark.parametrize("name", lists())
def test_no_list_stands_for_the_files_that_it_names(found: Found, name: str) -> None:
    """One of them is a good video beside it, so that it would show frames."""
    assert found[name].frames is None


@pytest.mark.parametrize("name", ["elsewhere-alias.mp4", "elsewhere-neighbour.mp4"])
def test_nor_does_a_video_whose_pictures_are_said_to_lie_elsewhere(found: Found, name: str) -> None:
    assert found[name].frames is None


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("wrong-suffix")])
def test_the_name_of_a_file_says_nothing(found: Found, name: str) -> None:
    assert found[name].frames == FRAMES


def test_what_is_good_of_a_damaged_one_is_used(found: Found) -> None:
    damaged = [each for each in found.values() if each.name.startswith(("cut-", "flipped-", "hole"))]
    assert sum(bool(each.frames) for each in damaged) > len(damaged) / 2
    for suffix in (".mkv", ".webm", ".ts"):
        assert 0 < (found[f"cut-0.5{suffix}"].frames or 0) < FRAMES


def test_a_process_that_is_taken_down_would_be_noticed(tmp_path: Path) -> None:
    """Else the first test would prove little."""
    fifo = tmp_path / "gone.mp4"
    examined = examine_all({"gone.mp4": fifo, "also-gone.mp4": fifo})
    assert ["FileNotFoundError" in (each.trouble or "") for each in examined] == [True, True]
