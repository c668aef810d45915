"""What a machine writes outlives a Redis that forgets, and other writers, at the worst moment: between an object and its pointer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from ml_backend.features.store import FeatureStore
from ml_backend.store import files
from ml_backend.store.objects import ObjectStore
from ml_backend.store.shared import SharedFolder

Machine = Callable[..., Path]


def folder_of(data_dir: Path) -> SharedFolder:
    folder = files.shared(data_dir)
    assert folder is not None
    return folder


def objects_of(folder: SharedFolder, name: str = "projects") -> list[str]:
    return [each.name for each in folder.objects.list(name)]


@pytest.fixture
def after_each_object(
    machine: Machine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], None]:
    """Has something happen whenever an object of a project was put and nothing points at it yet."""
    put = ObjectStore.put

    def arrange(then: Callable[[], object]) -> None:
        def put_and_then(self: ObjectStore, name: str, content: bytes | Path) -> None:
            put(self, name, content)
            if name.startswith("projects/"):
                monkeypatch.setattr(ObjectStore, "put", put)
                then()
                monkeypatch.setattr(ObjectStore, "put", put_and_then)

        monkeypatch.setattr(ObjectStore, "put", put_and_then)

    return arrange


@pytest.fixture
def forgets(machine: Machine, redis: Redis, after_each_object: Callable[[Callable[[], object]], None]) -> None:
    """Redis is emptied and told again by the store after each object."""
    other = folder_of(machine("other"))

    def forget() -> None:
        redis.flushall()
        other.index.ensure()

    after_each_object(forget)


def made(parent: Path, **contents: str) -> Path:
    """A folder that somebody has finished here, its files in this order."""
    folder = parent / "made"
    folder.mkdir()
    for name, text in contents.items():
        (folder / name).write_text(text)
    return folder


def test_a_file_stays_when_redis_forgets_before_it_points_at_it(machine: Machine, forgets: None) -> None:
    a = machine("a")
    for text in (b"one", b"two"):
        files.write(a / "projects" / "7" / "quality.json", text)
        assert files.current(machine("b") / "projects" / "7" / "quality.json").read_bytes() == text


def test_a_folder_stays_when_redis_forgets_before_it_points_at_it(
    machine: Machine, forgets: None, tmp_path: Path
) -> None:
    a = machine("a")
    assert files.put_folder(made(tmp_path, head="weights", card="{}"), a / "projects" / "models" / "cold-v1")
    there = machine("b") / "projects" / "models" / "cold-v1"
    assert [files.current(there / name).read_text() for name in ("head", "card")] == ["weights", "{}"]


def test_a_folder_that_another_machine_makes_meanwhile_is_its_alone(
    machine: Machine, redis: Redis, after_each_object: Callable[[Callable[[], object]], None], tmp_path: Path
) -> None:
    a, b = machine("a"), machine("b")
    theirs = made(b, head="their weights", card="their card")

    def theirs_first() -> None:
        if theirs.exists():
            assert files.put_folder(theirs, b / "projects" / "models" / "cold-v1")
        redis.flushall()

    after_each_object(theirs_first)
    assert not files.put_folder(made(tmp_path, head="weights", card="{}"), a / "projects" / "models" / "cold-v1")
    for data_dir in (a, b):
        there = data_dir / "projects" / "models" / "cold-v1"
        assert [files.current(there / name).read_text() for name in ("head", "card")] == ["their weights", "their card"]
    assert len(objects_of(folder_of(a))) == 2


def test_the_last_file_of_a_folder_is_put_last(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what is there of one that nobody finished lacks its card."""
    a = machine("a")
    order = made(tmp_path, **dict.fromkeys(("z", "m", "b", "card", "a"), "x"))
    for seconds, name in enumerate(("z", "b", "a", "m", "card")):
        os.utime(order / name, (seconds, seconds))
    folder_of(a)
    names: list[str] = []
    put = ObjectStore.put

    def noted(self: ObjectStore, name: str, content: bytes | Path) -> None:
        names.append(name.split("/")[-2])
        put(self, name, content)

    monkeypatch.setattr(ObjectStore, "put", noted)
    files.put_folder(order, a / "projects" / "models" / "cold-v1")
    assert names == ["z", "b", "a", "m", "card"]


