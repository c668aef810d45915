"""What has been done to each task of a project, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml_backend.annotation import Annotation
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.config import Question
from ml_backend.labelstudio.regions import parse_annotations

_ASKED = (
    "id,data,annotations,result,was_cancelled,created_at,updated_at,completed_by,ground_truth,lead_time,"
    "predictions_model_versions"
)
_PAGE = 200


@dataclass(frozen=True)
class Done:
    """One submitted annotation, and when it was made."""

    annotation: Annotation
    made: datetime


@dataclass(frozen=True)
class TaskWork:
    """`skipped`: annotations that say only that somebody passed the task over. `versions`: of its predictions."""

    id: int
    data: Mapping[str, Any]
    done: tuple[Done, ...]
    skipped: int
    versions: frozenset[str]


class Counting(Client):
    """What statistics and reports on people ask of Label Studio; raises as `Client` does."""

    def work(self, project: int, question: Question) -> Iterator[TaskWork]:
        """Every task, by its id."""
        for item in self._tasks(project, _ASKED, page=_PAGE):
            submitted = [each for each in item["annotations"] if not each.get("was_cancelled")]
            parsed = parse_annotations(item["id"], submitted, question)
            yield TaskWork(
                item["id"],
                item["data"],
                tuple(_done(one, raw) for one, raw in zip(parsed, submitted, strict=True)),
                len(item["annotations"]) - len(submitted),
                frozenset(re.findall(r"[^,\s]+", str(item.get("predictions_model_versions") or ""))),
            )

    def names(self) -> dict[int, str]:
        """Users' names by their ids, or their e-mail addresses; empty when the token may not see them."""
        found: dict[int, str] = {}
        with suppress(LabelStudioError, KeyError, TypeError, AttributeError):
            for user in self._json("GET", "/api/users/"):
                name = f"{user.get('first_name') or ''} {user.get('last_name') or ''}".strip()
                found[int(user["id"])] = name or str(user.get("email") or user["id"])
        return found


def _done(annotation: Annotation, raw: Mapping[str, Any]) -> Done:
    return Done(annotation, datetime.fromisoformat(raw.get("created_at") or raw["updated_at"]))
