"""What Label Studio sends to the backend, parsed and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ml_backend.errors import PayloadError
from ml_backend.labelstudio.json_stream import Each, Stream, skim
from ml_backend.wording import quoted

ANNOTATION_ACTIONS = frozenset(
    {"ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "ANNOTATIONS_DELETED"}
)
TASK_ACTIONS = frozenset({"TASKS_CREATED", "TASKS_DELETED"})

_REMEDY = "Only Label Studio should call this address; see the README for the address to give it."
# Both are kept in Redis. A label config with a thousand labels has 100 kB.
_MOST_CONFIG, _MOST_PARAMS = 1_000_000, 50_000
# As many digits as a 64-bit number may have.
_PROJECT_KEY = re.compile(r"[0-9]{1,18}\.[0-9]{1,18}")
_NONE: frozenset[str] = frozenset()
# In the description of a project that holds frames of another one.
_COMPANION = re.compile(rf"\[coldblitz frames of ({_PROJECT_KEY.pattern})\]")


@dataclass(frozen=True)
class ProjectKey:
    """A project of the Label Studio: its id, and the unix time of its creation because ids are used again."""

    id: int
    created: int

    def __str__(self) -> str:
        return f"{self.id}.{self.created}"

    @classmethod
    def parse(cls, text: object) -> ProjectKey:
        """Reads Label Studio's `"<id>.<unix time>"`. Raises PayloadError."""
        if not isinstance(text, str) or not _PROJECT_KEY.fullmatch(text):
            raise PayloadError(f"The project is {quoted(text)}, not '<id>.<creation time>'.", _REMEDY)
        number, created = text.split(".")
        return cls(int(number), int(created))

    @classmethod
    def of(cls, project: Mapping[str, Any]) -> ProjectKey:
        """The key of a project as webhooks and the API describe it. Raises PayloadError."""
        try:
            created = datetime.fromisoformat(project["created_at"])
            return cls.parse(f"{int(project['id'])}.{int(created.timestamp())}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise PayloadError("The project has no id or no valid creation time.", _REMEDY) from error


@dataclass(frozen=True)
class Setup:
    """`POST /setup`. Its `access_token` is deliberately not read."""

    project: ProjectKey
    label_config: str
    extra_params: object


@dataclass(frozen=True)
class PredictTask:
    """One task of `POST /predict`; `versions` are the model versions it already has a prediction of. `data` and `created` as
    in a `Task`. `drawn`: the items of the regions that a person has just drawn or labeled, where Label Studio asks for an
    interactive pre-annotation; None where it does not."""

    id: int
    versions: frozenset[str]
    data: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    drawn: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True)
class Event:
    """`POST /webhook`. `label_config` is the project's, which changes without a `/setup`. `companion_of`: the video project
    whose frames it holds as images, None when it is no companion."""

    action: str
    project: ProjectKey
    label_config: str | None
    companion_of: ProjectKey | None = None


def parse_setup(body: object) -> Setup:
    """Raises PayloadError."""
    fields = _object(body)
    schema, params = _text(fields, "schema"), fields.get("extra_params")
    if len(schema) > _MOST_CONFIG or len(json.dumps(params)) > _MOST_PARAMS:
        raise PayloadError("The project's label config or extra params are too long.", "Shorten them.")
    return Setup(ProjectKey.parse(fields.get("project")), schema, read_extra_params(params))


def parse_predict(body: object) -> tuple[ProjectKey | None, tuple[PredictTask, ...]]:
    """The project (None when not named) and the tasks in order. Raises PayloadError."""
    fields = _object(body)
    tasks = fields.get("tasks")
    return _asked(fields, list(map(_predict_task, tasks)) if isinstance(tasks, list) else None)


def read_predict(stream: Stream) -> tuple[ProjectKey | None, tuple[PredictTask, ...]]:
    """The same of a body that is still to be read: its tasks carry all their annotations and predictions. Raises PayloadError."""
    fields = _skimmed(stream, {"project": None, "tasks": _predict_task, "params": None})
    return _asked(fields, fields.get("tasks"))


def _asked(fields: Mapping[str, Any], tasks: object) -> tuple[ProjectKey | None, tuple[PredictTask, ...]]:
    if not isinstance(tasks, list):
        raise PayloadError("The request has no list 'tasks'.", _REMEDY)
    project, drawn = fields.get("project"), _drawn(fields.get("params"))
    if drawn is not None:
        tasks = [replace(task, drawn=drawn) for task in tasks]
    return (None if project is None else ProjectKey.parse(project)), tuple(tasks)


def _drawn(params: object) -> tuple[Mapping[str, Any], ...] | None:
    """What `context` says; None where there is none, as whenever nobody waits at the editor."""
    context = params.get("context") if isinstance(params, Mapping) else None
    if not isinstance(context, Mapping):
        return None
    result = context.get("result")
    return tuple(item for item in result if isinstance(item, Mapping)) if isinstance(result, list) else ()


def parse_event(body: object) -> Event:
    """Raises PayloadError. The project's share token in the body is dropped here."""
    fields = _object(body)
    project = _object(fields.get("project"))
    label_config = project.get("label_config")
    usable = isinstance(label_config, str) and len(label_config) <= _MOST_CONFIG
    companion = companion_of(project.get("description"))
    return Event(_text(fields, "action"), ProjectKey.of(project), label_config if usable else None, companion)


def read_event(stream: Stream) -> Event:
    """The same of a body that is still to be read: it may name 100,000 tasks. Raises PayloadError."""
    return parse_event(_skimmed(stream, {"action": None, "project": None}))


def companion_mark(key: str) -> str:
    """What the description of a companion of the video project `key` holds."""
    return f"[coldblitz frames of {key}]"


def companion_of(description: object) -> ProjectKey | None:
    """The video project of a companion with this description; None when it is that of any other project."""
    found = _COMPANION.search(description) if isinstance(description, str) else None
    return ProjectKey.parse(found[1]) if found else None


def _predict_task(task: object) -> PredictTask:
    fields = _object(task)
    number = fields.get("id")
    if not isinstance(number, int):
        raise PayloadError(f"A task's id is {quoted(number)}, not a number.", _REMEDY)
    predictions, data = fields.get("predictions"), fields.get("data")
    if not predictions or not isinstance(predictions, list):
        named = _NONE
    else:
        versions = {p.get("model_version") for p in predictions if isinstance(p, dict)}
        named = frozenset(v for v in versions if isinstance(v, str))
    return PredictTask(number, named, data if isinstance(data, dict) else {}, str(fields.get("created_at") or ""))


def read_extra_params(value: object) -> object:
    """Label Studio hands on what the form holds: JSON, or the text of it."""
    if isinstance(value, str) and value.strip():
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _skimmed(stream: Stream, fields: Mapping[str, Each | None]) -> Mapping[str, Any]:
    try:
        return skim(stream, fields)
    except ValueError as error:
        raise PayloadError(f"The request's body is not one JSON object ({error}).", _REMEDY) from error


def _object(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise PayloadError("The request is not a JSON object of the expected form.", _REMEDY)
    return body


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise PayloadError(f"The request has no text {name!r}.", _REMEDY)
    return value
