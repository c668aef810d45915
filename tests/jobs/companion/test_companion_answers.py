"""What was answered in the companion project is read back as sparse annotations of the videos."""

from __future__ import annotations

from pathlib import Path

from companion_scene import film, opened, studio, wanted, with_film
from companion_studio import CompanionStudio
from redis import Redis
from studio import CONFIG, KEY

from ml_backend.export.project import videos
from ml_backend.jobs.companion.images import companion
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.training.labelled import annotated_tasks, fingerprint
from ml_backend.jobs.training.train import training_state
from ml_backend.labelstudio.companion import NONE
from ml_backend.projects import registry

__all__ = ["film", "studio", "wanted"]


class TestAnswers:
    def test_they_are_sparse_annotations_of_the_video_one_a_person(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        studio.answer(5, 3, "cat")
        studio.answer(5, 60, NONE)
        studio.answer(5, 61, "dog", author=2)
        studio.answer(5, 140)  # skipped
        [task] = annotated_tasks(opened(context))
        mine, theirs = task.annotations
        assert [(r.start, r.end, r.labels, r.nothing) for r in mine.regions] == [
            (3, 3, ("cat",), False),
            (60, 60, (), True),
        ]
        assert [(r.start, r.labels) for r in theirs.regions] == [(61, ("dog",))]
        assert (mine.author, theirs.author, mine.reviewed) == (1, 2, False)
        assert mine.id < 0, "no annotation of Label Studio has this id"

    def test_they_join_what_was_said_on_the_timeline(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        studio.tasks[5]["annotations"].append({"id": 1, "result": [], "updated_at": "2026-01-31T12:00:00Z"})
        studio.answer(5, 3, "cat")
        [task] = annotated_tasks(opened(context), 5)
        assert [annotation.id > 0 for annotation in task.annotations] == [True, False]

    def test_they_are_exported_as_what_a_person_said(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        studio.answer(5, 3, "cat", author=2)
        [video] = videos(opened(context), [])
        [run] = [run for run in video.runs if run.label == "cat"]
        assert (run.start, run.stop, run.source, video.annotators) == (2, 3, "human", (2,))

    def test_each_new_one_and_each_that_is_gone_is_something_to_train_from(
        self, context: JobContext, studio: CompanionStudio, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        seen = [_known(context)]
        assert training_state(opened(context)) is None
        for minute, frame in enumerate((60, 3)):
            studio.answer(5, frame, "cat", when=f"2026-02-01T12:0{minute}:00Z")
            seen.append(_known(context))
        next(image for image in studio.images.values() if image["data"]["frame"] == 3)["annotations"].clear()
        seen.append(_known(context))
        assert len(set(seen[:3])) == 3
        assert seen[3][1] == seen[1][1], "what is left is what was there before"
        assert seen[3][0] != seen[2][0]

    def test_those_that_were_counted_at_another_framerate_are_left_out_and_told(
        self, context: JobContext, studio: CompanionStudio, redis: Redis, film: Path
    ) -> None:
        with_film(studio, film)
        companion.within(context, KEY, 5)
        studio.answer(5, 3, "cat")
        assert studio.project is not None
        studio.project["label_config"] = CONFIG.replace('framerate="25"', 'framerate="50"')
        assert annotated_tasks(opened(context)) == []
        [told] = registry.problems(redis)[KEY]
        assert told.startswith("1 frame that was answered in the companion project is not used for training")


def _known(context: JobContext) -> tuple[str | None, str]:
    work = opened(context)
    return training_state(work), fingerprint(work, annotated_tasks(work), "a network")
