"""Bouts as numbers: each of them, time budgets against ones that are counted by hand, what follows what, and their picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.csv
import pyarrow.parquet
import pytest
from boxed_project import add_video, numbered, submit
from hypothesis import given
from hypothesis import strategies as st
from studio import Studio
from typer.testing import CliRunner, Result
from workroom import context, redis, redis_settings, studio

from ml_backend.cli import app
from ml_backend.errors import SettingsError
from ml_backend.export.bouts import BoutVideo, bout_rows, budget_rows, transition_rows
from ml_backend.export.ethogram import ethogram
from ml_backend.export.event_files import label_colors
from ml_backend.formats.events import Event, VideoEvents
from ml_backend.jobs.context import JobContext
from ml_backend.labelstudio.label_config import parse_label_config

__all__ = ["context", "redis", "redis_settings", "studio"]
Run = Callable[..., Result]


def bout(label: str, start: float, end: float, who: str = "", control: str = "what") -> Event:
    return Event(label, (start, end), (round(start * 10), round(end * 10) - 1), who=who, group=control)


def video(*events: Event, length: float = 10.0) -> BoutVideo:
    labels = {"what": ("groom", "rear", "sleep"), "where": ("nest",)}
    return BoutVideo(5, VideoEvents("", ("film & co.mp4",), events, duration=length), labels, "human")


FILM = video(
    bout("groom", 1, 2, "m1"),
    bout("rear", 2, 2.5, "m1"),
    bout("groom", 4, 7, "m1"),
    bout("groom", 6, 8, "m1"),
    bout("rear", 9.5, 10, "m2"),
    bout("nest", 0, 10, control="where"),
)


def picked(rows: list[dict[str, Any]], *names: str, **where: object) -> list[tuple[Any, ...]]:
    return [
        tuple(row[name] for name in names) for row in rows if all(row[key] == value for key, value in where.items())
    ]


def test_a_row_for_each_bout() -> None:
    rows = list(bout_rows([FILM]))
    assert len(rows) == 6
    assert rows[0] == {
        "task": 5,
        "video": "film & co.mp4",
        "source": "human",
        "control": "what",
        "who": "m1",
        "label": "groom",
        "start_s": 1,
        "end_s": 2,
        "length_s": 1,
        "first_frame": 10,
        "last_frame": 19,
        "score": None,
        "comment": "",
    }


def test_a_time_budget_counts_overlapping_time_once_and_says_what_never_occurs() -> None:
    rows = list(budget_rows([FILM]))
    numbers = ("label", "count", "total_s", "mean_s", "latency_s", "share")
    assert picked(rows, *numbers, who="m1") == [
        ("groom", 3, 5.0, 2.0, 1.0, 0.5),
        ("rear", 1, 0.5, 0.5, 2.0, 0.05),
        ("sleep", 0, 0.0, None, None, 0.0),
    ]
    assert picked(rows, *numbers, who="m2", label="groom") == [("groom", 0, 0.0, None, None, 0.0)]
    assert picked(rows, *numbers, control="where") == [("nest", 1, 10.0, 10.0, 0.0, 1.0)]


def test_parts_of_a_video_have_the_time_that_is_in_them_and_the_bouts_that_begin_in_them() -> None:
    rows = list(budget_rows([FILM], 4))
    assert picked(rows, "start_s", "end_s", "count", "total_s", "latency_s", "share", who="m1", label="groom") == [
        (0.0, 4.0, 1, 1.0, 1.0, 0.25),
        (4.0, 8.0, 2, 4.0, 0.0, 1.0),
        (8.0, 10.0, 0, 0.0, None, 0.0),
    ]
    assert picked(list(budget_rows([FILM], 100)), "end_s", label="nest") == [(10.0,)]
    exact = video(length=3 * 0.1)
    assert len(picked(list(budget_rows([exact], 0.1)), "start_s", label="nest")) == 3, "no rest of a rounding"


def test_what_follows_what() -> None:
    rows = list(transition_rows([FILM]))
    assert picked(rows, "from", "to", "count", "share", who="m1") == [
        ("groom", "groom", 1, 0.5),
        ("groom", "rear", 1, 0.5),
        ("rear", "groom", 1, 1.0),
        ("rear", "rear", 0, 0.0),
    ]
    assert picked(rows, "from", "to", "count", "share", who="m2") == [("rear", "rear", 0, None)]


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0.1, 5)), max_size=20), st.floats(0.3, 12))
def test_the_parts_add_up(spans: list[tuple[float, float]], each: float) -> None:
    own = video(*(bout("groom", start, min(start + length, 10.0)) for start, length in spans))
    whole, parts = (picked(list(budget_rows([own], part)), "count", "total_s", label="groom") for part in (None, each))
    assert sum(count for count, _ in parts) == whole[0][0] == len(spans)
    assert sum(total for _, total in parts) == pytest.approx(whole[0][1], abs=1e-4)
    assert 0 <= whole[0][1] <= 10


def test_an_ethogram_is_a_picture_with_a_lane_for_each_label_of_each_individual() -> None:
    root = ElementTree.fromstring(ethogram([FILM, video(bout("<rear>", 0, 0.04))]))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"film & co.mp4", "m1: groom", "m1: rear", "m2: rear", "nest", "<rear>", "0:10"} <= set(texts)
    bars = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("aria-label")]
    assert len(bars) == 7
    assert bars[0].get("aria-label") == "m1: groom, 1.00 to 2.00 s"
    assert float(bars[0].get("width") or 0) == 72.0
    assert float(bars[-1].get("width") or 0) >= 1, "a moment can be seen"
    assert ElementTree.fromstring(ethogram([])) is not None


def test_labels_have_the_colors_of_the_label_config() -> None:
    config = parse_label_config(CONFIG.replace('value="rear"', 'value="rear" background="rgb(1, 2, 3)"'))
    root = ElementTree.fromstring(ethogram([video(bout("rear", 0, 1), bout("odd", 1, 2))], label_colors(config)))
    assert [each.get("fill") for each in root.iter() if each.get("aria-label")] == ["rgb(1, 2, 3)", "#0072B2"]


CONFIG = (
    '<View><TimelineLabels name="what" toName="film"><Label value="groom"/><Label value="rear"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="$fps"/></View>'
)


@pytest.fixture
def run(studio: Studio, context: JobContext, tmp_path: Path) -> Run:
    assert studio.project is not None
    studio.project |= {"label_config": CONFIG, "model_version": "cold-v1"}
    film = numbered(tmp_path / "film.mp4")
    for task in (1, 2):
        add_video(studio, task, film, name=f"{task}.mp4")
    value = {"ranges": [{"start": 1, "end": 25}], "timelinelabels": ["groom"]}
    region = {"id": "a", "from_name": "what", "to_name": "film", "type": "timelinelabels", "value": value}
    submit(studio, 1, {**region, "meta": {"text": ["who: m1"]}})
    shown = [{**region, "score": 0.75}]
    studio.tasks[2]["predictions"] = [{"id": 1, "task": 2, "model_version": "cold-v1", "result": shown}]
    settings = context.settings
    environment = {
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url or "",
        "COLUMNS": "200",
    }
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), env=environment)


def test_the_command_prints_or_writes_them(run: Run, tmp_path: Path) -> None:
    told = run("bouts", 7, "--json")
    rows = json.loads(told.stdout)
    assert picked(rows, "task", "source", "who", "start_s", "end_s", "score") == [
        (1, "human", "m1", 0, 1, None),
        (2, "model", "", 0, 1, 0.75),
    ]
    assert "groom" in run("bouts", 7).output
    told = run("bouts", 7, "--show", "budget", "--bin", 1, "-o", tmp_path / "b.csv", "--ethogram", tmp_path / "e.svg")
    assert told.exit_code == 0, told.output
    assert "2 videos, 8 rows: " in told.output.replace("\n", "")
    assert (tmp_path / "e.svg").read_text().startswith("<svg ")
    table = pyarrow.csv.read_csv(tmp_path / "b.csv")
    assert table.filter(pyarrow.compute.equal(table["label"], "groom"))["total_s"].to_pylist() == [1, 0, 1, 0]
    run("bouts", 7, "--show", "transitions", "-o", tmp_path / "t.parquet")
    assert str(pyarrow.parquet.read_table(tmp_path / "t.parquet").schema.field("share").type) == "double"
    assert len(json.loads(run("bouts", 7, "--json", "--source", "model", "--min-confidence", 0.8).stdout)) == 0
    assert "no bouts yet" in run("bouts", 7, "--source", "model", "--min-confidence", 0.8).output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bin", "5"), "--bin is about the time budget"),
        (("-o", "x.txt"), "does not end in .csv or .parquet"),
        (("--ethogram", "x.png"), "does not end in .svg"),
        (("--control", "who"), "no timeline called"),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, options: tuple[str, ...], said: str) -> None:
    error = run("bouts", 7, *options).exception
    assert isinstance(error, SettingsError)
    assert said in error.message
