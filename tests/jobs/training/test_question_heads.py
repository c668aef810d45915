"""Every control of a label config is a question of its own: learnt, predicted and measured beside the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from known_project import worker
from loopback import serving
from redis import Redis
from studio import KEY, Studio, drawn

from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.errors import SettingsError
from ml_backend.export.choose import Choice
from ml_backend.export.project import open_work
from ml_backend.export.write import write_export
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import task_features
from ml_backend.jobs.predictions.rollout import rollout
from ml_backend.jobs.project import open_project
from ml_backend.jobs.training.evaluate import evaluate
from ml_backend.jobs.training.train import train
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.regions import is_untouched_whole, parse_whole
from ml_backend.learning.versions import list_versions, load_heads
from ml_backend.projects import label_report, registry, task_view
from ml_backend.settings import Settings

# Both timelines have a label “ball”: it means two different things.
CONFIG = """<View>
  <TimelineLabels name="what" toName="film"><Label value="car"/><Label value="ball"/></TimelineLabels>
  <TimelineLabels name="road" toName="film"><Label value="free"/><Label value="ball"/></TimelineLabels>
  <Choices name="clip" toName="film"><Choice value="busy"/><Choice value="quiet"/></Choices>
  <Rating name="stars" toName="film"/>
  <Video name="film" value="$video" framerate="25"/></View>"""
BUSY = (("car", 30), ("ball", 30), ("clear", 5))
QUIET = (("clear", 50), ("ball", 10))
SCRIPTS = tuple(Script(f"{number}.mp4", 25, BUSY if number % 2 else QUIET, number) for number in range(1, 7))
ANSWERED = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return make_clips(tmp_path_factory.mktemp("clips"), SCRIPTS)


def result_of(task: int, clip: Clip) -> list[dict[str, Any]]:
    """What a person answers about some frames of a video, to both timelines, and about all of it."""
    result: list[dict[str, Any]] = []
    for frame in range(3, len(clip.labels), 7):
        shown = clip.labels[frame - 1]
        what = {**drawn(f"kf-{frame}", frame, frame, *([shown] if shown != "clear" else [])), "from_name": "what"}
        # The two timelines call the same pictures by the same name and mean the opposite.
        road = {**drawn(f"kf-{frame}", frame, frame, "free" if shown == "ball" else "ball"), "from_name": "road"}
        result += [what, road] if shown != "clear" else [road]
    chosen = "busy" if task % 2 else "quiet"
    return [*result, {"id": "c", "type": "choices", "from_name": "clip", "value": {"choices": [chosen]}}]


def opened(clips: list[Clip]) -> Studio:
    """Frames of four of six videos are labelled, and these videos' classes chosen."""
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for task, clip in enumerate(clips, start=1):
        studio.add_task(task, clip.path)
        if task in ANSWERED:
            own = {"id": task, "result": result_of(task, clip), "updated_at": "2026-01-31T12:00:00Z"}
            studio.tasks[task]["annotations"] = [own]
    return studio


@pytest.fixture
def studio(clips: list[Clip]) -> Studio:
    return opened(clips)


