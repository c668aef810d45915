"""A model of one project in another one: in its words, measured on videos it was not trained on, and shown only if it may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from loopback import serving
from redis import Redis
from studio import Studio, drawn
from typer.testing import CliRunner

from ml_backend.cards.measurements import EvaluationScheme
from ml_backend.cli import app
from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.errors import SettingsError, StorageError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.training.evaluate import evaluate
from ml_backend.jobs.training.train import train
from ml_backend.jobs.training.unpacked import queue_measuring, to_pack, unpack
from ml_backend.learning.model_archive import Archive, pack_model, read_model
from ml_backend.learning.versions import ModelCard, load_card
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings

CONFIG = """<View><TimelineLabels name="{}" toName="film"><Label value="{}"/><Label value="{}"/></TimelineLabels>
  <Video name="film" value="$video" framerate="25"/></View>"""
NAMES = {"car": "auto", "ball": "kugel"}
PARTS = (("car", 20), ("ball", 20))
# The fourth video is in both projects.
THERE, HERE = range(1, 5), range(4, 8)

# In which each project was made: those of one minute would be one.
_MINUTES = count()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    scripts = [Script(f"{n}.mp4", 25, PARTS if n % 2 else PARTS[::-1], n) for n in range(1, 8)]
    return make_clips(tmp_path_factory.mktemp("clips"), scripts)


class Project:
    """A project of its own in a Label Studio of its own, of which a worker has videos `tasks`."""

    def __init__(self, clips: list[Clip], tasks: range, config: str, created: str, names: dict[str, str]) -> None:
        self.clips, self.tasks, self.names = clips, tasks, names
        self.studio = Studio()
        assert self.studio.project is not None
        self.studio.project.update(label_config=config, created_at=created, title=f"Street of {created[:4]}")
        for task in tasks:
            self.studio.add_task(task, clips[task - 1].path)

    @contextmanager
    def worker(self, redis_settings: Settings, data: Path) -> Iterator[Project]:
        with serving(self.studio) as url:
            here: dict[str, Any] = {"label_studio_url": url, "data_dir": data, "redis_url": redis_url(redis_settings)}
            self.context = JobContext(replace(redis_settings, **here, backbone_weights="none", device="cpu"))
            [project] = self.context.studio.projects.all()
            self.key = str(project.key)
            registry.remember(self.context.redis, Known(self.key, project.label_config))
            yield self
            self.context.redis.close()

    @property
    def work(self) -> ProjectWork:
        return open_project(self.context, self.key)

    def label(self, control: str) -> None:
        """Somebody answers about every fifth frame of every video."""
        for task in self.tasks:
            shown = [self.names[label] for label in self.clips[task - 1].labels]
            result = [{**drawn(f"m{f}", f, f, shown[f - 1]), "from_name": control} for f in range(3, len(shown), 5)]
            made = {"id": task, "result": result, "updated_at": "2026-01-31T12:00:00Z"}
            self.studio.tasks[task]["annotations"] = [made]

    def card(self, version: str) -> ModelCard:
        return load_card(self.context.models_dir(self.key), version)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, warm: Any) -> Path:
    folder: Path = warm(tmp_path_factory.mktemp("data"))
    return folder


@pytest.fixture
def there(clips: list[Clip], redis: Redis, redis_settings: Settings, data: Path) -> Iterator[Project]:
    """Where cold-v1 was trained."""
    names = {name: name for name in NAMES}
    project = Project(clips, THERE, CONFIG.format("what", "car", "ball"), "2026-01-31T12:00:00Z", names)
    with project.worker(redis_settings, data) as running:
        project.label("what")
        if not (project.context.models_dir(project.key) / "cold-v1").exists():
            train.within(project.context, project.key)
        yield running


@pytest.fixture
def here(clips: list[Clip], redis: Redis, redis_settings: Settings, data: Path) -> Iterator[Project]:
    """A project with other names for the same; each test has its own."""
    minute = f"{next(_MINUTES):02}"
    project = Project(clips, HERE, CONFIG.format("was", "kugel", "auto"), f"2027-01-31T12:{minute}:00Z", NAMES)
    with project.worker(redis_settings, data) as running:
        yield running


@pytest.fixture
def archive(there: Project, tmp_path: Path) -> Archive:
    packed, path = to_pack(there.work, "cold-v1"), tmp_path / "model.zip"
    pack_model(path, packed.card, packed.weights, packed.origin, None)
    return read_model(path, None)


def test_it_is_measured_on_videos_that_it_was_not_trained_on(here: Project, archive: Archive) -> None:
    here.label("was")
    card = unpack(here.work, archive, NAMES, None)
    assert (card.name, card.labels, card.question) == ("cold-v1", ("auto", "kugel"), "was")
    queue_measuring(here.work, card, show=False)
    assert registry.wanted_version(here.context.redis, here.key) is None, "nobody has measured it"

    told = evaluate.within(here.context, here.key, card.name)
    assert "1 labeled video that it was trained on left out" in told
    found = here.card(card.name)
    assert found.measured.scheme == EvaluationScheme.TRAINED_ELSEWHERE
    assert found.measured.judgement == (
        "Measured on 3 labeled recordings of this project, none of which it was trained on."
    )
    assert found.measured.macro_f1 is not None
    assert found.measured.macro_f1 > 0.8
    assert set(found.measured.labels) == {"auto", "kugel"}
    assert found.comes_from.startswith(
        "It was trained elsewhere, as cold-v1 of “Street of 2026”; its macro-F1 there was"
    )
    assert "car is auto" in found.comes_from
    assert registry.wanted_version(here.context.redis, here.key) == card.name


def test_without_labels_it_is_kept_back(here: Project, archive: Archive) -> None:
    card = unpack(here.work, archive, NAMES, None)
    evaluate.within(here.context, here.key, card.name)
    assert here.card(card.name).decision.startswith(f"{card.name} is kept back: nothing is labeled here")
    assert registry.wanted_version(here.context.redis, here.key) is None


def test_it_is_shown_all_the_same_where_somebody_says_so(here: Project, archive: Archive) -> None:
    card = unpack(here.work, archive, NAMES, None)
    queue_measuring(here.work, card, show=True)
    assert registry.wanted_version(here.context.redis, here.key) == card.name


def test_it_takes_the_place_of_a_model_only_after_both_were_scored_here(here: Project, archive: Archive) -> None:
    here.label("was")
    first = unpack(here.work, archive, NAMES, None)
    evaluate.within(here.context, here.key, first.name)
    registry.activate(here.context.redis, here.key, first.name)
    card = unpack(here.work, archive, NAMES, None)
    assert card.name == "cold-v2"
    evaluate.within(here.context, here.key, card.name)
    decision = here.card(card.name).decision
    assert "on the 3 recordings that neither version was trained on, its macro-F1 is" in decision


class TestVideosThatItWasTrainedOn:
    def test_are_known_when_their_tasks_are_gone(self, there: Project, archive: Archive) -> None:
        videos = archive.origin["videos"]
        assert len(videos) == len(THERE)
        del there.studio.tasks[1], there.studio.tasks[4]
        origin = to_pack(there.work, "cold-v1").origin
        assert (origin["videos"], origin["videos_unknown"]) == (videos, 0)

    @pytest.mark.parametrize("lost", ["task", "annotation", "video"])
    def test_count_as_unknown_where_an_old_card_does_not_tell_them(
        self, there: Project, archive: Archive, lost: str, tmp_path: Path
    ) -> None:
        old = there.context.models_dir(there.key) / "cold-v1" / "card.json"
        whole, videos = old.read_text(), archive.origin["videos"]
        old.write_text(json.dumps({**json.loads(whole), "video_marks": []}))
        try:
            if lost == "task":
                del there.studio.tasks[1]
            elif lost == "annotation":
                there.studio.tasks[1]["annotations"] = []
            else:
                there.studio.tasks[1]["data"] = {"video": "/data/upload/7/gone.mp4"}
            origin = to_pack(there.work, "cold-v1").origin
        finally:
            old.write_text(whole)
        assert set(origin["videos"]) < set(videos)
        assert (len(origin["videos"]), origin["videos_unknown"]) == (3, 1)

    def test_are_passed_on_when_it_is_packed_once_more(self, here: Project, archive: Archive) -> None:
        here.label("was")
        card = unpack(here.work, archive, NAMES, None)
        origin = to_pack(here.work, card.name).origin
        assert origin["videos"] == archive.origin["videos"]


class TestWhatDoesNotFit:
    def refused(self, here: Project, archive: Archive, names: dict[str, str], control: str | None = None) -> str:
        with pytest.raises(SettingsError) as error:
            unpack(here.work, archive, names, control)
        assert not list(here.context.models_dir(here.key).glob("*-v*")), "nothing is half-done"
        return error.value.message

    def test_names(self, here: Project, archive: Archive) -> None:
        assert self.refused(here, archive, {}).startswith("The model knows “car” and “ball”, which “was” of this")
        assert self.refused(here, archive, {"cra": "auto"}) == "The model has no label “cra”."
        assert self.refused(here, archive, NAMES, "other") == "The project has no control “other”."

    def test_weights_that_are_not_the_cards(self, here: Project, archive: Archive) -> None:
        structure = {"questions": [None], "switch": 10**400}
        other = replace(archive, card=replace(archive.card, structure=structure))
        with pytest.raises(StorageError, match="is damaged") as error:
            unpack(here.work, other, NAMES, None)
        assert error.value.remedy == "Ask for the file again, or pack it anew."
        assert not list(here.context.models_dir(here.key).glob("*-v*")), "nothing is half-done"

    def test_another_backbone(self, here: Project, archive: Archive) -> None:
        other = replace(archive, card=replace(archive.card, backbone="resnet-0123-v3"))
        assert self.refused(here, other, NAMES).startswith(
            "The model was trained on what the backbone resnet-0123-v3 sees, and the one here is "
        )


@pytest.mark.parametrize(
    ("version", "told"),
    [("detector-v1", "detector-v1 is a detector"), ("custom-mine-v1", "custom-mine-v1 is your own model file")],
)
def test_what_is_not_packed_is_refused_with_a_way_out(there: Project, version: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as error:
        to_pack(there.work, version)
    assert "DATA_DIR" in error.value.remedy


def test_the_commands(there: Project, here: Project, tmp_path: Path) -> None:
    def run(project: Project, *words: str) -> str:
        settings = project.context.settings
        environment = {
            "LABEL_STUDIO_URL": settings.label_studio_url,
            "LABEL_STUDIO_API_KEY": settings.label_studio_api_key,
            "DATA_DIR": str(settings.data_dir),
            "REDIS_URL": str(settings.redis_url),
            "BACKBONE_WEIGHTS": "none",
        }
        result = CliRunner().invoke(app, ["models", *words], env=environment, catch_exceptions=False)
        return result.output.replace("\n", " ")

    (tmp_path / "key").write_text("0123456789abcdef")
    file, key = str(tmp_path / "model.zip"), str(tmp_path / "key")
    assert "signed." in run(there, "pack", "7", "cold-v1", "-o", file, "--key-file", key)
    names = [word for pair in NAMES.items() for word in ("--map", "=".join(pair))]
    said = run(here, "unpack", file, "7", *names, "--key-file", key)
    assert "It is cold-v1 now, and is measured on what is labeled here" in said
    assert here.card("cold-v1").origin["signed"] is True
