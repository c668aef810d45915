"""The same backend as a label-studio-ml model class, for those who serve it with upstream's own server.

`label_studio_ml.api.init_app(Coldblitz)` works with the installed 1.x; the signatures of 2.x are accepted too. Like
`server/`, this is only a door: work is queued, and answers come from what is ready. A worker must run beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from label_studio_ml.model import LabelStudioMLBase
from redis import Redis

from ml_backend.jobs.embedded_redis import redis_url
from ml_backend.server.protocol import Backend, answer_predict, receive_event
from ml_backend.settings import Settings


class Coldblitz(LabelStudioMLBase):  # type: ignore[misc]
    """1.x: `(label_config, train_output, **kw)`. 2.x: `(project_id, label_config)`."""

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

    def predict(self, tasks: Sequence[Mapping[str, Any]], context: object = None, **kwargs: Any) -> list[Any]:
        """One item per task, in order: its prediction, or an empty list while there is none."""
        return answer_predict(self._backend, {"tasks": list(tasks), "project": kwargs.get("project", self.project_id)})

    def fit(self, tasks: object = None, workdir: str | None = None, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Queues what an event asks for. 1.x: `fit(tasks, workdir, event=, data=)`; 2.x: `fit(event, data)`."""
        event, data = kwargs.get("event"), kwargs.get("data")
        if event is None and isinstance(tasks, str):
            event, data = tasks, workdir if data is None else data
        if not isinstance(data, Mapping):
            return {}
        return {"queued": receive_event(self._backend, {**data, "action": event})}
