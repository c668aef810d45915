"""A researcher's file that learns: fitted to what is annotated, measured on what it has not seen, one version each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from loopback import serving
from redis import Redis
from studio import KEY, Studio, drawn

from ml_backend.errors import CustomModelError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.predictor import predictor
from ml_backend.jobs.project import open_project
from ml_backend.jobs.training.labelled import annotated_tasks
from ml_backend.jobs.training.train import train
from ml_backend.learning.versions import ModelCard, list_versions
from ml_backend.projects import registry, training_choice
from ml_backend.projects.registry import Known
from ml_backend.settings import Settings

EXAMPLE = Path(__file__).parents[3] / "docs" / "custom-models" / "learning.py"
CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="day"/><Label value="night"/></TimelineLabels>'
    '<Video name="film" value="$video" framerate="10"/></View>'
)
Warm = Callable[[Path], Path]
FRAMES = 20


def night_falls(path: Path, at: int) -> None:
    """Encodes a video that is bright and, from frame `at` on, dark, with noise of its own."""
    rng = np.random.default_rng(at)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(FRAMES):
            picture = rng.integers(0, 80, (64, 64, 3)) + (20 if number >= at else 150)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def reviewed(number: int, *runs: tuple[int, int, str], updated: str = "2026-01-31T12:00:00Z") -> dict[str, Any]:
    result = [drawn(f"{number}-{a}", a, b, label) for a, b, label in runs]
    return {"id": number, "completed_by": 1, "result": result, "updated_at": updated}


def truly(number: int, at: int) -> dict[str, Any]:
    return reviewed(number, (1, at, "day"), (at + 1, FRAMES, "night"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, int]]:
    """Five videos, by task, with the frame index from which on it is night."""
    folder = tmp_path_factory.mktemp("films")
    found = {task: (folder / f"{task}.mp4", 4 + 2 * task) for task in range(1, 6)}
    for path, at in found.values():
        night_falls(path, at)
    return found


@pytest.fixture
def studio(films: dict[int, tuple[Path, int]]) -> Studio:
    """Five tasks, of which nobody has annotated any."""
    studio = Studio()
    assert studio.project is not None
    studio.project["label_config"] = CONFIG
    for task, (path, _) in films.items():
        studio.add_task(task, path)
        studio.tasks[task]["annotations"] = []
    return studio


@pytest.fixture
def context(studio: Studio, redis: Redis, redis_settings: Settings, tmp_path: Path, warm: Warm) -> Iterator[JobContext]:
    with serving(studio) as url:
        file = tmp_path / "sky.py"
        file.write_text(EXAMPLE.read_text())
        made = JobContext(
            replace(
                redis_settings,
                label_studio_url=url,
                data_dir=warm(tmp_path / "data"),
                backbone_weights="none",
                device="cpu",
                custom_model=file,
            )
        )
        made.made["redis"] = redis
        registry.remember(redis, Known(KEY, CONFIG, {}))
        yield made


def versions(context: JobContext) -> tuple[ModelCard, ...]:
    return list_versions(context.models_dir(KEY))


def problems(redis: Redis) -> list[str]:
    return registry.problems(redis).get(KEY, [])


def test_it_waits_for_labels_learns_from_them_and_again_from_more(
    context: JobContext, studio: Studio, redis: Redis, films: dict[int, tuple[Path, int]]
) -> None:
    assert "two different labels" in train.within(context, KEY)
    assert versions(context) == ()
    assert any("Label a frame of each label" in problem for problem in problems(redis))

    for task in (1, 2, 3):
        studio.tasks[task]["annotations"] = [truly(task, films[task][1])]
    assert train.within(context, KEY) == "sky.py is custom-sky-v1, and is rolled out"
    (card,) = versions(context)
    assert (card.videos, card.labelled_frames) == (3, 3 * FRAMES)
    assert card.measured.videos in (1, 2)
    assert card.measured.macro_f1 > 0.9
    assert "held-out recordings by a fit without them" in card.measured.judgement
    assert problems(redis) == []
    assert registry.wanted_version(redis, KEY) == card.name

    # What it learnt is read from the version's folder: the task without annotations is predicted right.
    work = open_project(context, KEY)
    predict = predictor(work, card.name)
    found = predict(context.studio.tasks.get(work.id, 4), None)
    assert found is not None
    ((_, part),) = found.parts
    assert part.frames is not None
    assert part.frames.values.argmax(axis=1).tolist() == [0] * films[4][1] + [1] * (FRAMES - films[4][1])

    assert train.within(context, KEY) == "sky.py is custom-sky-v1, which knows these annotations already"
    studio.tasks[4]["annotations"] = [truly(4, films[4][1])]
    assert train.within(context, KEY) == "sky.py is custom-sky-v2, and is rolled out"
    assert [card.videos for card in versions(context)] == [3, 4]


def test_what_is_kept_of_a_version_is_made_again_when_the_disk_has_lost_it(
    context: JobContext, studio: Studio, films: dict[int, tuple[Path, int]]
) -> None:
    studio.tasks[1]["annotations"] = [truly(1, films[1][1])]
    train.within(context, KEY)
    (card,) = versions(context)
    assert card.measured.judgement.startswith("Not measured")
    (context.models_dir(KEY) / card.name / "learnt" / "learnt.npz").write_bytes(b"torn")
    train.within(context, KEY)
    (card,) = versions(context)
    assert card.name == "custom-sky-v2"


def test_an_error_of_fit_has_its_line_and_what_there_was_stays(
    context: JobContext, studio: Studio, films: dict[int, tuple[Path, int]]
) -> None:
    studio.tasks[1]["annotations"] = [truly(1, films[1][1])]
    train.within(context, KEY)
    file = context.settings.custom_model
    assert file is not None
    text = file.read_text()
    line = text[: text.index("    seen = features(frames)\n    learnt")].count("\n") + 1
    file.write_text(text.replace("    seen = features(frames)\n    learnt", "    seen = 1 / 0\n    learnt"))
    with pytest.raises(CustomModelError, match=f"sky.py, line {line}: ZeroDivisionError"):
        train.within(context, KEY)
    assert [card.name for card in versions(context)] == ["custom-sky-v1"]
    assert [path.name for path in context.models_dir(KEY).iterdir() if path.name.startswith(".fit")] == []


def test_one_answer_alone_teaches_nothing(context: JobContext, studio: Studio) -> None:
    studio.tasks[1]["annotations"] = [reviewed(1, (1, FRAMES, "day"))]
    assert "two different labels" in train.within(context, KEY)
    assert annotated_tasks(open_project(context, KEY))
    assert versions(context) == ()


def test_what_was_chosen_on_the_models_page_is_trained_now_and_after_the_next_annotation(
    context: JobContext, studio: Studio, films: dict[int, tuple[Path, int]]
) -> None:
    data_dir, project = context.settings.data_dir, Known(KEY, CONFIG, {})
    for task in (1, 2):
        studio.tasks[task]["annotations"] = [truly(task, films[task][1])]
    training_choice.choose(data_dir, project, "blitz", {"cycles": 7}, has_file=True)
    assert train.within(context, KEY).startswith("trained blitz-v1")
    studio.tasks[3]["annotations"] = [truly(3, films[3][1])]
    assert train.within(context, KEY).startswith("trained blitz-v2")
    assert [(card.settings["mode"], card.settings["blitz"]["cycles"]) for card in versions(context)] == [
        ("blitz", 7)
    ] * 2

    training_choice.choose(data_dir, project, "cold", {}, has_file=True)
    assert train.within(context, KEY).startswith("trained cold-v3")
    training_choice.choose(data_dir, project, "extra-params", {}, has_file=True)
    assert train.within(context, KEY).startswith("sky.py is custom-sky-v1")
