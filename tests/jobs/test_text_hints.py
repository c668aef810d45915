"""With a text model label names choose the first frames and hint at what Cold has few examples of; without one nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import jsonify, request
from loopback import serving
from numpy.typing import NDArray
from redis import Redis
from stripes import STRIPES, striped_film
from studio import KEY, Studio, drawn
from tinyclip import tiny_clip
from transformers import CLIPModel

from ml_backend.errors import WeightsError
from ml_backend.features.prompts import known_view, prompts_of
from ml_backend.features.text import TextModel
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.predictor import Predicted, predictor
from ml_backend.jobs.project import open_project
from ml_backend.jobs.suggestions.embed import embed
from ml_backend.jobs.suggestions.suggest import judged, suggestible
from ml_backend.jobs.training.evaluate import evaluate
from ml_backend.jobs.training.train import train
from ml_backend.jobs.videos import video_address
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.learning.families import scene_rows
from ml_backend.learning.versions import ModelCard, list_versions
from ml_backend.projects import registry
from ml_backend.projects.registry import Known
from ml_backend.settings import Settings

CONFIG = (
    '<View><TimelineLabels name="events" toName="film">'
    + "".join(f'<Label value="{label}" hint="{label} stripes"/>' for label in STRIPES)
    + '</TimelineLabels><Video name="film" value="$video" framerate="25"/></View>'
)
FILMS = 2


class Suggesting(Studio):
    """Whose predictions can be changed; tasks tell of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.add_url_rule("/api/predictions/<int:number>/", view_func=self.change, methods=["PATCH"])

    def change(self, number: int) -> Any:
        (found,) = [p for p in self.predictions if p["id"] == number]
        found.update(request.get_json())
        return jsonify(found)

    def suggest(self, task: int) -> None:
        made = {"id": 70 + task, "task": task, "model_version": KEYFRAMES_VERSION, "result": [], "score": 0.0}
        self.predictions.append(made)
        self.tasks[task]["predictions"] = [made]

    def suggested(self, task: int) -> set[int]:
        """The Label Studio frames that are suggested."""
        (made,) = [p for p in self.predictions if p["task"] == task]
        return {span["start"] for region in made["result"] for span in region["value"]["ranges"]}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, tuple[str, ...]]]:
    folder = tmp_path_factory.mktemp("films")
    return [(folder / f"{n}.mp4", striped_film(folder / f"{n}.mp4", n)) for n in range(FILMS)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def studio(films: list[tuple[Path, tuple[str, ...]]]) -> Suggesting:
    studio = Suggesting()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for number, (path, _) in enumerate(films, start=1):
        studio.add_task(number, path)
        studio.suggest(number)
    return studio


@pytest.fixture
def settings(
    studio: Suggesting, redis_settings: Settings, tmp_path: Path, warm: Callable[[Path], Path]
) -> Iterator[Settings]:
    data = warm(tmp_path)
    with serving(studio) as url:
        yield replace(redis_settings, label_studio_url=url, data_dir=data, backbone_weights="none", device="cpu")


def working(settings: Settings, redis: Redis, text: Path | None) -> JobContext:
    """A worker that was started with this TEXT_MODEL."""
    made = JobContext(replace(settings, text_model=str(text) if text else None))
    made.made["redis"] = redis
    registry.remember(redis, Known(KEY, CONFIG, {"frames_per_video": 6}))
    return made


@pytest.fixture
def reader(settings: Settings, redis: Redis, clip: Path) -> JobContext:
    return working(settings, redis, clip)


def label(studio: Studio, task: int, truth: tuple[str, ...], frames: tuple[int, ...]) -> None:
    result = [drawn(f"kf-{frame}", frame + 1, frame + 1, truth[frame]) for frame in frames]
    studio.tasks[task]["annotations"] = [{"id": task, "result": result, "updated_at": "2026-01-31T12:00:00Z"}]


def newest(context: JobContext) -> ModelCard:
    return list_versions(context.models_dir(KEY))[-1]


def values(predicted: Predicted | None) -> NDArray[np.float32]:
    """The probabilities of the only question."""
    assert predicted is not None
    ((_, part),) = predicted.parts
    assert part.frames is not None
    return part.frames.values


def problems(context: JobContext) -> list[str]:
    """Those about label names."""
    told = registry.problems(context.redis).get(KEY, [])
    return [each for each in told if "Label names" in each or "hints" in each]


class TestSuggestions:
    def test_the_best_frame_of_every_label_is_among_them(self, reader: JobContext, studio: Suggesting) -> None:
        assert embed.within(reader, KEY, 1).endswith("suggested others")
        assert isinstance(reader.text, TextModel)
        task = reader.studio.tasks.get(7, 1)
        config = parse_label_config(CONFIG).main
        content = reader.videos.content_of(video_address(reader, config, task).url)
        assert content is not None
        seen = known_view(reader.text_store, content, reader.text.key)
        assert seen is not None
        features = reader.store.load(content, reader.backbone.key)
        assert features is not None
        good = suggestible(scene_rows(features), features.frames, features.samples, judged(features.samples)).frames
        fit = np.isin(seen.frames, good)
        scores = prompts_of(reader.text, config.labels, config.wording).scores(seen.rows[fit])
        best = seen.frames[fit][scores.argmax(axis=0)]
        assert {int(frame) + 1 for frame in best} <= studio.suggested(1)
        assert studio.suggested(1) <= {int(frame) + 1 for frame in seen.frames}, "an untrained backbone has no say"
        assert problems(reader) == []

    def test_the_same_ones_are_suggested_again(
        self,
        settings: Settings,
        redis: Redis,
        clip: Path,
        studio: Suggesting,
        tmp_path: Path,
    ) -> None:
        found = []
        for name in ("one", "another"):
            embed.within(working(replace(settings, data_dir=tmp_path / name), redis, clip), KEY, 1)
            found.append(studio.suggested(1))
        assert found[0] == found[1]

    def test_without_a_text_model_nothing_is_looked_at_or_told(
        self, settings: Settings, redis: Redis, studio: Suggesting
    ) -> None:
        context = working(settings, redis, None)
        assert not embed.within(context, KEY, 1).endswith("suggested others"), (
            "an untrained backbone chooses no medoids"
        )
        assert not list((context.settings.data_dir / "features").rglob("text/*"))
        assert problems(context) == []

    def test_one_that_cannot_be_loaded_is_told_and_all_else_works(
        self, settings: Settings, redis: Redis, tmp_path: Path
    ) -> None:
        context = working(settings, redis, tmp_path / "nowhere")
        assert embed.within(context, KEY, 1).startswith("embedded")
        assert isinstance(context.text, WeightsError)
        (told,) = problems(context)
        assert told.startswith("Label names are not read: TEXT_MODEL names")

    def test_a_backbone_of_clip_reads_label_names_as_well(self, settings: Settings, redis: Redis, clip: Path) -> None:
        both = replace(settings, backbone="hf/tiny/clip", backbone_weights=str(clip))
        context = working(both, redis, None)
        assert embed.within(context, KEY, 1).startswith("embedded")
        assert isinstance(context.text, TextModel)
        assert context.text.words(["wide stripes"]).shape == (1, 16)
        assert list((context.settings.data_dir / "features").rglob("text/*"))

    def test_a_backbone_of_pictures_alone_reads_nothing(
        self, settings: Settings, redis: Redis, clip: Path, tmp_path: Path
    ) -> None:
        alone = tmp_path / "without words"
        CLIPModel.from_pretrained(clip).vision_model.save_pretrained(alone)
        pictures = replace(settings, backbone="hf/tiny/clip", backbone_weights=str(alone))
        context = working(pictures, redis, None)
        assert embed.within(context, KEY, 1).startswith("embedded")
        assert context.text is None
        assert problems(context) == []

    def test_a_task_that_somebody_works_on_keeps_its_suggestions(
        self, reader: JobContext, studio: Suggesting, films: list[tuple[Path, tuple[str, ...]]]
    ) -> None:
        label(studio, 1, films[0][1], (5,))
        embed.within(reader, KEY, 1)
        assert studio.suggested(1) == set()


class TestPrior:
    @pytest.fixture
    def trained(self, reader: JobContext, studio: Suggesting, films: list[tuple[Path, tuple[str, ...]]]) -> JobContext:
        for number, (_, truth) in enumerate(films, start=1):
            label(studio, number, truth, (5, 15, 25, 35, 45, 55))
        assert train.within(reader, KEY).startswith("trained cold-v1")
        return reader

    def test_it_is_stored_with_the_version_and_measured_with_it(self, trained: JobContext) -> None:
        assert isinstance(trained.text, TextModel)
        said = newest(trained).structure["prior"]
        assert said["model"] == trained.text.key
        assert said["weight"] == pytest.approx(1 / (1 + newest(trained).labelled_frames / 2))
        assert evaluate.within(trained, KEY, "cold-v1").startswith("cold-v1")

    def test_a_video_that_was_looked_at_is_predicted_the_same_without_the_text_model(
        self, trained: JobContext, settings: Settings, redis: Redis
    ) -> None:
        later = working(settings, redis, None)
        found = []
        for context in (trained, later):
            predict = predictor(open_project(context, KEY), "cold-v1")
            found.append(values(predict(context.studio.tasks.get(7, 1), None)))
        np.testing.assert_array_equal(*found)
        (told,) = problems(later)
        assert "Set TEXT_MODEL back" in told

    def test_it_speaks_in_what_is_predicted(self, trained: JobContext) -> None:
        task, work = trained.studio.tasks.get(7, 1), open_project(trained, KEY)
        told = predictor(work, "cold-v1")(task, None)
        (trained.settings.data_dir / "features" / "text").rename(trained.settings.data_dir / "elsewhere")
        trained.made["text"] = None
        silent = predictor(work, "cold-v1")(task, None)
        assert not np.allclose(values(told), values(silent), atol=1e-4)

    def test_without_a_text_model_there_is_none(
        self,
        settings: Settings,
        redis: Redis,
        studio: Suggesting,
        films: list[tuple[Path, tuple[str, ...]]],
    ) -> None:
        context = working(settings, redis, None)
        label(studio, 1, films[0][1], (5, 15, 25, 35, 45, 55))
        train.within(context, KEY)
        assert "prior" not in newest(context).structure
