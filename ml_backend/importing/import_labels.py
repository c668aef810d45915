"""Labels of other programs into a project: each video's events become the regions of its task's timelines, as a prediction or as a
submitted annotation. Everything is read, matched and made before the first of it is sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ml_backend.errors import LabelConfigError, SettingsError
from ml_backend.formats.events import Asked, Event, VideoEvents, refused
from ml_backend.importing.box_tasks import tasks_of
from ml_backend.importing.event_spans import spans_of
from ml_backend.importing.studio_labels import read_labels
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import ProjectWork, named_work
from ml_backend.jobs.videos import naming, task_video, video_name
from ml_backend.labelstudio.event_items import StudioEvent, event_items, fingerprint
from ml_backend.labelstudio.label_config import REVIEWED, Question
from ml_backend.labelstudio.tasks import Task
from ml_backend.prediction_item import PredictionItem, ResultItem
from ml_backend.video.timeline import FrameIndex, StudioFrame, StudioGrid, read_timeline, studio_grid
from ml_backend.wording import cut, listed, quoted, some


@dataclass(frozen=True)
class LabelImport:
    """How labels are imported. `version`: of the model whose predictions they become; None submits them as annotations, as
    `ground_truth` if so, with *reviewed* ticked if `reviewed`. `only`: the observations or videos that count, by name, None for all.
    `labels`: a label of the files to that of the project, or to nothing. `control`: whose labels they are; None asks each label.
    `task`: whose video the only one is. `tiers`: those of ELAN that count. `fps`: frames a second of timecodes, where a file does not
    say."""

    version: str | None
    ground_truth: bool = False
    reviewed: bool = False
    only: Collection[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    control: str | None = None
    task: int | None = None
    tiers: Collection[str] | None = None
    fps: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one video of a file. `left_out`: events between two frames that Label Studio shows."""

    file: str
    video: str
    state: Literal["imported", "present", "empty", "unmatched", "refused"]
    task: int | None = None
    events: int = 0
    left_out: int = 0
    message: str = ""


@dataclass(frozen=True, eq=False)
class _Ready:
    found: VideoEvents
    task: Task
    items: list[ResultItem]
    left_out: int


def open_timelines(context: JobContext, number: int, control: str | None = None) -> ProjectWork:
    """A project by its number, on the timeline of `control`, or its first one. Raises LabelStudioError, LabelConfigError and
    SettingsError."""
    work = named_work(context, number)
    timelines = work.config.timelines
    if not timelines:
        raise LabelConfigError(
            "The label config has no <TimelineLabels> on a <Video>, so there is nowhere to put labels.",
            "Add one to the project's labeling interface.",
        )
    names = [question.from_name for question in timelines]
    if control is not None and control not in names:
        raise SettingsError(
            f"The label config has no timeline called “{cut(control)}”.", f"Name one of these: {listed(names)}."
        )
    return work.on(timelines[names.index(control) if control is not None else 0])


def import_labels(
    work: ProjectWork, files: Sequence[Path], how: LabelImport, progress: Callable[[float], None]
) -> list[Outcome]:
    """Reads `files` and makes their events predictions, or annotations, of the tasks whose videos they are about. What is there already is
    not made twice.

    Nothing is sent when a file cannot be used. Raises SettingsError, VideoError and LabelStudioError.
    """
    _check_options(work, how)
    known = {label for question in _timelines(work, how) for label in question.labels} | how.labels.keys()
    found = [video for path in files for video in read_labels(path, Asked(known, how.tiers, how.only))]
    if how.only is not None:
        found = _chosen(found, how.only)
    if how.task is not None and len(found) != 1:
        raise SettingsError(f"--task needs labels of one video, and these are of {len(found)}.", "Omit --task.")
    matched, unmatched = tasks_of(work, found, how.task)
    what = f"task {how.task}" if how.task is not None else "video called {}"
    outcomes = [
        Outcome(each.file, each.name, "unmatched", message=f"The project has no {what.format(each.name)}.")
        for each in unmatched
    ]
    _check_labels(work, how, matched)
    ready = []
    for position, (video, task) in enumerate(matched):
        made = _made(work, video, task, how)
        if made is not None:
            ready.append(made)
        else:
            said = "Nothing is labeled there, so the task stays as it is."
            outcomes.append(Outcome(video.file, video_name(task, work.question), "empty", task.id, message=said))
        progress((position + 1) / (len(matched) + 1))
    return [*outcomes, *(_predicted(work, ready, how.version) if how.version else _submitted(work, ready, how))]


def _chosen(found: Sequence[VideoEvents], only: Collection[str]) -> list[VideoEvents]:
    """Those that are called so. Raises SettingsError where one of the names is that of none."""
    names = {name for video in found for name in video.names}
    if missing := [name for name in only if name not in names]:
        raise SettingsError(
            f"The files have no observation or video called “{cut(missing[0])}”.",
            f"They have {some(sorted(names), most=10)}.",
        )
    return [video for video in found if not set(video.names).isdisjoint(only)]


def _timelines(work: ProjectWork, how: LabelImport) -> Sequence[Question]:
    return [work.question] if how.control is not None else work.config.timelines


def _check_options(work: ProjectWork, how: LabelImport) -> None:
    """Raises SettingsError for what cannot be meant."""
    known = {label for question in _timelines(work, how) for label in question.labels}
    if wrong := [label for label in how.labels.values() if label and label not in known]:
        raise SettingsError(
            f"The label config has no label {quoted(wrong[0])}.", f"It has {listed(sorted(known)) or 'no labels'}."
        )
    if how.reviewed and work.question.reviewed_control is None:
        raise SettingsError(
            "The label config has no choice that is called reviewed.",
            "Omit --reviewed, or add one to the labeling interface.",
        )


