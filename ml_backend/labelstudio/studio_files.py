"""Label Studio's own JSON: a list of tasks with what was annotated and predicted, as its export writes and its import reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_backend.labelstudio.event_items import StudioEvent, event_items, read_any_events
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.task_data import file_name
from ml_backend.labelstudio.tasks import Task


@dataclass(frozen=True)
class StudioTask:
    """The timelines of one task. `name`: of its video, as people know it. `predicted_by`: the model version whose prediction it is, None
    for what somebody has submitted."""

    task: Task
    name: str
    events: tuple[StudioEvent, ...]
    predicted_by: str | None = None


def tasks_json(tasks: Iterable[StudioTask], config: LabelConfig) -> list[dict[str, Any]]:
    """As Label Studio imports it into a project with the same label config."""
    found = []
    for each in tasks:
        result = event_items(each.events, config)
        said: dict[str, Any] = {"annotations": [{"result": [{**item, "origin": "manual"} for item in result]}]}
        if each.predicted_by is not None:
            score = min((event.score for event in each.events if event.score is not None), default=1.0)
            said = {"predictions": [{"model_version": each.predicted_by, "score": score, "result": result}]}
        found.append({"id": each.task.id, "data": dict(each.task.data), **said})
    return found


def read_tasks(content: Sequence[object]) -> list[StudioTask]:
    """Each task on whose timelines something is said: by the annotation that counts, else by its last prediction. Raises ValueError, with
    the place, for what is no such list."""
    found = []
    for position, each in enumerate(content, start=1):
        if not isinstance(each, Mapping) or not isinstance(each.get("data"), Mapping):
            raise ValueError(f"item {position} is no task with data")
        annotations = [
            one for one in _list(each.get("annotations")) if isinstance(one, Mapping) and not one.get("was_cancelled")
        ]
        predictions = [one for one in _list(each.get("predictions")) if isinstance(one, Mapping)]
        said = max(
            annotations, key=lambda one: (bool(one.get("ground_truth")), str(one.get("updated_at"))), default=None
        )
        version = None
        if said is None and predictions:
            said = predictions[-1]
            version = str(said.get("model_version") or "model")
        events = (
            read_any_events([item for item in _list(said.get("result")) if isinstance(item, Mapping)]) if said else []
        )
        data, number = dict(each["data"]), each.get("id")
        if events:
            task = Task(number if isinstance(number, int) else 0, data)
            found.append(StudioTask(task, _called(data), tuple(events), version))
    return found


def _called(data: Mapping[str, Any]) -> str:
    """What the only video of a task's data is called; which key it has, the label config would say."""
    addresses = [value for value in data.values() if isinstance(value, str) and ("/" in value or "." in value)]
    likely = data.get("video") if isinstance(data.get("video"), str) else next(iter(addresses), None)
    return file_name(data, likely)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
