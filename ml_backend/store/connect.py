"""How a process begins with a store: STORE_URL is tried, and files of before it was set are put there."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from ml_backend.checks import Check, fault_of, ok
from ml_backend.errors import ColdblitzError, SettingsError, StorageError
from ml_backend.processes import locked
from ml_backend.settings import Settings
from ml_backend.store.files import attach, shared
from ml_backend.store.objects import ObjectStore, shown
from ml_backend.store.shared import SharedFolder

log = logging.getLogger(__name__)

# What is shared of a data folder: all of projects and embeddings, and what is known of videos' addresses. Videos are fetched by each
# machine from where they are, weights and what is converted from them are a machine's own, and researchers' files come with it.
SHARED = ("projects", "features", "videos/addresses")
# Embeddings have a bound of their own.
_BOUNDED = ("projects",)
_MARK, _LOCK = ".store", ".store.lock"
# A page asks with each request.
_CHECKED_SECONDS = 10.0
_checked: dict[str, tuple[float, Check]] = {}


def connect(settings: Settings, redis: Redis, *, patient: bool = True) -> None:
    """Makes DATA_DIR the cache of STORE_URL, if that is set; the store itself is asked when something is first read or written.
    `patient`: waits for one that is away.

    Raises SettingsError when DATA_DIR is the cache of another store."""
    if settings.store_url is None:
        attach(settings.data_dir, None)
        return
    check_folder_of(settings)
    attach(settings.data_dir, lambda: _open(settings, redis, patient))


def check_folder_of(settings: Settings) -> None:
    """Raises SettingsError for a folder that is the cache of a store that STORE_URL does not name: it holds only a part."""
    held = _held(settings.data_dir)
    if held is None or held == (settings.store_url and shown(settings.store_url)):
        return
    named = shown(settings.store_url) if settings.store_url else "not set"
    raise SettingsError(
        f"DATA_DIR ({settings.data_dir}) is the cache of {held}, and STORE_URL is {named}.",
        "Set STORE_URL to that store, or DATA_DIR to another folder.",
    )


def begin(settings: Settings, redis: Redis | None = None) -> None:
    """What a process does that starts: asks the store. Raises SettingsError for a wrong address, bucket or credential, and for a
    DATA_DIR that is no cache of it; one that is away is only logged, since it may come back. Without `redis`, that of REDIS_URL."""
    check_folder_of(settings)
    if settings.store_url is None or (redis is None and settings.redis_url is None):
        return
    if redis is None:
        redis = Redis.from_url(str(settings.redis_url), socket_timeout=5)
    connect(settings, redis)
    try:
        # Whoever starts does not wait for one that is away.
        ObjectStore.at(settings.store_url, patient=False).check()
        shared(settings.data_dir)
    except SettingsError:
        raise
    except (StorageError, RedisError) as error:
        log.warning("%s", error)


def check_store(settings: Settings) -> Check:
    """Whether what all machines share can be read and written."""
    name, url = "store", settings.store_url
    if url is None:
        return ok(name, "Not used: STORE_URL is not set.")
    until, found = _checked.get(url, (0.0, None))
    if found is None or time.monotonic() > until:
        try:
            ObjectStore.at(url, patient=False).check()
            found = ok(name, f"{shown(url)} can be written.")
        except ColdblitzError as error:
            found = fault_of(name, error)
        _checked[url] = time.monotonic() + _CHECKED_SECONDS, found
    return found


def _open(settings: Settings, redis: Redis, patient: bool) -> SharedFolder:
    assert settings.store_url is not None
    objects = ObjectStore.at(settings.store_url, patient=patient)
    folder = SharedFolder(settings.data_dir, objects, redis, settings.cache_max_bytes, _BOUNDED)
    if _held(settings.data_dir) is None:
        objects.check()
        folder.index.ensure()
        # Processes of one machine wait for each other; another machine's files have other names, or the first one counts.
        with locked(settings.data_dir / _LOCK):
            if _held(settings.data_dir) is None:
                _upload(folder)
                (settings.data_dir / _MARK).write_text(shown(settings.store_url), encoding="utf-8")
    return folder


def _upload(folder: SharedFolder) -> None:
    """Puts what a data folder holds from before it was a cache into the store."""
    files = [
        path
        for name in SHARED
        for path in sorted((folder.root / name).rglob("*"))
        if path.is_file() and not path.name.endswith((".part", ".lock")) and not _is_unfinished(path, folder.root)
    ]
    if files:
        log.info("Putting %d files of %s into the store, once", len(files), folder.root)
    for path in files:
        folder.adopt(path)


def _is_unfinished(path: Path, root: Path) -> bool:
    """Whether it lies in a folder that somebody had not finished."""
    return any(part.startswith(".") for part in path.relative_to(root).parts[:-1])


def _held(data_dir: Path) -> str | None:
    """The store that the folder is the cache of."""
    try:
        return (data_dir / _MARK).read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
