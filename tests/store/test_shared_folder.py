"""Machines that share only Redis and a store see the same files, whole or not at all, whoever dies or forgets in between."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from redis import Redis
from s3_server import S3Server

from ml_backend.cards.detector_card import DetectorCard
from ml_backend.errors import SettingsError, StoreUnreachable
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.store import FeatureStore
from ml_backend.projects import asked_frames, detector_versions, stored_predictions
from ml_backend.projects.folder import ProjectFolder
from ml_backend.projects.storage import mapped_rows, put_rows
from ml_backend.settings import Settings
from ml_backend.store import files
from ml_backend.store.connect import begin, check_store, connect
from ml_backend.store.objects import ObjectStore
from ml_backend.store.shared import SharedFolder
from ml_backend.video.timeline import Timeline

Machine = Callable[..., Path]
PROJECT = "7.1769860800"
ROW = np.dtype([("task", "<i8"), ("value", "<i8")])


def objects_in(settings: Settings) -> list[str]:
    """The names of a store's objects that are of files."""
    names = [each.name for each in ObjectStore.at(str(settings.store_url)).list("")]
    return [name for name in names if name != "format.json"]


def test_what_one_machine_writes_is_there_on_the_other(machine: Machine, tmp_path: Path) -> None:
    a, b = machine("a"), machine("b")
    files.write(a / "projects" / PROJECT / "quality.json", b"one")
    there = b / "projects" / PROJECT / "quality.json"
    assert not there.exists(), "it is brought when it is asked for"
    assert files.names(there.parent) == ["quality.json"]
    assert files.exists(there)
    assert files.current(there).read_bytes() == b"one"
    files.write(there, b"two")
    assert files.current(a / "projects" / PROJECT / "quality.json").read_bytes() == b"two"
    files.remove(there)
    assert not files.current(a / "projects" / PROJECT / "quality.json").exists()
    assert files.names(a / "projects" / PROJECT) == []


def test_names_of_any_kind_are_kept(machine: Machine) -> None:
    a, b = machine("a"), machine("b")
    names = ["ein Modell.py", "=3D.json", "100%.csv", "naïve[1]*.txt", "a+b", "日本.json"]
    for name in names:
        files.write(a / "projects" / name, name.encode())
    assert sorted(files.names(b / "projects")) == sorted(names)
    assert files.names(b / "projects", "naïve[1]*") == ["naïve[1]*.txt"]
    assert [files.current(b / "projects" / name).read_text() for name in names] == names


def test_what_somebody_did_not_finish_is_not_taken_as_written(machine: Machine) -> None:
    """A worker that was killed before the store had its file."""
    a = machine("a")
    path = a / "projects" / PROJECT / "quality.json"
    assert not files.exists(path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of i")
    assert not files.current(path).exists()


@pytest.mark.parametrize("damaged", [b"on", b"onE", b""], ids=["cut off", "another", "empty"])
def test_an_object_that_is_not_what_was_written_is_none(damaged: bytes, machine: Machine, settings: Settings) -> None:
    a, b = machine("a"), machine("b")
    files.write(a / "projects" / "card.json", b"one")
    [name] = objects_in(settings)
    ObjectStore.at(str(settings.store_url)).put(name, damaged)
    assert not files.current(b / "projects" / "card.json").exists()
    assert not files.exists(b / "projects" / "card.json")
    files.write(b / "projects" / "card.json", b"again")
    assert files.current(a / "projects" / "card.json").read_bytes() == b"again"


def test_writers_of_one_file_do_each_other_no_harm(machine: Machine, settings: Settings) -> None:
    places = [machine(name) / "projects" / "one.json" for name in ("a", "b")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: files.write(places[n % 2], f"writer {n % 5}".encode()), range(24)))
    one, other = (files.current(place).read_bytes() for place in places)
    assert one == other
    assert one.startswith(b"writer ")
    assert len(objects_in(settings)) == 1, "what was replaced is gone from the store"


