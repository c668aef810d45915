"""A project that asks for boxes."""

from __future__ import annotations

from redis import Redis
from studio import KEY, Studio

from ml_backend.projects import registry
from ml_backend.projects.registry import Known


def ask(redis: Redis, studio: Studio, label_config: str, **extra_params: object) -> None:
    """Gives the project this label config, and tells the backend of it."""
    assert studio.project is not None
    studio.project["label_config"] = label_config
    registry.remember(redis, Known(KEY, label_config, extra_params))
