"""Predictions kept as files for `/predict`, and what Redis remembers of projects."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from redis import Redis

from ml_backend.checks import Finding, Severity
from ml_backend.errors import StorageError
from ml_backend.projects import registry, stored_predictions
from ml_backend.projects.registry import Known, SharedFinding

P = "7.1769860800"
ITEM = {"task": 5, "model_version": "cold-v3", "score": 0.5, "result": [{"id": "cold-v3-1"}]}
FRAMERATES: tuple[tuple[int, Severity], ...] = ((12, "note"), (10, "note"), (50, "warning"))


def shared(finding: Finding, *tasks: int) -> SharedFinding:
    return SharedFinding(**asdict(finding), tasks=list(tasks))


class TestReadyPredictions:
    def test_what_was_pushed_comes_back_as_an_answer(self, tmp_path: Path) -> None:
        stored_predictions.save(tmp_path, P, ITEM)
        assert stored_predictions.load(tmp_path, P, "cold-v3", 5) == {
            key: value for key, value in ITEM.items() if key != "task"
        }

    def test_other_projects_versions_and_tasks_have_none(self, tmp_path: Path) -> None:
        stored_predictions.save(tmp_path, P, ITEM)
        for project, version, task in (("8.1", "cold-v3", 5), (P, "cold-v4", 5), (P, "cold-v3", 6)):
            assert stored_predictions.load(tmp_path, project, version, task) is None

    @pytest.mark.parametrize("damage", ["cut off", "zeros", "a changed byte", "of another release"])
    def test_a_damaged_file_is_as_none(self, damage: str, tmp_path: Path) -> None:
        stored_predictions.save(tmp_path, P, ITEM)
        (path,) = tmp_path.rglob("5.json")
        whole = path.read_bytes()
        damaged = {
            "cut off": whole[:30],
            "zeros": bytes(len(whole)),
            "a changed byte": whole.replace(b"0.5", b"0.6"),
            "of another release": whole.partition(b"\n")[0],
        }
        path.write_bytes(damaged[damage])
        assert stored_predictions.load(tmp_path, P, "cold-v3", 5) is None
        assert stored_predictions.answers(tmp_path, P, "cold-v3", [5]) == {}

    def test_its_answer_is_the_same_as_json(self, tmp_path: Path) -> None:
        stored_predictions.save(tmp_path, P, ITEM)
        (answer,) = stored_predictions.answers(tmp_path, P, "cold-v3", [5]).values()
        assert json.loads(answer) == stored_predictions.load(tmp_path, P, "cold-v3", 5)

    def test_many_are_answered_at_once_without_those_that_are_not_there(self, tmp_path: Path) -> None:
        for task in (1, 3):
            stored_predictions.save(tmp_path, P, {**ITEM, "task": task, "score": task / 10})
        found = stored_predictions.answers(tmp_path, P, "cold-v3", [3, 2, 1])
        assert {task: json.loads(answer)["score"] for task, answer in found.items()} == {3: 0.3, 1: 0.1}
        assert (
            stored_predictions.answers(tmp_path, "8.1", "cold-v3", [1])
            == stored_predictions.answers(tmp_path, P, "cold-v4", [1])
            == {}
        )

    @pytest.mark.parametrize("regions", [500, 5000])
    def test_one_of_thousands_of_regions_is_read_whole(self, regions: int, tmp_path: Path) -> None:
        stored_predictions.save(tmp_path, P, {**ITEM, "result": [{"id": f"cold-v3-{n}"} for n in range(regions)]})
        (answer,) = stored_predictions.answers(tmp_path, P, "cold-v3", [5]).values()
        assert len(json.loads(answer)["result"]) == regions

    def test_one_without_any_region_is_no_answer(self, tmp_path: Path) -> None:
        stored_predictions.save(tmp_path, P, {**ITEM, "result": []})
        assert stored_predictions.load(tmp_path, P, "cold-v3", 5) is not None
        assert stored_predictions.answers(tmp_path, P, "cold-v3", [5]) == {}

    def test_versions_are_listed_and_deleted(self, tmp_path: Path) -> None:
        assert stored_predictions.versions(tmp_path, P) == []
        for version in ("cold-v3", "cold-v2"):
            stored_predictions.save(tmp_path, P, {**ITEM, "model_version": version})
        assert stored_predictions.versions(tmp_path, P) == ["cold-v2", "cold-v3"]
        stored_predictions.delete(tmp_path, P, "cold-v2")
        stored_predictions.delete(tmp_path, P, "cold-v1")
        assert stored_predictions.versions(tmp_path, P) == ["cold-v3"]

    def test_a_folder_that_cannot_be_written_is_a_storage_error(self, tmp_path: Path) -> None:
        (tmp_path / "projects").write_text("in the way")
        with pytest.raises(StorageError, match="DATA_DIR"):
            stored_predictions.save(tmp_path, P, ITEM)


class TestProjects:
    def test_a_project_is_remembered_with_its_settings(self, redis: Redis) -> None:
        known = Known(P, "<View/>", {"sampling": "uniform", "nonsense": 1})
        assert registry.remember(redis, known)
        assert registry.recall(redis, P) == known
        assert registry.known_keys(redis) == [P]
        assert known.settings.sampling == "uniform"

    def test_it_is_said_whether_something_is_new(self, redis: Redis) -> None:
        assert registry.remember(redis, Known(P, "<View/>"))
        assert not registry.remember(redis, Known(P, "<View/>"))
        assert registry.remember(redis, Known(P, "<View><Video/></View>"))

    def test_what_a_newer_release_has_stored_beside_is_kept_and_does_not_confuse(self, redis: Redis) -> None:
        redis.hset("coldblitz:projects", P, json.dumps({"key": P, "label_config": "<View/>", "colour": "blue"}))
        known = registry.recall(redis, P)
        assert known == Known(P, "<View/>")
        assert registry.remember(redis, Known(P, "<View/>", {"min_frames": 3}))
        assert registry.stored(redis, P)["colour"] == "blue"

    @pytest.mark.parametrize("said", ["{}", "[]", "null", "not JSON", '{"name": "x"}'])
    def test_what_this_release_cannot_read_is_unknown(self, redis: Redis, said: str) -> None:
        redis.hset("coldblitz:projects", P, said)
        assert registry.recall(redis, P) is None
        registry.remember(redis, Known(P, "<View/>"))
        assert registry.recall(redis, P) == Known(P, "<View/>")

    def test_a_project_nobody_set_up_is_unknown(self, redis: Redis) -> None:
        assert registry.recall(redis, P) is None
        assert registry.active_version(redis, P) is None
        assert registry.problems(redis) == {}

    def test_the_active_version_and_when_each_was_pinned(self, redis: Redis) -> None:
        before = time.time()
        for version in ("cold-v1", "cold-v2", "cold-v1"):
            registry.activate(redis, P, version)
        pins = registry.pins(redis, P)
        assert registry.active_version(redis, P) == "cold-v1"
        assert before <= pins["cold-v2"] <= pins["cold-v1"] <= time.time()

    def test_problems_are_told_by_source_until_they_are_mended(self, redis: Redis) -> None:
        registry.remember(redis, Known(P, "<View/>"))
        registry.set_problems(redis, P, "settings", ["One.", "Two."])
        registry.set_problems(redis, P, "labels", ["Three."])
        assert sorted(registry.problems(redis)[P]) == ["One.", "Three.", "Two."]
        registry.set_problems(redis, P, "settings", [])
        assert registry.problems(redis) == {P: ["Three."]}

    def test_the_version_that_is_wanted_need_not_be_active_yet(self, redis: Redis) -> None:
        assert registry.wanted_version(redis, P) is None
        registry.want(redis, P, "cold-v2")
        assert (registry.wanted_version(redis, P), registry.active_version(redis, P)) == ("cold-v2", None)

    def test_what_many_videos_have_is_told_once_and_first(self, redis: Redis) -> None:
        registry.remember(redis, Known(P, "<View/>"))
        rate, sound = Finding("rate", "Uneven.", "Encode it.", "note"), Finding("sound", "None.", "None.", "note")
        for task, found in ((10, [rate, sound]), (9, [sound]), (8, [])):
            registry.note_findings(redis, P, task, found)
        assert registry.findings(redis) == {P: [shared(sound, 9, 10), shared(rate, 10)]}
        for task in (9, 10):
            registry.note_findings(redis, P, task, [])
        assert registry.findings(redis) == {}

    def test_what_is_said_of_one_video_is_not_said_of_another(self, redis: Redis) -> None:
        registry.remember(redis, Known(P, "<View/>"))
        slow, slower, fast = (
            Finding("framerate", f"The video has {rate}.", "None.", severity) for rate, severity in FRAMERATES
        )
        for task, found in ((1, slow), (2, slower), (3, fast)):
            registry.note_findings(redis, P, task, [found])
        example = shared(replace(slow, message="For example, task 1: The video has 12."), 1, 2)
        assert registry.findings(redis) == {P: [shared(fast, 3), example]}

    def test_a_forgotten_project_leaves_nothing(self, redis: Redis) -> None:
        registry.remember(redis, Known(P, "<View/>"))
        registry.activate(redis, P, "cold-v1")
        registry.want(redis, P, "cold-v2")
        registry.note_annotation(redis, P)
        registry.note_findings(redis, P, 5, [Finding("rate", "Uneven.", "None.", "note")])
        registry.set_problems(redis, P, "labels", ["Three."])
        registry.forget(redis, P)
        assert redis.keys() == []