def test_rows_that_machines_add_at_the_same_time_are_all_there(machine: Machine) -> None:
    places = [machine(name) / "projects" / "tasks.rows" for name in ("a", "b")]

    def add(task: int) -> None:
        put_rows(places[task % 2], ROW, [task], np.array([(task, 10 * task)], ROW))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(1, 13)))
    for place in places:
        assert sorted(mapped_rows(place, ROW).tolist()) == [(task, 10 * task) for task in range(1, 13)]


def test_who_looks_and_then_writes_has_the_rows_of_the_other_machine(machine: Machine) -> None:
    a, b = machine("a"), machine("b")
    for data_dir, task in ((a, 1), (b, 2)):
        with asked_frames.writing(data_dir, PROJECT):
            asked_frames.put_pictures(data_dir, PROJECT, task, np.zeros(task, asked_frames.PICTURE))
    assert len(asked_frames.pictures(a, PROJECT)) == 3


def test_a_version_appears_whole_and_once(machine: Machine) -> None:
    a, b = machine("a"), machine("b")

    def card(name: str) -> DetectorCard:
        return DetectorCard(name, "motion", ("mouse",), 320, 0.5, "", "2026-01-31T12:00:00Z", True)

    made = [
        detector_versions.save(data_dir, PROJECT, card, f"weights of {n}".encode()) for n, data_dir in enumerate((a, b))
    ]
    assert [each.name for each in made] == ["detector-v1", "detector-v2"]
    assert [each.name for each in detector_versions.cards(a, PROJECT)] == ["detector-v1", "detector-v2"]
    assert detector_versions.weights_of(a, PROJECT, made[1]) == b"weights of 1"
    folder = a / "new"
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    assert not files.put_folder(folder, ProjectFolder(a, PROJECT).detectors / "detector-v2")


def test_a_redis_that_was_emptied_is_told_again_by_the_store(
    machine: Machine, redis: Redis, settings: Settings
) -> None:
    a = machine("a")
    for text in (b"one", b"two"):
        files.write(a / "projects" / PROJECT / "quality.json", text)
    stored_predictions.save(a, PROJECT, {"task": 3, "model_version": "cold-v1", "score": 0.5, "result": []})
    redis.flushall()
    assert files.current(a / "projects" / PROJECT / "quality.json").read_bytes() == b"two"
    assert stored_predictions.tasks(machine("b"), PROJECT) == {3}


def test_a_pointer_that_redis_lost_comes_back_when_it_was_started_again(machine: Machine, redis: Redis) -> None:
    a = machine("a")
    path = a / "projects" / PROJECT / "quality.json"
    files.write(path, b"one")
    before = redis.hgetall(f"coldblitz:store:in:projects/{PROJECT}")
    files.write(path, b"two")
    # As it is after its last second was not appended to its disk: it still points at what is gone, and has another run id.
    redis.hset(f"coldblitz:store:in:projects/{PROJECT}", mapping=before)
    assert files.current(machine("b") / "projects" / PROJECT / "quality.json").read_bytes() == b"two"
    redis.delete(f"coldblitz:store:in:projects/{PROJECT}")
    redis.set("coldblitz:store", "another run")
    assert files.current(machine("c") / "projects" / PROJECT / "quality.json").read_bytes() == b"two"


def test_with_a_project_its_objects_go(machine: Machine, settings: Settings) -> None:
    a, b = machine("a"), machine("b")
    for key in (PROJECT, "8.1"):
        stored_predictions.save(a, key, {"task": 3, "model_version": "cold-v1", "score": 0.5, "result": []})
        files.write(ProjectFolder(a, key).models / "cold-v1" / "card.json", b"{}")
    stored_predictions.load(b, PROJECT, "cold-v1", 3)
    assert {folder.key for folder in ProjectFolder.all(b)} == {PROJECT, "8.1"}
    folder = ProjectFolder(b, PROJECT)
    assert folder.forget()
    assert files.exists(ProjectFolder(a, PROJECT).models / "cold-v1" / "card.json"), "models go a day later"
    assert 0 <= (ProjectFolder(a, PROJECT).seconds_gone() or -1) < 60
    ProjectFolder(a, PROJECT).remove()
    assert {folder.key for folder in ProjectFolder.all(b)} == {"8.1"}
    assert stored_predictions.load(b, PROJECT, "cold-v1", 3) is None
    assert [name for name in objects_in(settings) if PROJECT in name] == []
    assert len(objects_in(settings)) == 2


