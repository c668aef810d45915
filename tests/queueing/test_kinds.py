"""The registry of jobs: every name in it leads to a function, which takes what is queued for it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ml_backend.queueing.kinds import KINDS as SHARED
from ml_backend.queueing.kinds import Kind

ROOT = Path(__file__).resolve().parents[2]
# Other tests put sample jobs in their places while they run.
KINDS = dict(SHARED)


def function_of(kind: Kind) -> Callable[..., Any]:
    """As a worker finds it."""
    module, _, name = kind.function.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_name_leads_to_a_function_that_takes_a_project(kind: Kind) -> None:
    function = function_of(kind)
    context, first, *_ = inspect.signature(function).parameters.values()
    assert context.annotation == "JobContext"
    assert first.annotation in (str, "str")
    assert f"{function.__module__}.{function.__qualname__}" == kind.function


def test_no_function_does_two_kinds() -> None:
    assert len({kind.function for kind in KINDS.values()}) == len(KINDS)


def requests() -> Iterator[tuple[str, str, int]]:
    """Where a job of a kind is queued, the kind, and how many arguments follow; the project is the first."""
    for path in sorted((ROOT / "ml_backend").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            before = {"enqueue": 1, "request_after": 2}.get(node.func.id)
            if before is None or len(node.args) <= before or any(isinstance(each, ast.Starred) for each in node.args):
                continue
            named = node.args[before]
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", named.value, len(node.args) - before - 1


@pytest.mark.parametrize(("where", "kind", "arguments"), list(requests()))
def test_what_is_queued_fits_its_function(where: str, kind: str, arguments: int) -> None:
    assert kind in KINDS, where
    context = object()
    inspect.signature(function_of(KINDS[kind])).bind(context, *range(arguments))
