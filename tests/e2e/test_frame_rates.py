"""The loop where Label Studio counts other frames than the file has: every answer is learnt from, and held."""

from __future__ import annotations

from functools import partial

import pytest

from ml_backend.demo.clips import LABELS, Clip, Script, make_clips
from ml_backend.demo.loop import SUGGESTIONS, Loop, answer_suggestions, label_config, labels_at, upload_tasks
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio
from ml_backend.video.timeline import StudioFrame, read_timeline, studio_grid

pytestmark = pytest.mark.e2e

SCRIPTS = (
    Script("slow-1.mp4", 10, (("clear", 40), ("ball", 55), ("clear", 25), ("car", 60), ("ball", 40)), 11),
    Script("slow-2.mp4", 10, (("car", 60), ("clear", 50), ("ball", 60), ("car", 40)), 12),
)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Two videos of 10 pictures a second."""
    return make_clips(tmp_path_factory.mktemp("slow"), SCRIPTS)


@pytest.mark.parametrize("framerate", ["30", None], ids=["three frames a picture", "the default of 24"])
def test_every_answer_counts_where_label_studio_counts_more_frames_than_the_file_has(
    framerate: str | None, studio: Studio, backend: Backend, slow: list[Clip]
) -> None:
    written = f' framerate="{framerate}"' if framerate else ""
    config = label_config(LABELS).replace(' framerate="$fps"', written)
    assert "$fps" not in config
    project = studio.create_project(f"Slow videos at {framerate}", config)
    tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in slow])
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, tuple(tasks))
    clips = {
        task: (studio_grid(read_timeline(clip.path), float(framerate or 24)), clip)
        for task, clip in zip(tasks, slow, strict=True)
    }

    def truth(task: int, frame: int) -> str:
        grid, clip = clips[task]
        return clip.labels[grid.index(StudioFrame(frame))]

    suggested = loop.suggestions()
    answered = {task: answer_suggestions(studio, task, SUGGESTIONS, partial(truth, task)).frames for task in tasks}
    assert all(len(answered[task]) == len(suggested[task]) >= 3 for task in tasks)
    version, timelines = loop.timelines()
    card = backend.get(f"/models/{version}?project={project}")
    assert card["labelled_frames"] == sum(len(frames) for frames in answered.values())
    for task, (grid, _) in clips.items():
        assert all(labels_at(timelines[task], frame) == {truth(task, frame)} for frame in answered[task]), "held"
        frames = range(1, len(grid) + 1)
        right = sum(labels_at(timelines[task], frame) == {truth(task, frame)} for frame in frames)
        assert right / len(frames) >= 0.9