def test_the_local_folder_is_bounded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_backend.store.shared._FRESH_SECONDS", 0.0)
    a, b = machine("a"), machine("b", cache_max_bytes=100_000)
    paths = [Path("projects") / f"{n}.json" for n in range(40)]
    for path in paths:
        files.write(a / path, path.name.encode().ljust(10_000))
    for path in paths:
        assert files.current(b / path).read_bytes().startswith(path.name.encode())
    held = [path for path in (b / "projects").iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in held) <= 105_000
    assert b / paths[-1] in held
    assert files.current(b / paths[0]).exists(), "what has left is brought again"


def test_embeddings_of_one_machine_serve_the_other(machine: Machine) -> None:
    a, b = machine("a"), machine("b")
    times = Timeline(np.arange(50) * 512, Fraction(1, 12800), Fraction(2), np.zeros((0, 2), np.int64))
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float16)
    saved = VideoFeatures(times, np.array([0, 16, 32, 49], np.int64), {"appearance": rows}, promised=50)
    FeatureStore(a / "features", 1 << 30).save("video", "net", saved)
    other = FeatureStore(b / "features", 1 << 30)
    assert other.has("video", "net")
    loaded = other.load("video", "net")
    assert loaded is not None
    np.testing.assert_array_equal(loaded.blocks["appearance"], rows)
    np.testing.assert_array_equal(loaded.timeline.pts, times.pts)
    assert FeatureStore(machine("c") / "features", 1).any_of("video") is not None


def test_a_folder_of_before_is_put_into_the_store_once(machine: Machine, settings: Settings, redis: Redis) -> None:
    old = settings.data_dir / "projects" / PROJECT
    (old / "models" / "cold-v1").mkdir(parents=True)
    (old / "models" / "cold-v1" / "card.json").write_text("{}")
    (old / "models" / ".new-1").mkdir()
    (old / "models" / ".new-1" / "card.json").write_text("half")
    a = machine("a")
    assert files.current(a / "projects" / PROJECT / "models" / "cold-v1" / "card.json").read_text() == "{}"
    b = machine("b")
    assert files.names(b / "projects" / PROJECT / "models") == ["cold-v1"]
    files.remove(b / "projects" / PROJECT / "models" / "cold-v1" / "card.json")
    assert not files.current(machine("a") / "projects" / PROJECT / "models" / "cold-v1" / "card.json").exists()


