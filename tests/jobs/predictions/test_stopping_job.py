"""The errors that are left in a project, and how far successive versions agree, from what is stored of its predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis
from studio import KEY, Studio

from ml_backend.annotation import Region
from ml_backend.cards.measurements import Measurements
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.stopping import counted, same_frames, stopping
from ml_backend.learning.agreement import cohen_kappa
from ml_backend.learning.versions import ModelCard, publish
from ml_backend.projects import label_report, registry, reports, stored_predictions, task_view
from ml_backend.projects.label_report import LabelReport
from ml_backend.projects.reports import StoppingReport
from ml_backend.projects.task_view import TaskView
from ml_backend.video.timeline import StudioFrame

CONFIG = (
    '<View><TimelineLabels name="labels" toName="video"><Label value="cat"/><Label value="dog"/></TimelineLabels>'
    '<Video name="video" value="$video" framerate="25"/></View>'
)
FRAMES = 100
# A model that is right half as often as it thinks: 10 errors made where 5 are expected.
TABLE = [{"from": 0.9, "to": 1.0, "decisions": 100, "confidence": 0.95, "right": 0.9}]


def region(start: int, end: int, *labels: str) -> Region:
    return Region("x", StudioFrame(start), StudioFrame(end), labels)


def prediction(task: int, version: str, *spans: tuple[int, int, str]) -> dict[str, Any]:
    result = [
        {
            "id": f"{version}-{start}",
            "type": "timelinelabels",
            "from_name": "labels",
            "to_name": "video",
            "value": {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]},
        }
        for start, end, label in spans
    ]
    return {"task": task, "model_version": version, "score": 0.5, "result": result}


def card(number: int, score: float, interval: list[float] | None, **measured: Any) -> ModelCard:
    metrics = {"judgement": "Measured.", "macro_f1": score, "macro_f1_interval": interval, "reliability": TABLE}
    return ModelCard(
        f"cold-v{number}",
        "cold",
        ("cat", "dog"),
        True,
        "mobilenet_v2:default",
        f"2026-01-0{number}T12:00:00+00:00",
        settings={"backbone_trained": True},
        metrics=Measurements.from_json({**metrics, **measured}),
        labelled_frames=20 * number,
    )


@pytest.fixture
def project(context: JobContext, studio: Studio, redis: Redis) -> JobContext:
    """Three versions, of which the third is shown, with predictions of tasks 1 to 4; people have reviewed task 4."""
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    data = context.settings.data_dir
    root = context.models_dir(KEY)
    root.mkdir(parents=True)
    for number in (1, 2, 3):
        publish(root, card(number, 0.9, [0.85, 0.95]), {})
    registry.activate(redis, KEY, "cold-v3")
    for task, (doubt, changes, certainty) in enumerate(
        ((0.02, 1, 0.9), (0.3, 3, 0.8), (0.0, 0, 0.99), (0.4, 9, 0.5)), 1
    ):
        stored_predictions.save(data, KEY, prediction(task, "cold-v2", (1, 40, "cat"), (41, FRAMES, "dog")))
        stored_predictions.save(data, KEY, prediction(task, "cold-v3", (1, 50, "cat"), (51, FRAMES, "dog")))
        view = TaskView(task, f"{task}.mp4", 25.0, FRAMES, 4.0, "cold-v3", {}, 25.0, certainty, doubt, changes)
        task_view.save(data, KEY, view)
    label_report.save(data, KEY, LabelReport("2026-01-01", (1, 4), (4,), {}, {}, ()), [])
    return context


def made(project: JobContext) -> StoppingReport:
    stopping.within(project, KEY)
    found = reports.load_stopping(project.settings.data_dir, KEY, "cold-v3")
    assert found is not None
    return found


class TestErrorsLeft:
    def test_they_are_those_of_videos_that_nobody_has_reviewed_corrected_by_held_out_ones(
        self, project: JobContext
    ) -> None:
        found = made(project)
        factor = (10 + 5) / (5 + 5)
        assert (found.tasks, found.frames, found.held_out) == (3, 3 * FRAMES, 100)
        assert found.correction == factor
        # One more at each change of the label, since only single frames were held out.
        assert found.errors == pytest.approx(factor * (2 + 30) + 1 + 3)
        assert [(video.task, video.errors) for video in found.worst] == [(2, 48.0), (1, 4.0)]

    def test_where_whole_videos_were_held_out_changes_are_not_counted_twice(
        self, project: JobContext, redis: Redis
    ) -> None:
        publish(project.models_dir(KEY), card(4, 0.9, [0.85, 0.95], boundary_error_frames=1.5), {})
        registry.activate(redis, KEY, "cold-v4")
        data = project.settings.data_dir
        task_view.save(data, KEY, TaskView(1, "1.mp4", 25.0, FRAMES, 4.0, "cold-v4", {}, 25.0, 0.9, 0.02, 7))
        stopping.within(project, KEY)
        found = reports.load_stopping(data, KEY, "cold-v4")
        assert found is not None
        # The others still have what the version before said of them.
        assert (found.tasks, found.errors) == (1, pytest.approx(1.5 * 2))

    def test_videos_are_kept_in_the_order_in_which_they_need_a_person(self, project: JobContext) -> None:
        made(project)
        counted = reports.videos_with_errors(project.settings.data_dir, KEY)
        assert reports.in_order_of(counted, "errors", {1, 2, 3, 4}) == [2, 1, 3, 4]
        assert reports.in_order_of(counted, "certainty", {1, 2, 3, 4}) == [2, 1, 3, 4]

    def test_thrown_away_it_is_made_again(self, project: JobContext) -> None:
        before = made(project)
        for path in (project.settings.data_dir / "projects" / KEY / "stopping").iterdir():
            path.unlink()
        after = made(project)
        assert (after.errors, after.worst, after.agreed) == (before.errors, before.worst, before.agreed)

    def test_without_an_active_model_there_is_nothing_to_count(self, project: JobContext, redis: Redis) -> None:
        registry.forget(redis, KEY)
        assert stopping.within(project, KEY) == "no model is active yet"
        assert reports.load_stopping(project.settings.data_dir, KEY, None) is None


class TestAgreementOfVersions:
    def test_it_is_over_the_frames_that_both_have_predicted(self, project: JobContext) -> None:
        (pair,) = made(project).agreed
        assert (pair.before, pair.version, pair.frames) == ("cold-v2", "cold-v3", 4 * FRAMES)
        # Nine of ten frames alike; by chance .4 * .5 + .6 * .5 would be.
        assert pair.kappa == pytest.approx((0.9 - 0.5) / 0.5)

    def test_it_is_remembered_when_the_predictions_are_gone(self, project: JobContext, redis: Redis) -> None:
        made(project)
        data = project.settings.data_dir
        publish(project.models_dir(KEY), card(4, 0.9, [0.85, 0.95]), {})
        stored_predictions.save(data, KEY, prediction(1, "cold-v4", (1, 50, "cat"), (51, FRAMES, "dog")))
        stored_predictions.delete(data, KEY, "cold-v2")
        registry.activate(redis, KEY, "cold-v4")
        stopping.within(project, KEY)
        found = reports.load_stopping(data, KEY, "cold-v4")
        assert found is not None
        assert [(pair.version, pair.kappa) for pair in found.agreed] == [("cold-v3", 0.8), ("cold-v4", 1.0)]

    def test_frames_without_a_label_agree_too_and_unanswered_questions_say_nothing(self) -> None:
        one = [region(11, 20, "cat"), region(90, 90)]
        other = [region(11, 15, "cat"), region(16, 20, "dog")]
        answers = same_frames(one, other, ("cat", "dog"), FRAMES)
        assert answers.total() == FRAMES
        table = counted(answers)
        assert table.trace() == FRAMES - 5
        kappa = cohen_kappa(table)
        assert kappa is not None
        assert 0 < kappa < 1

    def test_regions_beyond_the_end_and_of_other_labels_do_no_harm(self) -> None:
        one = [region(50, FRAMES + 30, "cat"), region(1, 10, "bird")]
        answers = same_frames(one, [region(50, FRAMES, "cat")], ("cat", "dog"), FRAMES)
        assert answers.total() == FRAMES
        assert counted(answers).trace() == FRAMES


class TestAdvice:
    def test_two_versions_do_not_show_that_little_is_left(self, project: JobContext) -> None:
        found = made(project)
        assert found.verdict == "go on"
        assert "kappa 0.800" in found.why
        assert found.kappa == pytest.approx(0.8)

    def test_of_an_untrained_backbone_nothing_is_known(self, project: JobContext, redis: Redis) -> None:
        publish(project.models_dir(KEY), replace(card(4, 0.9, None), settings={"backbone_trained": False}), {})
        registry.activate(redis, KEY, "cold-v4")
        stopping.within(project, KEY)
        found = reports.load_stopping(project.settings.data_dir, KEY, "cold-v4")
        assert found is not None
        assert found.verdict == "not known yet"
        assert "untrained" in found.why
