"""The annotated tasks of a project, with what their annotations say of each frame, and how much there is of each label."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from ml_backend.annotation import Annotation, Region
from ml_backend.jobs.companion.answers import answered_frames
from ml_backend.jobs.individuals.cast import cast_of, individuals_of
from ml_backend.jobs.individuals.reel import Placed, Reel, on_reel, reel_of
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import identity_of
from ml_backend.labelstudio.annotations import Held, held
from ml_backend.labelstudio.individuals import Cast
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import parse_annotations, parse_regions, stray_controls
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.annotation_reading import is_from_model, is_untouched
from ml_backend.learning.frame_labels import MEANING, FrameLabels, frame_labels, is_exclusive
from ml_backend.projects import stored_predictions, video_contents
from ml_backend.projects.label_report import Author, HumanRegion, LabelReport, WorkDay, save
from ml_backend.provenance import RegionId
from ml_backend.video.timeline import StudioGrid, Timeline, studio_grid


@dataclass(frozen=True)
class Annotated:
    """A task and its annotations, as far as they are about one question.

    `items`: Label Studio's own JSON of them, kept where a config has several questions. `shown`: the results of what other
    models have predicted of the task, where an annotation has regions of theirs. `strays`: how many regions are on controls
    that the label config does not have. `casts`: by control, who is in the video, where each individual has a timeline of its own.
    """

    task: Task
    annotations: tuple[Annotation, ...]
    items: tuple[Mapping[str, Any], ...] = ()
    shown: tuple[Sequence[Mapping[str, Any]], ...] = ()
    strays: Mapping[str, int] = field(default_factory=dict)
    casts: Mapping[str, Cast] = field(default_factory=dict)

    def cast(self, question: Question) -> Cast | None:
        """Who each has an answer of their own to a question; None where it is about the video as a whole."""
        return self.casts.get(question.from_name)

    def about(self, question: Question) -> Annotated:
        """The same annotations, read for another question."""
        return replace(self, annotations=parse_annotations(self.task.id, self.items, question))


def annotated_tasks(
    work: ProjectWork, task: int | None = None, held_in: dict[int, Held] | None = None
) -> list[Annotated]:
    """Every task, or `task` alone, with at least one submitted annotation that was not skipped, or with frames that were
    labelled in the companion project.

    `held_in` is filled with what Label Studio holds of each task, be it that its annotations were all skipped.
    """
    keep = len(work.config.questions) > 1
    read: dict[int, Annotated] = {}
    if held_in is not None:
        for found, items in work.context.studio.annotations.only_skipped(work.id, task):
            held_in[found.id] = held(items, work.config)
    for found, items in work.context.studio.annotations.by_task(work.id, task):
        if held_in is not None:
            held_in[found.id] = held(items, work.config)
        said = parse_annotations(found.id, items, work.question)
        kept = tuple(items) if keep else ()
        strays = stray_controls(items, work.config)
        read[found.id] = Annotated(found, said, kept, strays=strays, casts=casts_of(work, found, items))
    questions = work.config.questions if keep else ()
    of_others = [
        number
        for number, each in read.items()
        if _has_others_regions(each) or any(_has_others_regions(each.about(question)) for question in questions)
    ]
    for number, shown in work.context.studio.predictions.of_others(work.id, of_others).items():
        read[number] = replace(read[number], shown=tuple(shown))
    known = {number: each.task for number, each in read.items()}
    for found, answers in answered_frames(work, known, task):
        before = read.get(found.id) or Annotated(found, (), casts=casts_of(work, found, ()))
        read[found.id] = replace(before, annotations=(*before.annotations, *answers))
    return [read[number] for number in sorted(read) if read[number].annotations]


def casts_of(work: ProjectWork, task: Task, annotations: Sequence[Mapping[str, Any]]) -> dict[str, Cast]:
    """Who is in a task's video, by the control of each question that is asked of each of them."""
    return {
        own.question.from_name: cast_of(own, task, annotations)
        for own in work.each()
        if individuals_of(own) is not None
    }


