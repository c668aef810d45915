"""Predictions kept as files for `/predict`, and what Redis remembers of projects."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.records import projects, ready
from ml_backend.records.projects import Known

P = "7.1769860800"
ITEM = {"task": 5, "model_version": "cold-v3", "score": 0.5, "result": [{"id": "cold-v3-1"}]}


class TestReadyPredictions:
    def test_what_was_pushed_comes_back_as_an_answer(self, tmp_path: Path) -> None:
        ready.save(tmp_path, P, ITEM)
        assert ready.load(tmp_path, P, "cold-v3", 5) == {key: value for key, value in ITEM.items() if key != "task"}

    def test_other_projects_versions_and_tasks_have_none(self, tmp_path: Path) -> None:
        ready.save(tmp_path, P, ITEM)
        for project, version, task in (("8.1", "cold-v3", 5), (P, "cold-v4", 5), (P, "cold-v3", 6)):
            assert ready.load(tmp_path, project, version, task) is None

    @pytest.mark.parametrize("damage", ["cut off", "zeros", "a changed byte", "of another release"])
    def test_a_damaged_file_is_as_none(self, damage: str, tmp_path: Path) -> None:
        ready.save(tmp_path, P, ITEM)
        (path,) = tmp_path.rglob("5.json")
        whole = path.read_bytes()
        damaged = {
            "cut off": whole[:30],
            "zeros": bytes(len(whole)),
            "a changed byte": whole.replace(b"0.5", b"0.6"),
            "of another release": whole.partition(b"\n")[0],
        }
        path.write_bytes(damaged[damage])
        assert ready.load(tmp_path, P, "cold-v3", 5) is None
        assert ready.answers(tmp_path, P, "cold-v3", [5]) == {}

    def test_its_answer_is_the_same_as_json(self, tmp_path: Path) -> None:
        ready.save(tmp_path, P, ITEM)
        (answer,) = ready.answers(tmp_path, P, "cold-v3", [5]).values()
        assert json.loads(answer) == ready.load(tmp_path, P, "cold-v3", 5)

    def test_many_are_answered_at_once_without_those_that_are_not_there(self, tmp_path: Path) -> None:
        for task in (1, 3):
            ready.save(tmp_path, P, {**ITEM, "task": task, "score": task / 10})
        found = ready.answers(tmp_path, P, "cold-v3", [3, 2, 1])
        assert {task: json.loads(answer)["score"] for task, answer in found.items()} == {3: 0.3, 1: 0.1}
        assert ready.answers(tmp_path, "8.1", "cold-v3", [1]) == ready.answers(tmp_path, P, "cold-v4", [1]) == {}

    @pytest.mark.parametrize("regions", [500, 5000])
    def test_one_of_thousands_of_regions_is_read_whole(self, regions: int, tmp_path: Path) -> None:
        ready.save(tmp_path, P, {**ITEM, "result": [{"id": f"cold-v3-{n}"} for n in range(regions)]})
        (answer,) = ready.answers(tmp_path, P, "cold-v3", [5]).values()
        assert len(json.loads(answer)["result"]) == regions

    def test_one_without_any_region_is_no_answer(self, tmp_path: Path) -> None:
        ready.save(tmp_path, P, {**ITEM, "result": []})
        assert ready.load(tmp_path, P, "cold-v3", 5) is not None
        assert ready.answers(tmp_path, P, "cold-v3", [5]) == {}

    def test_versions_are_listed_and_deleted(self, tmp_path: Path) -> None:
        assert ready.versions(tmp_path, P) == []
        for version in ("cold-v3", "cold-v2"):
            ready.save(tmp_path, P, {**ITEM, "model_version": version})
        assert ready.versions(tmp_path, P) == ["cold-v2", "cold-v3"]
        ready.delete(tmp_path, P, "cold-v2")
        ready.delete(tmp_path, P, "cold-v1")
        assert ready.versions(tmp_path, P) == ["cold-v3"]

    def test_a_folder_that_cannot_be_written_is_a_storage_error(self, tmp_path: Path) -> None:
        (tmp_path / "projects").write_text("in the way")
        with pytest.raises(StorageError, match="DATA_DIR"):
            ready.save(tmp_path, P, ITEM)


class TestProjects:
    def test_a_project_is_remembered_with_its_settings(self, redis: Redis) -> None:
        known = Known(P, "<View/>", {"sampling": "uniform", "nonsense": 1})
        assert projects.remember(redis, known)
        assert projects.recall(redis, P) == known
        assert projects.known_keys(redis) == [P]
        assert known.settings.sampling == "uniform"

    def test_it_is_said_whether_something_is_new(self, redis: Redis) -> None:
        assert projects.remember(redis, Known(P, "<View/>"))
        assert not projects.remember(redis, Known(P, "<View/>"))
        assert projects.remember(redis, Known(P, "<View><Video/></View>"))

    def test_what_a_newer_release_has_stored_beside_is_kept_and_does_not_confuse(self, redis: Redis) -> None:
        redis.hset("coldblitz:projects", P, json.dumps({"key": P, "label_config": "<View/>", "colour": "blue"}))
        known = projects.recall(redis, P)
        assert known == Known(P, "<View/>")
        assert projects.remember(redis, Known(P, "<View/>", {"min_frames": 3}))
        assert projects.stored(redis, P)["colour"] == "blue"

    @pytest.mark.parametrize("said", ["{}", "[]", "null", "not JSON", '{"name": "x"}'])
    def test_what_this_release_cannot_read_is_unknown(self, redis: Redis, said: str) -> None:
        redis.hset("coldblitz:projects", P, said)
        assert projects.recall(redis, P) is None
        projects.remember(redis, Known(P, "<View/>"))
        assert projects.recall(redis, P) == Known(P, "<View/>")

    def test_a_project_nobody_set_up_is_unknown(self, redis: Redis) -> None:
        assert projects.recall(redis, P) is None
        assert projects.active_version(redis, P) is None
        assert projects.problems(redis) == {}

    def test_the_active_version_and_when_each_was_pinned(self, redis: Redis) -> None:
        before = time.time()
        for version in ("cold-v1", "cold-v2", "cold-v1"):
            projects.activate(redis, P, version)
        pins = projects.pins(redis, P)
        assert projects.active_version(redis, P) == "cold-v1"
        assert before <= pins["cold-v2"] <= pins["cold-v1"] <= time.time()

    def test_problems_are_told_by_source_until_they_are_mended(self, redis: Redis) -> None:
        projects.remember(redis, Known(P, "<View/>"))
        projects.set_problems(redis, P, "settings", ["One.", "Two."])
        projects.set_problems(redis, P, "labels", ["Three."])
        assert sorted(projects.problems(redis)[P]) == ["One.", "Three.", "Two."]
        projects.set_problems(redis, P, "settings", [])
        assert projects.problems(redis) == {P: ["Three."]}

    def test_the_version_that_is_wanted_need_not_be_active_yet(self, redis: Redis) -> None:
        assert projects.wanted_version(redis, P) is None
        projects.want(redis, P, "cold-v2")
        assert (projects.wanted_version(redis, P), projects.active_version(redis, P)) == ("cold-v2", None)

    def test_what_many_videos_have_is_told_once_and_first(self, redis: Redis) -> None:
        projects.remember(redis, Known(P, "<View/>"))
        rate, sound = {"kind": "rate", "message": "Uneven."}, {"kind": "sound", "message": "None."}
        for task, found in ((10, [rate, sound]), (9, [sound]), (8, [])):
            projects.note_findings(redis, P, task, found)
        assert projects.findings(redis) == {P: [{**sound, "tasks": [9, 10]}, {**rate, "tasks": [10]}]}
        for task in (9, 10):
            projects.note_findings(redis, P, task, [])
        assert projects.findings(redis) == {}

    def test_what_is_said_of_one_video_is_not_said_of_another(self, redis: Redis) -> None:
        projects.remember(redis, Known(P, "<View/>"))
        slow, slower, fast = (
            {"kind": "framerate", "message": f"The video has {rate}.", "severity": severity}
            for rate, severity in ((12, "note"), (10, "note"), (50, "warning"))
        )
        for task, found in ((1, slow), (2, slower), (3, fast)):
            projects.note_findings(redis, P, task, [found])
        example = {**slow, "message": "For example, task 1: The video has 12.", "tasks": [1, 2]}
        assert projects.findings(redis) == {P: [{**fast, "tasks": [3]}, example]}

    def test_a_forgotten_project_leaves_nothing(self, redis: Redis) -> None:
        projects.remember(redis, Known(P, "<View/>"))
        projects.activate(redis, P, "cold-v1")
        projects.want(redis, P, "cold-v2")
        projects.note_annotation(redis, P)
        projects.note_findings(redis, P, 5, [{"kind": "rate"}])
        projects.set_problems(redis, P, "labels", ["Three."])
        projects.forget(redis, P)
        assert redis.keys() == []
