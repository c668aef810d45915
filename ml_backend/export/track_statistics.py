"""The tracks of a project as numbers: what people have submitted, and what was predicted where nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ml_backend.errors import SettingsError, VideoError
from ml_backend.export.project import Source
from ml_backend.geometry.statistics import CONTACT, Scene
from ml_backend.geometry.table import Cell, individual_cells, pair_cells
from ml_backend.geometry.trajectory import Trajectory, told_apart
from ml_backend.geometry.zones import Zone
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.videos import naming, task_video, video_name
from ml_backend.labelstudio.box_track import Track, meant_boxes
from ml_backend.labelstudio.label_config import Question, parse_label_config
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.labelstudio.tasks import Task
from ml_backend.labelstudio.tracks import read_tracks
from ml_backend.provenance import RegionId
from ml_backend.video.timeline import read_timeline, studio_grid
from ml_backend.video.whole_frames import decode_whole


@dataclass(frozen=True)
class Wanted:
    """What is to be counted. `source`: whose tracks; both: people's where they have submitted some. `each`: seconds of the parts into which
    a video is cut, None for the whole. `contact`: in body lengths."""

    source: Source | Literal["both"] = "both"
    zones: tuple[Zone, ...] = ()
    each: float | None = None
    contact: float = CONTACT
    cm_per_width: float | None = None
    pairs: bool = False


@dataclass(frozen=True, eq=False)
class Tracked:
    """The tracks of one annotation or prediction of a task. `labels`: of each individual of the `scene`."""

    task: Task
    video: str
    control: str
    source: Source
    annotator: int | None
    labels: tuple[str, ...]
    scene: Scene


def rows(
    context: JobContext, project: int, wanted: Wanted, names: Mapping[int, str], skipped: list[str]
) -> Iterator[dict[str, Cell]]:
    """A row for each individual, or pair, and part of a video, by task. `names`: of annotators by their numbers. A sentence about what
    could not be counted is appended to `skipped`. Raises LabelStudioError, LabelConfigError and SettingsError."""
    for each in tracked(context, project, wanted, skipped):
        head: dict[str, Cell] = {
            "task": each.task.id,
            "video": each.video,
            "control": each.control,
            "source": each.source,
            "annotator": None if each.annotator is None else names.get(each.annotator, f"user {each.annotator}"),
        }
        label = dict(zip((one.name for one in each.scene.individuals), each.labels, strict=True))
        if wanted.pairs:
            for pair in each.scene.pairs(wanted.each):
                both = {"track": pair.name, "label": label[pair.name]}
                both |= {"other_track": pair.other, "other_label": label[pair.other]}
                yield head | both | pair_cells(pair, wanted.cm_per_width)
        else:
            for row in each.scene.rows(wanted.each):
                yield head | {"track": row.name, "label": label[row.name]} | individual_cells(row, wanted.cm_per_width)


def tracked(context: JobContext, project: int, wanted: Wanted, skipped: list[str]) -> Iterator[Tracked]:
    """The tracks that are wanted of each task, and of each annotator. Raises as `rows`."""
    asked = context.studio.projects.open(project)
    config = parse_label_config(asked.label_config)
    if not config.tracks:
        raise SettingsError(
            f"Project {project} asks for no boxes, so it has no tracks.",
            "Add <VideoRectangle> to its labeling interface; see docs/objects.md.",
        )
    version = asked.model_version or KEYFRAMES_VERSION
    for task, submitted, predicted in context.studio.annotations.beside_predictions(project, version):
        for question in config.tracks:
            try:
                yield from _of_task(context, question, task, submitted, predicted, wanted, skipped)
            except VideoError as error:
                skipped.append(f"Task {task.id} is left out: {error}")


def _of_task(
    context: JobContext,
    question: Question,
    task: Task,
    annotations: Sequence[Mapping[str, Any]],
    predicted: Sequence[object],
    wanted: Wanted,
    skipped: list[str],
) -> Iterator[Tracked]:
    submitted = [each for each in annotations if not each.get("was_cancelled")]
    people = {
        each.get("completed_by"): [
            one for one in _read(each.get("result"), question, task, skipped) if not one.is_one_box
        ]
        for each in sorted(submitted, key=lambda each: str(each.get("updated_at")))
    }
    people = {who: found for who, found in people.items() if found}
    said: list[tuple[Source, int | None, list[Track]]] = []
    if wanted.source != "model":
        said += [("human", who, found) for who, found in people.items()]
    if wanted.source == "model" or (wanted.source == "both" and not people):
        said += [("model", None, list(_read(predicted, question, task, skipped)))]
    if not any(found for *_, found in said):
        return
    file = task_video(context, question, task)
    with naming(task, question, file):
        timeline = read_timeline(file.path)
        grid = studio_grid(timeline, question.framerate_of(task.data))
        _, coded = next(iter(decode_whole(file.path, timeline)))
    aspect = coded.size[0] / coded.size[1]
    for source, who, found in said:
        labels, ways = [], []
        for name, track in zip(names_of(found), found, strict=True):
            frames, boxes = meant_boxes(track, len(grid), aspect)
            way = Trajectory.of(name, frames, boxes, grid.framerate, aspect)
            if len(way):
                ways.append(way)
                labels.append(", ".join(track.labels))
        scene = Scene(ways, float(timeline.duration), aspect, wanted.zones, wanted.contact)
        if ways:
            author = who if isinstance(who, int) else None
            yield Tracked(task, video_name(task, question), question.from_name, source, author, tuple(labels), scene)


def names_of(tracks: Sequence[Track]) -> list[str]:
    """What each track is called within its video, each once: by its number where it has one, else by its region's id."""
    ours = (RegionId.parse(each.id) for each in tracks)
    return told_apart([str(id.number) if id is not None else each.id for id, each in zip(ours, tracks, strict=True)])


def _read(result: object, question: Question, task: Task, skipped: list[str]) -> tuple[Track, ...]:
    found = read_tracks(result if isinstance(result, list) else [], question)
    skipped += [f"Task {task.id}: {error}" for error in found.refused]
    return found.tracks
