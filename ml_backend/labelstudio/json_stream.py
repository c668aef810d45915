"""Some fields of a large JSON object, read piece by piece, so that its size does not matter.

Label Studio names 100,000 new tasks in one event of 50 MB. Parsed at once they take 190 MB, and as long as that lasts no
other thread of the process runs.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

Each = Callable[[Any], Any]

_PIECE = 1 << 16
_SPACE = re.compile(r"[ \t\n\r]*")
_NOTHING_YET = frozenset(["", *" \t\n\r"])
_parse = json.JSONDecoder().raw_decode


class Stream(Protocol):
    """What a body is read from: at most `size` bytes at a time, none at its end."""

    def read(self, size: int, /) -> bytes: ...


def skim(stream: Stream, fields: Mapping[str, Each | None]) -> dict[str, Any]:
    """Those of `fields` that the object has; the others are dropped.

    With a function, a field that is a list holds what the function makes of each item. Of such lists, and of those that are
    dropped, one item is in memory at a time; all else is read whole. Raises ValueError when the stream is not one JSON
    object in UTF-8, and RecursionError when it is nested too deeply.
    """
    text = _Text(stream)
    found: dict[str, Any] = {}
    for name in text.names():
        each = fields.get(name)
        if text.next() != "[" or (name in fields and each is None):
            value = text.value(",", "}")
            if name in fields:
                found[name] = value
        elif each is not None:
            found[name] = [each(item) for item in text.items()]
        else:
            for _ in text.items():
                pass
    return found


class _Text:
    """What has been read of a stream and not been used yet."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at, self._ended = "", 0, False

    def names(self) -> Iterator[str]:
        """The names of the object's fields; each time the value is to be read next."""
        for _ in self._between("{", "}"):
            name = self.value(":")
            if not isinstance(name, str):
                raise ValueError("a field's name is no text")
            self._take(":")
            yield name
        if self.next():
            raise ValueError("something follows the object")

    def items(self) -> Iterator[Any]:
        """The items of the list that begins here."""
        for _ in self._between("[", "]"):
            yield self.value(",", "]")

    def _between(self, opening: str, closing: str) -> Iterator[None]:
        """Once before each of what stands between two brackets, with commas."""
        self._take(opening)
        if self.next() != closing:
            yield
            while self.next() == ",":
                self._at += 1
                yield
        self._take(closing)

    def next(self) -> str:
        """The next character that is no space; empty at the end."""
        while not (first := self._first()) and self._more():
            pass
        return first

    def value(self, *ends: str) -> Any:
        """The value that begins here. What follows it, one of `ends`, tells that all of it has been read."""
        self.next()
        while True:
            begun = self._at
            try:
                value, self._at = _parse(self._text, begun)
                if self._first() in ends:
                    return value
            except ValueError:
                pass
            self._at = begun
            if not self._more():
                raise ValueError("this is no JSON, or not all of it")

    def _take(self, expected: str) -> None:
        if self.next() != expected:
            raise ValueError(f"there is no {expected}")
        self._at += 1

    def _first(self) -> str:
        """The same of what has been read already."""
        first = self._text[self._at : self._at + 1]
        if first in _NOTHING_YET and (space := _SPACE.match(self._text, self._at)):
            self._at = space.end()
            return self._text[self._at : self._at + 1]
        return first

    def _more(self) -> bool:
        """Reads on: as much again as there is, so that a long value is not tried too often. False at the end."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        piece = self._stream.read(max(_PIECE, len(rest)))
        self._ended = not piece
        self._text, self._at = rest + self._decoder.decode(piece, final=self._ended), 0
        return True
