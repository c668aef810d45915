"""Every option of an export does in every form what it says, or is refused before anything is read."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from numbered import numbered_video
from redis import Redis
from studio import CONFIG, KEY, Studio, drawn
from workroom import context, redis, redis_settings, studio

from ml_backend.errors import SettingsError
from ml_backend.export.choose import Choice
from ml_backend.export.project import open_work
from ml_backend.export.write import Form, write_export
from ml_backend.jobs.context import JobContext
from ml_backend.projects import registry

__all__ = ["context", "redis", "redis_settings", "studio"]

Export = Callable[..., Path]
TABLES = ("labels.csv", "labels.json", "labels.parquet")


def scored(name: str, start: int, end: int, label: str, score: float) -> dict[str, Any]:
    return {**drawn(name, start, end, label), "score": score}


@pytest.fixture
def export(context: JobContext, studio: Studio, redis: Redis, tmp_path: Path) -> Export:
    """Three videos of 30 frames: a person said cat of the first ten, a model dog of the rest, less sure at the end."""
    film = numbered_video(tmp_path / "film.mp4", 30)
    for task in (1, 2, 3):
        studio.add_task(task, film, annotations=1)
        studio.tasks[task]["annotations"][0]["result"] = [drawn("a", 1, 10, "cat")]
        said = [scored("cold-v1-1", 11, 20, "dog", 0.9), scored("cold-v1-2", 21, 30, "dog", 0.4)]
        studio.tasks[task]["predictions"] = [{"model_version": "cold-v1", "result": said}]
    assert studio.project is not None
    studio.project["model_version"] = "cold-v1"
    registry.remember(redis, registry.Known(KEY, CONFIG))

    def write(name: str, choice: Choice, form: Form | None = None, license: str | None = None) -> Path:
        path = tmp_path / "out" / name
        write_export(open_work(context, 7), path, form, choice, lambda text: lambda share: None, license)
        return path

    return write


def rows(path: Path) -> Counter[tuple[str, str]]:
    """Rows of a table by label and source."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
    elif path.suffix == ".parquet":
        found = pyarrow.parquet.read_table(path).to_pylist()
    else:
        found = [row for video in json.loads(path.read_text(encoding="utf-8")) for row in video["frames"]]
    return Counter((row["label"], row["source"]) for row in found)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (Choice(), {("cat", "human"): 30, ("dog", "model"): 60}),
        (Choice(sources="human"), {("cat", "human"): 30}),
        (Choice(sources="model"), {("dog", "model"): 60}),
        (Choice(min_confidence=0.5), {("cat", "human"): 30, ("dog", "model"): 30}),
        (Choice(every=5), {("cat", "human"): 6, ("dog", "model"): 12}),
        (Choice(max_per_label=4), {("cat", "human"): 4, ("dog", "model"): 4}),
        (Choice(sources="model", min_confidence=0.5, every=5), {("dog", "model"): 6}),
    ],
)
def test_a_table_has_what_is_asked_for(export: Export, name: str, choice: Choice, left: dict[Any, int]) -> None:
    assert rows(export(name, choice)) == left


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (Choice(sources="human"), {"cat": 30}),
        (Choice(sources="model"), {"dog": 60}),
        (Choice(min_confidence=0.5), {"cat": 30, "dog": 30}),
        (Choice(every=5), {"cat": 6, "dog": 12}),
    ],
)
def test_so_has_a_folder_of_pictures(export: Export, choice: Choice, left: dict[str, int]) -> None:
    path = export("pictures", choice)
    assert Counter(file.parent.name for file in path.rglob("*.jpg")) == left


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (Choice(), {"cat": 3, "dog": 6}),
        (Choice(sources="human"), {"cat": 3}),
        (Choice(sources="model", min_confidence=0.5), {"dog": 3}),
    ],
)
def test_so_have_clips(export: Export, choice: Choice, left: dict[str, int]) -> None:
    path = export("clips", choice, "clips")
    assert Counter(file.parent.name for file in path.rglob("*.mp4")) == left


def test_a_persons_word_is_not_measured_by_how_sure_a_model_must_be(export: Export, studio: Studio) -> None:
    """Two annotators disagree about the first ten frames of a video: half agree on each label."""
    for task in studio.tasks.values():
        task["annotations"].append({**task["annotations"][0], "id": 9, "result": [drawn("b", 1, 10, "cat", "dog")]})
    assert rows(export("labels.csv", Choice(min_confidence=0.95)))["cat", "human"] == 30


def test_a_table_without_rows_of_the_model_names_no_version(export: Export) -> None:
    videos = json.loads(export("labels.json", Choice(sources="human")).read_text(encoding="utf-8"))
    assert [video["version"] for video in videos] == [None, None, None]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    ("choice", "form", "license", "said"),
    [
        (Choice(near=4), None, None, "--near cannot be used when exporting a table of labels"),
        (Choice(none="background"), None, None, "--none cannot be used"),
        (Choice(shares=(0.8, 0.1, 0.1)), None, None, "--split cannot be used"),
        (Choice(), "huggingface", None, "--as cannot be used"),
        (Choice(near=4), None, "cc-by-4.0", "--near and --license cannot be used"),
    ],
)
def test_what_has_no_meaning_in_a_table_is_refused(
    export: Export, name: str, choice: Choice, form: Form | None, license: str | None, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        export(name, choice, form, license)


@pytest.mark.parametrize(
    ("choice", "license", "said"),
    [
        (Choice(every=5), None, "--every cannot be used when exporting clips"),
        (Choice(max_per_label=5), None, "--max-per-label cannot be used"),
        (Choice(near=4), None, "--near cannot be used"),
        (Choice(shares=(0.8, 0.1, 0.1)), None, "--split cannot be used"),
        (Choice(), "cc-by-4.0", "--license cannot be used"),
    ],
)
def test_what_has_no_meaning_for_clips_is_refused(
    export: Export, choice: Choice, license: str | None, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        export("clips", choice, "clips", license)


@pytest.mark.parametrize(("name", "form"), [("labels.csv", None), ("pictures", None), ("clips", "clips")])
def test_where_nothing_is_left_it_says_so(export: Export, studio: Studio, name: str, form: Form | None) -> None:
    for task in studio.tasks.values():
        task["annotations"] = []
    with pytest.raises(SettingsError, match=r"No frame .* another --source"):
        export(name, Choice(sources="human"), form)


@pytest.mark.parametrize("name", ["labels.csv", "pictures", "clips"])
def test_videos_are_called_what_they_are_called_on_disk(export: Export, studio: Studio, name: str) -> None:
    uploaded = "0123abcd-Capture%20d%27%C3%A9cran.mp4"
    studio.files["0123abcd-Capture d'écran.mp4"] = studio.files["1.mp4"]
    studio.tasks[1]["data"]["video"] = f"/data/upload/7/{uploaded}"
    studio.tasks[2]["data"]["name"] = "rue d'État.mp4 0-60 s"
    path = export(name, Choice(), "clips" if name == "clips" else None)
    if name == "labels.csv":
        with path.open(newline="", encoding="utf-8") as file:
            assert {row["video"] for row in csv.DictReader(file)} == {
                "Capture d'écran.mp4",
                "rue d'État.mp4 0-60 s",
                "3.mp4",
            }
        return
    begun = {file.name.rpartition("_task")[0] for file in path.rglob("*.*") if "_task" in file.name}
    assert begun == {"Capture_d'écran", "rue_d'État_0-60", "3"}
