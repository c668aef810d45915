"""An image of the companion project is of one video: when the task shows another one, neither it nor its answer counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from companion_scene import FRAMES, film, opened, studio, wanted, with_film
from companion_studio import CompanionStudio
from numbered import numbered_video
from redis import Redis
from studio import KEY

from ml_backend.jobs.companion.images import companion
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.training.labelled import annotated_tasks
from ml_backend.jobs.videos import task_video
from ml_backend.projects import registry

__all__ = ["film", "studio", "wanted"]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("other") / "other.mp4", 150, first=300)


@pytest.fixture
def begun(context: JobContext, studio: CompanionStudio, film: Path) -> None:
    """Each suggested frame has its image, and the first was labelled."""
    with_film(studio, film)
    companion.within(context, KEY)
    companion.within(context, KEY, 5)
    studio.answer(5, FRAMES[0], "cat")


def exchange(context: JobContext, studio: CompanionStudio, video: Path, name: str) -> None:
    """The task has another video by now, which was fetched when its frames were suggested."""
    studio.exchange(5, video, name=name, when="2026-02-03T00:00:00Z")
    task_video(context, opened(context).question, context.studio.tasks.get(7, 5))


def learned(context: JobContext) -> list[tuple[int, tuple[str, ...]]]:
    found = annotated_tasks(opened(context))
    return [(int(r.start), r.labels) for each in found for annotation in each.annotations for r in annotation.regions]


@pytest.mark.usefixtures("begun")
class TestAnotherVideo:
    def test_has_images_of_its_own_and_what_was_labelled_of_the_old_one_stays(
        self, context: JobContext, studio: CompanionStudio, other: Path
    ) -> None:
        before = {number: image["data"]["content"] for number, image in studio.images.items()}
        exchange(context, studio, other, "other.mp4")
        assert companion.within(context, KEY, 5) == f"added {len(FRAMES)} images of task 5, removed {len(FRAMES) - 1}"
        now = {number: image["data"]["content"] for number, image in studio.images.items()}
        kept = before.keys() & now.keys()
        assert len(kept) == 1
        assert {now[number] for number in now.keys() - kept}.isdisjoint(before.values())

    def test_is_not_learned_from_by_answers_about_the_old_one_and_the_admin_is_told(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, other: Path
    ) -> None:
        assert learned(context) == [(FRAMES[0], ("cat",))]
        exchange(context, studio, other, "other.mp4")
        assert learned(context) == []
        ((told,),) = registry.problems(redis).values()
        assert told.startswith("1 frame that was answered")

    def test_that_has_only_moved_is_none(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        exchange(context, studio, film, "moved.mp4")
        assert companion.within(context, KEY, 5) == "added 0 images of task 5"
        assert learned(context) == [(FRAMES[0], ("cat",))]
        assert registry.problems(redis) == {}

    def test_images_of_an_earlier_release_count_for_whatever_the_task_shows(
        self, context: JobContext, studio: CompanionStudio, other: Path
    ) -> None:
        for image in studio.images.values():
            del image["data"]["content"]
        exchange(context, studio, other, "other.mp4")
        assert companion.within(context, KEY, 5) == "added 0 images of task 5"
        assert learned(context) == [(FRAMES[0], ("cat",))]
