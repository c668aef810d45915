"""A data folder as the cache of a store: files are brought before they are read, and put into the store before they count as written."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from ml_backend.errors import StoreUnreachable
from ml_backend.store.index import Entry, Index, object_name
from ml_backend.store.objects import ObjectStore

log = logging.getLogger(__name__)

# A file that a pointer was read of may be replaced meanwhile, or its object may be damaged.
_TRIES = 4
_AT_ONCE = 16
# Who holds a lease renews it as long as it lives.
_LEASE_SECONDS, _RENEW_SECONDS = 60.0, 20.0
# Redis may have been started again without its last second.
_LOOK_EVERY = 60.0
_MOST_KNOWN = 200_000
_FRESH_SECONDS = 600.0
# What is read often is marked as used this often at most; in between it must not look as if it were not in use.
_TOUCH_SECONDS = _FRESH_SECONDS / 2
# Nobody writes one file for so long: its process was killed.
_ABANDONED_SECONDS = 3600.0

_Mark = tuple[int, int, int]


class SharedFolder:
    """`root`: the data folder. `bounded`: the folders in it that are kept below `max_bytes` together, the least recently used files
    going first; those that have bounds of their own are not among them. Methods take paths below `root`, and raise StoreUnreachable,
    StorageError, RedisError and OSError."""

    def __init__(
        self, root: Path, objects: ObjectStore, redis: Redis, max_bytes: int, bounded: Collection[str]
    ) -> None:
        self.root, self.objects, self.redis = root, objects, redis
        self.index = Index(redis, objects)
        self._max_bytes, self._bounded = max_bytes, bounded
        self._known: dict[Path, tuple[_Mark, str]] = {}
        self._brought, self._looked = 0, -float("inf")
        self._lock = threading.Lock()

    def fetch(self, path: Path) -> bool:
        """Has the local file be what the installation has, nothing where there is none; returns whether it had to be brought."""
        return bool(self.fetch_all([path])[1])

    def fetch_all(self, paths: Collection[Path], *, partly: bool = False) -> tuple[list[Path], list[Path]]:
        """Those of `paths` that are files, and those of them that had to be brought. `partly`: what cannot be brought now is left out,
        instead of raising StoreUnreachable."""
        bring = self._bring_if_it_answers if partly else self._bring
        try:
            self._look()
        except StoreUnreachable:
            # What Redis holds says as well as ever which of the files here are whole.
            if not partly or not self.index.is_there():
                raise
        entries = self.index.get_all(map(self._name, paths))
        there, missing = [], []
        for path in paths:
            entry = entries.get(self._name(path))
            if entry is not None and self._is_here(path, entry):
                there.append(path)
            elif entry is not None:
                missing.append(path)
            else:
                # Nobody has finished writing it, or it was deleted elsewhere.
                path.unlink(missing_ok=True)
        if len(missing) == 1:
            brought = [path for path in missing if bring(path)]
        else:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                results = list(pool.map(bring, missing)) if missing else []
            brought = [path for path, is_there in zip(missing, results, strict=True) if is_there]
        if brought:
            self._make_room()
        return there + brought, brought

    def fetch_folder(self, folder: Path) -> None:
        """All files below a folder; what else is there locally goes."""
        wanted = {self._path(name) for name in self.index.files(self._name(folder))}
        for path in list(folder.rglob("*")) if folder.is_dir() else ():
            # One with a dot is of somebody who is writing.
            if path.is_file() and path not in wanted and not path.name.startswith("."):
                path.unlink(missing_ok=True)
        self.fetch_all(wanted)

    def put(self, part: Path, path: Path) -> None:
        """Has the file `part` take the place of `path`, here and for all."""
        self._upload({self._name(path): part})
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, path)
        self._count([path])

    def put_folder(self, made: Path, folder: Path) -> bool:
        """Has the folder `made` be at `folder`, whole at once; False when there is one already."""
        # In the order in which they were written: what says that the others are whole goes last.
        written = sorted((path for path in made.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
        files = {self._name(folder / path.relative_to(made)): path for path in written}
        if not self._upload(files, self._name(folder)):
            return False
        # What is there locally is of somebody who never finished.
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        made.rename(folder)
        self._count(self._path(name) for name in files)
        return True

    def adopt(self, path: Path) -> None:
        """A file of before there was a store: put there unless the store has one of its name."""
        if self.index.get(self._name(path)) is None:
            self._upload({self._name(path): path})

    def entry(self, path: Path) -> Entry | None:
        return self.index.get(self._name(path))

    def exists(self, path: Path) -> bool:
        return self.entry(path) is not None

    def has_folder(self, folder: Path) -> bool:
        return self.index.has_folder(self._name(folder))

    def names(self, folder: Path, beginning: str = "") -> list[str]:
        """Of the files and folders in a folder, with this `beginning`, in no order."""
        return [name.rstrip("/") for name in self.index.names(self._name(folder), beginning)]

    def remove(self, path: Path) -> None:
        name = self._name(path)
        entry = self.index.get(name)
        path.unlink(missing_ok=True)
        if entry is not None:
            # Objects first: a pointer to none is mended, but one that nothing points at would come back. Newer ones are of somebody
            # who is writing the file anew.
            listed = [each.name for each in self.objects.list(object_name(name))]
            mine = object_name(name, entry)
            self.objects.delete(each for each in listed if each <= mine)
            self.index.drop(name, entry)

    def remove_folder(self, folder: Path) -> None:
        """With all that is in it, here and in the store, be it that the index knows nothing of it."""
        self.index.remove_folder(self._name(folder))
        shutil.rmtree(folder, ignore_errors=True)
        self.objects.delete(each.name for each in self.objects.list(object_name(self._name(folder))))

    @contextlib.contextmanager
    def exclusively(self, path: Path) -> Iterator[None]:
        """One process at a time over all machines, for as long as it takes; of one that dies, its turn is over after a minute."""
        name = f"coldblitz:store:lock:{self._name(path)}"
        lease = self.redis.lock(name, timeout=_LEASE_SECONDS, sleep=0.02, thread_local=False)
        lease.acquire()
        done = threading.Event()
        threading.Thread(target=_renew, args=(lease, done), daemon=True).start()
        try:
            yield
        finally:
            done.set()
            with contextlib.suppress(LockError):
                lease.release()

    def _upload(self, files: dict[str, Path], new_folder: str | None = None) -> bool:
        if new_folder is not None and self.index.has_folder(new_folder):
            return False
        entries: dict[str, Entry] = {}
        known = self.index.get_all(files)
        for name, source in files.items():
            digest, length = _digest(source)
            if name in known and (known[name].digest, known[name].bytes) == (digest, length):
                continue
            entries[name] = self.index.next_entry(digest, length)
            self.objects.put(object_name(name, entries[name]), source)
        if not entries:
            return True
        before = self.index.put(entries, new_folder)
        if before is None:
            assert new_folder is not None
            if any(entries.get(name) != held for name, held in self._held(new_folder).items()):
                self._withdraw(entries, new_folder)
                return False
            # The folder is ours: pointers were made anew meanwhile, of what we had put so far.
            before = self.index.put(entries) or {}
        # Pointers that were made anew since then are at our own objects.
        self.objects.delete(
            object_name(name, entry) for name, entry in before.items() if entry is not None and entry != entries[name]
        )
        return True

    def _held(self, folder: str) -> dict[str, Entry]:
        return self.index.get_all(self.index.files(folder))

    def _withdraw(self, entries: Mapping[str, Entry], folder: str) -> None:
        """Somebody else has made the folder: what we put is nobody's, be it that pointers were made anew of it."""
        self.objects.delete(object_name(name, entry) for name, entry in entries.items())
        for name, entry in entries.items():
            self.index.repair(name, entry)
        if not self._held(folder):
            self.index.remove_folder(folder)

    def _bring_if_it_answers(self, path: Path) -> bool:
        try:
            return self._bring(path)
        except StoreUnreachable as error:
            log.warning("%s: %s", path.name, error)
            return False

    def _bring(self, path: Path) -> bool:
        """False when the file is gone meanwhile, or is damaged in the store."""
        name = self._name(path)
        for _ in range(_TRIES):
            entry = self.index.get(name)
            if entry is None:
                path.unlink(missing_ok=True)
                return False
            if self.objects.get(object_name(name, entry), path, entry.digest):
                self._remember(path, entry.digest)
                self._brought += entry.bytes
                return True
            if self.index.get(name) == entry:
                log.warning("%s is missing or damaged in the store; it is made again where it is needed.", name)
                self.index.repair(name, entry)
        return False

    def _is_here(self, path: Path, entry: Entry) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        if status.st_size != entry.bytes:
            return False
        known = self._known.get(path)
        if known is None or known[0] != _mark(status):
            # Another process of this machine has brought or written it.
            try:
                digest, _ = _digest(path)
            except OSError:
                return False
            self._remember(path, digest, status)
            known = self._known[path]
        if known[1] != entry.digest:
            return False
        if time.time() - status.st_atime > _TOUCH_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
        return True

    def _remember(self, path: Path, digest: str, status: os.stat_result | None = None) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        with contextlib.suppress(OSError):
            self._known[path] = (_mark(status or path.stat()), digest)

    def _look(self) -> None:
        if time.monotonic() - self._looked > _LOOK_EVERY:
            self.index.ensure()
            self._looked = time.monotonic()

    def _count(self, paths: Iterable[Path]) -> None:
        """What was written here takes room, as what was brought does."""
        for path in paths:
            with contextlib.suppress(OSError):
                self._brought += path.stat().st_size
        self._make_room()

    def _make_room(self) -> None:
        """Looks at the folder now and then, when enough has come."""
        if self._brought < self._max_bytes // 20 or not self._lock.acquire(blocking=False):
            return
        try:
            self._brought = 0
            files = []
            for name in self._bounded:
                for path in (self.root / name).rglob("*"):
                    with contextlib.suppress(OSError):
                        status = path.stat()
                        if not path.is_file():
                            continue
                        if not path.name.startswith("."):
                            files.append((status.st_atime, status.st_size, path))
                        elif path.suffix == ".part" and time.time() - status.st_mtime > _ABANDONED_SECONDS:
                            path.unlink(missing_ok=True)
            total = sum(size for _, size, _ in files)
            for used, size, path in sorted(files):
                if total <= self._max_bytes or time.time() - used < _FRESH_SECONDS:
                    return
                path.unlink(missing_ok=True)
                total -= size
        finally:
            self._lock.release()

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _path(self, name: str) -> Path:
        return self.root / name


def _renew(lease: Lock, done: threading.Event) -> None:
    """Keeps a lease for whoever holds it."""
    while not done.wait(_RENEW_SECONDS):
        try:
            lease.reacquire()
        except LockError:
            return
        except RedisError as error:
            log.warning("A lease could not be renewed yet: %s", error)


def _mark(status: os.stat_result) -> _Mark:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _digest(path: Path) -> tuple[str, int]:
    """SHA-256 and length of a file."""
    found, length = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
            length += len(chunk)
    return found.hexdigest(), length
