"""A person names a project by its number in Label Studio, which may have had several of that number."""

from __future__ import annotations

import pytest

from ml_backend.projects.registry import keys_of, number_of


@pytest.mark.parametrize(
    ("project", "keys"),
    [
        ("7", ["7.1763000000"]),
        ("7.1763000000", ["7.1763000000"]),
        ("70", ["70.1763000000"]),
        ("8", ["8.999999999", "8.1763000000", "8.1764000000"]),  # the number was used again: the newest last
        ("8.999999999", ["8.999999999"]),
        ("1763000000", []),
        ("", []),
    ],
)
def test_the_keys_of_a_project(project: str, keys: list[str]) -> None:
    every = ["70.1763000000", "8.1764000000", "8.999999999", "7.1763000000", "8.1763000000", "notes"]
    assert keys_of(every, project) == keys


def test_the_number_of_a_key() -> None:
    assert number_of("70.1763000000") == 70