def test_a_file_that_was_removed_does_not_come_back(machine: Machine, redis: Redis) -> None:
    a = machine("a")
    path = a / "projects" / "7" / "quality.json"
    files.write(path, b"one")
    folder = folder_of(a)
    # As when its writer died before it deleted what it had replaced.
    [old] = objects_of(folder)
    files.write(path, b"two")
    folder.objects.put(old, b"one")
    files.remove(path)
    redis.flushall()
    assert not files.exists(path)
    assert objects_of(folder) == []


def test_a_removal_that_dies_midway_leaves_no_file(
    machine: Machine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = machine("a")
    path = a / "projects" / "7" / "quality.json"
    files.write(path, b"one")
    with monkeypatch.context() as dies:
        dies.setattr("ml_backend.store.index.Index.drop", _die)
        with pytest.raises(InterruptedError):
            files.remove(path)
    assert not files.current(machine("b") / "projects" / "7" / "quality.json").exists()
    redis.flushall()
    assert not files.exists(path)


def _die(*_: object) -> None:
    raise InterruptedError


def test_a_file_that_is_written_anew_while_it_is_removed_stays(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = machine("a"), machine("b")
    path = Path("projects") / "7" / "quality.json"
    files.write(a / path, b"one")
    delete = ObjectStore.delete

    def delete_late(self: ObjectStore, names: object) -> None:
        monkeypatch.setattr(ObjectStore, "delete", delete)
        files.write(b / path, b"two")
        delete(self, names)  # type: ignore[arg-type]

    monkeypatch.setattr(ObjectStore, "delete", delete_late)
    files.remove(a / path)
    assert files.current(a / path).read_bytes() == b"two"


def test_a_turn_lasts_as_long_as_its_owner_lives(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_backend.store.shared._LEASE_SECONDS", 0.3)
    monkeypatch.setattr("ml_backend.store.shared._RENEW_SECONDS", 0.05)
    places = [machine(name) / "projects" / "one" for name in ("a", "b")]
    inside: list[str] = []
    begun = threading.Event()

    def second() -> None:
        begun.wait()
        with files.exclusively(places[1]):
            inside.append("second")

    other = threading.Thread(target=second)
    other.start()
    with files.exclusively(places[0]):
        begun.set()
        time.sleep(1)
        inside.append("first")
    other.join()
    assert inside == ["first", "second"]


def test_the_turn_of_one_that_died_ends(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_backend.store.shared._LEASE_SECONDS", 0.3)
    a, b = machine("a"), machine("b")
    with monkeypatch.context() as dead:
        dead.setattr("ml_backend.store.shared._renew", lambda *_: None)
        died = files.exclusively(a / "projects" / "one")
        died.__enter__()
    begin = time.monotonic()
    with files.exclusively(b / "projects" / "one"):
        assert time.monotonic() - begin > 0.1


def test_files_that_others_are_writing_stay(machine: Machine) -> None:
    a, b = machine("a"), machine("b")
    files.write(a / "projects" / "7" / "one.json", b"one")
    folder_of(b)
    folder = b / "projects" / "7"
    folder.mkdir(parents=True)
    (folder / ".half.part").write_bytes(b"ha")
    (folder / "old.json").write_bytes(b"old")
    files.current_folder(folder)
    assert sorted(path.name for path in folder.iterdir()) == [".half.part", "one.json"]


def test_what_is_written_counts_and_what_killed_writers_left_goes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_backend.store.shared._FRESH_SECONDS", 0.0)
    a = machine("a", cache_max_bytes=100_000)
    left = a / "projects" / ".left.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    for n in range(40):
        files.write(a / "projects" / f"{n}.json", bytes(10_000))
    held = [path.stat().st_size for path in (a / "projects").iterdir()]
    assert sum(held) <= 105_000
    assert not left.exists()
    assert len(objects_of(folder_of(a))) == 40


def test_embeddings_that_a_killed_process_was_bringing_go(tmp_path: Path) -> None:
    root = tmp_path / "features"
    root.mkdir()
    (root / ".old.part").write_bytes(b"half")
    (root / ".folder.part").mkdir()
    (root / ".folder.part" / "entry").write_bytes(b"half")
    (root / ".new.part").write_bytes(b"half")
    for name in (".old.part", ".folder.part"):
        os.utime(root / name, (0, 0))
    with FeatureStore(root, 1 << 30).writer("video", "net"):
        assert {path.name for path in root.iterdir() if path.name in (".old.part", ".folder.part", ".new.part")} == {
            ".new.part"
        }
