"""The annotations of tasks: as they are read for training, what there is of them, and by whom and when they were made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ml_backend.annotation import Annotation, Region
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.predictions import VERSIONS
from ml_backend.labelstudio.regions import parse_annotations, parse_regions, parse_whole
from ml_backend.labelstudio.session import Session
from ml_backend.labelstudio.tasks import ANNOTATED, ONLY_SKIPPED, Task, Tasks, condition, task_of

_PAGE = 200
# Label Studio applies this list to the annotations as well as to the task; predictions, which are large, stay out.
_INCLUDED = "id,data,created_at,annotations,result,was_cancelled,updated_at,completed_by,ground_truth,lead_time,parent_prediction"
_OF_WORK = (
    "id,data,annotations,result,was_cancelled,created_at,updated_at,completed_by,ground_truth,lead_time,"
    "predictions_model_versions"
)


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


class Annotations:
    """What is asked about annotations; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tasks = Tasks(session)

    def by_task(self, project: int, task: int | None = None) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        """Every task with an annotation that was not skipped, or `task` if it has one, and all of its annotations as Label
        Studio gives them."""
        return self._by_task(project, task, ANNOTATED)

    def only_skipped(self, project: int, task: int | None = None) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        """The same of every task whose annotations were all skipped."""
        return self._by_task(project, task, *ONLY_SKIPPED)

    def beside_predictions(
        self, project: int, version: str | None
    ) -> Iterator[tuple[Task, list[dict[str, Any]], list[dict[str, Any]]]]:
        """Every task, its annotations, and the result of its prediction of `version`, empty without one."""
        for item in self._tasks.listed(project, f"{_INCLUDED},predictions,model_version", page=_PAGE):
            shown = [p["result"] for p in item.get("predictions", ()) if p.get("model_version") == version]
            yield Task(item["id"], item["data"]), item["annotations"], list(shown[-1]) if version and shown else []

    def work(self, project: int, config: LabelConfig) -> Iterator[TaskWork]:
        """What has been done to every task, by its id."""
        others = [question for question in config.questions if question != config.main]
        for item in self._tasks.listed(project, _OF_WORK, page=_PAGE):
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
                frozenset(re.findall(r"[^,\s]+", str(item.get(VERSIONS) or ""))),
            )

    def submit(self, task: int, result: Sequence[Mapping[str, Any]], *, ground_truth: bool = False) -> None:
        """Makes an annotation of a task, by the token's user."""
        body = {"result": [dict(item) for item in result], "was_cancelled": False, "ground_truth": ground_truth}
        self._session.json("POST", f"/api/tasks/{task}/annotations/", body=body)

    def author_names(self) -> dict[int, str]:
        """Users' names by their ids, or their e-mail addresses; empty when the token may not see them. Raises nothing."""
        found: dict[int, str] = {}
        with suppress(LabelStudioError, KeyError, TypeError, AttributeError):
            for user in self._session.json("GET", "/api/users/"):
                name = f"{user.get('first_name') or ''} {user.get('last_name') or ''}".strip()
                found[int(user["id"])] = name or str(user.get("email") or user["id"])
        return found

    def _by_task(
        self, project: int, task: int | None, *conditions: dict[str, Any]
    ) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        this = () if task is None else (condition("id", "equal", "Number", task),)
        for item in self._tasks.listed(project, _INCLUDED, *conditions, *this):
            yield (
                task_of(item),
                [{**annotation, "task": item["id"]} for annotation in item["annotations"]],
            )


def _done(annotation: Annotation, raw: Mapping[str, Any], others: Mapping[str, Annotation]) -> Done:
    return Done(annotation, datetime.fromisoformat(raw.get("created_at") or raw["updated_at"]), others)


Apart = Literal["skipped", "another control", "boxes", "review", "no frames"]


@dataclass(frozen=True)
class Held:
    """Of one task: annotations that were submitted and `skipped` (cancelled) ones, and all regions in them.

    A region is one range of a timeline, or one item of another kind. `apart`: those that are not read as an answer to a
    question, by control and reason.
    """

    submitted: int = 0
    skipped: int = 0
    regions: int = 0
    apart: Counter[tuple[str, Apart]] = field(default_factory=Counter)


def held(items: Sequence[Mapping[str, Any]], config: LabelConfig) -> Held:
    """What is held in the annotations of one task, as Label Studio gives them."""
    apart: Counter[tuple[str, Apart]] = Counter()
    skipped = regions = 0
    asked = {question.from_name: question for question in config.questions}
    reviewed = config.main.reviewed_control
    boxes = {name for question in config.tracks for name in (question.from_name, question.labels_control)}
    for item in items:
        result = item.get("result")
        entries = result if isinstance(result, list) else []
        sizes = [(_control(entry), _size(entry)) for entry in entries]
        regions += sum(size for _, size in sizes)
        if item.get("was_cancelled"):
            skipped += 1
            for control, size in sizes:
                apart[control, "skipped"] += size
            continue
        own: Counter[str] = Counter()
        for control, size in sizes:
            if control in asked:
                own[control] += size
            else:
                other: Apart = "boxes" if control in boxes else "another control"
                apart[control, "review" if control == reviewed else other] += size
        read = [entry for entry in entries if isinstance(entry, Mapping)]
        for control, size in own.items():
            question = asked[control]
            whole = parse_whole(read, question) is not None
            if rest := size - (len(parse_regions(read, question)) or whole):
                apart[control, "no frames"] += rest
    return Held(len(items) - skipped, skipped, regions, apart)


def _control(entry: object) -> str:
    return str(entry.get("from_name") or "") if isinstance(entry, Mapping) else ""


def _size(entry: object) -> int:
    """One, or as many as a timeline's item has ranges."""
    value = entry.get("value") if isinstance(entry, Mapping) and entry.get("type") == "timelinelabels" else None
    ranges = value.get("ranges") if isinstance(value, Mapping) else None
    return max(1, len(ranges)) if isinstance(ranges, list) else 1
