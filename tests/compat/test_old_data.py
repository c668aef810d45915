"""A data folder and a Redis as the commit 6b706ed left them (`write_old_data.py`) are read, and work goes on."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded import do_jobs, settings_for
from loopback import serving
from redis import Redis
from studio import BACKEND, KEY, Studio, drawn

from ml_backend.demo.clips import Script, make_clips
from ml_backend.jobs.context import worker_context
from ml_backend.learning.versions import list_versions, load_heads
from ml_backend.projects import (
    asked_frames,
    label_report,
    links,
    registry,
    reports,
    stored_predictions,
    task_view,
    training_choice,
)
from ml_backend.projects.storage import check_folder, check_redis
from ml_backend.queueing.embedded_redis import running_redis
from ml_backend.queueing.queue import enqueue, listing
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

ARCHIVE = Path(__file__).with_name("6b706ed.tar.gz")
LABELS = ("clear", "ball", "car")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Redis]]:
    """The settings of the old folder, with its Redis running on what it had written."""
    with tarfile.open(ARCHIVE) as archive:
        folder = tmp_path_factory.mktemp("old")
        archive.extractall(folder, filter="data")
    settings = settings_for(folder / "data")
    with running_redis(settings) as url:
        redis = Redis.from_url(url)
        yield settings, redis
        redis.close()


@pytest.fixture(scope="module")
def data_dir(opened: tuple[Settings, Redis]) -> Path:
    return opened[0].data_dir


@pytest.fixture(scope="module")
def old_redis(opened: tuple[Settings, Redis]) -> Redis:
    return opened[1]


def test_its_format_is_ours(data_dir: Path, old_redis: Redis) -> None:
    check_folder(data_dir)
    check_redis(old_redis)


def test_the_registry_knows_the_project_and_its_active_version(old_redis: Redis) -> None:
    assert registry.known_keys(old_redis) == [KEY]
    known = registry.recall(old_redis, KEY)
    assert known is not None
    assert known.settings.frames_per_video == 6
    assert registry.active_version(old_redis, KEY) == "blitz-v2"
    assert list(registry.pins(old_redis, KEY)) == ["cold-v1", "blitz-v2"]


def test_the_job_that_waited_still_waits(old_redis: Redis) -> None:
    assert [(row["kind"], row["project"]) for row in listing(old_redis)["queued"]] == [("train", KEY)]


def test_the_versions_are_read_with_their_heads(data_dir: Path) -> None:
    models = data_dir / "projects" / KEY / "models"
    cards = list_versions(models)
    assert [card.name for card in cards] == ["cold-v1", "blitz-v2"]
    assert [card.labels for card in cards] == [LABELS] * 2
    assert [card.labelled_frames for card in cards] == [9, 57]
    assert [len(card.annotations) for card in cards] == [3, 3]
    for card in cards:
        ((head, own),) = load_heads(models, card.name)
        assert (head.labels, own.name) == (LABELS, card.name)


def test_the_predictions_are_read(data_dir: Path) -> None:
    assert stored_predictions.versions(data_dir, KEY) == ["blitz-v2", "cold-v1", "keyframes-v1"]
    prediction = stored_predictions.load(data_dir, KEY, "blitz-v2", 4)
    assert prediction is not None
    assert prediction["model_version"] == "blitz-v2"
    assert {region["type"] for region in prediction["result"]} == {"timelinelabels"}
    assert stored_predictions.load_order(data_dir, KEY, "blitz-v2")["task"].tolist() == [4]


def test_the_reports_are_read(data_dir: Path, old_redis: Redis) -> None:
    stopping = reports.load_stopping(data_dir, KEY, "blitz-v2")
    assert stopping is not None
    assert reports.videos_with_errors(data_dir, KEY)["task"].tolist() == [3, 4]
    quality = reports.load_quality(data_dir, KEY)
    assert quality is not None
    assert quality.videos == 3
    labels = label_report.load(data_dir, KEY)
    assert labels is not None
    assert (labels.tasks, labels.reviewed, labels.regions) == ((1, 2, 3), (1, 2), dict.fromkeys(LABELS, 3))
    known = registry.recall(old_redis, KEY)
    assert known is not None
    assert training_choice.settings_of(data_dir, known).frames_per_video == 6
    assert set(asked_frames.videos(data_dir, KEY)["task"].tolist()) == {1, 2, 3, 4}
    assert task_view.load(data_dir, KEY, 4) is not None


def test_the_account_of_labels_which_it_had_not_is_none(data_dir: Path) -> None:
    assert label_report.load_account(data_dir, KEY) is None


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("/", "blitz-v2"),
        ("/models?project=7", "blitz-v2"),
        ("/models/blitz-v2?project=7", "blitz-v2"),
        ("/dashboard/jobs", "train"),
        ("/dashboard/projects/7/models", "blitz-v2"),
        ("/dashboard/projects/7/models/cold-v1", "cold-v1"),
        ("/dashboard/projects/7/quality", "clear"),
        ("/dashboard/projects/7/settings", "extra params"),
        ("/dashboard/projects/7/videos", "/dashboard/projects/7/videos/4"),
        ("/dashboard/projects/7/videos/4", "blitz-v2"),
    ],
)
def test_pages_show_it(opened: tuple[Settings, Redis], page: str, shown: str) -> None:
    app = create_app(opened[0])
    answer = app.test_client().get(page, headers={"Accept": "text/html" if page == "/" else "*/*"})
    assert answer.status_code == 200
    assert shown in answer.get_data(as_text=True)
    app.extensions["coldblitz"].redis.close()


def test_the_next_training_goes_on(
    opened: tuple[Settings, Redis], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clips are drawn again. One more is reviewed; the third version follows, and what was kept stays."""
    settings, redis = opened
    said = json.loads((settings.data_dir / "studio.json").read_text())
    studio = Studio()
    studio.project, studio.predictions = said["project"], said["predictions"]
    studio.tasks = {int(number): task for number, task in said["tasks"].items()}
    studio.made = 1 + max(each["id"] for each in studio.predictions)
    parts = ["clear ball car", "ball clear car", "car ball clear", "clear car ball"]
    scripts = [
        Script(f"clip-{n}.mp4", 25, tuple((label, 9 if n < 3 else 12) for label in part.split()), n)
        for n, part in enumerate(parts, 1)
    ]
    studio.files = {f"{n}.mp4": clip.path for n, clip in enumerate(make_clips(tmp_path, scripts), 1)}
    studio.answering[BACKEND] = lambda: links.answer(redis)
    regions = [drawn(f"r{n}", 12 * n + 1, 12 * n + 12, label) for n, label in enumerate(parts[2].split())]
    (annotation,) = studio.tasks[3]["annotations"]
    annotation |= {"result": [*regions, *reviewed()], "updated_at": "2026-02-02T00:00:00Z"}
    studio.tasks[3]["updated_at"] = annotation["updated_at"]
    with serving(studio) as url:
        for name, value in (
            ("LABEL_STUDIO_URL", url),
            ("LABEL_STUDIO_API_KEY", settings.label_studio_api_key),
            ("DATA_DIR", str(settings.data_dir)),
            ("BACKBONE_WEIGHTS", "none"),
            ("DEVICE", "cpu"),
        ):
            monkeypatch.setenv(name, value)
        worker_context.cache_clear()
        try:
            enqueue(redis, "reconcile", KEY, again=True)
            do_jobs(redis)
        finally:
            worker_context.cache_clear()
    assert listing(redis)["failed"] == []
    models = settings.data_dir / "projects" / KEY / "models"
    assert [card.name for card in list_versions(models)] == ["cold-v1", "blitz-v2", "blitz-v3"]
    assert label_report.load_account(settings.data_dir, KEY) is not None
    assert stored_predictions.load(settings.data_dir, KEY, "keyframes-v1", 1) is not None
    assert registry.active_version(redis, KEY) in ("blitz-v2", "blitz-v3")


def reviewed() -> list[dict[str, object]]:
    value = {"choices": ["reviewed"]}
    return [{"id": "c3", "type": "choices", "from_name": "review", "to_name": "film", "value": value}]