def _check_labels(work: ProjectWork, how: LabelImport, matched: Iterable[tuple[VideoEvents, Task]]) -> None:
    """Raises SettingsError for a label that is none of the project, and is not said to be one."""
    unknown: dict[str, str] = {}
    for video, task in matched:
        for event in video.events:
            if event.label not in how.labels and _question_of(work, how, event, task) is None:
                unknown.setdefault(event.label, video.file)
    if not unknown:
        return
    first = next(iter(unknown))
    there = list(dict.fromkeys(label for question in _timelines(work, how) for label in question.labels))
    raise refused(
        unknown[first],
        f"the project has no label {some(list(unknown), 'or')}; it has {some(there, most=20) or 'none'}",
        f'Say what each is, as --label "{first}={there[0] if there else ""}", or --label "{first}=" to leave it out.',
    )


def _question_of(work: ProjectWork, how: LabelImport, event: Event, task: Task) -> Question | None:
    """The timeline of an event: the one that its group names, else the first one with its label."""
    label = how.labels.get(event.label, event.label)
    own = [question for question in _timelines(work, how) if label in question.labels_of(task.data)]
    return next((each for each in own if each.from_name == event.group), own[0] if own else None)


def _made(work: ProjectWork, video: VideoEvents, task: Task, how: LabelImport) -> _Ready | None:
    """The regions of one task, None where the file labels nothing. Raises SettingsError for what cannot be of its video, and VideoError."""
    file = task_video(work.context, work.question, task)
    with naming(task, work.question, file):
        timeline = read_timeline(file.path)
    if video.frames > len(timeline):
        raise refused(
            video.file,
            f"it has {video.frames:,} rows, and {video_name(task, work.question)} has {len(timeline):,} frames",
            "It is about another video.",
        )
    if not video.events:
        return None
    spans = spans_of(video, timeline, how.fps, work.question.framerate_of(task.data))
    found, left_out = [], 0
    for event, (first, last) in zip(video.events, spans, strict=True):
        question, label = _question_of(work, how, event, task), how.labels.get(event.label, event.label)
        if question is None or not label:
            continue
        grid = studio_grid(timeline, question.framerate_of(task.data))
        span = _on_grid(grid, first, last)
        if span is None:
            left_out += 1
            continue
        found.append(StudioEvent(question.from_name, label, *span, event.who, event.comment, event.score))
    if not found:
        raise refused(
            video.file,
            f"no event of {video_name(task, work.question)} is left",
            "Give a file with events in frames that Label Studio shows, or omit this one.",
        )
    return _Ready(video, task, event_items(found, work.config), left_out)


def _on_grid(grid: StudioGrid, first: FrameIndex, last: FrameIndex) -> tuple[StudioFrame, StudioFrame] | None:
    """A single picture is one frame, also where Label Studio shows it several times."""
    if first == last:
        frame = grid.frame(first)
        return None if frame is None else (frame, frame)
    return grid.span(first, last)


def _predicted(work: ProjectWork, ready: Sequence[_Ready], version: str) -> list[Outcome]:
    """Pushes them; a prediction of the same version is replaced. Where the label stream shows no version, it shows this one."""
    predictions, new = work.context.studio.predictions, list[PredictionItem]()
    outcomes: dict[int, Outcome] = {}
    for each in ready:
        score = min((item["score"] for item in each.items if "score" in item), default=1.0)
        item: PredictionItem = {"task": each.task.id, "model_version": version, "score": score, "result": each.items}
        there = [old for old in predictions.of(each.task.id) if old.get("model_version") == version]
        if there:
            predictions.replace(int(there[-1]["id"]), item)
        else:
            new.append(item)
        outcomes[each.task.id] = _outcome(work, each)
    for task, error in predictions.push(work.id, new).items():
        outcomes[task] = replace(outcomes[task], state="refused", message=error.message)
    if not work.project.model_version and any(each.state == "imported" for each in outcomes.values()):
        work.context.studio.projects.pin(work.id, version)
    return list(outcomes.values())


def _submitted(work: ProjectWork, ready: Sequence[_Ready], how: LabelImport) -> list[Outcome]:
    """Submits them as annotations, unless the task has one that says the same."""
    wanted = {each.task.id for each in ready}
    there = {
        task.id: [fingerprint(each["result"], work.config) for each in said if isinstance(each.get("result"), list)]
        for task, said in work.context.studio.annotations.by_task(work.id)
        if task.id in wanted
    }
    outcomes = []
    for each in ready:
        own = [
            {**{key: value for key, value in item.items() if key != "score"}, "origin": "manual"} for item in each.items
        ]
        outcome = _outcome(work, each)
        if fingerprint(own, work.config) in there.get(each.task.id, []):
            outcomes.append(replace(outcome, state="present", message="The task has an annotation with these labels."))
            continue
        if how.reviewed:
            own.append(
                {
                    "id": "imported-reviewed",
                    "from_name": work.question.reviewed_control,
                    "to_name": work.question.to_name,
                    "type": "choices",
                    "value": {"choices": [REVIEWED]},
                    "origin": "manual",
                }
            )
        work.context.studio.annotations.submit(each.task.id, own, ground_truth=how.ground_truth)
        outcomes.append(outcome)
    return outcomes


def _outcome(work: ProjectWork, each: _Ready) -> Outcome:
    return Outcome(
        each.found.file, video_name(each.task, work.question), "imported", each.task.id, len(each.items), each.left_out
    )
