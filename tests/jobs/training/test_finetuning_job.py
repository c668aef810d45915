"""blitz.fit = finetune through the jobs: trained, used, measured on videos it has not seen, and rolled out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from loopback import serving
from redis import Redis
from rq.job import Job
from stripes import STRIPES, striped_film
from studio import KEY, Studio, drawn

from ml_backend.cards.measurements import Metrics
from ml_backend.cards.model_card import Network
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import backbone_of_version
from ml_backend.jobs.predictions.rollout import rollout
from ml_backend.jobs.progress import Progress
from ml_backend.jobs.project import open_project
from ml_backend.jobs.suggestions.embed import embed
from ml_backend.jobs.training.evaluate import evaluate
from ml_backend.jobs.training.finetuning import outgrown, worth_using
from ml_backend.jobs.training.train import train
from ml_backend.learning.versions import ModelCard, list_versions
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.settings import Settings

CONFIG = (
    '<View><TimelineLabels name="events" toName="film">'
    + "".join(f'<Label value="{label}"/>' for label in STRIPES)
    + '</TimelineLabels><Video name="film" value="$video" framerate="25"/></View>'
)
Warm = Callable[[Path], Path]
CYCLES = 5
TUNING = {
    "fit": "finetune",
    "cycles": CYCLES,
    "early_stopping": CYCLES,
    "validation_split": 0.25,
    "image_size": 64,
    "frame_step": 1,
}


class WatchedJob(Job):
    """A job that remembers every percentage it was said to have reached."""

    @property
    def percents(self) -> list[float]:
        return self.__dict__.setdefault("_percents", [])

    def save_meta(self) -> None:
        self.percents.append(self.meta["percent"])
        super().save_meta()  # type: ignore[no-untyped-call]


def reviewed(number: int, labels: tuple[str, ...]) -> dict[str, Any]:
    result, at = [], 0
    for label, run in groupby(labels):
        length = len(list(run))
        result.append(drawn(f"{number}-{at}", at + 1, at + length, label))
        at += length
    return {"id": number, "completed_by": 1, "result": result, "updated_at": "2026-01-31T12:00:00Z"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, tuple[str, ...]]]:
    folder = tmp_path_factory.mktemp("films")
    return [(folder / f"{number}.mp4", striped_film(folder / f"{number}.mp4", number)) for number in range(5)]


@pytest.fixture
def studio(films: list[tuple[Path, tuple[str, ...]]]) -> Studio:
    """Five tasks, of which the first four are reviewed."""
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for number, (path, labels) in enumerate(films, start=1):
        studio.add_task(number, path)
        studio.tasks[number]["annotations"] = [reviewed(number, labels)] if number < 5 else []
    return studio


@pytest.fixture
def context(studio: Studio, redis: Redis, redis_settings: Settings, tmp_path: Path, warm: Warm) -> Iterator[JobContext]:
    with serving(studio) as url:
        settings = replace(
            redis_settings, label_studio_url=url, data_dir=warm(tmp_path), backbone_weights="none", device="cpu"
        )
        made = JobContext(settings)
        made.made["redis"] = redis
        registry.remember(redis, Known(KEY, CONFIG, {"blitz": TUNING}))
        yield made


def newest(context: JobContext) -> ModelCard:
    return list_versions(context.models_dir(KEY))[-1]


def test_a_version_with_its_own_network_is_trained_measured_honestly_and_rolled_out(
    context: JobContext, studio: Studio, redis: Redis, films: list[tuple[Path, tuple[str, ...]]]
) -> None:
    watched = WatchedJob.create("ml_backend.jobs.training.train.train", args=(KEY,), connection=redis)
    train.within(context.reporting(Progress(watched)), KEY)
    assert watched.percents == sorted(watched.percents)
    assert len(set(watched.percents)) > 20
    card = newest(context)
    assert card.name == "blitz-v1"
    assert [point["epoch"] for point in card.curves.epochs] == list(range(CYCLES + 1))
    seen, unseen = set(card.network.trained_on), set(card.network.validated_on)
    assert (len(seen), len(unseen), seen | unseen) == (3, 1, {1, 2, 3, 4})
    assert card.backbone != context.backbone.key
    assert card.metrics.quick.videos == 1
    assert card.metrics.quick.macro_f1 >= card.metrics.quick.frozen_macro_f1
    assert "was not fine-tuned on" in card.metrics.quick.judgement
    assert card.settings["blitz"]["cycles"] == CYCLES

    evaluate.within(context, KEY, card.name)
    assert newest(context).metrics.full.videos == 1
    assert "calibration_error" in newest(context).metrics.as_json()

    assert rollout.within(context, KEY, card.name) == f"{card.name} waits until 1 video is embedded"
    embed.within(context, KEY, 5)
    rollout.within(context, KEY, card.name)
    (prediction,) = [p for p in studio.predictions if p["model_version"] == card.name]
    assert prediction["task"] == 5
    assert {label for region in prediction["result"] for label in region["value"]["timelinelabels"]} <= set(STRIPES)
    assert registry.active_version(redis, KEY) == card.name

    # One more annotation of a known video is learnt by the head; the network stays.
    studio.tasks[1]["annotations"][0]["updated_at"] = "2026-02-01T12:00:00Z"
    train.within(context, KEY)
    assert newest(context).name == "blitz-v2"
    assert newest(context).network.digest == card.network.digest
    assert backbone_of_version(open_project(context, KEY), card.name) is not None


class TestWhenTheNetworkIsUsed:
    def test_worse_than_the_frozen_one_on_the_same_recordings_it_is_not_and_the_admin_is_told(
        self, redis: Redis
    ) -> None:
        registry.remember(redis, Known(KEY, CONFIG, {}))
        assert not worth_using(redis, KEY, Metrics(videos=3, macro_f1=0.712), Metrics(videos=3, macro_f1=0.845))
        (problem,) = registry.problems(redis)[KEY]
        assert "not used: on 3 held-out recordings macro-F1 is 0.712 with it and 0.845 with the frozen one" in problem

    @pytest.mark.parametrize("frozen", [Metrics(macro_f1=0.8), Metrics(macro_f1=0.79), Metrics(videos=3)])
    def test_no_worse_it_is_and_what_was_told_before_is_over(self, redis: Redis, frozen: Metrics) -> None:
        registry.remember(redis, Known(KEY, CONFIG, {}))
        worth_using(redis, KEY, Metrics(videos=3, macro_f1=0.5), Metrics(videos=3, macro_f1=0.6))
        assert worth_using(redis, KEY, Metrics(videos=3, macro_f1=0.8), frozen)
        assert KEY not in registry.problems(redis)

    def test_one_that_could_not_be_measured_is_not_used(self, redis: Redis) -> None:
        assert not worth_using(redis, KEY, Metrics(videos=1), Metrics(videos=1))


def test_another_is_made_for_a_quarter_more_videos_other_labels_or_another_backbone() -> None:
    made = Network("d", "base", {"labels": ["a"]}, (1, 2, 3), (4,), (), 1, 9, 1.0, "cpu", 0, "2026")
    assert not outgrown(made, {"labels": ["a"]}, "base", 4)
    assert outgrown(made, {"labels": ["a"]}, "base", 5)
    assert outgrown(made, {"labels": ["a", "b"]}, "base", 4)
    assert outgrown(made, {"labels": ["a"]}, "other", 4)


def test_with_too_few_videos_the_frozen_network_is_used_and_the_admin_is_told(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    for number in (2, 3, 4):
        studio.tasks[number]["annotations"] = []
    registry.remember(redis, Known(KEY, CONFIG, {"mode": "blitz", "blitz": TUNING}))
    train.within(context, KEY)
    assert not newest(context).network
    assert any("cannot be trained yet" in problem for problem in registry.problems(redis)[KEY])