def _has_others_regions(annotated: Annotated) -> bool:
    """Whether there are regions that another model may have drawn: only its prediction tells whether they were changed."""
    return any(
        (region.origin == "prediction" or (region.origin is None and annotation.from_prediction))
        and RegionId.parse(region.id) is None
        for annotation in annotated.annotations
        for region in annotation.regions
    )


def annotated_for(work: ProjectWork, annotated: Sequence[Annotated]) -> list[Annotated]:
    """Tasks that were read for the main question, for the question of `work`; those without an annotation are left out.

    Frames that were labelled in the companion project are about the main question alone.
    """
    if work.question == work.config.main:
        return list(annotated)
    return [own for each in annotated if (own := each.about(work.question)).annotations]


def are_exclusive(work: ProjectWork, annotated: Sequence[Annotated]) -> bool:
    """Whether no frame of these tasks has two labels; where each individual has a timeline, none has two at once."""
    rate = work.question.framerate_of
    return all(is_exclusive(_each_own(work, each), rate(each.task.data)) for each in annotated)


def _each_own(work: ProjectWork, annotated: Annotated) -> tuple[Annotation, ...]:
    """The annotations of a task, so that what one individual does is never at the same time as what another one does."""
    cast = annotated.cast(work.question)
    return annotated.annotations if cast is None else on_reel(annotated.annotations, {}, cast).annotations


def fingerprint(work: ProjectWork, annotated: Sequence[Annotated], backbone: str) -> str:
    """The same for the same annotations, videos, labels, settings and backbone: nothing to train then."""
    said = sorted((a.id, a.updated_at.isoformat()) for each in annotated for a in each.annotations)
    labels: Any = work.question.labels
    if len(work.config.questions) > 1:
        labels = [[each.from_name, each.kind, each.multiple, each.labels] for each in work.config.questions]
    shown = sorted((each.task.id, identity_of(work, each.task).video) for each in annotated)
    known = [said, shown, labels, work.settings.taught, backbone, MEANING]
    made_of = video_contents.recall(work.context.settings.data_dir, work.key, [task for task, _ in shown])
    if replaced := sorted([task, made.replaced] for task, made in made_of.items() if made.replaced):
        known.append(replaced)
    if who := [[each.task.id, control, cast.mark] for each in annotated for control, cast in each.casts.items()]:
        known.append(who)
    # A version's predictions leave out what is less sure.
    if least := [[q.from_name, q.score_threshold] for q in work.config.questions if q.score_threshold is not None]:
        known.append(least)
    text = json.dumps(known)
    return hashlib.sha256(text.encode()).hexdigest()


def placed_on(work: ProjectWork, annotated: Annotated, timeline: Timeline) -> tuple[Placed, StudioGrid, Reel | None]:
    """What the annotations of one task say, on the frames that a model is shown of it, and these: those of its video, whose `timeline` it
    is, or of its reel, where each individual has a timeline of its own. Raises VideoError where nobody is in it."""
    pushed = pushed_regions(work.context.settings.data_dir, work, annotated)
    cast = annotated.cast(work.question)
    if cast is None:
        grid = studio_grid(timeline, work.question.framerate_of(annotated.task.data))
        return Placed(annotated.annotations, pushed), grid, None
    reel = reel_of(work, annotated.task, cast)
    return on_reel(annotated.annotations, pushed, reel.cast), reel.grid, reel


def labels_of(work: ProjectWork, annotated: Annotated, timeline: Timeline, exclusive: bool) -> FrameLabels:
    """What the annotations of one task say of each frame that a model is shown of it, see `placed_on`."""
    placed, grid, reel = placed_on(work, annotated, timeline)
    found = frame_labels(
        placed.annotations,
        grid,
        work.question.labels,
        work.settings.default_label,
        exclusive=exclusive,
        pushed=placed.pushed,
        dense=work.settings.dense,
    )
    return found if reel is None else found.without(placed.unclear(reel))


def pushed_regions(data_dir: Path, work: ProjectWork, annotated: Annotated) -> dict[str, Region]:
    """The predicted regions that the annotators were shown, by id, as far as they are still at hand."""
    ids = [RegionId.parse(region.id) for each in annotated.annotations for region in each.regions]
    versions = {found.version for found in ids if found is not None and found.version is not None}
    found: dict[str, Region] = {}
    for version in sorted(versions):
        prediction = stored_predictions.load(data_dir, work.key, str(version), annotated.task.id)
        if prediction is not None:
            found.update({region.id: region for region in parse_regions(prediction["result"], work.question)})
    for result in annotated.shown:
        found.update({region.id: region for region in parse_regions(result, work.question)})
    return found


