"""Lists, numbers, and what somebody has typed or sent, in sentences that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LONGEST = 60


def cut(said: object, most: int = _LONGEST) -> str:
    """What somebody has typed or sent, for a sentence that repeats it: not at endless length, and nothing in it that a terminal
    or a page would not show."""
    text = str(said)
    text = text if len(text) <= most else f"{text[:most].rstrip()}…"
    return "".join(each if each.isprintable() else "?" for each in text)


def quoted(value: object) -> str:
    """The same of any value, as it is written: a text stands between quotation marks."""
    if not isinstance(value, str):
        return cut(repr(value))
    return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST].rstrip()}…")


def some(names: Sequence[str], word: str = "and", most: int = 5) -> str:
    """`“a”, “b” and “c”`; of more than `most` the first ones and how many others there are."""
    shown = [f"“{cut(name)}”" for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} {word} {len(names) - most} more"
    return f" {word} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def listed(names: Iterable[str]) -> str:
    """`a, b, c`, for a table or where names are many; one with a comma, which would be taken for two, stands between quotation marks."""
    return ", ".join(map(in_list, names))


def in_list(name: str) -> str:
    """A name that other things follow after a comma."""
    return f"“{name}”" if "," in name else name


def rounded(rate: float) -> str:
    """A frame rate as people say it, such as 29.97; what is to be written somewhere is exact."""
    return f"{round(rate, 3):g}"


def counted(number: int, noun: str) -> str:
    """`1 region`, `2 regions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
