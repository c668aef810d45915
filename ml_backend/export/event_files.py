"""A project's timelines in the formats of other programs: the very regions that people have submitted, elsewhere the predicted ones."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ml_backend.errors import SettingsError, VideoError
from ml_backend.export.bouts import BoutVideo
from ml_backend.export.project import timeline_of
from ml_backend.export.staging import Output, check_outputs, staged
from ml_backend.export.target import stem
from ml_backend.formats.events import Event, VideoEvents
from ml_backend.formats.fiftyone import DATA
from ml_backend.formats.table import FORMATS, Format
from ml_backend.formats.text import timecode
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import task_video, video_name
from ml_backend.labelstudio.event_items import StudioEvent, read_events
from ml_backend.labelstudio.label_config import LabelConfig, Question
from ml_backend.labelstudio.recommended import colours_of
from ml_backend.labelstudio.studio_files import StudioTask, tasks_json
from ml_backend.labelstudio.tasks import Task
from ml_backend.video.moments import counts, times_of
from ml_backend.video.timeline import Timeline, constant_rate, studio_grid
from ml_backend.wording import counted

log = logging.getLogger(__name__)
_RENAME = "give another name with -o"
# Label Studio's own JSON.
STUDIO = "labelstudio"


@dataclass(frozen=True)
class EventChoice:
    """What to take. `source`: *human* for what was submitted, *model* for what is predicted where nothing was, *both*.
    `min_confidence`: of a predicted label at least this."""

    source: Literal["human", "model", "both"] = "both"
    min_confidence: float = 0.0


def write_events(
    work: ProjectWork,
    output: Path,
    form: str,
    choice: EventChoice,
    progress: Callable[[float], None],
    control: str | None = None,
    *,
    preview: bool = False,
) -> dict[str, Any]:
    """Writes `form` into the file `output`, or a folder of files; returns counts, and `skipped`: a sentence for each task that was left
    out, and for all that the format cannot hold. With `preview` nothing is written.

    Raises SettingsError, StorageError and LabelStudioError."""
    if form == STUDIO:
        return _write_studio(work, output, choice, progress, control, preview=preview)
    kind, skipped = FORMATS[form], list[str]()
    _check_name(output, form, kind)
    found: list[tuple[Task, VideoEvents]] = []
    for each in events_of(work, choice, skipped, control):
        found.append(each)
        progress(0.0)
    if not found:
        raise _nothing()
    if not kind.endings:
        # One folder holds all of the videos, each under a name of its own.
        found = [
            (task, replace(video, names=(name,))) for (task, video), name in zip(found, _alone(found), strict=True)
        ]
    videos = [video for _, video in found]
    skipped += kind.lost(videos)
    files = _named(found, kind) if kind.each else {}
    told = {"videos": len(videos), "events": sum(len(video.events) for video in videos), "skipped": skipped}
    if preview:
        return {
            **told,
            "tree": [f"{name}  {counted(len(video.events), 'event')}" for name, video in files.items()]
            or [output.name],
        }
    folder = kind.each or not kind.endings
    out = Output(output, "-o", folder)
    check_outputs([out], [], overwrite=False)
    with staged([out], _RENAME) as parts:
        part = parts["-o"]
        if kind.each:
            for name, video in files.items():
                kind.write([video], part / name)
        else:
            kind.write(videos, part)
            if folder:
                _copy_videos(work, found, part / DATA)
    return told


def _write_studio(
    work: ProjectWork,
    output: Path,
    choice: EventChoice,
    progress: Callable[[float], None],
    control: str | None,
    *,
    preview: bool,
) -> dict[str, Any]:
    """Label Studio's own JSON, which needs no video."""
    if output.suffix.lower() != ".json":
        raise SettingsError(f"{output} does not end in .json.", f"Give -o a name that ends so for {STUDIO}.")
    tasks = [said for said, _ in _known(work, choice, control)]
    progress(1.0)
    if not tasks:
        raise _nothing()
    if not preview:
        out = Output(output, "-o", folder=False)
        check_outputs([out], [], overwrite=False)
        with staged([out], _RENAME) as parts:
            parts["-o"].write_text(
                json.dumps(tasks_json(tasks, work.config), ensure_ascii=False, indent=1), encoding="utf-8"
            )
    return {"videos": len(tasks), "events": sum(len(each.events) for each in tasks), "skipped": []}


def _nothing() -> SettingsError:
    return SettingsError("There is no label to export.", "Label a video, or let a model predict; see --source.")


def _check_name(output: Path, form: str, kind: Format) -> None:
    """Raises SettingsError for a name that does not fit what is written there."""
    ending = output.suffix.lower()
    if kind.each or not kind.endings:
        if ending in (".json", ".csv", ".tsv", ".zip", ".parquet", *kind.endings):
            what = "a file for each video" if kind.each else "a folder"
            raise SettingsError(
                f"{form} is {what}, and {output} is the name of a file.", "Give the name of a folder with -o."
            )
    elif ending not in kind.endings:
        raise SettingsError(
            f"{output} does not end in {' or '.join(kind.endings)}.", f"Give -o a name that ends so for {form}."
        )


