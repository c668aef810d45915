"""Conditions of the Data Manager, which Label Studio applies before it lists tasks."""

from __future__ import annotations

from typing import Any


def condition(column: str, operator: str, kind: str, value: object) -> dict[str, Any]:
    """One condition on a column of the task list; `kind` is the column's type as Label Studio names it."""
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


ANNOTATED = condition("total_annotations", "greater", "Number", 0)
# Label Studio does not count skipped annotations among all annotations.
ONLY_SKIPPED = (
    condition("total_annotations", "equal", "Number", 0),
    condition("cancelled_annotations", "greater", "Number", 0),
)
