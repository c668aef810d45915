"""`coldblitz backbones` on a project of Label Studio, with weights from folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from embedded import redis, redis_settings
from loopback import serving
from redis import Redis
from studio import Studio, drawn
from torchvision import models
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.demo.clips import Script, make_clips
from ml_backend.jobs.context import worker_context
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

__all__ = ["redis", "redis_settings"]

CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="clear"/><Label value="busy"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)


@pytest.fixture
def environment(
    tmp_path: Path, redis: Redis, redis_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    scenes = [(("clear", 20), ("busy", 20)), (("busy", 20), ("clear", 20)), (("clear", 15), ("busy", 25))]
    clips = make_clips(tmp_path / "clips", [Script(f"{n}.mp4", 25, scene, n) for n, scene in enumerate(scenes, 1)])
    studio = Studio()
    for number, (clip, scene) in enumerate(zip(clips, scenes, strict=True), 1):
        studio.add_task(number, clip.path)
        (first, length), (second, rest) = scene
        result = [
            drawn(f"a{number}", 1, length, first),
            drawn(f"b{number}", length + 1, length + rest, second),
        ]
        studio.tasks[number]["annotations"] = [{"id": number, "result": result, "updated_at": "2026-01-31T12:00:00Z"}]
    with serving(studio) as url:
        assert studio.project is not None
        studio.project["label_config"] = CONFIG
        for name, value in {
            "LABEL_STUDIO_URL": url,
            "LABEL_STUDIO_API_KEY": redis_settings.label_studio_api_key,
            "DATA_DIR": str(tmp_path / "data"),
            "REDIS_URL": redis_url(redis_settings),
            "DEVICE": "cpu",
        }.items():
            monkeypatch.setenv(name, value)
        worker_context.cache_clear()
        yield
        worker_context.cache_clear()


def test_backbones_are_compared_on_the_labels_of_a_project(environment: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = tmp_path / "squeezenet.pth"
    torch.save(models.squeezenet1_1().state_dict(), state)
    arguments = ["backbones", "bench", "--project", "7", "--frames", "60", "--json"]
    both = ["--backbone", f"squeezenet1_1={state}", "--backbone", f"resnet18={tmp_path / 'missing.pth'}"]
    told = CliRunner().invoke(app, [*arguments, *both])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["frames"], found["videos"]) == (60, 3)
    one, other = found["rows"]
    assert one["backbone"] == "squeezenet1_1"
    assert one["frames_per_second"] > 0
    assert 0 < one["macro_f1"] <= 1
    assert "missing.pth, which is not a file" in other["problem"]
    shown = CliRunner().invoke(app, [*arguments[:-1], *both[:2]])
    assert "60 labeled frames of 3 videos of project 7" in shown.stdout
    assert "squeezenet1_1" in shown.stdout


def test_names_are_listed() -> None:
    told = CliRunner().invoke(app, ["backbones", "list", "dinov2", "--json"])
    assert "timm/vit_small_patch14_dinov2.lvd142m" in json.loads(told.stdout)
    assert "mobilenet_v2" in CliRunner().invoke(app, ["backbones", "list"]).stdout.split()
