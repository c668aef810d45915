"""What people have labelled, as the dashboard counts it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from studio import KEY, Studio

from ml_backend.annotation import Annotation, Origin, Region
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.training.labelled import Annotated, note_labelled
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import label_report, stored_predictions
from ml_backend.projects.label_report import HumanRegion, LabelReport, WorkDay
from ml_backend.video.timeline import StudioFrame


def annotated(task: int, author: int | None, *regions: Region) -> Annotated:
    made = Annotation(10 * task, task, regions, datetime(2026, 1, task, tzinfo=UTC), author)
    return Annotated(Task(task, {}), (made,))


def taking(one: Annotated, seconds: float | None) -> Annotated:
    return replace(one, annotations=tuple(replace(each, lead_time=seconds) for each in one.annotations))


def region(name: str, start: int, end: int, label: str | None = "cat", origin: Origin = "manual") -> Region:
    return Region(name, StudioFrame(start), StudioFrame(end), (label,) if label else (), origin)


class TestWhatPeopleHaveLabelled:
    @pytest.fixture
    def work(self, context: JobContext) -> ProjectWork:
        return open_project(context, KEY)

    def report(self, context: JobContext) -> LabelReport:
        found = label_report.load(context.settings.data_dir, KEY)
        assert found is not None
        return found

    def test_frames_regions_and_whole_videos_are_counted(self, context: JobContext, work: ProjectWork) -> None:
        tasks = [
            annotated(1, 11, region("a", 1, 10), region("b", 11, 15, "dog")),
            annotated(
                2, 12, region("kf-3", 3, 3, None, "prediction"), region("kf-9", 9, 9, "cat", "prediction-changed")
            ),
        ]
        note_labelled(work, tasks, [1, 7])
        report = self.report(context)
        assert (report.tasks, report.reviewed) == ((1, 2), (1,))
        assert (report.frames, report.regions) == ({"cat": 11, "dog": 5}, {"cat": 2, "dog": 1})
        assert [(each.author, each.annotations, each.frames) for each in report.authors] == [(11, 1, 15), (12, 1, 1)]

    def test_who_or_what_gave_a_label_is_told_apart(self, context: JobContext, work: ProjectWork) -> None:
        def item(name: str, start: int, end: int) -> dict[str, Any]:
            value = {"ranges": [{"start": start, "end": end}], "timelinelabels": ["cat"]}
            control = {"from_name": work.question.from_name, "to_name": work.question.to_name}
            return {"id": name, "type": "timelinelabels", "value": value, **control}

        result = [item("cold-v1-1", 1, 10), item("cold-v1-2", 20, 30)]
        pushed = {"task": 1, "model_version": "cold-v1", "score": 0.5, "result": result}
        stored_predictions.save(context.settings.data_dir, KEY, pushed)
        regions = (
            region("cold-v1-1", 1, 10, origin="prediction"),
            region("cold-v1-2", 20, 33, origin="prediction"),  # an edge was dragged
            region("kf-40", 40, 40, origin="prediction-changed"),
            region("abc", 50, 60),
        )
        note_labelled(work, [annotated(1, 11, *regions)], [])
        found = label_report.regions_of(context.settings.data_dir, KEY, 1)
        assert [each.source for each in found] == ["accepted", "changed", "person", "person"]
        report = self.report(context)
        (author,) = report.authors
        assert (author.accepted, author.changed, author.person) == (1, 1, 2)
        assert report.sources == {"cat": {"accepted": 1, "changed": 1, "person": 2}}

    def test_a_dragged_edge_is_seen_when_the_prediction_is_deleted(
        self, context: JobContext, work: ProjectWork
    ) -> None:
        left = region("cold-v1-1_1_10", 1, 10, origin="prediction")
        dragged = region("cold-v1-2_20_30", 20, 33, origin="prediction")
        note_labelled(work, [annotated(1, 11, left, dragged)], [])
        found = label_report.regions_of(context.settings.data_dir, KEY, 1)
        assert [each.source for each in found] == ["accepted", "changed"]

    def test_what_was_copied_or_is_another_models_is_not_called_changed(
        self, context: JobContext, work: ProjectWork
    ) -> None:
        copied = replace(region("cold-v1-1_1_10", 1, 10), origin=None)
        others = region("yolo-1", 20, 30, origin="prediction")
        dragged = region("yolo-2", 40, 55, origin="prediction")
        relabelled = region("yolo-3", 60, 70, origin="prediction-changed")
        imported = replace(region("import-1", 80, 90), origin=None)
        shown = [
            {
                "id": name,
                "type": "timelinelabels",
                "from_name": "events",
                "to_name": "film",
                "value": {"ranges": [{"start": start, "end": start + 10}], "timelinelabels": ["cat"]},
            }
            for name, start in (("yolo-1", 20), ("yolo-2", 40))
        ]
        made = replace(annotated(1, 11, copied, others, dragged, relabelled, imported), shown=(shown,))
        note_labelled(work, [made], [])
        found = label_report.regions_of(context.settings.data_dir, KEY, 1)
        assert [each.source for each in found] == ["accepted", "accepted", "changed", "changed", "person"]

    def test_people_have_their_names_and_the_time_that_they_took(
        self, context: JobContext, work: ProjectWork, studio: Studio
    ) -> None:
        studio.users = [
            {"id": 11, "first_name": "Ada", "last_name": "Lovelace", "email": "ada@a.example"},
            {"id": 12, "first_name": "", "last_name": "", "email": "ben@a.example"},
        ]
        tasks = [
            taking(annotated(task, author, region("a", 1, 10)), seconds)
            for task, author, seconds in ((1, 11, 4.0), (2, 11, 10.0), (3, 11, 6.0), (4, 12, None), (5, 13, 2.0))
        ]
        note_labelled(work, tasks, [])
        found = {each.called: (each.seconds, each.median_seconds) for each in self.report(context).authors}
        assert found == {"Ada Lovelace": (20.0, 6.0), "ben@a.example": (None, None), "user 13": (2.0, 2.0)}
        assert self.report(context).work == (
            WorkDay(11, "2026-01-01", 1, 4.0),
            WorkDay(11, "2026-01-02", 1, 10.0),
            WorkDay(11, "2026-01-03", 1, 6.0),
            WorkDay(12, "2026-01-04", 1, None),
            WorkDay(13, "2026-01-05", 1, 2.0),
        )

    def test_a_token_that_may_not_see_people_leaves_their_numbers(self, context: JobContext, work: ProjectWork) -> None:
        note_labelled(work, [annotated(1, 11, region("a", 1, 10)), annotated(2, None)], [])
        assert [each.called for each in self.report(context).authors] == ["user 11", "unknown"]

    def test_a_report_from_before_there_were_names_is_still_read(self, context: JobContext, work: ProjectWork) -> None:
        note_labelled(work, [annotated(1, 11, region("a", 1, 10))], [])
        path = context.settings.data_dir / "projects" / KEY / "labelled" / "report.json"
        data = json.loads(path.read_text())
        del data["sources"], data["work"]
        for author in data["authors"]:
            del author["name"], author["seconds"], author["median_seconds"]
        path.write_text(json.dumps(data))
        assert self.report(context).authors[0].called == "user 11"

    def test_what_is_no_longer_annotated_is_forgotten(self, context: JobContext, work: ProjectWork) -> None:
        note_labelled(work, [annotated(1, 11, region("a", 1, 10)), annotated(2, None, region("b", 1, 2))], [])
        note_labelled(work, [annotated(2, None, region("b", 1, 2))], [])
        assert label_report.regions_of(context.settings.data_dir, KEY, 1) == ()
        assert label_report.regions_of(context.settings.data_dir, KEY, 2) == (
            HumanRegion(1, 2, ("cat",), None, "person"),
        )
        note_labelled(work, [], [])
        assert (self.report(context).tasks, self.report(context).frames) == ((), {})

    def test_nothing_is_known_before_the_first_annotation(self, tmp_path: Path) -> None:
        assert label_report.load(tmp_path, KEY) is None
        assert label_report.regions_of(tmp_path, KEY, 1) == ()
