"""What jobs leave for the dashboard: a project as a whole, a task over time, and what people have labelled."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis import Redis
from studio import KEY, Studio

from ml_backend.annotation import Annotation, Origin, Region
from ml_backend.errors import StorageError
from ml_backend.jobs.predictions.predict import FrameProbabilities, view_of
from ml_backend.jobs.project_work import ProjectWork, open_project
from ml_backend.jobs.reconciling.reconcile import reconcile
from ml_backend.jobs.training.label_counts import note_labelled
from ml_backend.jobs.training.labelled import Annotated
from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.labelstudio.client import Task
from ml_backend.records import label_report, overview, ready, task_view
from ml_backend.records.label_report import HumanRegion, LabelReport
from ml_backend.records.task_view import TaskView, over_time
from ml_backend.video.timeline import StudioFrame, Timeline

VIEW = TaskView(5, "bird.mp4", 25.0, 100, 4.0, "cold-v1", {"cat": [0, 100]}, 25.0)


def steady(frames: int, rate: int = 25) -> Timeline:
    return Timeline(np.arange(frames), Fraction(1, rate), Fraction(frames, rate))


class TestAProject:
    def test_a_reconcile_notes_its_title_tasks_and_versions(
        self, context: WorkerContext, studio: Studio, redis: Redis
    ) -> None:
        assert overview.recall(redis, KEY) is None
        studio.add_task(1)
        studio.add_task(2)
        studio.predictions.append({"id": 0, "task": 2, "model_version": "keyframes-v1", "result": []})
        reconcile(KEY)
        found = overview.recall(redis, KEY)
        assert found is not None
        assert studio.project is not None
        assert (found.title, found.tasks, found.versions) == (studio.project["title"], 2, {"keyframes-v1": 1})

    def test_it_is_forgotten_with_the_project(self, context: WorkerContext, studio: Studio, redis: Redis) -> None:
        reconcile(KEY)
        studio.project = None
        reconcile(KEY)
        assert overview.recall(redis, KEY) is None


class TestATaskOverTime:
    def test_each_stretch_has_the_mean_of_its_frames(self) -> None:
        values = np.zeros((600, 2), np.float32)
        values[300:, 0], values[::2, 1] = 1, 0.5
        found = over_time(steady(600), values)
        assert found.shape == (300, 2)
        assert found[:150, 0].tolist() == [0] * 150
        assert found[150:, 0].tolist() == [100] * 150
        assert set(found[:, 1].tolist()) == {25}

    def test_a_short_video_has_a_stretch_a_frame(self) -> None:
        assert over_time(steady(3), np.array([[0.1], [0.2], [0.9]], np.float32)).tolist() == [[10], [20], [90]]

    def test_stretches_are_equally_long_in_time_however_uneven_the_frames(self) -> None:
        # Eight frames in the first second, one that is shown for five more, and one for the rest.
        timeline = Timeline(np.array([0, 1, 2, 3, 4, 5, 6, 7, 10, 60]), Fraction(1, 10), Fraction(10))
        values = np.array([[1.0]] * 8 + [[0.2], [0.0]], np.float32)
        assert over_time(timeline, values).ravel().tolist() == [100, 20, 20, 20, 20, 20, 0, 0, 0, 0]

    def test_it_is_drawn_on_label_studios_grid(self, context: WorkerContext) -> None:
        work = open_project(context, KEY)
        timeline = steady(50)
        found = FrameProbabilities(timeline, ("cat",), True, np.ones((50, 1), np.float32))
        view = view_of(work, "cold-v1", Task(5, {work.config.video_key: "/data/upload/1/bird.mp4"}), timeline, found)
        assert (view.video, view.seconds, view.frames) == ("bird.mp4", 2.0, round(2 * view.framerate))
        assert set(view.percent["cat"]) == {100}

    def test_a_prediction_does_not_forget_the_videos_rate(self, tmp_path: Path) -> None:
        task_view.save(tmp_path, KEY, VIEW)
        task_view.save(tmp_path, KEY, TaskView(5, "bird.mp4", 25.0, 100, 4.0, "cold-v2", {}))
        found = task_view.load(tmp_path, KEY, 5)
        assert found is not None
        assert (found.version, found.natural) == ("cold-v2", 25.0)
        assert task_view.natural_rates(tmp_path, KEY) == {25.0: 1}

    def test_what_is_damaged_or_gone_is_none(self, tmp_path: Path) -> None:
        task_view.save(tmp_path, KEY, VIEW)
        assert task_view.load(tmp_path, KEY, 5) == VIEW
        (tmp_path / "projects" / KEY / "views" / "5.json").write_text('{"task": 5')
        assert task_view.load(tmp_path, KEY, 5) is None
        task_view.delete(tmp_path, KEY, 5)
        assert task_view.natural_rates(tmp_path, KEY) == {}

    def test_a_disk_that_refuses_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "projects").write_text("a file where a folder must be")
        with pytest.raises(StorageError):
            task_view.save(tmp_path, KEY, VIEW)


def annotated(task: int, author: int | None, *regions: Region) -> Annotated:
    made = Annotation(10 * task, task, regions, datetime(2026, 1, task, tzinfo=UTC), author)
    return Annotated(Task(task, {}), (made,))


def taking(one: Annotated, seconds: float | None) -> Annotated:
    return replace(one, annotations=tuple(replace(each, lead_time=seconds) for each in one.annotations))


def region(name: str, start: int, end: int, label: str | None = "cat", origin: Origin = "manual") -> Region:
    return Region(name, StudioFrame(start), StudioFrame(end), (label,) if label else (), origin)


class TestWhatPeopleHaveLabelled:
    @pytest.fixture
    def work(self, context: WorkerContext) -> ProjectWork:
        return open_project(context, KEY)

    def report(self, context: WorkerContext) -> LabelReport:
        found = label_report.load(context.settings.data_dir, KEY)
        assert found is not None
        return found

    def test_frames_regions_and_whole_videos_are_counted(self, context: WorkerContext, work: ProjectWork) -> None:
        tasks = [
            annotated(1, 11, region("a", 1, 10), region("b", 11, 15, "dog")),
            annotated(
                2, 12, region("kf-3", 3, 3, None, "prediction"), region("kf-9", 9, 9, "cat", "prediction-changed")
            ),
        ]
        note_labelled(context, work, tasks, [1, 7])
        report = self.report(context)
        assert (report.tasks, report.reviewed) == ((1, 2), (1,))
        assert (report.frames, report.regions) == ({"cat": 11, "dog": 5}, {"cat": 2, "dog": 1})
        assert [(each.author, each.annotations, each.frames) for each in report.authors] == [(11, 1, 15), (12, 1, 1)]

    def test_who_or_what_gave_a_label_is_told_apart(self, context: WorkerContext, work: ProjectWork) -> None:
        def item(name: str, start: int, end: int) -> dict[str, Any]:
            value = {"ranges": [{"start": start, "end": end}], "timelinelabels": ["cat"]}
            control = {"from_name": work.config.from_name, "to_name": work.config.to_name}
            return {"id": name, "type": "timelinelabels", "value": value, **control}

        result = [item("cold-v1-1", 1, 10), item("cold-v1-2", 20, 30)]
        pushed = {"task": 1, "model_version": "cold-v1", "score": 0.5, "result": result}
        ready.save(context.settings.data_dir, KEY, pushed)
        regions = (
            region("cold-v1-1", 1, 10, origin="prediction"),
            region("cold-v1-2", 20, 33, origin="prediction"),  # an edge was dragged
            region("kf-40", 40, 40, origin="prediction-changed"),
            region("abc", 50, 60),
        )
        note_labelled(context, work, [annotated(1, 11, *regions)], [])
        found = label_report.regions_of(context.settings.data_dir, KEY, 1)
        assert [each.source for each in found] == ["accepted", "changed", "person", "person"]
        report = self.report(context)
        (author,) = report.authors
        assert (author.accepted, author.changed, author.person) == (1, 1, 2)
        assert report.sources == {"cat": {"accepted": 1, "changed": 1, "person": 2}}

    def test_a_dragged_edge_is_seen_when_the_prediction_is_deleted(
        self, context: WorkerContext, work: ProjectWork
    ) -> None:
        left = region("cold-v1-1_1_10", 1, 10, origin="prediction")
        dragged = region("cold-v1-2_20_30", 20, 33, origin="prediction")
        note_labelled(context, work, [annotated(1, 11, left, dragged)], [])
        found = label_report.regions_of(context.settings.data_dir, KEY, 1)
        assert [each.source for each in found] == ["accepted", "changed"]

    def test_people_have_their_names_and_the_time_that_they_took(
        self, context: WorkerContext, work: ProjectWork, studio: Studio
    ) -> None:
        studio.users = [
            {"id": 11, "first_name": "Ada", "last_name": "Lovelace", "email": "ada@a.example"},
            {"id": 12, "first_name": "", "last_name": "", "email": "ben@a.example"},
        ]
        tasks = [
            taking(annotated(task, author, region("a", 1, 10)), seconds)
            for task, author, seconds in ((1, 11, 4.0), (2, 11, 10.0), (3, 11, 6.0), (4, 12, None), (5, 13, 2.0))
        ]
        note_labelled(context, work, tasks, [])
        found = {each.called: (each.seconds, each.median_seconds) for each in self.report(context).authors}
        assert found == {"Ada Lovelace": (20.0, 6.0), "ben@a.example": (None, None), "user 13": (2.0, 2.0)}

    def test_a_token_that_may_not_see_people_leaves_their_numbers(
        self, context: WorkerContext, work: ProjectWork
    ) -> None:
        note_labelled(context, work, [annotated(1, 11, region("a", 1, 10)), annotated(2, None)], [])
        assert [each.called for each in self.report(context).authors] == ["user 11", "unknown"]

    def test_a_report_from_before_there_were_names_is_still_read(
        self, context: WorkerContext, work: ProjectWork
    ) -> None:
        note_labelled(context, work, [annotated(1, 11, region("a", 1, 10))], [])
        path = context.settings.data_dir / "projects" / KEY / "labelled" / "report.json"
        data = json.loads(path.read_text())
        del data["sources"]
        for author in data["authors"]:
            del author["name"], author["seconds"], author["median_seconds"]
        path.write_text(json.dumps(data))
        assert self.report(context).authors[0].called == "user 11"

    def test_what_is_no_longer_annotated_is_forgotten(self, context: WorkerContext, work: ProjectWork) -> None:
        note_labelled(context, work, [annotated(1, 11, region("a", 1, 10)), annotated(2, None, region("b", 1, 2))], [])
        note_labelled(context, work, [annotated(2, None, region("b", 1, 2))], [])
        assert label_report.regions_of(context.settings.data_dir, KEY, 1) == ()
        assert label_report.regions_of(context.settings.data_dir, KEY, 2) == (
            HumanRegion(1, 2, ("cat",), None, "person"),
        )
        note_labelled(context, work, [], [])
        assert (self.report(context).tasks, self.report(context).frames) == ((), {})

    def test_nothing_is_known_before_the_first_annotation(self, tmp_path: Path) -> None:
        assert label_report.load(tmp_path, KEY) is None
        assert label_report.regions_of(tmp_path, KEY, 1) == ()
