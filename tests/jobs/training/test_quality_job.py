"""Wrong labels and disagreement are found in a project as Label Studio holds it: real videos, regions, two annotators."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from loopback import serving
from studio import KEY, Studio, drawn
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.demo.clips import LABELS, Clip, Script, make_clips
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.training.quality import quality
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.projects.reports import QualityReport, load_quality
from ml_backend.settings import Settings

CONFIG = (
    '<View><TimelineLabels name="events" toName="film">'
    + "".join(f'<Label value="{label}"/>' for label in LABELS)
    + '</TimelineLabels><Video name="film" value="$video" framerate="$fps"/></View>'
)
ANN, BEN = 11, 12
TWICE = (("clear", 25), ("ball", 30), ("car", 30)) * 2
# Frame indices of the first clip at which a car drives by, and which Ann calls a ball.
WRONG = (55, 84)


def spans(labels: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    """First and last Label Studio frame of each run of a label."""
    at = 0
    for label, run in groupby(labels):
        length = len(list(run))
        yield at + 1, at + length, label
        at += length


def annotation(number: int, author: int, labels: tuple[str, ...]) -> dict[str, Any]:
    result = [drawn(f"{number}-{position}", *span) for position, span in enumerate(spans(labels))]
    return {"id": number, "completed_by": author, "result": result, "updated_at": "2026-01-31T12:00:00Z"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), [Script(f"{n}.mp4", 25, TWICE, n) for n in (1, 2, 3)])


@pytest.fixture(scope="module")
def context(clips: list[Clip], redis_settings: Settings, warm: Callable[[Path], Path]) -> Iterator[JobContext]:
    """Three tasks that Ann annotated. In the first she calls a car a ball; Ben did the second too, and mistakes its end."""
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for number, clip in enumerate(clips, start=1):
        studio.add_task(number, clip.path)
        studio.tasks[number]["data"]["fps"] = float(clip.fps)
        studio.tasks[number]["annotations"] = [annotation(number, ANN, clip.labels)]
    first, last = WRONG
    said = clips[0].labels
    mistaken = (*said[:first], *["ball"] * (last - first + 1), *said[last + 1 :])
    studio.tasks[1]["annotations"] = [annotation(1, ANN, mistaken)]
    studio.tasks[2]["annotations"].append(annotation(20, BEN, clips[1].labels[:-15] + ("clear",) * 15))
    studio.users = [{"id": ANN, "first_name": "Ann", "last_name": "Able", "email": "ann@a.example"}]
    warm(redis_settings.data_dir)
    with serving(studio) as url:
        made = JobContext(replace(redis_settings, label_studio_url=url, backbone_weights="none", device="cpu"))
        registry.remember(made.redis, Known(KEY, CONFIG))
        yield made
        made.redis.close()


@pytest.fixture(scope="module")
def report(context: JobContext) -> QualityReport:
    quality.within(context, KEY)
    found = load_quality(context.settings.data_dir, KEY)
    assert found is not None
    return found


def test_a_region_with_the_wrong_label_is_the_worst_and_opens_in_label_studio(
    report: QualityReport, context: JobContext
) -> None:
    worst = report.suspects[0]
    assert (worst.task, worst.video, worst.given, worst.expected, worst.kind) == (
        1,
        "1.mp4",
        ("ball",),
        ("car",),
        "label",
    )
    assert abs(worst.start - (WRONG[0] + 1)) <= 5
    assert abs(worst.end - (WRONG[1] + 1)) <= 5
    assert worst.first_second == pytest.approx((worst.start - 1) / 25, abs=0.001)
    assert worst.last_second == pytest.approx((worst.end - 1) / 25, abs=0.001)
    assert worst.doubt > 0.5
    assert worst.url == f"{context.settings.label_studio_url}/projects/7/data?task=1"
    doubts = [row.doubt for row in report.suspects]
    assert doubts == sorted(doubts, reverse=True)


def test_annotators_of_the_same_task_are_compared_frame_by_frame(report: QualityReport, clips: list[Clip]) -> None:
    assert report.compared_frames == len(clips[1].labels)
    assert set(report.label_kappa) == set(LABELS)
    ball, clear = report.label_kappa["ball"], report.label_kappa["clear"]
    assert ball == pytest.approx(1)
    assert clear is not None
    assert 0.6 < clear < 0.95
    assert report.annotator_kappa.keys() == {str(ANN), str(BEN)}


def test_each_is_compared_with_a_model_that_has_not_seen_the_stretch(report: QualityReport) -> None:
    ann, ben = report.model_kappa[str(ANN)], report.model_kappa[str(BEN)]
    assert ann is not None
    assert ben is not None
    assert 0.5 < ann < 1
    assert 0.5 < ben < 1
    assert report.names == {str(ANN): "Ann Able"}


def test_the_command_prints_both_and_json_holds_all(report: QualityReport, redis_settings: Settings) -> None:
    environment = {
        "LABEL_STUDIO_URL": "http://x",
        "LABEL_STUDIO_API_KEY": "x",
        "DATA_DIR": str(redis_settings.data_dir),
    }
    told = CliRunner().invoke(app, ["quality", "7", "--json"], env=environment)
    assert told.exit_code == 0
    assert json.loads(told.stdout) == json.loads(json.dumps(report.as_json()))
    told = CliRunner().invoke(app, ["quality", "7"], env={**environment, "COLUMNS": "200"})
    for part in ("ball", "car", "the label", "/projects/7/data?task=1", "Ann Able", f"user {BEN}"):
        assert part in told.stdout


def test_before_there_is_a_report_the_command_says_when_there_will_be(tmp_path: Path) -> None:
    (tmp_path / "projects" / KEY).mkdir(parents=True)
    environment = {"LABEL_STUDIO_URL": "http://x", "LABEL_STUDIO_API_KEY": "x", "DATA_DIR": str(tmp_path)}
    told = CliRunner().invoke(app, ["quality", "7"], env=environment)
    assert "after each training" in str(told.exception)
