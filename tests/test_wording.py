"""Lists of names, as they stand in sentences."""

from __future__ import annotations

import pytest

from ml_backend.wording import some


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
