"""Names and numbers, as they stand in sentences."""

from __future__ import annotations

import pytest

from ml_backend.wording import counted, cut, listed, quoted, rounded, some


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["a"], "“a”"),
        (["a", "b"], "“a” or “b”"),
        (["a", "b", "c", "d", "e"], "“a”, “b”, “c”, “d” or “e”"),
        ([f"l{number}" for number in range(298)], "“l0”, “l1”, “l2”, “l3”, “l4” or 293 more"),
    ],
)
def test_few_are_named_and_many_are_counted(names: list[str], said: str) -> None:
    assert some(names, "or") == said


def test_a_comma_within_a_name_does_not_make_two_of_it() -> None:
    assert listed(["walk", "run, then jump", "rest"]) == "walk, “run, then jump”, rest"
    assert listed([]) == ""


@pytest.mark.parametrize(
    ("rate", "said"),
    [(25.0, "25"), (29.97, "29.97"), (30000 / 1001, "29.97"), (29.4999, "29.5"), (24000 / 1001, "23.976")],
)
def test_a_frame_rate_is_said_as_people_say_it(rate: float, said: str) -> None:
    assert rounded(rate) == said


def test_one_is_not_many() -> None:
    assert [counted(number, "region") for number in (0, 1, 2)] == ["0 regions", "1 region", "2 regions"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("short", "short"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60 + "…"),
        ("x" * 59 + " " + "y" * 2000, "x" * 59 + "…"),
        ("two\nlines\x1b[2J\ud800", "two?lines?[2J?"),
        (["a", 1], "['a', 1]"),
    ],
)
def test_what_somebody_typed_is_repeated_only_so_far(typed: object, said: str) -> None:
    assert cut(typed) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("it's", '"it\'s"'),
        ("x" * 2000, f"'{'x' * 60}…'"),
        ("a\x1b", "'a\\x1b'"),
        (3.5, "3.5"),
        (list(range(100)), str(list(range(100)))[:60].rstrip() + "…"),
    ],
)
def test_a_value_is_repeated_as_it_is_written_only_so_far(value: object, said: str) -> None:
    assert quoted(value) == said


def test_each_of_several_names_is_cut() -> None:
    assert some(["x" * 2000, "b"]) == f"“{'x' * 60}…” and “b”"
