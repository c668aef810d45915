"""`$variables` in a label config, looked up in a task's data as Label Studio's editor does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# The editor's own pattern; a path may go through objects and lists: `$media.url`, `$files[0]`.
_VARIABLE = re.compile(r"\$([\w\[\].{}]+)", re.ASCII)
_STEP = re.compile(r"[^.\[\]]+")
# Longer ones are no addresses.
_MOST = 10_000


def variables(text: str) -> list[str]:
    """The paths that a text refers to, in order."""
    return _VARIABLE.findall(text[:_MOST])


def resolved(text: str, data: Mapping[str, Any]) -> Any:
    """What a text stands for: a lone variable for whatever the task has there, others for their text within it.

    None when the task has nothing there. A text without a variable stands for itself.
    """
    if alone := _VARIABLE.fullmatch(text[:_MOST]):
        return looked_up(data, alone[1])
    found = [looked_up(data, path) for path in variables(text)]
    if any(value is None for value in found):
        return None
    values = iter(found)
    return _VARIABLE.sub(lambda _: str(next(values)), text[:_MOST])


def looked_up(data: Mapping[str, Any], path: str) -> Any:
    """`fps`, `meta.fps` or `files[0].fps`; None when there is nothing."""
    if path in data:
        return data[path]
    found: Any = data
    for step in _STEP.findall(path):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found
