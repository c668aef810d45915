"""Reads what another release may have stored: what this one knows of it counts, the rest is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ml_backend.queueing.replies import text

Kind = TypeVar("Kind")


def read_object(stored: Any) -> dict[str, Any]:
    """The JSON object that Redis has; empty when there is none, or nothing that can be read."""
    try:
        said = {} if stored is None else json.loads(text(stored))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def read_as(kind: type[Kind], said: Mapping[str, Any]) -> Kind | None:
    """A `kind` of dataclass from what was stored of one; None when that does not suffice."""
    try:
        return kind(**{field.name: said[field.name] for field in fields(kind) if field.name in said})  # type: ignore[arg-type]
    except TypeError:
        return None
