"""A version predicts the tasks of a project as its settings and its label config are now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from loopback import serving
from redis import Redis
from studio import KEY, Studio, drawn

from ml_backend.demo.clips import Script, make_clips
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.predict import FrameProbabilities, timeline_prediction
from ml_backend.jobs.predictions.predictor import predictor
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.training.labelled import Annotated, annotated_tasks
from ml_backend.learning.custom.model import load_custom
from ml_backend.learning.custom.versions import save_custom
from ml_backend.learning.frame_labels import is_untouched
from ml_backend.project_settings import parse_project_settings
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings
from ml_backend.video.timeline import StudioFrame, Timeline

MODEL = """
import numpy as np
labels = ["cat", "dog"]
input_size = 32

def predict(frames):
    return np.tile([[0.9, 0.1]], (len(frames), 1))
"""
CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="bird"/><Label value="cat"/><Label value="fox"/>'
    '</TimelineLabels><Video name="film" value="$video" framerate="25"/></View>'
)


@pytest.fixture
def context(tmp_path: Path, redis: Redis, redis_settings: Settings) -> Iterator[JobContext]:
    """Task 1 has frame 5 labelled as a bird, frame 9 as a cat."""
    (clip,) = make_clips(tmp_path / "clips", [Script("short.mp4", 25, (("clear", 20),), 1)])
    studio = Studio()
    studio.add_task(1, clip.path)
    result = [drawn(f"kf-{frame}", frame, frame, label) for frame, label in ((5, "bird"), (9, "cat"))]
    studio.tasks[1]["annotations"] = [{"id": 1, "result": result, "updated_at": "2026-01-31T12:00:00Z"}]
    with serving(studio) as url:
        there = {"label_studio_url": url, "data_dir": tmp_path / "data", "redis_url": redis_url(redis_settings)}
        made = JobContext(replace(redis_settings, **there))  # type: ignore[arg-type]
        file = tmp_path / "mine.py"
        file.write_text(MODEL)
        save_custom(made.models_dir(KEY), load_custom(file, ("cat", "dog")), exclusive=True)
        assert studio.project is not None
        studio.project["label_config"] = CONFIG
        yield made
        made.redis.close()


@pytest.fixture
def work(context: JobContext) -> ProjectWork:
    return open_project(context, KEY)


def said(context: JobContext, work: ProjectWork, annotated: Annotated) -> FrameProbabilities:
    """What the model says to the only question of its task."""
    predicted = predictor(work, "custom-mine-v1")(annotated.task, annotated)
    assert predicted is not None
    ((_, part),) = predicted.parts
    assert part.frames is not None
    return part.frames


def test_labels_that_are_gone_are_left_out_and_what_people_said_with_new_ones_is_held(
    context: JobContext, work: ProjectWork
) -> None:
    (annotated,) = annotated_tasks(work)
    found = said(context, work, annotated)
    assert found.labels == ("cat", "dog")
    assert found.values[8, 0] == pytest.approx(1)
    assert found.values[4, 0] == pytest.approx(0, abs=1e-6)
    regions = timeline_prediction(work, "custom-mine-v1", annotated.task, found).regions
    drawn = [region for region in regions if region.labels]
    assert sorted((region.start, region.end, region.labels) for region in drawn) == [
        (1, 4, ("cat",)),
        (6, 20, ("cat",)),
    ]
    for number, region in enumerate(drawn, start=1):
        assert region.id == f"custom-mine-v1-{number}_{region.start}_{region.end}"
        assert is_untouched(region, {})
        assert not is_untouched(replace(region, end=StudioFrame(region.end + 1)), {})


@pytest.mark.parametrize(
    ("settings", "spans"),
    [
        ({}, [(3, 5, "cat"), (7, 8, "cat"), (11, 11, "bird")]),
        ({"fill_gaps": {"cat": 1}}, [(3, 8, "cat"), (11, 11, "bird")]),
        ({"fill_gaps": {"bird": 1}, "min_frames": {"cat": 3}}, [(3, 5, "cat"), (11, 11, "bird")]),
        ({"min_frames": 2, "fill_gaps": 1}, [(3, 8, "cat")]),
    ],
)
def test_short_bouts_and_gaps_are_treated_as_the_project_says_for_each_label(
    context: JobContext, work: ProjectWork, settings: dict[str, object], spans: list[tuple[int, int, str]]
) -> None:
    values = np.full((20, 2), 0.05, np.float32)
    values[[2, 3, 4, 6, 7], 0] = values[10, 1] = 0.9
    timeline = Timeline(np.arange(20, dtype=np.int64), Fraction(1, 25), Fraction(20, 25))
    found = FrameProbabilities(timeline, ("cat", "bird"), True, values)
    chosen, problems = parse_project_settings(settings)
    assert problems == ()
    task = context.studio.tasks.get(work.id, 1)
    regions = timeline_prediction(replace(work, settings=chosen), "custom-mine-v1", task, found).regions
    assert sorted((region.start, region.end, region.labels[0]) for region in regions if region.labels) == spans


def test_frames_that_people_answered_are_not_asked_about_again_by_a_model_without_embeddings_either(
    context: JobContext, work: ProjectWork
) -> None:
    (annotated,) = annotated_tasks(work)
    found = said(context, work, annotated)
    assert found.answered.tolist() == [4, 8]
    regions = timeline_prediction(work, "custom-mine-v1", annotated.task, found).regions
    asked = [region for region in regions if not region.labels]
    assert regions[: len(asked)] == tuple(asked)
    assert 1 <= len(asked) <= 5
    for region in asked:
        assert region.id == f"kf-custom-mine-v1-{region.start}"
        assert region.start == region.end
        assert min(abs(region.start - 5), abs(region.start - 9)) >= 2
