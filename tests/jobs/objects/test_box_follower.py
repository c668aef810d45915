"""A project whose drawn boxes are followed by a network, and what happens where that cannot be used.

The network has random weights: its tracks say nothing but that it was asked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from asking import ask
from boxed_film import BoxedFilm, boxed_film
from redis import Redis
from studio import KEY, Studio
from tiny_sam2 import tiny_sam2

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.objects.track import track
from ml_backend.projects import registry, tracks
from ml_backend.projects.tracks import StoredTrack

CONFIG = (
    '<View><Labels name="who" toName="film"><Label value="mouse"/></Labels><VideoRectangle name="box" toName="film"/>'
    '<Video name="film" value="$video" framerate="25"/></View>'
)
NAME = "hf/our-lab/tiny"
PLACE = {"x": 20.0, "y": 30.0, "width": 15.0, "height": 25.0}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> BoxedFilm:
    return boxed_film(tmp_path_factory.mktemp("film") / "ball.mp4", seconds=2, moving=False)


@pytest.fixture
def studio(film: BoxedFilm) -> Studio:
    """Somebody has boxed something in frame 25."""
    studio = Studio()
    studio.add_task(1, film.path)
    key = {"frame": 25, "enabled": True, "rotation": 0, **PLACE}
    item = {
        "id": "by-hand",
        "from_name": "box",
        "to_name": "film",
        "type": "videorectangle",
        "origin": "manual",
        "value": {"labels": ["mouse"], "sequence": [key]},
    }
    studio.tasks[1]["annotations"] = [{"id": 1, "result": [item], "updated_at": "2026-02-01T12:00:00Z"}]
    return studio


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def place(context: JobContext) -> Path:
    folder = context.settings.data_dir / "detectors" / NAME
    folder.mkdir(parents=True)
    return folder


def drawn(context: JobContext) -> StoredTrack:
    stored = tracks.load(context.settings.data_dir, KEY, 1)
    assert stored is not None
    [found] = [each for each in stored.tracks if each.drawn]
    return found


def problems(context: JobContext) -> list[str]:
    return registry.problems(context.redis).get(KEY, [])


def test_the_network_follows_and_the_box_stays_as_it_was_drawn(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    ask(redis, studio, CONFIG)
    track.within(context, KEY, 1)
    usual = drawn(context)
    tiny_sam2(place(context))
    ask(redis, studio, CONFIG, follower=NAME)
    track.within(context, KEY, 1)
    by_network = drawn(context)
    assert by_network.keys != usual.keys
    assert by_network.number == usual.number
    assert by_network.label == "mouse"
    [at] = [key for key in by_network.keys if key[0] == 25]
    assert np.allclose(at[1:5], list(PLACE.values()), atol=1e-3)
    assert problems(context) == []


def test_without_weights_it_is_followed_in_the_usual_way_and_anew_when_they_are_there(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    ask(redis, studio, CONFIG)
    track.within(context, KEY, 1)
    usual = drawn(context)
    ask(redis, studio, CONFIG, follower=NAME)
    track.within(context, KEY, 1)
    assert drawn(context).keys == usual.keys
    [told] = problems(context)
    assert told.startswith(f"Drawn boxes are followed in the usual way, not by {NAME}: The weights of {NAME} could not")
    assert f"copy them to the folder {context.settings.data_dir / 'detectors' / NAME}" in told
    tiny_sam2(place(context))
    track.within(context, KEY, 1)
    assert drawn(context).keys != usual.keys
    assert problems(context) == []


def test_a_network_that_follows_nothing_is_named_until_another_follower_is_chosen(
    context: JobContext, studio: Studio, redis: Redis
) -> None:
    folder = tiny_sam2(place(context))
    (folder / "config.json").write_text('{"model_type": "d_fine"}')
    ask(redis, studio, CONFIG, follower=NAME)
    track.within(context, KEY, 1)
    assert drawn(context).keys
    [told] = problems(context)
    assert "has a model of the type d_fine, which follows nothing" in told
    ask(redis, studio, CONFIG)
    track.within(context, KEY, 1)
    assert problems(context) == []
