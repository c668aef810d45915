"""Machines that share a Redis and a store, each with a data folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from azure_server import azure, container
from embedded import redis, redis_settings
from redis import Redis
from s3_server import bucket, s3

from ml_backend.settings import Settings
from ml_backend.store.connect import connect
from ml_backend.store.files import attach

__all__ = ["azure", "bucket", "container", "redis", "redis_settings", "s3"]

Machine = Callable[..., Path]


@pytest.fixture(params=["file", "bucket", "container"], ids=["file", "s3", "az"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/store" if request.param == "file" else str(request.getfixturevalue(request.param))


@pytest.fixture
def settings(redis_settings: Settings, store_url: str, tmp_path: Path) -> Settings:
    return replace(redis_settings, data_dir=tmp_path / "a", store_url=store_url)


@pytest.fixture
def machine(redis: Redis, settings: Settings, tmp_path: Path) -> Iterator[Machine]:
    """The data folder of the machine of this name, which is made; a process on it is one that has just started."""
    used = []

    def start(name: str, **more: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        connect(replace(settings, data_dir=folder, **more), redis)  # type: ignore[arg-type]
        used.append(folder)
        return folder

    yield start
    for folder in used:
        attach(folder, None)
