"""The same backend as a label-studio-ml model class, for those who serve it with upstream's own server.

`label_studio_ml.api.init_app(Coldblitz, model_dir=…)` works with 1.0.9; the signatures of 2.x are accepted too. Upstream's
package does not come with ours, since it pins releases of 2021 with known vulnerabilities: without it, importing this module
raises ImportError. Like `server/`, this is only a door: work is queued, and answers come from what is ready. A worker must run beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flask import has_request_context, request
from redis import Redis

from ml_backend.labelstudio.payloads import ANNOTATION_ACTIONS, TASK_ACTIONS, parse_event, parse_predict
from ml_backend.projects.registry import keys_of, known_keys
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.server.label_studio_routes import Backend, answer_predict, receive_event, receive_setup
from ml_backend.settings import Settings

try:
    from label_studio_ml.model import LabelStudioMLBase
except ModuleNotFoundError as error:
    raise ImportError(
        f"ml_backend.model.Coldblitz is for the server of label-studio-ml, which is not installed ({error}): "
        "pip install --no-deps label-studio-ml==1.0.9 label-studio-tools==0.0.4 colorama"
    ) from error


class Coldblitz(LabelStudioMLBase):  # type: ignore[misc]
    """1.x: `(label_config, train_output, **kw)`. 2.x: `(project_id, label_config)`."""

    # Upstream calls `fit` for these alone, and leaves out lists of annotations, tasks and the button.
    TRAIN_EVENTS = (*ANNOTATION_ACTIONS, *TASK_ACTIONS, "PROJECT_UPDATED", "START_TRAINING")

    def __init__(
        self,
        project_id: str | None = None,
        label_config: str | None = None,
        train_output: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(label_config=label_config, train_output=dict(train_output or {}), **kwargs)
        self.project_id = project_id
        settings = Settings.from_environment()
        self._backend = Backend(settings, Redis.from_url(redis_url(settings), socket_timeout=5))
        if "schema" in (asked := _request_body()):
            receive_setup(self._backend, asked)

    def predict(self, tasks: Sequence[Mapping[str, Any]], context: object = None, **kwargs: Any) -> list[Any]:
        """One item per task, in order: its prediction, or an empty list while there is none; with a `context`, what is known of the boxes
        that somebody has just drawn."""
        named = kwargs.get("project") or self.project_id or _request_body().get("project")
        if named is None and tasks:
            named = tasks[0].get("project")
        asked = parse_predict({"tasks": list(tasks), "project": self._key(named), "params": {"context": context}})
        results = answer_predict(self._backend, *asked)
        return [json.loads(result) for result in results]

    def fit(self, tasks: object = None, workdir: str | None = None, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Queues what an event asks for. 1.x: `fit(tasks, workdir, event=, data=)`; 2.x: `fit(event, data)`."""
        event, data = kwargs.get("event"), kwargs.get("data")
        if event is None and isinstance(tasks, str):
            event, data = tasks, workdir if data is None else data
        if not isinstance(data, Mapping):
            return {}
        return {"queued": receive_event(self._backend, parse_event({**data, "action": event}))}

    def _key(self, project: object) -> str | None:
        """Upstream 2.x and tasks name a project by its id alone; the newest one that had it is meant."""
        if project is None or "." in str(project):
            return None if project is None else str(project)
        keys = keys_of(known_keys(self._backend.redis), str(project))
        return keys[-1] if keys else None


def _request_body() -> Mapping[str, Any]:
    """The request that upstream's server is answering: 1.x does not hand its project on to the model."""
    body = request.get_json(silent=True) if has_request_context() else None
    return body if isinstance(body, Mapping) else {}