@pytest.fixture(scope="module")
def embedded(
    clips: list[Clip],
    redis_settings: Settings,
    warm: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A data folder with the embeddings of all videos."""
    data = warm(tmp_path_factory.mktemp("data"))
    with serving(opened(clips)) as url:
        worker(redis_settings, url, data, CONFIG).redis.close()
    return data


@pytest.fixture
def context(
    embedded: Path,
    studio: Studio,
    redis: Redis,
    redis_settings: Settings,
    tmp_path: Path,
) -> Iterator[JobContext]:
    shutil.copytree(embedded, tmp_path / "data")
    with serving(studio) as url:
        made = worker(redis_settings, url, tmp_path / "data", CONFIG)
        yield made
        made.redis.close()


def said(result: list[dict[str, Any]], control: str) -> set[str]:
    return {
        label for item in result if item["from_name"] == control for label in item["value"].get("timelinelabels", ())
    }


def test_one_version_holds_a_head_for_each_and_predicts_all_of_them(context: JobContext, studio: Studio) -> None:
    assert "cold-v1 is rolled out" in train.within(context, KEY)
    assert "predicted" in rollout.within(context, KEY, "cold-v1")
    (card,) = list_versions(context.models_dir(KEY))
    heads = load_heads(context.models_dir(KEY), "cold-v1")
    assert [(own.question, head.labels) for head, own in heads] == [
        ("what", ("car", "ball")),
        ("road", ("free", "ball")),
        ("clip", ("busy", "quiet")),
    ]
    assert card.about("stars") is None

    (prediction,) = (each for each in studio.predictions if each["task"] == 5)
    result = prediction["result"]
    assert len({item["id"] for item in result}) == len(result)
    assert said(result, "what") <= {"car", "ball"}
    assert said(result, "road") <= {"free", "ball"}
    assert all(item["to_name"] == "film" for item in result)
    assert [item["value"] for item in result if item["type"] == "choices"] == [{"choices": ["busy"]}]

    view = task_view.load(context.settings.data_dir, KEY, 5)
    assert view is not None
    assert (view.control, set(view.percent), set(view.more)) == ("what", {"car", "ball"}, {"road"})
    assert set(view.more["road"]) == {"free", "ball"}
    assert view.whole["clip"]["busy"] > view.whole["clip"]["quiet"]


def test_pages_can_show_what_people_have_said_on_each_timeline(context: JobContext) -> None:
    train.within(context, KEY)
    what, road = (label_report.regions_of(context.settings.data_dir, KEY, 1, control) for control in ("", "road"))
    assert {label for region in what for label in region.labels} == {"car", "ball"}
    assert {label for region in road for label in region.labels} == {"free", "ball"}
    report = label_report.load(context.settings.data_dir, KEY)
    assert report is not None
    assert set(report.regions) == {"car", "ball"}


def test_the_same_name_in_two_controls_is_two_things(context: JobContext) -> None:
    train.within(context, KEY)
    (what, _), (road, _), _ = load_heads(context.models_dir(KEY), "cold-v1")
    work = open_project(context, KEY)
    features = task_features(context, work.question, context.studio.tasks.get(work.id, 5), context.backbone)
    ball = slice(35, 55)
    assert what.probabilities(features)[ball, 1].mean() > 0.5  # type: ignore[index]
    assert road.probabilities(features)[ball, 1].mean() < 0.5  # type: ignore[index]


def test_each_is_measured_on_its_own(context: JobContext) -> None:
    train.within(context, KEY)
    told = evaluate.within(context, KEY, "cold-v1")
    (card,) = list_versions(context.models_dir(KEY))
    assert all(f"{control}: Measured on" in told for control in ("what", "road", "clip"))
    measured = {own.question: own.measured for own in card.each()}
    assert set(measured["road"].labels) == {"free", "ball"}
    assert set(measured["clip"].labels) == {"busy", "quiet"}
    assert measured["clip"].frames == len(ANSWERED)


def test_one_that_cannot_be_learnt_yet_keeps_no_other_back(context: JobContext, studio: Studio, redis: Redis) -> None:
    for task in ANSWERED:
        items = studio.tasks[task]["annotations"][0]["result"]
        items[:] = [item for item in items if item["from_name"] == "road"]
    assert "cold-v1 is rolled out" in train.within(context, KEY)
    rollout.within(context, KEY, "cold-v1")
    (prediction,) = (each for each in studio.predictions if each["task"] == 5)
    assert {item["from_name"] for item in prediction["result"]} == {"road"}
    (sentences,) = registry.problems(redis).values()
    assert any(sentence.startswith("what: No frame has been labeled yet.") for sentence in sentences)
    assert any(sentence.startswith("clip: No video has been answered yet.") for sentence in sentences)


def test_what_people_have_said_of_a_whole_video_stays(context: JobContext, studio: Studio) -> None:
    train.within(context, KEY)
    rollout.within(context, KEY, "cold-v1")
    (prediction,) = (each for each in studio.predictions if each["task"] == 2)
    question = parse_label_config(CONFIG).questions[2]
    whole = parse_whole([{**item, "origin": "prediction"} for item in prediction["result"]], question)
    assert whole is not None
    assert (whole.labels, whole.score, is_untouched_whole(whole)) == (("quiet",), 1.0, True)


def test_a_project_that_asks_for_nothing_but_the_class_of_its_videos(context: JobContext, studio: Studio) -> None:
    assert studio.project is not None
    studio.project["label_config"] = CONFIG.replace("<TimelineLabels", "<Hidden").replace(
        "</TimelineLabels", "</Hidden"
    )
    assert "cold-v1 is rolled out" in train.within(context, KEY)
    assert rollout.within(context, KEY, "cold-v1").startswith("predicted 2 of 6 tasks")
    found = {each["task"]: each for each in studio.predictions}
    # Nothing is left to review where a person has answered.
    assert set(found) == {5, 6}
    assert [found[task]["result"][0]["value"]["choices"] for task in (5, 6)] == [["busy"], ["quiet"]]
    assert all(0.5 < found[task]["score"] <= 1 for task in (5, 6))
    # The only question: its id is as plain as a region's always was.
    assert found[5]["result"][0]["id"].startswith("cold-v1-whole_")
    assert found[5]["result"][0]["id"].count("_") == 1


def test_a_second_control_put_in_front_of_an_old_model_takes_nothing_from_it(
    context: JobContext, studio: Studio
) -> None:
    assert studio.project is not None
    front, road = CONFIG.split("\n")[1:3]
    studio.project["label_config"] = (
        CONFIG.replace(front, "").replace("<Choices", "<Hidden").replace("</Choices", "</Hidden")
    )
    train.within(context, KEY)
    studio.project["label_config"] = CONFIG.replace(road, f"{road}")
    rollout.within(context, KEY, "cold-v1")
    (prediction,) = (each for each in studio.predictions if each["task"] == 5)
    assert {item["from_name"] for item in prediction["result"]} == {"road"}
    assert said(prediction["result"], "road") <= {"free", "ball"}


def test_regions_on_a_control_that_was_renamed_are_told(context: JobContext, studio: Studio, redis: Redis) -> None:
    assert studio.project is not None
    studio.project["label_config"] = CONFIG.replace('name="road"', 'name="street"')
    train.within(context, KEY)
    number = sum(
        item["from_name"] == "road" for task in ANSWERED for item in studio.tasks[task]["annotations"][0]["result"]
    )
    (sentences,) = registry.problems(redis).values()
    assert any(f"{number} regions on the control “road”" in sentence for sentence in sentences)
    studio.project["label_config"] = CONFIG
    train.within(context, KEY)
    assert not any("the control “road”" in sentence for told in registry.problems(redis).values() for sentence in told)


def test_an_export_names_the_control_of_each_label(context: JobContext, studio: Studio, tmp_path: Path) -> None:
    train.within(context, KEY)
    rollout.within(context, KEY, "cold-v1")

    def exported(control: str | None = None, **chosen: Any) -> list[dict[str, Any]]:
        path = tmp_path / f"{control}.parquet"
        path.unlink(missing_ok=True)
        work = open_work(context, open_project(context, KEY).id, control)
        write_export(work, path, None, Choice(**chosen), lambda _text: lambda _share: None)
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return rows

    rows = exported()
    assert {row["control"] for row in rows} == {"what", "road", "clip"}
    balls = {row["control"] for row in rows if row["label"] == "ball" and row["source"] == "human"}
    assert balls == {"what", "road"}
    assert {row["label"] for row in rows if row["control"] == "clip" and row["task"] == 1} == {"busy"}
    # Of each label of each control so many, not of both controls' together.
    few = exported(max_per_label=3)
    assert {
        (row["control"], row["label"]): sum(
            1 for other in few if (other["control"], other["label"]) == (row["control"], row["label"])
        )
        for row in few
        if row["label"] == "ball"
    } == {("what", "ball"): 3, ("road", "ball"): 3}
    assert all("control" not in row and row["label"] in ("free", "ball", None) for row in exported("road"))
    with pytest.raises(SettingsError, match="no control “stars”"):
        exported("stars")
