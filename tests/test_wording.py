"""Names and numbers, as they stand in sentences."""

from __future__ import annotations

import pytest

from ml_backend.wording import counted, some


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


def test_one_is_not_many() -> None:
    assert [counted(number, "region") for number in (0, 1, 2)] == ["0 regions", "1 region", "2 regions"]
