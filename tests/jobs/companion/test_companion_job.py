"""The companion project: an image of each suggested frame, made once, kept in step, and its answers read back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from companion_scene import FRAMES, film, opened, remember, studio, suggest, wanted, with_film
from companion_studio import CompanionStudio
from numbered import number_in
from redis import Redis
from studio import CONFIG, KEY

from ml_backend.errors import LabelStudioRefused, LabelStudioUnreachable
from ml_backend.jobs import backlog
from ml_backend.jobs.companion import images
from ml_backend.jobs.companion.images import companion, queue_images, want_images
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.training.labelled import annotated_tasks
from ml_backend.labelstudio.companion import NONE
from ml_backend.projects import reconcile_state, registry
from ml_backend.queueing.queue import listing, queue_of

__all__ = ["film", "studio", "wanted"]


def held(studio: CompanionStudio) -> list[tuple[int, int]]:
    return sorted((image["data"]["task"], image["data"]["frame"]) for image in studio.images.values())


def waiting_jobs(redis: Redis) -> list[str]:
    return sorted(" ".join(map(str, filter(None, (row["kind"], row["task"])))) for row in listing(redis)["queued"])


class TestImages:
    def test_each_suggested_frame_is_an_image_of_the_very_picture_that_label_studio_shows(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        assert companion.within(context, KEY, 5) == "added 4 images of task 5"
        assert held(studio) == [(5, frame) for frame in FRAMES]
        files = {f"/data/{name}": content for name, content in studio.uploads.values()}
        for image in studio.images.values():
            assert number_in(files[image["data"]["image"]]) == image["data"]["frame"] - 1
            assert image["data"]["seconds"] == pytest.approx((image["data"]["frame"] - 1) / 25)

    def test_on_a_grid_of_another_rate_it_is_the_picture_that_is_shown_there(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        assert studio.project is not None
        studio.project["label_config"] = CONFIG.replace('framerate="25"', 'framerate="10"')
        with_film(studio, film, frames=(2, 41))
        companion.within(context, KEY, 5)
        numbers = sorted(number_in(content) or 0 for _, content in studio.uploads.values())
        # Frame n of ten a second is shown 2 ms after (n - 1) / 10.
        assert numbers == [2, 100]

    def test_however_often_it_is_done_there_is_one_image_of_a_frame(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        assert companion.within(context, KEY, 5) == "added 0 images of task 5"
        assert len(studio.images) == len(studio.uploads) == len(FRAMES)

    def test_two_workers_draw_side_by_side_and_of_one_task_each_frame_comes_once(
        self, context: JobContext, studio: CompanionStudio, film: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_film(studio, film)
        both, draw = threading.Barrier(2), images._pictures

        def meet(*arguments: Any) -> Any:
            both.wait(60)
            return draw(*arguments)

        monkeypatch.setattr(images, "_pictures", meet)
        with ThreadPoolExecutor(2) as workers:
            said = sorted(workers.map(lambda _: companion.within(context, KEY, 5), range(2)))
        assert said == ["added 0 images of task 5", "added 4 images of task 5"]
        assert held(studio) == [(5, frame) for frame in FRAMES]

    def test_more_frames_than_label_studio_takes_files_in_a_request_come_in_pieces(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        frames = tuple(range(1, 121))
        with_film(studio, film, frames=frames)
        assert companion.within(context, KEY, 5) == "added 120 images of task 5"
        assert held(studio) == [(5, frame) for frame in frames]

    def test_broken_off_between_the_upload_and_the_tasks_it_leaves_only_files_which_go_later(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        studio.fails_to_import = True
        with pytest.raises(LabelStudioUnreachable):
            companion.within(context, KEY, 5)
        assert held(studio) == []
        companion.within(context, KEY, 5)
        assert len(studio.uploads) == 2 * len(FRAMES)
        studio.uploads[99] = ("upload/20/0000000a-theirs.jpg", b"")
        companion.within(context, KEY)
        assert studio.uploads.pop(99), "what somebody else has brought is theirs"
        assert held(studio) == [(5, frame) for frame in FRAMES]
        assert {f"/data/{name}" for name, _ in studio.uploads.values()} == {
            image["data"]["image"] for image in studio.images.values()
        }

    def test_pictures_that_others_have_brought_stay_whatever_they_are_called(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        ours = dict(studio.uploads)
        theirs = {
            98: ("upload/20/0a1b2c3d-IMG-2024-0012.jpg", b""),
            99: ("upload/20/0a1b2c3e-2024-12.jpg", b""),
        }
        studio.uploads.update(theirs)
        studio.put_task({"image": "/data/upload/20/0a1b2c3e-2024-12.jpg"})
        companion.within(context, KEY)
        assert studio.uploads == {**ours, **theirs}

    def test_without_redis_and_files_the_project_and_its_images_are_found_again(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        redis.flushall()
        remember(redis)
        assert companion.within(context, KEY, 5) == "added 0 images of task 5"
        assert companion.within(context, KEY) == "4 images in project 20, 0 tasks lack some, removed 0"
        assert list(studio.made) == [20]

    def test_who_takes_the_mark_out_of_the_description_gets_no_second_project(
        self, context: JobContext, studio: CompanionStudio, redis: Redis
    ) -> None:
        companion.within(context, KEY)
        studio.made[20]["description"] = "Our frames."
        companion.within(context, KEY)
        redis.flushall()
        remember(redis)
        companion.within(context, KEY)
        assert list(studio.made) == [20]
        assert studio.made[20]["description"].startswith("Our frames. [")

    def test_frames_that_are_suggested_instead_replace_those_that_nobody_has_touched(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        studio.answer(5, 3, "cat")
        studio.begin(5, 60, user=1)
        suggest(studio, 5, (10, 61))
        assert companion.within(context, KEY, 5) == "added 1 images of task 5, removed 1"
        assert held(studio) == [(5, 3), (5, 10), (5, 60), (5, 61)]

    def test_what_somebody_else_than_the_tokens_user_has_begun_stays(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        studio.begin(5, 60, user=2)
        suggest(studio, 5, (3,))
        assert companion.within(context, KEY, 5) == "added 0 images of task 5, removed 2"
        assert held(studio) == [(5, 3), (5, 60)]

    def test_nothing_is_taken_from_under_the_hands_of_somebody_who_is_at_work(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        registry.note_annotation(redis, KEY)
        suggest(studio, 5, (3,))
        companion.within(context, KEY, 5)
        assert len(held(studio)) == len(FRAMES)
        redis.delete(f"coldblitz:event:{KEY}")
        assert companion.within(context, KEY) == "1 images in project 20, 0 tasks lack some, removed 3"

    def test_what_is_answered_while_others_are_removed_stays_with_its_answer(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film, frames=tuple(range(1, 31)))
        companion.within(context, KEY, 5)
        suggest(studio, 5, ())
        studio.meanwhile = lambda: studio.answer(5, 30, "cat")
        assert companion.within(context, KEY) == "1 images in project 20, 0 tasks lack some, removed 29"
        assert held(studio) == [(5, 30)]

    def test_an_image_that_somebody_else_deletes_meanwhile_is_no_failure(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        suggest(studio, 5, (60,))
        studio.meanwhile = lambda: studio.images.pop(studio.image(5, 61)["id"])
        companion.within(context, KEY)
        assert held(studio) == [(5, 60)]

    def test_a_companion_that_somebody_deletes_meanwhile_is_made_again_later(
        self, context: JobContext, studio: CompanionStudio, film: Path, redis: Redis
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        suggest(studio, 5, (60,))
        studio.meanwhile = lambda: (studio.images.clear(), studio.made.clear())
        assert "no longer exists" in companion.within(context, KEY)
        companion.within(context, KEY)
        assert waiting_jobs(redis) == ["companion 5"]

    def test_who_comes_to_work_meanwhile_has_the_rest_left_until_later(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        with_film(studio, film, frames=tuple(range(1, 31)))
        companion.within(context, KEY, 5)
        suggest(studio, 5, ())
        studio.meanwhile = lambda: registry.note_annotation(redis, KEY)
        assert companion.within(context, KEY) == "10 images in project 20, 0 tasks lack some, removed 20"
        assert queue_images(opened(context), 5, context.studio.predictions.versions(7)), (
            "the rest is still to be removed"
        )
        redis.delete(f"coldblitz:event:{KEY}")
        assert companion.within(context, KEY) == "0 images in project 20, 0 tasks lack some, removed 10"

    def test_a_run_removes_so_many_at_most_and_the_next_one_goes_on(
        self, context: JobContext, studio: CompanionStudio, film: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(images, "_MOST_REMOVED", 3)
        with_film(studio, film)
        companion.within(context, KEY, 5)
        suggest(studio, 5, ())
        assert companion.within(context, KEY) == "1 images in project 20, 0 tasks lack some, removed 3"
        assert queue_images(opened(context), 5, context.studio.predictions.versions(7))
        assert companion.within(context, KEY) == "0 images in project 20, 0 tasks lack some, removed 1"

    def test_a_models_questions_are_images_too_and_a_task_that_was_annotated_needs_no_others(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        with_film(studio, film)
        suggest(studio, 5, (90,), "cold-v1")
        registry.activate(redis, KEY, "cold-v1")
        companion.within(context, KEY, 5)
        assert held(studio) == [(5, 3), (5, 60), (5, 61), (5, 90), (5, 140)]
        studio.tasks[5]["annotations"].append({"id": 1, "result": [], "updated_at": "2026-01-31T12:00:00Z"})
        companion.within(context, KEY, 5)
        assert held(studio) == [(5, 90)]

    def test_tasks_whose_frames_lack_an_image_are_queued_one_by_one(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        for task in (1, 2):
            with_film(studio, film, task)
        companion.within(context, KEY, 2)
        companion.within(context, KEY)
        assert waiting_jobs(redis) == ["companion 1"]

    def test_however_many_tasks_want_images_a_bounded_number_of_jobs_waits_and_none_is_left_out(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backlog, "WINDOW", 3)
        for task in range(1, 6):
            with_film(studio, film, task)
            want_images(opened(context), task)
        assert waiting_jobs(redis) == ["companion 1", "companion 2", "companion 3"]
        queue_of(redis, "companion").empty()
        for task in (1, 2, 3):
            companion.within(context, KEY, task)
        assert waiting_jobs(redis) == ["companion"], "the others are looked for when few are left"
        companion.within(context, KEY)
        assert waiting_jobs(redis) == ["companion", "companion 4", "companion 5"]

    def test_a_task_that_wants_images_while_all_are_compared_is_looked_for_again(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        suggest(studio, 5, ())
        monkeypatch.setattr(backlog, "WINDOW", 0)
        studio.meanwhile = lambda: want_images(opened(context), 5)
        companion.within(context, KEY)
        assert reconcile_state.get(redis, KEY, "images") == "more"

    def test_of_a_task_that_is_gone_nothing_is_asked(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        studio.answer(5, 3, "cat")
        del studio.tasks[5]
        companion.within(context, KEY)
        assert held(studio) == [(5, 3)]
        assert annotated_tasks(opened(context)) == []


class TestTheProject:
    def test_it_has_a_key_for_each_label_and_one_for_none(
        self, context: JobContext, studio: CompanionStudio, redis: Redis
    ) -> None:
        companion.within(context, KEY)
        made = studio.made[20]
        assert made["title"] == "A street (frames)"
        assert '<Choice value="cat" hotkey="1"/>' in made["label_config"]
        assert f'alias="{NONE}" hotkey="0"' in made["label_config"]
        known = registry.recall_companion(redis, KEY)
        assert known is not None
        assert known.id == 20

    def test_its_events_come_to_the_same_backend(self, context: JobContext, studio: CompanionStudio) -> None:
        companion.within(context, KEY)
        found = [(hook["project"], hook["url"]) for hook in studio.webhooks]
        assert found == [(project, "http://backend:9090/webhook") for project in (7, 20)]

    def test_it_follows_the_labels_and_leaves_alone_what_an_admin_has_made_nicer(
        self, context: JobContext, studio: CompanionStudio
    ) -> None:
        companion.within(context, KEY)
        nicer = studio.made[20]["label_config"].replace('choice="single"', 'choice="multiple"')
        studio.made[20]["label_config"] = nicer
        companion.within(context, KEY)
        assert studio.made[20]["label_config"] == nicer
        assert studio.project is not None
        studio.project["label_config"] = CONFIG.replace('value="dog"', 'value="horse"')
        companion.within(context, KEY)
        changed = studio.made[20]["label_config"]
        assert "horse" in changed
        assert "dog" not in changed
        assert 'choice="multiple"' in changed

    def test_who_may_make_no_project_is_told(self, context: JobContext, studio: CompanionStudio, redis: Redis) -> None:
        studio.refuses = True
        with pytest.raises(LabelStudioRefused):
            companion.within(context, KEY)
        [told] = registry.problems(redis)[KEY]
        assert told.startswith("The companion project cannot be created or changed: Label Studio refused the token")
        assert "a user who can create projects" in told
        studio.refuses = False
        companion.within(context, KEY)
        assert KEY not in registry.problems(redis)

    def test_nobody_gets_one_who_has_not_asked_for_it(
        self, context: JobContext, studio: CompanionStudio, redis: Redis
    ) -> None:
        remember(redis, companion=False)
        want_images(opened(context), 5)
        assert queue_images(opened(context), 0, {}) is None
        assert waiting_jobs(redis) == []
        companion.within(context, KEY)
        assert studio.made == {}


class TestReconciling:
    def test_it_compares_once_and_again_only_after_something_has_changed(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        with_film(studio, film)

        def compared() -> bool:
            work, stored = opened(context), context.studio.predictions.versions(7)
            return queue_images(work, context.studio.tasks.last_changed(7)[0], stored) is not None

        assert compared()
        companion.within(context, KEY)
        companion.within(context, KEY, 5)
        assert compared(), "images were added"
        companion.within(context, KEY)
        assert not compared()
        suggest(studio, 5, (1, 2), "cold-v1")
        registry.activate(redis, KEY, "cold-v1")
        assert compared()
