"""A prediction as Label Studio takes it, which is how it is kept for `/predict`. `labelstudio/` writes and reads what is in it."""

from __future__ import annotations

from typing import Any, Required, TypedDict


class ResultItem(TypedDict, total=False):
    """One region of a result, as Label Studio's JSON has it. `type` says what is in `value`."""

    id: Required[str]
    from_name: Required[str]
    to_name: Required[str]
    type: Required[str]
    value: Required[dict[str, Any]]
    score: float
    meta: dict[str, Any]
    origin: str
    parentID: str


class StoredItem(TypedDict):
    """One prediction, as it is kept for `/predict`."""

    model_version: str
    score: float
    result: list[ResultItem]


class PredictionItem(StoredItem):
    """One prediction of a task, as Label Studio's bulk import takes it."""

    task: int
