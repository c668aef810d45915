"""A training accounts for every region: on the model card, in files, and to the admin where it learnt nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loopback import serving
from redis import Redis
from studio import CONFIG, KEY, Studio, drawn
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.training.accounting import nothing_taught
from ml_backend.jobs.training.train import train
from ml_backend.learning.versions import list_versions
from ml_backend.projects import label_report, registry
from ml_backend.projects.label_report import Account, AccountRow
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

BOX = {"id": "b", "from_name": "box", "to_name": "film", "type": "videorectangle", "value": {"labels": ["x"]}}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clips(tmp_path_factory.mktemp("clips"), [Script("a.mp4", 25, (("car", 20), ("clear", 20)), 1)])[0]


@pytest.fixture
def studio(clip: Clip) -> Studio:
    made = Studio()
    for task in (1, 2):
        made.add_task(task, clip.path)
    return made


@pytest.fixture
def context(
    studio: Studio,
    redis: Redis,
    redis_settings: Settings,
    warm: Callable[[Path], Path],
    tmp_path: Path,
) -> Iterator[JobContext]:
    with serving(studio) as url:
        here = {"label_studio_url": url, "data_dir": warm(tmp_path), "redis_url": redis_url(redis_settings)}
        made = JobContext(replace(redis_settings, **here, backbone_weights="none", device="cpu"))  # type: ignore[arg-type]
        registry.remember(redis, Known(KEY, CONFIG))
        yield made
        made.redis.close()


def annotate(studio: Studio, task: int, *result: dict[str, Any], **more: Any) -> None:
    own = {"id": 10 * task + len(studio.tasks[task]["annotations"]), "updated_at": "2026-01-31T12:00:00Z"}
    studio.tasks[task]["annotations"].append({**own, "result": list(result), **more})


def answered(frame: int, label: str) -> dict[str, Any]:
    return {**drawn(f"kf-{frame}", frame, frame, label), "origin": "prediction-changed"}


def of_yolo(start: int, end: int) -> dict[str, Any]:
    return {**drawn(f"yolo-{start}", start, end, "cat"), "origin": "prediction"}


def account(context: JobContext, task: int | None = None) -> Account:
    found = label_report.load_account(context.settings.data_dir, KEY, task)
    assert found is not None
    assert found.regions == sum(row.regions for row in found.rows), "it adds up"
    return found


def told(redis: Redis) -> list[str]:
    return [sentence for sentences in registry.problems(redis).values() for sentence in sentences]


def test_each_region_is_accounted_for_on_the_card_and_by_task(context: JobContext, studio: Studio) -> None:
    left = drawn("kf-30", 30, 30)
    annotate(studio, 1, answered(3, "cat"), answered(25, "dog"), left, BOX, drawn("x", 9, 9, "cow"))
    annotate(studio, 1, of_yolo(1, 10), was_cancelled=True)
    annotate(studio, 2, drawn("y", 500, 510, "cat"))
    assert "trained cold-v1" in train.within(context, KEY)
    assert account(context, 1).rows == (
        AccountRow("box", "another control", 1),
        AccountRow("events", "taught", 2, 2),
        AccountRow("events", "skipped", 1),
        AccountRow("events", "unanswered", 1),
        AccountRow("events", "unknown label", 1, detail="“cow”"),
    )
    assert account(context, 2).rows == (AccountRow("events", "outside", 1),)
    whole = account(context)
    assert (whole.annotations, whole.skipped, whole.regions, whole.taught) == (2, 1, 7, 2)
    (card,) = list_versions(context.models_dir(KEY))
    assert card.account == json.loads(json.dumps(whole.as_json()))


def test_the_admin_hears_what_was_read_where_it_taught_nothing(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    annotate(studio, 1, of_yolo(1, 10), of_yolo(15, 20), drawn("x", 9, 9, "cow"))
    said = train.within(context, KEY)
    assert said.startswith(
        "3 regions were read, and none of them taught a frame: 2 are a model's predictions that nobody changed; "
        "1 has the label “cow”, which the label config does not have. "
    )
    assert said in told(redis)
    assert not any("No frame has been labeled" in sentence for sentence in told(redis))
    assert account(context).taught == 0


def test_also_where_all_of_it_is_about_something_else(context: JobContext, studio: Studio, redis: Redis) -> None:
    annotate(studio, 1, {**drawn("x", 3, 9, "cat"), "from_name": "before-it-was-renamed"})
    assert "1 belongs to a control that is not predicted" in train.within(context, KEY)


def test_that_nothing_was_labelled_is_said_where_it_is_so(context: JobContext, studio: Studio) -> None:
    annotate(studio, 1)
    assert train.within(context, KEY).startswith("No frame has been labeled yet.")
    assert account(context) == Account(account(context).made, annotations=1)


def test_what_is_skipped_after_a_training_is_accounted_for_although_there_is_nothing_new_to_learn(
    context: JobContext, studio: Studio
) -> None:
    annotate(studio, 1, answered(3, "cat"), answered(25, "dog"))
    train.within(context, KEY)
    annotate(studio, 1, of_yolo(1, 10), was_cancelled=True)
    annotate(studio, 2, of_yolo(1, 10), of_yolo(20, 30), was_cancelled=True)
    assert train.within(context, KEY) == "cold-v1 knows these annotations already"
    assert account(context, 1).rows == (AccountRow("events", "taught", 2, 2), AccountRow("events", "skipped", 1))
    assert account(context, 2).rows == (AccountRow("events", "skipped", 2),)
    whole = account(context)
    assert (whole.annotations, whole.skipped, whole.regions, whole.taught) == (1, 2, 5, 2)
    studio.tasks[2]["annotations"].clear()
    train.within(context, KEY)
    assert (account(context).skipped, account(context).regions) == (1, 3)


def test_skipped_annotations_are_accounted_for_without_any_other(context: JobContext, studio: Studio) -> None:
    annotate(studio, 1, of_yolo(1, 10), was_cancelled=True)
    assert train.within(context, KEY) == "nothing is annotated yet"
    assert account(context).rows == (AccountRow("events", "skipped", 1),)


def test_a_video_that_cannot_be_used_is_the_reason(context: JobContext, studio: Studio, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 100)
    studio.add_task(3, broken)
    annotate(studio, 3, answered(3, "cat"))
    assert "1 is in a video that cannot be used" in train.within(context, KEY)


def test_people_who_disagree_are_named(context: JobContext, studio: Studio) -> None:
    studio.users = [{"id": 11, "first_name": "Ada", "last_name": "", "email": "ada@a.example"}]
    annotate(studio, 1, answered(3, "cat"), completed_by=11)
    annotate(studio, 1, answered(3, "dog"), completed_by=12)
    train.within(context, KEY)
    assert account(context).rows == (
        AccountRow("events", "contradicted", 1, detail="Ada"),
        AccountRow("events", "contradicted", 1, detail="user 12"),
    )


def test_three_hundred_labels_without_an_example_are_one_sentence(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    assert studio.project is not None
    many = "".join(f'<Label value="l{number}"/>' for number in range(298))
    studio.project["label_config"] = CONFIG.replace('<Label value="dog"/>', f'<Label value="dog"/>{many}')
    annotate(studio, 1, answered(3, "cat"), answered(25, "dog"))
    train.within(context, KEY)
    sentences = [sentence for sentence in told(redis) if "No example" in sentence]
    assert sentences == [
        "No example yet of 298 labels: “l0”, “l1”, “l2”, “l3”, “l4” and 293 more. They are never predicted; label a frame of each."
    ]


def test_the_command_prints_it(context: JobContext, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    annotate(studio, 1, answered(3, "cat"), answered(25, "dog"), BOX)
    train.within(context, KEY)
    for name, value in (
        ("LABEL_STUDIO_URL", context.settings.label_studio_url),
        ("LABEL_STUDIO_API_KEY", "the-token"),
        ("DATA_DIR", str(context.settings.data_dir)),
        ("REDIS_URL", context.settings.redis_url or ""),
        ("COLUMNS", "160"),
    ):
        monkeypatch.setenv(name, value)
    printed = CliRunner().invoke(app, ["labels", "7"])
    assert printed.exit_code == 0, printed.output
    assert "3 regions in 1 annotation" in printed.output
    assert "belongs to a control that is not predicted" in printed.output
    as_json = CliRunner().invoke(app, ["labels", "7", "1", "--json"])
    assert json.loads(as_json.output) == account(context, 1).as_json()
    missing = CliRunner().invoke(app, ["labels", "7", "99"])
    assert "No training has read the labels of task 99" in str(missing.exception)


def test_annotations_that_mean_something_else_since_are_learnt_again(
    context: JobContext, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate(studio, 1, answered(3, "cat"), answered(25, "dog"))
    assert "trained cold-v1" in train.within(context, KEY)
    assert "knows these annotations already" in train.within(context, KEY)
    monkeypatch.setattr("ml_backend.jobs.training.labelled.MEANING", 3)
    assert "trained cold-v2" in train.within(context, KEY)


def test_boxes_are_not_told_as_labels_that_taught_nothing() -> None:
    boxes = AccountRow("box", "boxes", 1)
    assert nothing_taught(Account("2026-01-31", 1, 0, 1, (boxes,)), "events") is None
    others = Account("2026-01-31", 1, 0, 3, (boxes, AccountRow("points", "another control", 2)))
    told = nothing_taught(others, "events")
    assert told is not None
    assert "2 belong to a control that is not predicted" in told
    assert "boxes" not in told
