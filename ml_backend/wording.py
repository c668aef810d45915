"""Lists, numbers, and what somebody has typed or sent, in sentences that people read."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 80


def cut(said: object, most: int = _LONGEST) -> str:
    """What somebody has typed or sent, for a sentence that repeats it: not at endless length, and nothing in it that a terminal
    or a page would not show."""
    text = str(said)
    text = text if len(text) <= most else f"{text[:most].rstrip()}…"
    return "".join(each if each.isprintable() else " " for each in text)


def some(names: Sequence[str], word: str = "and", most: int = 5) -> str:
    """`“a”, “b” and “c”`; of more than `most` the first ones and how many others there are."""
    shown = [f"“{name}”" for name in names]
    if len(shown) > most:
        return f"{', '.join(shown[:most])} {word} {len(shown) - most} more"
    return f" {word} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def counted(number: int, noun: str) -> str:
    """`1 region`, `2 regions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
