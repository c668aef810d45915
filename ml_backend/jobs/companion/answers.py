"""What people have said of single frames in the companion project, as sparse annotations of the videos."""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from ml_backend.annotation import Annotation, Region
from ml_backend.errors import Gone, LabelStudioMissing
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import known_content
from ml_backend.labelstudio.companion import Answer
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.tasks import Task
from ml_backend.projects import registry
from ml_backend.provenance import companion_id

# More tasks than these are listed instead of asked for one by one.
_ONE_BY_ONE = 20
# Why answers are left out, and what to do; in one sentence for a single frame and for several.
_OTHER_GRID = (
    "the video's framerate in the label config was different then. Set it back to use {0}, or label {1} again.",
    ("it", "this frame"),
    ("them", "these frames"),
)
_OTHER_VIDEO = (
    "{0} now {1} another video. No action is needed; frames of the new video are ready to be labeled.",
    ("its task", "shows"),
    ("their tasks", "show"),
)


def companion_project(work: ProjectWork) -> Project | None:
    """The companion of a project that wants one; None when none was made yet."""
    if not work.settings.companion:
        return None
    known = registry.recall_companion(work.context.redis, work.key)
    if known is not None:
        try:
            project = work.context.studio.projects.get(known.id)
            if str(project.key) == known.key:
                return project
        except LabelStudioMissing:
            pass
        registry.forget_companion(work.context.redis, work.key)
    found = work.context.studio.companion.find(work.key)
    if found is not None:
        registry.note_companion(work.context.redis, work.key, registry.KnownCompanion(str(found.key)))
    return found


def answers_state(work: ProjectWork) -> list[object]:
    """The same for the same answers; empty without a companion."""
    project = companion_project(work)
    if project is None:
        return []
    changed, answered = work.context.studio.tasks.last_annotated(project.key.id)
    known = registry.recall_companion(work.context.redis, work.key)
    if known is not None and known.answered != answered:
        registry.note_companion(work.context.redis, work.key, replace(known, answered=answered))
    return [project.key.id, *project.counts, changed, answered]


def answered_frames(
    work: ProjectWork, known: Mapping[int, Task], task: int | None
) -> Iterator[tuple[Task, tuple[Annotation, ...]]]:
    """Each task of which somebody has labelled frames in the companion, or `task` alone, with an annotation of each person.

    `known`: tasks that are at hand, by their ids. Frames that were counted at another framerate than the task has now are
    left out, and told; so are those of a video that the task does not show any more.
    """
    project = companion_project(work)
    if project is None:
        return
    answers: dict[int, list[Answer]] = defaultdict(list)
    for answer in work.context.studio.companion.answers(project.key.id, task):
        answers[answer.of.task].append(answer)
    elsewhere = others = 0
    for found in _tasks(work, known, answers):
        rate = work.question.framerate_of(found.data)
        content = known_content(work.context, work.question, found)
        same = [answer for answer in answers[found.id] if answer.of.of_its_video(content)]
        usable = [answer for answer in same if answer.of.framerate == rate]
        elsewhere += len(same) - len(usable)
        others += len(answers[found.id]) - len(same)
        if usable:
            yield found, sparse_annotations(found.id, usable)
    if task is None:
        told = [_left_out(elsewhere, *_OTHER_GRID)] if elsewhere else []
        registry.set_problems(work.context.redis, work.key, "companion framerate", told)
        told = [_left_out(others, *_OTHER_VIDEO)] if others else []
        registry.set_problems(work.context.redis, work.key, "companion video", told)


def _left_out(frames: int, why: str, one: tuple[str, str], several: tuple[str, str]) -> str:
    what = "1 frame that was" if frames == 1 else f"{frames} frames that were"
    told = f"{what} answered in the companion project {'is' if frames == 1 else 'are'} not used for training: "
    return told + why.format(*(one if frames == 1 else several))


def sparse_annotations(task: int, answers: Sequence[Answer]) -> tuple[Annotation, ...]:
    """One annotation of one-frame regions for each author; who answered a frame twice meant the later answer.

    Its id is negative, so that it is none of Label Studio's, and the same for the same answers.
    """
    groups: dict[tuple[int | None, bool], dict[int, Answer]] = defaultdict(dict)
    for answer in sorted(answers, key=lambda answer: (answer.updated_at, answer.id)):
        groups[answer.author, answer.ground_truth][answer.of.frame] = answer
    return tuple(
        _annotation(task, author, ground_truth, sorted(said.values(), key=lambda answer: answer.of.frame))
        for (author, ground_truth), said in groups.items()
    )


def _annotation(task: int, author: int | None, ground_truth: bool, answers: Sequence[Answer]) -> Annotation:
    said = ";".join(f"{answer.id} {answer.updated_at.isoformat()}" for answer in answers)
    # So that they count as answers to questions, each about one frame.
    regions = (
        Region(companion_id(answer.id), answer.of.frame, answer.of.frame, answer.labels, nothing=not answer.labels)
        for answer in answers
    )
    times = [answer.lead_time for answer in answers if answer.lead_time is not None]
    return Annotation(
        id=-int(hashlib.sha256(said.encode()).hexdigest()[:12], 16),
        task=task,
        regions=tuple(regions),
        updated_at=max(answer.updated_at for answer in answers),
        author=author,
        ground_truth=ground_truth,
        # Whatever the project's annotations are, these are about single frames.
        reviewed=False,
        lead_time=sum(times) if times else None,
    )


def _tasks(work: ProjectWork, known: Mapping[int, Task], wanted: Collection[int]) -> Iterator[Task]:
    """Those of the wanted tasks that still exist."""
    missing = set(wanted) - known.keys()
    yield from (known[number] for number in wanted if number in known)
    if len(missing) > _ONE_BY_ONE:
        yield from (task for task in work.context.studio.tasks.all(work.id) if task.id in missing)
        return
    for number in sorted(missing):
        with contextlib.suppress(Gone):
            yield work.context.studio.tasks.get(work.id, number)
