"""No task's address makes a worker call this machine or its network, however it is written, redirected or looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.service.ssrf import INTERNET, Outcome, run_attempts


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return run_attempts(tmp_path_factory.mktemp("videos"))


def test_none_of_them_reaches_anything_inside(outcomes: list[Outcome]) -> None:
    assert len(outcomes) > 150
    assert [outcome for outcome in outcomes if outcome.let_through] == []


def test_each_is_refused_with_a_reason(outcomes: list[Outcome]) -> None:
    assert [outcome for outcome in outcomes if not outcome.clear] == []
    # Names that still lead to the internet when they are asked for are fetched from there.
    fetched = {outcome.attempt.way for outcome in outcomes if outcome.error is None}
    assert fetched == {"rebinding"}


def test_a_careless_setting_would_be_noticed(tmp_path: Path) -> None:
    """Else the two above would prove nothing."""
    careless = run_attempts(tmp_path, (INTERNET, "127.0.0.0/8", "::1"))
    ways = {outcome.attempt.way for outcome in careless if outcome.let_through}
    assert ways == {"direct", "redirect", "redirect, the second time", "rebinding", "parsing"}
