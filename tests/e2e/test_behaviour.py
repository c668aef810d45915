"""What only movement tells is learnt from ten answers a video; what nothing tells is said instead of predicted."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.behaviour.clips import write
from benchmarks.behaviour.drawing import background, draw
from benchmarks.behaviour.scenes import Make, along, behaviour
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import SUGGESTIONS, Loop, label_config, right_frames, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e
LABELS = ("left", "right")


def filmed(folder: Path, make: Make, count: int, truth: Callable[[np.ndarray, int], np.ndarray]) -> list[Clip]:
    """Clips of 240 frames; `truth` says from what is drawn, and the clip's number, what its frames are labelled."""
    clips = []
    for number in range(count):
        rng = np.random.default_rng([5, number])
        ground, drawn = background(rng), make(rng, 240, number)
        path = folder / f"clip-{number}.mp4"
        write(path, (draw(ground, frame, rng, drawn.noise) for frame in drawn.frames))
        labels = tuple(LABELS[each] for each in truth(drawn.truth, number))
        clips.append(Clip(path, Fraction(25), labels))
    return clips


def connected(studio: Studio, backend: Backend, clips: list[Clip]) -> Loop:
    project = studio.create_project("A lane", label_config(LABELS))
    tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
    studio.connect(project, backend.url)
    return Loop(studio, backend, project, tuple(tasks))


def test_left_or_right_is_learnt_from_ten_answers_a_video(tmp_path: Path, studio: Studio, backend: Backend) -> None:
    clips = filmed(tmp_path, along(0), 3, lambda drawn, _: drawn)
    loop = connected(studio, backend, clips)
    loop.suggestions()
    answered = [loop.answer(task, clip).frames for task, clip in zip(loop.tasks[:2], clips[:2], strict=True)]
    assert all(len(frames) <= 10 for frames in answered)
    _, timelines = loop.timelines()
    right, asked = right_frames(timelines[loop.tasks[2]], clips[2])
    assert right / asked >= 0.9


def test_labels_that_nothing_tells_apart_are_not_predicted_and_that_is_said(
    tmp_path: Path, studio: Studio, backend: Backend
) -> None:
    def by_chance(drawn: np.ndarray, number: int) -> np.ndarray:
        return np.random.default_rng([11, number]).integers(0, 2, len(drawn))

    clips = filmed(tmp_path, behaviour(0.04), 3, by_chance)
    loop = connected(studio, backend, clips)
    loop.suggestions()
    for task, clip in zip(loop.tasks[:2], clips[:2], strict=True):
        loop.answer(task, clip)

    def told() -> list[str]:
        problems = loop.backend.get("/jobs")["problems"]
        ours = [sentence for key, each in problems.items() if key.startswith(f"{loop.project}.") for sentence in each]
        return [sentence for sentence in ours if "cannot be told apart yet" in sentence]

    assert loop.wait_for("word to the admin", lambda: told() or None)
    loop.wait_for("rest", lambda: loop.backend.idle or None)
    assert loop.shown_version() == SUGGESTIONS
    [prediction] = studio.predictions(loop.tasks[2])
    assert prediction["model_version"] == SUGGESTIONS
    notes = {text for region in prediction["result"] for text in region["meta"]["text"]}
    assert len(notes) == 1
    assert "cannot be told apart yet" in notes.pop()
