"""Every regular expression takes time in proportion to what it reads: tasks, label configs and tags are written by others.

The seconds here, of the processor's time, are a generous bound: what is linear takes milliseconds.
"""

from __future__ import annotations

import ast
import importlib
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest

from ml_backend.logs import without_secrets
from ml_backend.video.safe_http import shown

ROOT = Path(__file__).resolve().parents[1]
_CHARACTERS = 60_000
_SECONDS = 5.0


class Use(NamedTuple):
    """A pattern, and how it is tried: *search* for all that goes through a text, *match* for what begins at its start."""

    pattern: str
    how: str


def uses() -> Iterator[tuple[str, Use]]:
    """Each pattern of the code, with where it stands."""
    for path in sorted([*(ROOT / "ml_backend").rglob("*.py"), *(ROOT / "sampling").rglob("*.py")]):
        source, name = path.read_text(encoding="utf-8"), ".".join(path.relative_to(ROOT).with_suffix("").parts)
        tree = ast.parse(source)
        kept = {node.value: ast.unparse(node.targets[0]) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.") and node.args):
                continue
            if isinstance(node.args[0], ast.Constant):
                pattern = str(node.args[0].value)
            else:  # made of others of the module
                code = compile(ast.Expression(node.args[0]), str(path), "eval")
                pattern = eval(code, vars(importlib.import_module(name)))
            called = {ast.unparse(node.func).removeprefix("re.")}
            if called == {"compile"}:
                called = set(re.findall(rf"\b{re.escape(kept.get(node, '?'))}\.(\w+)\(", source))
            how = "match" if called and called <= {"match", "fullmatch"} else "search"
            yield f"{name}:{node.lineno}:{node.col_offset}", Use(pattern, how)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Ends what takes more of the processor's time: the search for a pattern looks for signals now and then."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"it took more than {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def hard_texts(pattern: str) -> Iterator[str]:
    """Long texts of what the pattern looks for, again and again, of which the end does not fit."""
    words = {word for word in re.split(r"[^A-Za-z0-9]+", re.sub(r"\\[A-Za-z]", " ", pattern)) if 1 < len(word) < 12}
    marks = {mark for mark in pattern if not (mark.isalnum() or mark in r"\()[]{}|^")} | {"a", "1", " ", "-", ":", "/"}
    units = sorted(words | marks)
    pairs = {first + second for first, second in product(units, sorted(marks)) if first in marks or second in ":/?-_="}
    for unit in sorted({*units, *pairs, *_CASES}):
        many = unit * (_CHARACTERS // len(unit))
        yield f"{many}\n\x00!"
        if unit in marks or unit in _CASES:
            yield from (f"{many} a", f"://{many} ")


_CASES = ("a:", "://a:", "eyJ", "eyJ.", "?sig", "&sig=", "//", "//a@", "-v1", "_1_1", "-1_1_1", "custom-a-v1", "+1.1")


def attempt(use: Use, text: str) -> None:
    compiled = re.compile(use.pattern)
    if use.how == "search":
        compiled.sub("", text)
    compiled.match(text)
    compiled.fullmatch(text)


def attempt_all(use: Use) -> None:
    for text in hard_texts(use.pattern):
        attempt(use, text)


USES = dict(uses())


@pytest.mark.parametrize("where", USES)
def test_a_pattern_is_linear(where: str) -> None:
    for text in hard_texts(USES[where].pattern):
        try:
            with within(_SECONDS):
                attempt(USES[where], text)
        except TimeoutError:
            pytest.fail(f"it takes too long on {text[:20]!r}…")


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?<=://)[^\s/@]*:[^\s/@]+(?=@)",
        r"eyJ[\w-]+\.[\w-]+\.[\w-]*",
        r"([?&;][^=&;#]*(?:sig|token)[^=&;#]*=)[^&;#]*",
        r"[\W_]+$",
        r"(a+)+$",
    ],
)
def test_one_that_is_not_would_be_noticed(pattern: str) -> None:
    with pytest.raises(TimeoutError), within(1.0):
        attempt_all(Use(pattern, "search"))


ADDRESSES = {
    "colons": "http://" + "a:" * 60_000,
    "colons and a host": "http://" + "a:" * 60_000 + "@studio.example/a.mp4",
    "parameters": "http://a/?" + "sig" * 40_000,
    "marks": "http://a/" + "?" * 120_000,
    "tokens": "http://a/" + "eyJ" * 40_000,
    "token after token": "http://a/" + "eyJa." * 24_000,
    "slashes": "http:" + "/" * 120_000,
    "at signs": "http://" + "a@" * 60_000,
    "beyond ASCII": "http://" + "ä" * 120_000 + "/a.mp4",
    "brackets": "http://" + "[" * 120_000,
    "percents": "http://a/" + "%" * 120_000,
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_an_address_of_any_length_is_shown_at_once_and_shortly(address: str) -> None:
    with within(_SECONDS):
        assert len(shown(address)) <= 501
        assert len(without_secrets(address)) <= 20_010
