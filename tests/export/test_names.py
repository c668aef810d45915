"""Label names that are no file names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.export.target import file_name, folder_names, stem


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("walks left", "walks_left"),
        ("a/b\\c", "a_b_c"),
        ("../../etc", "etc"),
        ("..", "_"),
        ("", "_"),
        ("Füße 走", "Füße_走"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("what?*", "what"),
    ],
)
def test_a_label_becomes_a_name_that_every_system_takes(label: str, name: str) -> None:
    assert file_name(label) == name


def test_labels_that_look_alike_keep_folders_of_their_own() -> None:
    assert folder_names(["a/b", "a b", "A_B", "c"]) == {"a/b": "a_b", "a b": "a_b_2", "A_B": "A_B_3", "c": "c"}


@given(st.lists(st.text(max_size=300), max_size=6, unique=True))
def test_every_label_has_one_folder_that_can_be_made(labels: list[str]) -> None:
    names = folder_names(labels)
    assert list(names) == labels
    assert len({name.casefold() for name in names.values()}) == len(labels)
    for name in names.values():
        assert Path(name).name == name
        assert 0 < len(name.encode("utf-8", "surrogatepass")) <= 110


@pytest.mark.parametrize(
    ("video", "begins"),
    [
        ("Capture d'écran.mp4", "Capture_d'écran"),
        ("day.mp4 0-60 s", "day_0-60"),
        ("day.mp4 12.5-60 s", "day_12.5-60"),
        ("2026.05.01 at noon.mov", "2026.05.01_at_noon"),
        ("no ending", "no_ending"),
        (".mp4", "mp4"),
        ("", "_"),
    ],
)
def test_what_is_made_of_a_video_begins_with_its_name_and_says_which_part_it_is(video: str, begins: str) -> None:
    assert stem(video) == begins
