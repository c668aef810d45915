"""Which object holds each file of an installation: names and pointers in Redis, made anew from the store's own list when Redis has lost
them.

An object is called `<file>/<sequence>-<SHA-256>-<bytes>`: its name is never used twice, and says which content is whole and which of
several is the newest. So pointers are all that changes, and no pointer is kept in Redis alone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from redis import Redis

from ml_backend.store.objects import ObjectStore, shown

_KEY = "coldblitz:store"
_VALUE = re.compile(r"([0-9a-f]{24})-([0-9a-f]{64})-(\d{1,18})")
_READ_AT_ONCE = 5000
_LEASE_SECONDS = 60.0
# An object that lost against a newer one may just be read.
_SUPERSEDED_SECONDS = 3600
# Sets pointers in one step, unless the folder that they are to make is there already.
_PUT = """
if ARGV[1] ~= '' and redis.call('hexists', KEYS[1], ARGV[1]) == 1 then return {} end
local before = {}
for i = 2, #KEYS do
  before[i - 1] = redis.call('hget', KEYS[i], ARGV[2 * i - 2]) or ''
  redis.call('hset', KEYS[i], ARGV[2 * i - 2], ARGV[2 * i - 1])
end
return before
"""
_NEWER = """
local held = redis.call('hget', KEYS[1], ARGV[1])
if held and held >= ARGV[2] then return 0 end
return redis.call('hset', KEYS[1], ARGV[1], ARGV[2]) + 1
"""
_DROP = (
    "if redis.call('hget', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('hdel', KEYS[1], ARGV[1]) end return 0"
)


@dataclass(frozen=True)
class Entry:
    """The content of a file: `sequence` orders those of one file, `digest` is its SHA-256."""

    sequence: str
    digest: str
    bytes: int

    @property
    def written(self) -> float:
        """Unix time."""
        return int(self.sequence[:16], 16) / 1_000_000

    def __str__(self) -> str:
        return f"{self.sequence}-{self.digest}-{self.bytes}"

    @classmethod
    def parse(cls, text: str) -> Entry | None:
        found = _VALUE.fullmatch(text)
        return cls(found[1], found[2], int(found[3])) if found else None


def object_name(name: str, entry: Entry | None = None) -> str:
    """Of the file `name`, such as `projects/7.1/quality.json`; the folder of all its objects without an entry."""
    # Stores differ in the characters that they take as they are.
    safe = "/".join(quote(part, safe="+").replace("%", "=") for part in name.split("/"))
    return f"{safe}/{entry}" if entry else safe


class Index:
    """The names and pointers of one store. Its methods raise RedisError, and what `ObjectStore` does."""

    def __init__(self, redis: Redis, objects: ObjectStore) -> None:
        self._redis, self._objects = redis, objects
        self._put, self._newer, self._drop = map(redis.register_script, (_PUT, _NEWER, _DROP))

    def ensure(self) -> None:
        """Makes the index anew where Redis was emptied, or was started again and may have lost its last second."""
        told = self._redis.info("server")
        mark = f"{shown(self._objects.url)} {told['run_id']}"
        if self._text(self._redis.get(_KEY)) == mark:
            return
        with self._redis.lock(f"{_KEY}:lock:index", timeout=10 * _LEASE_SECONDS):
            if self._text(self._redis.get(_KEY)) != mark:
                self._rebuild()
                self._redis.set(_KEY, mark)

    def is_there(self) -> bool:
        return bool(self._redis.exists(_KEY))

    def _rebuild(self) -> None:
        """Reads the whole list: a newer object than the pointer knows of takes its place, and what lost long ago is deleted."""
        newest: dict[str, Entry] = {}
        lost: list[str] = []
        for each in self._objects.list(""):
            name, _, value = each.name.rpartition("/")
            entry = Entry.parse(value)
            if not name or entry is None or entry.bytes != each.bytes:
                continue
            before = newest.get(name)
            older = entry if before and before.sequence > entry.sequence else before
            if older is not entry:
                newest[name] = entry
            if older is not None and each.age > _SUPERSEDED_SECONDS:
                lost.append(f"{name}/{older}")
        for name, entry in newest.items():
            self.renew(unquote(name.replace("=", "%")), entry)
        self._objects.delete(lost)

    def get(self, name: str) -> Entry | None:
        return self.get_all([name]).get(name)

    def get_all(self, names: Iterable[str]) -> dict[str, Entry]:
        """Of those of `names` that are files."""
        folders: dict[str, list[str]] = {}
        for name in names:
            folders.setdefault(_folder(name), []).append(name)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.exists(_KEY)
        for folder, inside in folders.items():
            pipeline.hmget(_hash(folder), [_base(name) for name in inside])
        known, *values = pipeline.execute()
        if not known:
            self.ensure()
            return self.get_all([name for inside in folders.values() for name in inside])
        found: dict[str, Entry] = {}
        for inside, told in zip(folders.values(), values, strict=True):
            for name, value in zip(inside, told, strict=True):
                if value is not None and (entry := Entry.parse(self._text(value))) is not None:
                    found[name] = entry
        return found

    def next_entry(self, digest: str, length: int) -> Entry:
        """Of a content that is to be put next."""
        seconds, microseconds = self._redis.time()
        return Entry(f"{seconds * 1_000_000 + microseconds:016x}{uuid.uuid4().hex[:8]}", digest, length)

    def put(self, entries: Mapping[str, Entry], new_folder: str | None = None) -> dict[str, Entry | None] | None:
        """Points files at their new contents in one step; returns what each pointed at before. None, and nothing is done, when
        there is a `new_folder` already."""
        self._known()
        steps: dict[tuple[str, str], str] = {}
        for name, entry in entries.items():
            steps[_hash(_folder(name)), _base(name)] = str(entry)
            for above in _above(name):
                steps[_hash(_folder(above)), f"{_base(above)}/"] = "1"
        claimed = (_hash(_folder(new_folder)), f"{_base(new_folder)}/") if new_folder else (_KEY, "")
        keys = [claimed[0], *(key for key, _ in steps)]
        told = self._put(keys, [claimed[1], *(word for (_, field), value in steps.items() for word in (field, value))])
        if not told:
            return None
        before = dict(zip(steps, map(self._text, told), strict=True))
        return {name: Entry.parse(before[_hash(_folder(name)), _base(name)]) for name in entries}

    def renew(self, name: str, entry: Entry) -> None:
        """Points a file at `entry` unless it points at a newer one."""
        self._newer([_hash(_folder(name))], [_base(name), str(entry)])
        pipeline = self._redis.pipeline(transaction=False)
        for above in _above(name):
            pipeline.hset(_hash(_folder(above)), f"{_base(above)}/", "1")
        pipeline.execute()

    def repair(self, name: str, entry: Entry) -> None:
        """The object of `entry` is not there, or is damaged: points its file at the newest one that is, at none without any."""
        self.drop(name, entry)
        found = [Entry.parse(each.name.rpartition("/")[2]) for each in self._objects.list(object_name(name))]
        others = [each for each in found if each is not None and each != entry]
        if others:
            self.renew(name, max(others, key=lambda each: each.sequence))

    def names(self, folder: str, beginning: str = "") -> Iterator[str]:
        """What is in a folder, the folders in it with a slash at their end; those with this `beginning`."""
        self._known()
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", beginning) + "*"
        for name, _ in self._redis.hscan_iter(_hash(folder), match=pattern, count=_READ_AT_ONCE):
            yield self._text(name)

    def has_folder(self, name: str) -> bool:
        self._known()
        return bool(self._redis.hexists(_hash(_folder(name)), f"{_base(name)}/"))

    def files(self, folder: str) -> Iterator[str]:
        """All files below a folder."""
        for name in list(self.names(folder)):
            path = f"{folder}/{name}"
            if name.endswith("/"):
                yield from self.files(path[:-1])
            else:
                yield path

    def drop(self, name: str, entry: Entry) -> None:
        """A file is no more, unless it points at another content than `entry` by now."""
        self._drop([_hash(_folder(name))], [_base(name), str(entry)])

    def remove_folder(self, folder: str) -> None:
        """With all below it."""
        self._known()
        self._redis.hdel(_hash(_folder(folder)), f"{_base(folder)}/")
        for name in list(self.names(folder)):
            if name.endswith("/"):
                self.remove_folder(f"{folder}/{name[:-1]}")
        self._redis.delete(_hash(folder))

    def _known(self) -> None:
        if not self.is_there():
            self.ensure()

    @staticmethod
    def _text(value: object) -> str:
        return value.decode() if isinstance(value, bytes) else str(value or "")


def _hash(folder: str) -> str:
    return f"{_KEY}:in:{folder}"


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _above(name: str) -> Iterator[str]:
    """The folders that it is in, but for the root."""
    while name := _folder(name):
        yield name
