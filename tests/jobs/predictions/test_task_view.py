"""A task over time, as the dashboard draws it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from studio import KEY

from ml_backend.errors import StorageError
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.predictions.predict import FrameProbabilities, view_of
from ml_backend.jobs.project import open_project
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import task_view
from ml_backend.projects.task_view import TaskView, over_time
from ml_backend.video.timeline import Timeline

VIEW = TaskView(5, "bird.mp4", 25.0, 100, 4.0, "cold-v1", {"cat": [0, 100]}, 25.0)


def steady(frames: int, rate: int = 25) -> Timeline:
    return Timeline(np.arange(frames), Fraction(1, rate), Fraction(frames, rate))


class TestATaskOverTime:
    def test_each_stretch_has_the_mean_of_its_frames(self) -> None:
        values = np.zeros((600, 2), np.float32)
        values[300:, 0], values[::2, 1] = 1, 0.5
        found = over_time(steady(600), values)
        assert found.shape == (300, 2)
        assert found[:150, 0].tolist() == [0] * 150
        assert found[150:, 0].tolist() == [100] * 150
        assert set(found[:, 1].tolist()) == {25}

    def test_a_short_video_has_a_stretch_a_frame(self) -> None:
        assert over_time(steady(3), np.array([[0.1], [0.2], [0.9]], np.float32)).tolist() == [[10], [20], [90]]

    def test_stretches_are_equally_long_in_time_however_uneven_the_frames(self) -> None:
        # Eight frames in the first second, one that is shown for five more, and one for the rest.
        timeline = Timeline(np.array([0, 1, 2, 3, 4, 5, 6, 7, 10, 60]), Fraction(1, 10), Fraction(10))
        values = np.array([[1.0]] * 8 + [[0.2], [0.0]], np.float32)
        assert over_time(timeline, values).ravel().tolist() == [100, 20, 20, 20, 20, 20, 0, 0, 0, 0]

    def test_it_is_drawn_on_label_studios_grid(self, context: JobContext) -> None:
        work = open_project(context, KEY)
        timeline = steady(50)
        found = FrameProbabilities(timeline, ("cat",), True, np.ones((50, 1), np.float32))
        view = view_of(work, "cold-v1", Task(5, {work.question.video_key: "/data/upload/1/bird.mp4"}), found)
        assert (view.video, view.seconds, view.frames) == ("bird.mp4", 2.0, round(2 * view.framerate))
        assert set(view.percent["cat"]) == {100}

    def test_a_prediction_does_not_forget_the_videos_rate(self, tmp_path: Path) -> None:
        task_view.save(tmp_path, KEY, VIEW)
        task_view.save(tmp_path, KEY, TaskView(5, "bird.mp4", 25.0, 100, 4.0, "cold-v2", {}))
        found = task_view.load(tmp_path, KEY, 5)
        assert found is not None
        assert (found.version, found.natural) == ("cold-v2", 25.0)
        assert task_view.natural_rates(tmp_path, KEY) == {25.0: 1}

    def test_what_is_damaged_or_gone_is_none(self, tmp_path: Path) -> None:
        task_view.save(tmp_path, KEY, VIEW)
        assert task_view.load(tmp_path, KEY, 5) == VIEW
        (tmp_path / "projects" / KEY / "views" / "5.json").write_text('{"task": 5')
        assert task_view.load(tmp_path, KEY, 5) is None
        task_view.delete(tmp_path, KEY, 5)
        assert task_view.natural_rates(tmp_path, KEY) == {}

    def test_a_disk_that_refuses_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "projects").write_text("a file where a folder must be")
        with pytest.raises(StorageError):
            task_view.save(tmp_path, KEY, VIEW)
