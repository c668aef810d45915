"""Which frames are suggested first: by the project's strategy, bad pictures left out, and the admin told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from redis import Redis
from studio import KEY, Studio

from ml_backend.features.blocks import Samples
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.suggestions.suggest import first_frames, judged, left_out, suggest, suggestible
from ml_backend.project_settings import ProjectSettings
from ml_backend.projects import registry
from sampling.auto import auto

LENGTH, STEP = 600, 15
SEEN = np.arange(0, LENGTH, STEP)
STRATEGIES = ("auto", "uniform", "random", "unique", "shots")


def samples(black: range = range(0), shots: int = 4) -> Samples:
    """Every 15th of 600 frames: pictures that all differ a little, and entirely from shot to shot."""
    rng = np.random.default_rng(0)
    number = np.arange(len(SEEN))
    scene = rng.integers(0, 2**63, shots).astype(np.uint64)[number * shots // len(SEEN)]
    hashes = scene ^ (np.uint64(0b11) << (number % 8 * 2).astype(np.uint64))
    brightness = 100 + rng.normal(0, 2, len(SEEN))
    entropy = 7 + rng.normal(0, 0.1, len(SEEN))
    brightness[list(black)], entropy[list(black)] = 0, 0
    sharpness = 500 + rng.normal(0, 10, len(SEEN))
    return Samples(SEEN, hashes, *(each.astype(np.float32) for each in (sharpness, brightness, entropy)))


def chosen(sampling: Any, found: Samples, count: int = 8) -> list[int]:
    settings = ProjectSettings(sampling=sampling, frames_per_video=count)
    return first_frames(settings, LENGTH, found, judged(found), "content").tolist()


@pytest.mark.parametrize("sampling", STRATEGIES)
def test_no_strategy_suggests_a_black_picture(sampling: str) -> None:
    found = samples(black=range(10, 20))
    frames = chosen(sampling, found)
    assert 4 <= len(frames) <= 8
    assert frames == sorted(set(frames))
    assert not [frame for frame in frames if 10 * STEP <= frame < 20 * STEP - STEP // 2]


def test_uniform_frames_are_as_drawn_unless_they_are_bad() -> None:
    assert chosen("uniform", samples(), 4) == [75, 225, 375, 525]
    assert chosen("uniform", samples(black=range(14, 17)), 4) == [75, 195, 375, 525]


def test_chance_draws_others_of_another_video_and_the_same_of_the_same() -> None:
    settings, found = ProjectSettings(sampling="random"), samples()
    drawn = [first_frames(settings, LENGTH, found, judged(found), name).tolist() for name in ("one", "one", "other")]
    assert drawn[0] == drawn[1] != drawn[2]
    assert (np.diff(drawn[0]) >= LENGTH // 40).all()


def test_every_shot_gets_its_share() -> None:
    assert [frame // 150 for frame in chosen("shots", samples())] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_chosen_are_never_bad_pictures() -> None:
    found = samples(black=range(10, 20))
    embedded = np.arange(0, LENGTH, 4)
    rows = np.random.default_rng(0).normal(size=(len(embedded), 8))
    rows[(embedded >= 150) & (embedded < 290)] += 20
    good = suggestible(rows, embedded, found, judged(found))
    frames = auto(good, 10)
    assert len(frames) == 10
    assert not [frame for frame in frames if 150 <= frame < 290]
    assert 20 <= len(embedded) - len(good) <= 40


def test_without_samples_every_embedded_frame_will_do() -> None:
    none = Samples(np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.float32))
    assert len(suggestible(np.zeros((5, 2)), np.arange(5), none, judged(none))) == 5


def test_what_was_left_out_is_counted_by_reason() -> None:
    told = left_out("film.mp4", judged(samples(black=range(10, 20))))
    assert told is not None
    assert told.message == "Of 40 pictures of film.mp4 that were examined, some are not suggested: 10 black."
    assert (told.kind, told.severity) == ("not-suggested", "note")
    assert left_out("film.mp4", judged(samples())) is None


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds under a pan at 10 frames a second: two seconds of black, and one blurred second."""
    path = tmp_path_factory.mktemp("flawed") / "flawed.mp4"
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(30, 225, (16, 40, 3)).astype(np.uint8), (400, 160), interpolation=cv2.INTER_NEAREST)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = 160, 160, "yuv420p", {"g": "5", "bf": "0"}
        for number in range(100):
            picture = scene[:, number * 2 : number * 2 + 160]
            if 30 <= number < 50:
                picture = np.zeros_like(picture)
            elif 70 <= number < 80:
                picture = cv2.GaussianBlur(picture, (0, 0), 9)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("sampling", STRATEGIES)
def test_a_task_gets_good_frames_and_the_admin_is_told_of_the_others(
    context: JobContext, studio: Studio, redis: Redis, flawed: Path, sampling: str
) -> None:
    registry.remember(redis, registry.Known(KEY, "<View/>", {"sampling": sampling, "frames_per_video": 6}))
    studio.add_task(5, flawed)
    suggest.within(context, KEY, 5)
    (pushed,) = studio.predictions
    # Label Studio's frames, 24 a second.
    seconds = [region["value"]["ranges"][0]["start"] / 24 for region in pushed["result"]]
    assert 3 <= len(seconds) <= 6
    assert not [second for second in seconds if 3.1 < second < 4.7 or 7.1 < second < 7.7]
    (told,) = [each for each in registry.findings_of(redis, KEY)[5] if each.kind == "not-suggested"]
    assert "black" in told.message
    assert "blurred" in told.message
    assert "5.mp4" in told.message
