"""Looks for labels that are probably wrong, and for how far annotators agree, after each training: nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.training.labelled import (
    Annotated,
    annotated_for,
    annotated_tasks,
    are_exclusive,
    labels_of,
    placed_on,
)
from ml_backend.jobs.training.labelled_videos import VideoProblems, labelled_videos
from ml_backend.jobs.videos import video_name
from ml_backend.labelstudio.addresses import task_page
from ml_backend.learning.agreement import Agreement, agreement, agreement_with_model
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.learning.run_predictions import held_out
from ml_backend.learning.suspects import Suspect, off_by, suspects
from ml_backend.projects.reports import QualityReport, SuspectRow, save_quality
from ml_backend.wording import counted


@job
def quality(context: JobContext, project_key: str) -> str:
    """Writes what it finds about the labels of all annotated tasks into the project's folder."""
    work = open_project(context, project_key)
    if not work.config.timelines:
        return "the project has no timeline whose labels could be looked through"
    annotated, problems = annotated_tasks(work), VideoProblems()
    rows: list[SuspectRow] = []
    for position, question in enumerate(work.config.timelines):
        own = work.on(question).part(0, 95).step(position, len(work.config.timelines))
        looked = _look(own, annotated_for(own, annotated), problems)
        rows += looked.rows
        if question == work.config.main:
            main = looked
    problems.tell(work)
    names = context.studio.annotations.author_names()
    several = len(work.config.questions) > 1
    found = QualityReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        videos=main.videos,
        found=len(rows),
        suspects=tuple(sorted(rows, key=lambda row: -row.doubt)) if several else tuple(rows),
        label_kappa=main.agreed.labels,
        annotator_kappa={str(author): kappa for author, kappa in main.agreed.annotators.items()},
        compared_frames=main.agreed.frames,
        model_kappa={str(author): kappa for author, kappa in main.with_model.items()},
        names={str(author): names[author] for author in main.with_model if author in names},
        about=work.config.main.from_name if several else "",
    )
    save_quality(context.settings.data_dir, project_key, found)
    verb = "is" if len(rows) == 1 else "are"
    doubted = f"{counted(len(rows), 'segment')} of {counted(main.videos, 'video')} {verb} probably mislabeled"
    return f"{doubted}; see `coldblitz quality {work.id}`"


@dataclass(frozen=True)
class _Looked:
    """What was found about the labels of one timeline. `with_model`: of each annotator."""

    videos: int
    rows: tuple[SuspectRow, ...]
    agreed: Agreement
    with_model: Mapping[int, float | None]


def _look(work: ProjectWork, annotated: Sequence[Annotated], problems: VideoProblems) -> _Looked:
    exclusive = are_exclusive(work, annotated)
    videos = labelled_videos(work.part(0, 90), annotated, exclusive, problems=problems)
    work.progress.report(90, "looking for labels that are probably wrong")
    labels = work.question.labels
    predicted = held_out(videos, labels, exclusive=exclusive)
    tasks = {each.task.id: each for each in annotated}
    rows = tuple(_rows(work, tasks, videos, suspects(predicted, labels, exclusive=exclusive)))
    by_author = {video.task: _by_author(work, tasks[video.task], video, exclusive) for video in videos}
    agreed = agreement(list(by_author.values()), labels)
    return _Looked(len(videos), rows, agreed, agreement_with_model(predicted, by_author, labels))


def _rows(
    work: ProjectWork,
    tasks: Mapping[int, Annotated],
    videos: Sequence[LabelledVideo],
    found: Sequence[Suspect],
) -> Iterator[SuspectRow]:
    """Without those between two frames that Label Studio shows: nobody could look at them."""
    timelines = {video.task: video.features.timeline for video in videos}
    for suspect in found:
        task = tasks[suspect.task].task
        _, grid, reel = placed_on(work, tasks[suspect.task], timelines[suspect.task])
        timeline, whose = grid.timeline, ""
        first, last = suspect.first, suspect.last
        span = grid.span(first, last)
        if span is None:
            continue
        if reel is not None:
            [(who, *here), *_] = reel.cast.taken_apart(*span)
            timeline, span, whose = reel.own.timeline, (here[0], here[1]), f"{who.name}: "
            first, last = (reel.own.index(each) for each in span)
        yield SuspectRow(
            task=task.id,
            video=video_name(task, work.question),
            start=int(span[0]),
            end=int(span[1]),
            first_second=round(timeline.seconds(first), 3),
            last_second=round(timeline.seconds(last), 3),
            given=suspect.given,
            expected=suspect.expected,
            doubt=round(suspect.doubt, 3),
            kind=suspect.kind,
            url=task_page(work.context.studio.url, work.id, task.id),
            control="" if work.question.alone else work.question.from_name,
            said=whose + off_by(suspect, int(span[1]) - int(span[0]) + 1),
        )


def _by_author(
    work: ProjectWork, annotated: Annotated, video: LabelledVideo, exclusive: bool
) -> dict[int, FrameLabels]:
    """What each annotator alone says of a task."""
    authors = dict.fromkeys(a.author for a in annotated.annotations if a.author is not None)
    if len(authors) == 1 and all(a.author is not None for a in annotated.annotations):
        return dict.fromkeys(authors, video.labels)
    return {
        author: labels_of(
            work,
            replace(annotated, annotations=tuple(a for a in annotated.annotations if a.author == author)),
            video.features.timeline,
            exclusive,
        )
        for author in authors
    }