def events_of(
    work: ProjectWork, choice: EventChoice, skipped: list[str], control: str | None = None
) -> Iterator[tuple[Task, VideoEvents]]:
    """Each task of whose timelines something is known, by its number; `control`: on that one alone."""
    for said, found in _known(work, choice, control):
        try:
            timeline = timeline_of(work, said.task)
        except VideoError as error:
            log.warning("the labels of task %d are not exported: %s", said.task.id, error)
            skipped.append(f"Task {said.task.id} is left out: {error}")
            continue
        predicted = said.predicted_by is not None
        yield said.task, video_events(said.task, said.name, found, timeline, predicted=predicted)


def bout_videos(
    work: ProjectWork, choice: EventChoice, skipped: list[str], control: str | None = None
) -> Iterator[BoutVideo]:
    """The same to be counted, with the labels that there may be."""
    for said, found in _known(work, choice, control):
        try:
            timeline = timeline_of(work, said.task)
        except VideoError as error:
            skipped.append(f"Task {said.task.id} is left out: {error}")
            continue
        questions = [each for each in work.config.timelines if control is None or each.from_name == control]
        labels = {question.from_name: question.labels_of(said.task.data) for question in questions}
        predicted = said.predicted_by is not None
        video = video_events(said.task, said.name, found, timeline, predicted=predicted)
        yield BoutVideo(said.task.id, video, labels, "model" if predicted else "human")


def label_colors(config: LabelConfig) -> dict[tuple[str, str], str]:
    """By control and label: the colors that Label Studio and the pages show them in."""
    asked = config.timelines
    return {(each.from_name, label): color for each in asked for label, color in colours_of(each).items()}


def _known(
    work: ProjectWork, choice: EventChoice, control: str | None
) -> Iterator[tuple[StudioTask, list[tuple[Question, StudioEvent]]]]:
    """The same in Label Studio's frames, each event with its question."""
    version = work.project.model_version or None
    questions = [each for each in work.config.timelines if control is None or each.from_name == control]
    for task, items, results in work.context.studio.annotations.beside_predictions(work.id, version):
        said = _submitted(items)
        if said is not None and choice.source == "model":
            continue
        if said is None and choice.source == "human":
            continue
        found = [
            (question, event)
            for question in questions
            for event in read_events(results if said is None else said, question)
            if said is not None or (1.0 if event.score is None else event.score) >= choice.min_confidence
        ]
        if found:
            events = tuple(event for _, event in found)
            yield (
                StudioTask(task, video_name(task, work.question), events, None if said is not None else version),
                found,
            )


def _submitted(annotations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """The result of the annotation that counts: a ground truth before others, then the one that changed last."""
    submitted = [each for each in annotations if not each.get("was_cancelled")]
    if not submitted:
        return None
    last = max(
        submitted, key=lambda each: (bool(each.get("ground_truth")), str(each.get("updated_at")), each.get("id", 0))
    )
    result = last.get("result")
    return [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []


def video_events(
    task: Task, name: str, found: Sequence[tuple[Question, StudioEvent]], timeline: Timeline, *, predicted: bool
) -> VideoEvents:
    """The events of one task with the times, frames and timecodes that they have in its video, by their beginning."""
    rate = constant_rate(timeline)[0]
    places, base = counts(timeline, rate), max(1, round(rate))
    grids = {each.from_name: studio_grid(timeline, each.framerate_of(task.data)) for each, _ in found}
    events = []
    for question, event in found:
        grid = grids[question.from_name]
        first, last = int(grid.index(event.start)), int(grid.index(event.end))
        codes = timecode(int(places[first]), base), timecode(int(places[last + 1]), base)
        events.append(
            Event(
                event.label,
                times_of(timeline, first, last),
                (first, last),
                codes,
                event.who,
                event.comment,
                event.control,
                event.score if predicted else None,
            )
        )
    ordered = tuple(sorted(events, key=lambda each: (each.span, each.label, each.who)))
    duration = float(np.max([*(each.times[1] for each in events), float(timeline.duration)]))
    return VideoEvents("", (name,), ordered, task.id, rate, len(timeline), duration)


def _named(found: Sequence[tuple[Task, VideoEvents]], kind: Format) -> dict[str, VideoEvents]:
    """A file's name for each video; where two are called alike, with the number of the task."""
    called = Counter(stem(video.name).casefold() for _, video in found)
    names = {}
    for task, video in found:
        own = stem(video.name)
        names[f"{own if called[own.casefold()] == 1 else f'{own}_task{task.id}'}{kind.endings[0]}"] = video
    return names


def _alone(found: Sequence[tuple[Task, VideoEvents]]) -> list[str]:
    """What each video is called in a folder of them: its own name, where that is a file's and no other's."""
    called = Counter(Path(video.name).stem.casefold() for _, video in found)
    return [
        f"{stem(video.name)}_task{task.id}{Path(video.name).suffix}"
        if called[Path(video.name).stem.casefold()] > 1 or set(video.name) & {"/", "\\", "\0"}
        else video.name
        for task, video in found
    ]


def _copy_videos(work: ProjectWork, found: Sequence[tuple[Task, VideoEvents]], folder: Path) -> None:
    """Raises VideoError."""
    folder.mkdir()
    for task, video in found:
        shutil.copyfile(task_video(work.context, work.question, task).path, folder / video.name)