def test_a_cache_of_another_store_is_refused(
    machine: Machine, settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    files.current(machine("a") / "projects" / "any.json")
    other = replace(settings, store_url=f"file://{tmp_path}/other")
    with pytest.raises(SettingsError, match=r"is the cache of (file|s3|az)://\S+, and STORE_URL is file://"):
        connect(other, redis)


class TestAway:
    @pytest.fixture
    def store_url(self, bucket: str) -> str:
        return bucket

    def test_it_is_said_in_one_sentence_and_what_was_written_stays(
        self, machine: Machine, s3: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml_backend.store.objects._RETRIES", 1)
        monkeypatch.setattr("ml_backend.store.objects._AWAY_SECONDS", 0.0)
        a = machine("a")
        path = a / "projects" / "one.json"
        files.write(path, b"one")
        stored_predictions.save(a, PROJECT, {"task": 3, "model_version": "cold-v1", "score": 0.5, "result": [{}]})
        with monkeypatch.context() as away:
            away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            b = machine("a")
            files.attach(b, None)
            machine("b")
            with pytest.raises(
                StoreUnreachable, match=r"^The store s3://coldblitz/installation does not answer\. .*"
            ) as told:
                files.current(machine("b") / "projects" / "one.json")
        assert told.value.passes
        assert "never-to-be-logged" not in str(told.value)
        assert files.current(machine("b") / "projects" / "one.json").read_bytes() == b"one"

    def test_what_is_in_the_folder_is_answered_from_it(
        self, machine: Machine, s3: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b = machine("a"), machine("b")
        monkeypatch.setattr("ml_backend.store.objects._RETRIES", 0)
        for task in (3, 4):
            stored_predictions.save(
                a, PROJECT, {"task": task, "model_version": "cold-v1", "score": 0.5, "result": [{"id": task}]}
            )
        assert set(stored_predictions.answers(b, PROJECT, "cold-v1", [3, 5])) == {3}
        folder = files.shared(b)
        assert folder is not None
        shutil.rmtree(a)
        gone = folder.objects
        monkeypatch.setattr(gone, "_away_until", float("inf"))
        assert set(stored_predictions.answers(b, PROJECT, "cold-v1", [3])) == {3}
        assert set(stored_predictions.answers(b, PROJECT, "cold-v1", [3, 4])) == {3}, "the other is asked for again"

    def test_a_process_that_starts_meanwhile_answers_from_its_folder(
        self, machine: Machine, settings: Settings, redis: Redis, s3: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b = machine("a"), machine("b")
        stored_predictions.save(
            a, PROJECT, {"task": 3, "model_version": "cold-v1", "score": 0.5, "result": [{"id": 3}]}
        )
        assert set(stored_predictions.answers(b, PROJECT, "cold-v1", [3])) == {3}
        files.attach(b, None)
        # Who waits for it would try again in a minute.
        monkeypatch.setattr("ml_backend.store.objects._FIRST_PAUSE", timedelta(seconds=60))
        monkeypatch.setattr("ml_backend.store.objects._LONGEST_PAUSE", timedelta(seconds=60))
        monkeypatch.setattr("ml_backend.store.objects._RETRY_SECONDS", 600)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        started = time.monotonic()
        begin(replace(settings, data_dir=b), redis)
        assert time.monotonic() - started < 30
        assert set(stored_predictions.answers(b, PROJECT, "cold-v1", [3, 4])) == {3}

    def test_a_folder_that_cannot_be_opened_is_not_tried_for_each_file(self, tmp_path: Path) -> None:
        tried = []

        def opened() -> SharedFolder:
            tried.append(1)
            raise StoreUnreachable("It does not answer.", "Wait.")

        files.attach(tmp_path / "fresh", opened)
        try:
            for name in ("one.json", "two.json"):
                with pytest.raises(StoreUnreachable, match="does not answer"):
                    files.current(tmp_path / "fresh" / name)
            assert not stored_predictions.answers(tmp_path / "fresh", PROJECT, "cold-v1", [1])
        finally:
            files.attach(tmp_path / "fresh", None)
        assert len(tried) == 1

    def test_what_azure_refuses_is_one_sentence(self, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
        ObjectStore.at(container, patient=False).check()
        with pytest.raises(
            SettingsError, match=r"^The store az://other/x has no such container\. Create it, or correct"
        ):
            ObjectStore.at("az://other/x", patient=False).check()
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=")
        with pytest.raises(
            SettingsError, match=r"refuses the credentials\. Check AZURE_STORAGE_ACCOUNT_NAME and AZURE_"
        ):
            ObjectStore.at(container, patient=False).check()
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
        with pytest.raises(SettingsError, match=r"Account must be specified.*Write it like az://container/folder"):
            ObjectStore.at(container, patient=False)

    def test_a_mistake_is_one_sentence_at_the_start(self, settings: Settings, redis: Redis, bucket: str) -> None:
        wrong = replace(settings, store_url="s3://other/x")
        try:
            with pytest.raises(
                SettingsError, match=r"^The store s3://other/x has no such bucket\. Create it, or correct"
            ):
                begin(wrong, redis)
        finally:
            files.attach(wrong.data_dir, None)
        assert check_store(wrong).state == "fault"
        assert check_store(settings).state == "ok"


@pytest.mark.parametrize(
    "url", ["bucket", "ftp://x/y", "s3:///x", "s3://key:secret@bucket", "file://here", "az://x?sig=secret"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    environment = {"LABEL_STUDIO_URL": "http://x", "LABEL_STUDIO_API_KEY": "x", "STORE_URL": url}
    with pytest.raises(SettingsError, match="STORE_URL is not the address of a store") as told:
        Settings.from_environment(environment)
    assert "secret" not in str(told.value)
