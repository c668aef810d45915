"""The command `coldblitz`, as a process of its own where it matters: what it prints, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from embedded import redis, redis_settings
from flask import Flask, jsonify
from loopback import closed_port, serving
from redis import Redis
from rich.console import Console
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.commands.jobs import view
from ml_backend.demo.clips import SCRIPTS, make_clips
from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import NO, UNKNOWN, YES, FrameLabels
from ml_backend.learning.versions import save_version
from ml_backend.projects import registry, reports
from ml_backend.projects.reports import VIDEO, StoppingReport, TaskErrors
from ml_backend.queueing.queue import enqueue
from ml_backend.server.app import create_app
from ml_backend.settings import Settings
from ml_backend.video.timeline import Timeline

__all__ = ["redis", "redis_settings"]

P = "7.1769860800"


def coldblitz(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def is_one_line(told: subprocess.CompletedProcess[str], *named: str) -> bool:
    lines = told.stderr.strip().splitlines()
    return told.returncode == 1 and len(lines) == 1 and all(name in lines[0] for name in named) and not told.stdout


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The commands of a group and of those in it, each with its whole name."""
    if not hasattr(group, "commands"):
        yield name, group
        return
    for below, command in group.commands.items():
        yield from commands(command, f"{name} {below}".strip())


# These run until they are stopped, have a switch of their own for it (`demo --check`), or are for the compose file alone.
RUNNING = ("serve", "web", "worker", "run-worker", "demo", "compose settings", "compose project")
TOLD = {name: each for name, each in commands(typer.main.get_command(app)) if name not in RUNNING}


@pytest.mark.parametrize("name", TOLD)
def test_a_script_can_have_what_a_command_tells_as_json(name: str) -> None:
    assert "--json" in [option for each in TOLD[name].params for option in each.opts]


class TestErrors:
    @pytest.mark.parametrize("command", ["serve", "run-worker"])
    def test_a_missing_setting_is_one_line_and_exit_code_1(self, command: str) -> None:
        assert is_one_line(coldblitz(command), "LABEL_STUDIO_URL is not set", "Set it to the address")

    def test_so_is_a_backend_that_is_not_there_however_long_its_reason(self) -> None:
        told = coldblitz("status", "--once", "--url", f"http://127.0.0.1:{closed_port()}/{'path' * 30}")
        assert is_one_line(told, "No Coldblitz answers", "make serve")

    def test_brackets_in_it_are_printed_as_they_are(self) -> None:
        told = coldblitz("serve", LABEL_STUDIO_URL="[/red] [bold]x[/bold]")
        assert is_one_line(told, "[/red] [bold]x[/bold]")

    def test_so_is_another_data_folder_in_use(self, redis: Redis, redis_settings: Settings) -> None:
        told = coldblitz(
            "worker",
            LABEL_STUDIO_URL="http://studio.invalid",
            LABEL_STUDIO_API_KEY="x",
            DATA_DIR=str(redis_settings.data_dir),
        )
        assert is_one_line(told, "Another Coldblitz runs", "DATA_DIR")

    def test_without_a_command_it_says_what_there_is(self) -> None:
        told = CliRunner().invoke(app, [])
        for command in ("serve", "status", "demo", "worker"):
            assert command in told.output
        assert "run-worker" not in told.output