def note_labelled(work: ProjectWork, annotated: Sequence[Annotated], reviewed: Collection[int]) -> None:
    """Writes the project's label report; `reviewed` are the tasks whose whole video was looked at. Raises StorageError."""
    data_dir = work.context.settings.data_dir
    regions = {each.task.id: _regions(work, each) for each in annotated}
    others = [work.on(question) for question in work.config.timelines if question != work.question]
    beside = {
        each.task.id: [
            replace(region, control=own.question.from_name)
            for own in others
            for region in _regions(own, each.about(own.question))
        ]
        for each in annotated
    }
    every = [region for mine in regions.values() for region in mine]
    frames, counts = Counter[str](), Counter[str]()
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    for region in every:
        for label in region.labels:
            frames[label] += region.end - region.start + 1
            counts[label] += 1
            sources[label][region.source] += 1
    report = LabelReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        tasks=tuple(sorted(regions)),
        reviewed=tuple(sorted(set(reviewed) & regions.keys())),
        frames=dict(frames),
        regions=dict(counts),
        authors=_authors(annotated, every, work.context.studio.annotations.author_names() if annotated else {}),
        sources={label: dict(found) for label, found in sources.items()},
        work=_work(annotated),
    )
    save(data_dir, work.key, report, ((task, [*mine, *beside[task]]) for task, mine in regions.items()))


def _regions(work: ProjectWork, annotated: Annotated) -> list[HumanRegion]:
    """Without the suggestions that nobody answered."""
    pushed, cast = pushed_regions(work.context.settings.data_dir, work, annotated), annotated.cast(work.question)

    def who(region: Region) -> str:
        found = cast.whose(region) if cast is not None else None
        return found.name if found is not None else ""

    return [
        HumanRegion(
            int(region.start), int(region.end), region.labels, annotation.author, _source(region, pushed), who(region)
        )
        for annotation in annotated.annotations
        for region in annotation.regions
        if region.labels
    ]


def _source(region: Region, pushed: Mapping[str, Region]) -> str:
    if is_untouched(region, pushed):
        return "accepted"
    return "changed" if is_from_model(region, pushed) else "person"


def _work(annotated: Sequence[Annotated]) -> tuple[WorkDay, ...]:
    """By day and annotator, the first day first."""
    made: dict[tuple[str, int | None], list[float | None]] = defaultdict(list)
    for each in annotated:
        for annotation in each.annotations:
            day = annotation.updated_at.astimezone(UTC).date().isoformat()
            made[day, annotation.author].append(annotation.lead_time)
    return tuple(
        WorkDay(
            author, day, len(times), round(sum(known), 1) if (known := [t for t in times if t is not None]) else None
        )
        for (day, author), times in sorted(made.items(), key=lambda item: (item[0][0], item[0][1] or 0))
    )


def _authors(
    annotated: Sequence[Annotated], every: Sequence[HumanRegion], names: Mapping[int, str]
) -> tuple[Author, ...]:
    """The busiest first."""
    annotations = [annotation for each in annotated for annotation in each.annotations]
    found = []
    for author in dict.fromkeys(annotation.author for annotation in annotations):
        mine = [region for region in every if region.author == author]
        sources = Counter(region.source for region in mine)
        own = [annotation for annotation in annotations if annotation.author == author]
        times = [annotation.lead_time for annotation in own if annotation.lead_time is not None]
        found.append(
            Author(
                author,
                len(own),
                sum(region.end - region.start + 1 for region in mine),
                sources["person"],
                sources["accepted"],
                sources["changed"],
                max(annotation.updated_at for annotation in own).isoformat(timespec="seconds"),
                None if author is None else names.get(author),
                round(sum(times), 1) if times else None,
                round(median(times), 1) if times else None,
            )
        )
    return tuple(sorted(found, key=lambda row: -row.frames))
