"""What has been done to each task of a project, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ml_backend.annotation import Annotation, Region
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.regions import parse_annotations

_ASKED = (
    "id,data,annotations,result,was_cancelled,created_at,updated_at,completed_by,ground_truth,lead_time,"
    "predictions_model_versions"
)
_PAGE = 200


@dataclass(frozen=True)
class Done:
    """One submitted annotation, and when it was made. `others`: what it says to the label config's other questions, by their
    controls."""

    annotation: Annotation
    made: datetime
    others: Mapping[str, Annotation] = field(default_factory=dict)

    @property
    def regions(self) -> tuple[Region, ...]:
        """Of all questions."""
        return (*self.annotation.regions, *(region for each in self.others.values() for region in each.regions))


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

    def work(self, project: int, config: LabelConfig) -> Iterator[TaskWork]:
        """Every task, by its id."""
        others = [question for question in config.questions if question != config.main]
        for item in self._tasks(project, _ASKED, page=_PAGE):
            submitted = [each for each in item["annotations"] if not each.get("was_cancelled")]
            parsed = parse_annotations(item["id"], submitted, config.main)
            beside = {each.from_name: parse_annotations(item["id"], submitted, each) for each in others}
            yield TaskWork(
                item["id"],
                item["data"],
                tuple(
                    _done(one, raw, {control: said[at] for control, said in beside.items()})
                    for at, (one, raw) in enumerate(zip(parsed, submitted, strict=True))
                ),
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


def _done(annotation: Annotation, raw: Mapping[str, Any], others: Mapping[str, Annotation]) -> Done:
    return Done(annotation, datetime.fromisoformat(raw.get("created_at") or raw["updated_at"]), others)