class TestStatus:
    @pytest.fixture
    def url(self, redis: Redis, redis_settings: Settings) -> Iterator[str]:
        registry.remember(redis, registry.Known(P, "<View/>"))
        registry.activate(redis, P, "cold-v3")
        registry.set_problems(redis, P, "settings", ["Extra param 'samplin' is unknown."])
        enqueue(redis, "suggest", P, 5)
        with serving(create_app(redis_settings)) as address:
            yield address

    def test_json_is_that_of_jobs(self, url: str) -> None:
        told = coldblitz("status", "--json", "--url", url)
        assert told.returncode == 0
        jobs = json.loads(told.stdout)
        assert jobs["counts"] == {"queued": 1, "running": 0, "finished": 0, "failed": 0}
        assert jobs["queued"][0]["task"] == 5
        assert jobs["versions"] == {P: "cold-v3"}

    def test_once_it_is_readable(self, url: str) -> None:
        told = CliRunner().invoke(app, ["status", "--once"], env={"COLDBLITZ_URL": url + "/"})
        port = CliRunner().invoke(app, ["status", "--once"], env={"PORT": url.rpartition(":")[2]})
        assert port.output == told.output
        assert told.exit_code == 0
        for part in ("queued 1", "project 7 shows cold-v3", "Extra param 'samplin' is unknown."):
            assert part in told.output

    def test_how_many_errors_are_left_and_whether_to_go_on(self, url: str, redis_settings: Settings) -> None:
        worst = (TaskErrors(12, 80.0, 900), TaskErrors(3, 40.0, 30_000))
        left = StoppingReport("2026-01-03", "cold-v3", "go on", "Why.", 2, 34_000, 123.4, 1.0, 60, worst)
        reports.save_stopping(redis_settings.data_dir, P, left, np.empty(0, VIDEO))
        told = CliRunner().invoke(app, ["status", "--once"], env={"COLDBLITZ_URL": url, "COLUMNS": "200"})
        assert (
            "About 120 errors are left in 34,000 frames, most in the videos of tasks 12, 3. Go on: Why." in told.output
        )

    def test_where_the_suggested_frames_are_images(self, url: str, redis: Redis) -> None:
        registry.note_companion(redis, P, registry.KnownCompanion("9.1769860800", 40, 12))
        told = CliRunner().invoke(app, ["status", "--once"], env={"COLDBLITZ_URL": url, "COLUMNS": "200"})
        assert "12 of 40 suggested frames are labeled as images in project 9" in told.output

    def test_with_a_login(self, redis: Redis, redis_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        locked = replace(redis_settings, basic_auth_user="studio", basic_auth_pass="secret")
        with serving(create_app(locked)) as url:
            refused = CliRunner().invoke(app, ["status", "--json", "--url", url])
            assert "login" in str(refused.exception).lower()
            monkeypatch.setenv("BASIC_AUTH_USER", "studio")
            monkeypatch.setenv("BASIC_AUTH_PASS", "secret")
            assert CliRunner().invoke(app, ["status", "--json", "--url", url]).exit_code == 0

    @pytest.mark.parametrize("answer", [{"status": "UP"}, [], "OK", None])
    def test_another_service_is_told_from_ours(self, answer: object) -> None:
        other = Flask("other")
        other.add_url_rule("/jobs", view_func=lambda: jsonify(answer))
        with serving(other) as url:
            told = CliRunner().invoke(app, ["status", "--json", "--url", url])
        assert "No Coldblitz answers" in str(told.exception)

    def test_running_finished_and_failed_jobs_have_a_line_each(self) -> None:
        row = {"id": "x", "kind": "train", "project": P, "task": None, "version": None, "percent": 40.0, "at": ""}
        jobs = {
            "queued": [],
            "running": [{**row, "text": "reading task 5", "reason": None}],
            "finished": [{**row, "text": "trained cold-v3", "reason": None}],
            "failed": [{**row, "kind": "suggest", "task": 5, "text": "", "reason": "It is [no] video."}],
            "counts": {"queued": 0, "running": 1, "finished": 1, "failed": 1},
            "versions": {},
            "problems": {P: ["Extra param 'samplin' is unknown."]},
            "findings": {
                P: [
                    {
                        "kind": "x",
                        "message": "It has no [sound].",
                        "remedy": "None.",
                        "severity": "note",
                        "tasks": list(range(10, 30)),
                    }
                ]
            },
        }
        console = Console(width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
        with console.file:
            console.print(view(jobs))
            shown = console.export_text()
        for part in (
            "reading task 5",
            "✓ train: trained cold-v3",
            "✗ suggest 5: It is [no] video.",
            "! project 7: Extra param 'samplin' is unknown.",
            "tasks 10, 11, 12, 13, 14, 15, 16, 17, …: It has no [sound]. None.",
        ):
            assert part in shown


class TestModels:
    def test_without_a_backend_it_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "projects" / P).mkdir(parents=True)
        environment = {"LABEL_STUDIO_URL": "http://x", "LABEL_STUDIO_API_KEY": "x", "DATA_DIR": str(tmp_path)}
        told = CliRunner().invoke(app, ["models", "list", "7"], env=environment)
        assert "its Redis does not answer" in str(told.exception)
        told = CliRunner().invoke(app, ["models", "list", "8"], env=environment)
        assert "No project 8" in str(told.exception)

    def test_a_project_without_versions_has_an_empty_list(self, redis: Redis, redis_settings: Settings) -> None:
        (redis_settings.data_dir / "projects" / P).mkdir(parents=True, exist_ok=True)
        environment = {
            "LABEL_STUDIO_URL": "http://x",
            "LABEL_STUDIO_API_KEY": "x",
            "DATA_DIR": str(redis_settings.data_dir),
        }
        told = CliRunner().invoke(app, ["models", "list", "7", "--json"], env=environment)
        assert (told.exit_code, json.loads(told.stdout)) == (0, [])


class TestCheck:
    def test_it_tells_the_frame_rate_to_put_into_the_label_config(self, tmp_path: Path) -> None:
        (clip,) = make_clips(tmp_path, SCRIPTS[:1])
        told = CliRunner().invoke(app, ["check", str(clip.path), "--framerate", "24", "--json"])
        assert told.exit_code == 0
        (checked,) = json.loads(told.stdout)
        assert any(f'framerate="{float(clip.fps):g}"' in finding["remedy"] for finding in checked["findings"])

    def test_a_file_that_is_no_video_is_exit_code_1(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(b"no video at all")
        told = CliRunner().invoke(app, ["check", str(broken)])
        assert told.exit_code == 1
        assert "error:" in told.stdout

    def test_nothing_to_check_is_said(self) -> None:
        told = coldblitz("check")
        assert told.returncode == 1
        assert "Give video files, or --project" in told.stderr


class TestModelVersions:
    @pytest.fixture
    def environment(self, redis: Redis, redis_settings: Settings) -> dict[str, str]:
        truth = np.arange(200) // 40 % 2
        labels = FrameLabels(("A", "B"), np.full((200, 2), UNKNOWN, np.int8), np.zeros(200, np.float32))
        for frame in (20, 60, 100, 140):
            labels.values[frame] = NO
            labels.values[frame, truth[frame]] = YES
            labels.weight[frame] = 1
        blocks = {
            name: np.stack([1 - truth, truth, np.full(200, 0.5)], axis=1).astype(np.float16)
            for name in ("appearance", "middle", "early", "motion")
        }
        timeline = Timeline(np.arange(200, dtype=np.int64), Fraction(1, 25), Fraction(8))
        features = VideoFeatures(timeline, np.arange(200), blocks, 200)
        head = fit_cold([LabelledVideo(1, features, labels)], ("A", "B"), exclusive=True)
        save_version(redis_settings.data_dir / "projects" / P / "models", head, backbone="none", videos=1)
        return {
            "LABEL_STUDIO_URL": redis_settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": redis_settings.label_studio_api_key,
            "DATA_DIR": str(redis_settings.data_dir),
        }

    def test_they_are_listed_shown_activated_and_deleted(self, redis: Redis, environment: dict[str, str]) -> None:
        def told(*arguments: str) -> str:
            result = CliRunner().invoke(app, ["models", *arguments], env=environment)
            assert result.exit_code == 0, result.output
            return result.stdout

        (card,) = json.loads(told("list", "7", "--json"))
        assert (card["labels"], card["active"]) == (["A", "B"], False)
        assert card["name"] in told("list", "7")
        assert "Not measured yet." in told("show", "7", card["name"])
        told("activate", "7", card["name"])
        assert registry.wanted_version(redis, P) == card["name"]
        registry.want(redis, P, "cold-v9")
        told("delete", "7", card["name"])
        assert json.loads(told("list", "7", "--json")) == []
