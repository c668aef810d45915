"""A training rolls its version out, or keeps it back, and says why on its card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loopback import serving
from redis import Redis
from studio import KEY, Studio, drawn

from ml_backend.cards.measurements import Comparison, Measurements
from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_project
from ml_backend.jobs.training.decision import roll_out_unless_worse
from ml_backend.jobs.training.train import train
from ml_backend.learning.calibration import Doubt
from ml_backend.learning.comparison import load_answers
from ml_backend.learning.versions import Learnt, load_card, load_version, save_version
from ml_backend.learning.whole_head import WholeHead
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

CONFIG = """<View><TimelineLabels name="what" toName="film">{}</TimelineLabels>
  <Video name="film" value="$video" framerate="25"/></View>"""
TWO = CONFIG.format('<Label value="car"/><Label value="ball"/>')
THREE = CONFIG.format('<Label value="car"/><Label value="ball"/><Label value="clear"/>')
PARTS = (("car", 20), ("ball", 20))
GOOD, MORE = range(1, 6), range(6, 8)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    scripts = [Script(f"{n}.mp4", 25, PARTS if n % 2 else PARTS[::-1], n) for n in (*GOOD, *MORE)]
    return make_clips(tmp_path_factory.mktemp("clips"), scripts)


@pytest.fixture
def studio(clips: list[Clip]) -> Studio:
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = TWO
    for task, clip in enumerate(clips, start=1):
        studio.add_task(task, clip.path)
    return studio


@pytest.fixture
def context(studio: Studio, redis: Redis, redis_settings: Settings, tmp_path: Path, warm: Any) -> Iterator[JobContext]:
    data = warm(tmp_path / "data")
    with serving(studio) as url:
        here = {"label_studio_url": url, "data_dir": data, "redis_url": redis_url(redis_settings)}
        made = JobContext(replace(redis_settings, **here, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
        registry.remember(made.redis, Known(KEY, TWO))
        yield made
        made.redis.close()


def answer(studio: Studio, clips: list[Clip], tasks: range, at: str) -> None:
    """Somebody answers about every fifth frame of these videos."""
    for task in tasks:
        shown = clips[task - 1].labels
        result = [{**drawn(f"kf-{f}", f, f, shown[f - 1]), "from_name": "what"} for f in range(3, len(shown), 5)]
        studio.tasks[task]["annotations"] = [{"id": task, "result": result, "updated_at": at}]


def decision(context: JobContext, version: str) -> str:
    return load_card(context.models_dir(KEY), version).decision


def test_a_version_is_compared_with_the_one_that_is_shown(
    context: JobContext, studio: Studio, clips: list[Clip]
) -> None:
    answer(studio, clips, GOOD, "2026-01-31T12:00:00Z")
    assert "cold-v1 is rolled out" in train.within(context, KEY)
    assert decision(context, "cold-v1") == "cold-v1 is rolled out: there is no other version to compare it with."
    registry.activate(context.redis, KEY, "cold-v1")
    kept = load_answers(context.models_dir(KEY), "cold-v1", "what")
    assert kept is not None
    assert {task: len(own) for task, own in kept.by_task.items()} == dict.fromkeys(GOOD, 40)

    answer(studio, clips, MORE, "2026-01-31T12:10:00Z")
    assert "cold-v2 is rolled out" in train.within(context, KEY)
    assert decision(context, "cold-v2").startswith(
        "cold-v2 is rolled out: on the 5 recordings that neither version was trained on, its macro-F1 is "
    )


def test_the_admin_reads_why_one_is_kept_back(context: JobContext, studio: Studio, clips: list[Clip]) -> None:
    answer(studio, clips, GOOD, "2026-01-31T12:00:00Z")
    train.within(context, KEY)
    registry.activate(context.redis, KEY, "cold-v1")
    models, work = context.models_dir(KEY), open_project(context, KEY)
    head, card = load_version(models, "cold-v1")
    worse = Comparison("cold-v1", True, "on the 5 recordings it is worse")
    made = save_version(models, head, backbone=card.backbone, metrics=Measurements(against=worse), question="what")
    assert not roll_out_unless_worse(work, made, "cold-v1")
    told = "cold-v2 is kept back: on the 5 recordings it is worse."
    assert decision(context, "cold-v2") == told
    assert any(problem.startswith(told) for problem in registry.problems(context.redis)[KEY])
    assert registry.wanted_version(context.redis, KEY) == "cold-v1"


def by_lot() -> WholeHead:
    """A head about whole videos whose held-out answers were guesses."""
    doubt = Doubt(chance=0.97, right=0.5, frames=12, classes=2, confused=(0, 1), by_lot=1.0)
    return WholeHead(("busy", "quiet"), True, {}, (None,), (), 12, (doubt,))


def test_answers_about_whole_videos_that_are_guesses_are_kept_back_and_that_is_said(
    context: JobContext, studio: Studio
) -> None:
    made = save_version(context.models_dir(KEY), by_lot(), backbone="b", question="clip")
    assert not roll_out_unless_worse(open_project(context, KEY), made, None)
    assert registry.wanted_version(context.redis, KEY) is None
    (told,) = registry.problems(context.redis)[KEY]
    assert told.startswith("These labels cannot be told apart yet: of the answered videos that cold-v1 was not shown")
    assert "“busy” and “quiet”" in told


def test_one_question_that_is_left_open_is_told_beside_those_that_are_answered(
    context: JobContext, studio: Studio, clips: list[Clip]
) -> None:
    answer(studio, clips, GOOD, "2026-01-31T12:00:00Z")
    train.within(context, KEY)
    models = context.models_dir(KEY)
    head, card = load_version(models, "cold-v1")
    clip = Learnt("clip", by_lot(), card.backbone)
    made = save_version(models, head, backbone=card.backbone, question="what", others=[clip])
    assert roll_out_unless_worse(open_project(context, KEY), made, "cold-v1")
    (told,) = (each for each in registry.problems(context.redis)[KEY] if "cannot be told apart" in each)
    assert told.startswith("The labels of “clip” cannot be told apart yet: cold-v2 answers it no better")


def test_another_label_begins_a_new_comparison(context: JobContext, studio: Studio, clips: list[Clip]) -> None:
    answer(studio, clips, GOOD, "2026-01-31T12:00:00Z")
    train.within(context, KEY)
    registry.activate(context.redis, KEY, "cold-v1")
    assert studio.project is not None
    studio.project["label_config"] = THREE
    answer(studio, clips, MORE, "2026-01-31T12:10:00Z")
    assert "cold-v2 is rolled out" in train.within(context, KEY)
    assert decision(context, "cold-v2") == (
        "cold-v2 is rolled out: the question has changed since cold-v1 (labels added: “clear”), so scores cannot be compared."
    )


def test_a_version_whose_files_are_gone_is_nothing_to_compare_with(
    context: JobContext, studio: Studio, clips: list[Clip]
) -> None:
    answer(studio, clips, GOOD, "2026-01-31T12:00:00Z")
    train.within(context, KEY)
    registry.activate(context.redis, KEY, "cold-v1")
    shutil.rmtree(context.models_dir(KEY) / "cold-v1")
    answer(studio, clips, MORE, "2026-01-31T12:10:00Z")
    assert "is rolled out" in train.within(context, KEY)


def test_one_is_not_kept_back_for_a_version_that_predicts_no_more(
    context: JobContext, studio: Studio, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(studio, clips, GOOD, "2026-01-31T12:00:00Z")
    train.within(context, KEY)
    registry.activate(context.redis, KEY, "cold-v1")
    worse = Comparison("cold-v1", True, "on the 5 recordings it is worse")
    monkeypatch.setattr("ml_backend.jobs.training.decision.compared", lambda *_: worse)
    registry.remember(context.redis, Known(KEY, TWO, {"roi": [1, 1, 98, 98]}))
    assert "cold-v2 is rolled out" in train.within(context, KEY)
    assert decision(context, "cold-v2") == (
        "cold-v2 is rolled out: on the 5 recordings it is worse, "
        "but cold-v1 cannot predict with the backbone, resolution, and roi that are set now."
    )


def test_what_is_sure_enough_is_asked_for_anew_in_a_version_of_its_own(
    context: JobContext, studio: Studio, clips: list[Clip]
) -> None:
    answer(studio, clips, GOOD, "2026-01-31T12:00:00Z")
    train.within(context, KEY)
    registry.activate(context.redis, KEY, "cold-v1")
    assert studio.project is not None
    studio.project["label_config"] = TWO.replace("<TimelineLabels ", '<TimelineLabels model_score_threshold="0.6" ')
    assert "cold-v2 is rolled out" in train.within(context, KEY)
    assert "cold-v3" not in train.within(context, KEY)
