"""Which Label Studio a project was last seen in: another one, or a token of another, must not cost its models."""

from __future__ import annotations

import contextlib
from pathlib import Path

from redis import Redis

from ml_backend.projects.folder import ProjectFolder
from ml_backend.queueing.replies import text
from ml_backend.settings import Settings

_STUDIOS = "coldblitz:studios"


def note_studio(redis: Redis, settings: Settings, key: str) -> None:
    """Notes that our Label Studio has the project, be it under a new address."""
    redis.hset(_STUDIOS, key, settings.label_studio_url)
    record = _record(settings.data_dir, key)
    # What cannot be noted is kept for ever, which does no harm.
    with contextlib.suppress(OSError):
        if record.parent.is_dir() and _read(record) != settings.label_studio_url:
            record.write_text(settings.label_studio_url)


def studio_of(redis: Redis, settings: Settings, key: str) -> str | None:
    """The address of the Label Studio that had the project last; None when nobody knows."""
    stored = redis.hget(_STUDIOS, key)
    if stored is not None:
        return text(stored)
    return _read(_record(settings.data_dir, key))


def forget_studio(redis: Redis, key: str) -> None:
    redis.hdel(_STUDIOS, key)


def _record(data_dir: Path, key: str) -> Path:
    return ProjectFolder(data_dir, key).studio


def _read(record: Path) -> str | None:
    try:
        return record.read_text().strip() or None
    except (OSError, ValueError):
        return None
