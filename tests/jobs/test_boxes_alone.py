"""A project that only asks for boxes: its videos are looked at, and nothing that is about frames is asked, learned or exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import serving
from redis import Redis
from studio import KEY, Studio

from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.doctor.project_checks import _label_config
from ml_backend.errors import LabelConfigError
from ml_backend.export.project import open_work
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.predictor import predictor
from ml_backend.jobs.project import open_project
from ml_backend.jobs.reconciling.reconcile import follow_controls
from ml_backend.jobs.suggestions.embed import embed
from ml_backend.jobs.suggestions.suggest import suggest
from ml_backend.jobs.training.quality import quality
from ml_backend.jobs.training.train import train
from ml_backend.learning.versions import list_versions
from ml_backend.projects import registry, task_view
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

BOXES = """<View><Labels name="who" toName="film"><Label value="car"/></Labels><VideoRectangle name="box" toName="film"/>
  <Video name="film" value="$video" framerate="25"/></View>"""
DRAWN = {
    "id": "b",
    "from_name": "box",
    "to_name": "film",
    "type": "videorectangle",
    "value": {"labels": ["car"], "sequence": [{"frame": 3, "enabled": True, "x": 1, "y": 2, "width": 3, "height": 4}]},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clips(tmp_path_factory.mktemp("clips"), [Script("a.mp4", 25, (("car", 20), ("clear", 20)), 1)])[0]


@pytest.fixture
def context(
    clip: Clip,
    redis: Redis,
    redis_settings: Settings,
    tmp_path: Path,
) -> Iterator[JobContext]:
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = BOXES
    for task in (1, 2):
        studio.add_task(task, clip.path)
    studio.tasks[1]["annotations"] = [{"id": 1, "result": [DRAWN], "updated_at": "2026-01-31T12:00:00Z"}]
    with serving(studio) as url:
        here = {"label_studio_url": url, "data_dir": tmp_path, "redis_url": redis_url(redis_settings)}
        made = JobContext(replace(redis_settings, **here, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
        registry.remember(redis, Known(KEY, BOXES))
        yield made
        made.redis.close()


def test_its_videos_are_looked_at_and_no_frame_is_asked_about(context: JobContext) -> None:
    assert suggest.within(context, KEY, 2) == "task 2 asks about no frame"
    assert embed.within(context, KEY, 2).startswith("embedded ")
    assert task_view.load(context.settings.data_dir, KEY, 2) is not None


def test_a_box_teaches_no_head_and_is_not_told_as_a_problem(context: JobContext) -> None:
    assert train.within(context, KEY) == "nothing is learned from boxes alone"
    assert list_versions(context.models_dir(KEY)) == ()
    assert quality.within(context, KEY) == "the project has no timeline whose labels could be looked through"
    work = open_project(context, KEY)
    assert follow_controls(work, {}) is None
    assert (list(work.each()), work.question.from_name) == ([], "box")
    assert work.taught("", ["car"]) is None


def test_a_model_file_for_frames_and_an_export_of_frames_are_refused_with_the_reason(context: JobContext) -> None:
    with pytest.raises(LabelConfigError, match="custom-x-v1 labels frames, and the label config only asks for boxes"):
        predictor(open_project(context, KEY), "custom-x-v1")
    with pytest.raises(LabelConfigError, match=r"this is an export of frames\. Export boxes with --as coco"):
        open_work(context, 7)


def test_the_doctor_says_what_is_asked(context: JobContext) -> None:
    named: Callable[[str], str] = str
    check, config = _label_config(named, context.studio.projects.get(7))
    assert config is not None
    assert check.message.startswith("<VideoRectangle name='box'> asks for boxes on <Video name='film'>, whose tracks ")
