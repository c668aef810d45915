"""`coldblitz import-labels` and `coldblitz export --as boris`: what they print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from boxed_project import add_video, numbered, submit
from studio import Studio
from typer.testing import CliRunner, Result
from workroom import context, redis, redis_settings, studio

from ml_backend import cli
from ml_backend.cli import app
from ml_backend.errors import SettingsError
from ml_backend.jobs.context import JobContext

__all__ = ["context", "redis", "redis_settings", "studio"]
Run = Callable[..., Result]
CONFIG = (
    '<View><TimelineLabels name="what" toName="film"><Label value="groom"/><Label value="rear"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="$fps"/></View>'
)


@pytest.fixture
def run(studio: Studio, context: JobContext, tmp_path: Path) -> Run:
    assert studio.project is not None
    studio.project |= {"label_config": CONFIG, "model_version": ""}
    film = numbered(tmp_path / "film.mp4")
    for task, name in ((1, "one [x].mp4"), (2, "two.mp4")):
        add_video(studio, task, film, name=name)
    value = {"ranges": [{"start": 3, "end": 9}], "timelinelabels": ["groom"]}
    region = {"id": "a", "from_name": "what", "to_name": "film", "type": "timelinelabels", "value": value}
    submit(studio, 1, {**region, "meta": {"text": ["who: mouse-1"]}})
    settings = context.settings
    environment = {
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url or "",
        "COLUMNS": "200",
    }
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), env=environment)


def test_an_export_says_what_it_has_written_and_what_it_cannot_hold(run: Run, tmp_path: Path) -> None:
    told = run("export", 7, "-o", tmp_path / "labels", "--as", "simba")
    assert told.exit_code == 0, told.output
    assert "This format cannot hold whom they are about." in told.output
    assert "1 videos, 1 events: " in told.output
    assert (tmp_path / "labels" / "one_[x].csv").read_text().splitlines()[:4] == [",groom", "0,0", "1,0", "2,1"]
    told = run("export", 7, "-o", tmp_path / "x", "--as", "elan", "--preview")
    assert "one_[x].eaf  1 event" in told.output


@pytest.mark.parametrize(
    "option", [("--every", "2"), ("--near", "4"), ("--none", "x"), ("--split", "1"), ("--license", "mit")]
)
def test_an_option_that_would_change_nothing_is_refused(run: Run, tmp_path: Path, option: tuple[str, str]) -> None:
    error = run("export", 7, "-o", tmp_path / "x.boris", "--as", "boris", *option).exception
    assert isinstance(error, SettingsError)
    assert f"{option[0]} cannot be used when exporting timelines" in error.message


def test_an_import_says_what_became_of_each_video(run: Run, studio: Studio, tmp_path: Path) -> None:
    run("export", 7, "-o", tmp_path / "study.boris", "--as", "boris")
    told = run("import-labels", tmp_path / "study.boris", "--project", 7)
    assert told.exit_code == 0, told.output
    assert "imported  one [x].mp4: task 1, 1 event" in told.output
    assert "1 video as predictions of import-study" in told.output
    assert [each["model_version"] for each in studio.predictions] == ["import-study"]
    told = run("import-labels", tmp_path / "study.boris", "--project", 7, "--annotations", "--json")
    assert [each["state"] for each in json.loads(told.stdout)["videos"]] == ["present"]
    table = tmp_path / "x.csv"
    table.write_text("Media file name,Behavior,Start,Stop\nother.mp4,cleaning,0,1\ntwo.mp4,cleaning,0,1\n")
    told = run("import-labels", table, "--project", 7, "--ground-truth", "--label", "cleaning=rear")
    assert told.exit_code == 1
    assert "unmatched other.mp4: The project has no video called other.mp4." in told.output
    [annotation] = studio.tasks[2]["annotations"]
    assert annotation["ground_truth"] is True
    assert annotation["result"][0]["value"]["timelinelabels"] == ["rear"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--annotations", "--name", "x"), "--name is that of predictions"),
        (("--label", "x"), "not a name and its label"),
        (("--name", "a b"), "cannot be the name of predictions"),
    ],
)
def test_options_that_contradict_each_other(run: Run, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    error = run("import-labels", tmp_path / "x.boris", "--project", 7, *options).exception
    assert isinstance(error, SettingsError)
    assert said in error.message


def test_two_words_are_the_same_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(cli, "app", asked.append)
    for words in (
        ["import", "labels", "x.eaf"],
        ["import", "boxes", "gt.txt"],
        ["import", "day.mp4"],
        ["stats", "bouts", "1"],
        ["import"],
    ):
        monkeypatch.setattr("sys.argv", ["coldblitz", *words])
        cli.main()
    assert asked[:5] == [
        ["import-labels", "x.eaf"],
        ["import-boxes", "gt.txt"],
        ["import", "day.mp4"],
        ["bouts", "1"],
        ["import"],
    ]
    # A folder of videos that is called so is still one.
    (tmp_path / "labels").mkdir()
    monkeypatch.chdir(tmp_path)
    for words in (["import", "labels", "--project", "1"], ["import", "labels", "x.eaf", "--project", "1"]):
        monkeypatch.setattr("sys.argv", ["coldblitz", *words])
        cli.main()
    assert [each[0] for each in asked[5:]] == ["import", "import-labels"]
