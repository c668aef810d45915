"""Of pictures that are the same one is asked about: within a video, across a project, and of a copy at another size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from footage import Film, film

from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.hashing import video_samples
from ml_backend.jobs.suggestions import deduplication
from ml_backend.jobs.suggestions.deduplication import Asked, not_asked_yet, once_of_a_copy
from ml_backend.jobs.suggestions.suggest import studio_frames
from ml_backend.projects import asked_frames
from ml_backend.projects.asked_frames import Repeat
from ml_backend.video.decode import decode
from ml_backend.video.timeline import FrameIndex, studio_grid
from sampling.candidates import Candidates

__all__ = ["film"]

P = "7.1769860800"
CHOSEN = np.array([0, 24, 48, 72, 96])
NO_OTHERS = Candidates(np.zeros(0, np.int64))


@dataclass(frozen=True)
class Project:
    """A project with a folder of its own. `network`: which one embeds."""

    folder: Path
    network: str = "one"

    def ask(
        self, number: int, features: VideoFeatures, chosen: np.ndarray = CHOSEN, others: Candidates = NO_OTHERS
    ) -> list[int]:
        grid = studio_grid(features.timeline, 25)
        return not_asked_yet(Asked(self.folder, P), number, features, (self.network,), grid, chosen, others).tolist()

    def ask_first(self, number: int, path: Path, chosen: np.ndarray = CHOSEN) -> list[int]:
        """Before the video is embedded."""
        timeline, samples = video_samples(path, 2)
        return once_of_a_copy(Asked(self.folder, P), number, samples, studio_grid(timeline, 25), chosen).tolist()


def seen(path: Path) -> VideoFeatures:
    """A video of which every frame is embedded, as what its colours are where."""
    timeline, samples = video_samples(path, 250)
    grey = [picture.rgb[::8, ::8].reshape(-1).astype(np.float32) for picture in decode(path, timeline)]
    rows = np.stack(grey)[samples.frames]
    rows -= rows.mean(axis=1, keepdims=True)
    return VideoFeatures(timeline, samples.frames, {"appearance": rows.astype(np.float16)}, len(timeline), samples)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "data")


def test_pictures_that_differ_are_all_asked_about(project: Project, film: Film) -> None:
    assert project.ask(1, seen(film("a.mp4"))) == CHOSEN.tolist()
    assert project.ask(2, seen(film("b.mp4", seed=2))) == CHOSEN.tolist()
    assert asked_frames.repeats(project.folder, P) == []
    assert asked_frames.copies(project.folder, P) == []


def test_next_to_the_same_picture_of_a_video_is_asked_about_once(project: Project, film: Film) -> None:
    slow = seen(film("slow.mp4", rate=25, times=[*range(0, 100, 4), *range(2000, 3000, 40)]))
    assert project.ask(1, slow, np.array([0, 3, 6, 40])) == [0, 40]
    told = asked_frames.repeats(project.folder, P)
    assert [(each.task, each.same_task) for each in told] == [(1, 1), (1, 1)]


def embedded(features: VideoFeatures) -> Candidates:
    return Candidates(features.frames, embeddings=features.blocks["appearance"].astype(np.float32))


class TestOthersComeInThePlaceOfThoseLeftOut:
    def test_of_the_same_video(self, project: Project, film: Film) -> None:
        slow = seen(film("slow.mp4", rate=25, times=[*range(25), *range(2000, 3000, 40)]))
        frames = project.ask(1, slow, np.array([0, 3, 6, 40]), embedded(slow))
        assert len(frames) == 4
        assert {0, 40} < set(frames)
        assert min(frames[2:]) > 24, "the first 25 frames all look the same"
        noted = asked_frames.pictures(project.folder, P)
        assert [int((noted["same_task"] == task).sum()) for task in (asked_frames.NONE, 1)] == [4, 2]

    def test_also_when_other_videos_show_all_that_was_chosen(self, project: Project, film: Film) -> None:
        project.ask(1, seen(film("a.mp4")))
        later = seen(film("later.mp4", times=[1000 + 40 * n for n in range(150)]))
        frames = project.ask(2, later, np.array([23, 47]), embedded(later))
        assert len(frames) == 2
        assert not set(frames) & {22, 23, 24, 46, 47, 48}

    def test_as_far_as_anything_is_unlike(self, project: Project, film: Film) -> None:
        still = seen(film("still.mp4", times=list(range(30))))
        assert project.ask(1, still, np.array([0, 10, 20]), embedded(still)) == [0]

    def test_but_not_in_a_copy(self, project: Project, film: Film) -> None:
        project.ask(1, seen(film("a.mp4")))
        copy = seen(film("c.mp4", size=48, options={"crf": "40"}))
        assert len(project.ask(2, copy, CHOSEN, embedded(copy))) == 1

    def test_in_a_long_video_some_spread_over_it_are_tried(
        self, project: Project, film: Film, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deduplication, "_TRIED", 10)
        long = seen(film("long.mp4"))
        frames = project.ask(1, long, np.array([0, 1, 2, 50]), embedded(long))
        step = -(-len(long.frames) // 10)
        assert len(frames) == 4
        assert set(frames) - {0, 2, 50} < set(long.frames[::step].tolist())


def test_a_copy_at_another_size_and_bit_rate_is_asked_about_at_one_other_moment(project: Project, film: Film) -> None:
    project.ask(1, seen(film("a.mp4")))
    copy = seen(film("c.mp4", size=48, options={"crf": "40"}))
    assert project.ask(2, copy, np.array([0, 12, 25, 48])) == [12]
    assert asked_frames.copies(project.folder, P) == [[1, 2]]
    assert asked_frames.repeats(project.folder, P) == [Repeat(2, 1, 1, 1), Repeat(2, 26, 1, 25), Repeat(2, 49, 1, 49)]


def test_a_video_stays_the_original_when_it_is_asked_about_again(project: Project, film: Film) -> None:
    original = seen(film("a.mp4"))
    project.ask(1, original)
    project.ask(2, seen(film("c.mp4", size=48, options={"crf": "40"})))
    assert len(project.ask(1, original)) > 1
    assert asked_frames.copies(project.folder, P) == [[1, 2]]


def test_a_copy_of_a_copy_is_told_with_the_first(project: Project, film: Film) -> None:
    for number, size in ((1, 96), (2, 48), (3, 64)):
        project.ask(number, seen(film(f"{number}.mp4", size=size, options={"crf": "35"})))
    assert asked_frames.copies(project.folder, P) == [[1, 2, 3]]


def test_a_picture_of_another_video_is_not_asked_about_again(project: Project, film: Film) -> None:
    first = seen(film("a.mp4"))
    later = seen(film("later.mp4", times=[1000 + 40 * n for n in range(150)]))
    assert project.ask(1, first) == CHOSEN.tolist()
    # Its first picture is the other one's frame 25, next to 24, and frames 23 and 47 are the others' 48 and 72.
    assert project.ask(2, later, np.array([23, 47, 130])) == [130]
    assert [(each.task, each.same_task, each.same_frame) for each in asked_frames.repeats(project.folder, P)] == [
        (2, 1, 49),
        (2, 1, 73),
    ]


class TestBeforeAVideoIsEmbedded:
    def test_a_copy_is_asked_about_at_one_other_moment(self, project: Project, film: Film) -> None:
        assert project.ask_first(1, film("a.mp4")) == CHOSEN.tolist()
        copy = film("c.mp4", size=48, options={"crf": "40"})
        assert project.ask_first(2, copy, np.array([0, 12, 25, 48])) == [12]
        assert asked_frames.copies(project.folder, P) == [[1, 2]]

    def test_other_videos_are_asked_about_as_they_are(self, project: Project, film: Film) -> None:
        project.ask_first(1, film("a.mp4"))
        assert project.ask_first(2, film("b.mp4", seed=2)) == CHOSEN.tolist()

    def test_single_pictures_of_other_videos_do_not_count(self, project: Project, film: Film) -> None:
        project.ask_first(1, film("a.mp4"))
        later = film("later.mp4", times=[1000 + 40 * n for n in range(150)])
        assert project.ask_first(2, later, np.array([23, 47])) == [23, 47]

    def test_what_is_found_out_later_takes_the_place_of_it(self, project: Project, film: Film) -> None:
        original = film("a.mp4")
        project.ask_first(1, original)
        copy = film("c.mp4", size=48, options={"crf": "40"})
        project.ask_first(2, copy)
        assert len(project.ask(1, seen(original))) > 1
        assert len(project.ask(2, seen(copy))) == 1
        assert len(asked_frames.pictures(project.folder, P)) == 2 * len(CHOSEN)


def test_asking_again_about_a_task_compares_it_with_others_only(project: Project, film: Film) -> None:
    features = seen(film("a.mp4"))
    assert project.ask(1, features) == project.ask(1, features) == CHOSEN.tolist()


def test_embeddings_of_another_network_are_not_compared(project: Project, film: Film) -> None:
    first = seen(film("a.mp4"))
    later = seen(film("later.mp4", times=[1000 + 40 * n for n in range(150)]))
    project.ask(1, first)
    assert replace(project, network="another").ask(2, later, np.array([23, 47])) == [23, 47]


def test_frames_that_label_studio_shows_are_noted(project: Project, film: Film) -> None:
    features = seen(film("a.mp4"))
    project.ask(1, features)
    rows = asked_frames.pictures(project.folder, P)
    assert rows["frame"].tolist() == (CHOSEN + 1).tolist()
    assert rows["second"].tolist() == pytest.approx([features.timeline.seconds(FrameIndex(n)) for n in CHOSEN.tolist()])


@pytest.mark.parametrize("framerate", [10, 24, 25, 60])
def test_at_any_framerate_they_are_those_that_are_suggested(project: Project, film: Film, framerate: float) -> None:
    features = seen(film("a.mp4"))
    grid = studio_grid(features.timeline, framerate)
    chosen = not_asked_yet(Asked(project.folder, P), 1, features, project.network, grid, CHOSEN + 1, NO_OTHERS)
    rows = asked_frames.pictures(project.folder, P)
    assert sorted(rows["frame"].tolist()) == [int(frame) for frame in studio_frames(grid, chosen)]
