"""Boxes of other programs into a project: each video's file or part of one becomes the tracks of its task, as a prediction or as a
submitted annotation. Everything is read, matched and made before the first of it is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import SettingsError
from ml_backend.importing.box_tasks import tasks_of
from ml_backend.importing.coco_boxes import read_coco
from ml_backend.importing.found_boxes import FoundTrack, FoundVideo, refused
from ml_backend.importing.keypoints import Boxing, read_keypoints
from ml_backend.importing.mot_boxes import read_mot
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import naming, task_video, video_name
from ml_backend.labelstudio.box_track import KeyFrame, Track, at_studio_frames
from ml_backend.labelstudio.submitted_tracks import submittable
from ml_backend.labelstudio.tasks import Task
from ml_backend.labelstudio.tracks import checksum, read_tracks, track_items
from ml_backend.objects.boxes import clipped
from ml_backend.objects.keyframes import thin
from ml_backend.prediction_item import PredictionItem, ResultItem
from ml_backend.provenance import imported_track_id
from ml_backend.video.timeline import StudioFrame, StudioGrid, read_timeline, studio_grid
from ml_backend.video.whole_frames import decode_whole
from ml_backend.wording import counted, listed, quoted

# What Label Studio's page can still show.
MOST_OBJECTS = 1000
# What an export calls an object that nobody has named.
_UNNAMED = "object"
_OTHERS = {
    ".h5": "Export CSV instead: DeepLabCut with save_as_csv=True, SLEAP with File, Export Analysis CSV.",
    ".slp": "In SLEAP choose File, Export Analysis CSV.",
    ".pickle": "Export CSV: in DeepLabCut with save_as_csv=True.",
    ".xml": "Export COCO or MOT from that program.",
}


@dataclass(frozen=True)
class BoxImport:
    """How boxes are imported. `version`: of the model whose predictions they become; None submits them as annotations. `classes`:
    a class of the files to the label that it becomes, or to nothing. `task`: whose video the only one is."""

    version: str | None
    classes: Mapping[str, str] = field(default_factory=dict)
    boxing: Boxing = field(default_factory=Boxing)
    task: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one video of a file. `left_out`: boxes outside of the picture, or in frames that Label Studio does not
    show."""

    file: str
    video: str
    state: Literal["imported", "present", "unmatched", "refused"]
    task: int | None = None
    tracks: int = 0
    key_frames: int = 0
    left_out: int = 0
    message: str = ""


@dataclass(frozen=True, eq=False)
class _Ready:
    found: FoundVideo
    task: Task
    tracks: tuple[Track, ...]
    items: list[ResultItem]
    left_out: int


def read_boxes(path: Path, boxing: Boxing) -> list[FoundVideo]:
    """The videos of a file, whose kind its contents tell. Raises SettingsError."""
    name, ending = str(path), path.suffix.lower()
    if ending in _OTHERS or ending == ".hdf5":
        raise refused(name, f"{ending} files are not read", _OTHERS.get(ending, _OTHERS[".h5"]))
    if ending == ".json":
        return read_coco(path)
    if ending == ".txt" or (ending == ".csv" and _is_mot(path)):
        return [read_mot(path)]
    if ending == ".csv":
        return [read_keypoints(path, boxing)]
    raise refused(name, "its kind is unknown", "Give a MOT .txt, COCO .json, DeepLabCut .csv or SLEAP .csv.")


def _with_boxes(path: Path, boxing: Boxing) -> list[FoundVideo]:
    """Raises SettingsError for a file without boxes: sent, it would hide what is there by nothing."""
    videos = read_boxes(path, boxing)
    if not videos or not all(each.tracks for each in videos):
        raise refused(str(path), "it has no box that counts", "Give a file with boxes, or omit this one.")
    return videos


def _is_mot(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            cells = file.readline(1000).decode("utf-8", errors="replace").split(",")
    except OSError:
        return False
    return len(cells) >= 6 and all(re.fullmatch(r"\s*-?[\d.]+\s*", each) for each in cells)


def import_boxes(
    work: ProjectWork, files: Sequence[Path], how: BoxImport, progress: Callable[[float], None]
) -> list[Outcome]:
    """Reads `files` and makes their tracks predictions, or annotations, of the tasks whose videos they are about: those of the boxes
    that `work` is on. What is there already is not made twice.

    Nothing is sent when a file cannot be used. Raises SettingsError, VideoError and LabelStudioError.
    """
    found = [video for path in files for video in _with_boxes(path, how.boxing)]
    if how.task is not None and len(found) != 1:
        raise SettingsError(f"--task needs boxes of one video, and these are of {len(found)}.", "Omit --task.")
    matched, unmatched = tasks_of(work, found, how.task)
    what = f"task {how.task}" if how.task is not None else "video called {}"
    outcomes = [
        Outcome(each.file, each.names[0], "unmatched", message=f"The project has no {what.format(each.names[0])}.")
        for each in unmatched
    ]
    _check_classes(work, how, matched)
    ready = []
    for position, (video, task) in enumerate(matched):
        ready.append(_made(work, video, task, how))
        progress((position + 1) / (len(matched) + 1))
    return [*outcomes, *(_predicted(work, ready, how.version) if how.version else _submitted(work, ready))]


def _check_classes(work: ProjectWork, how: BoxImport, matched: Iterable[tuple[FoundVideo, Task]]) -> None:
    """Raises SettingsError for a class that is no label of the project, and is not said to be one."""
    question = work.question
    if question.labels_control is None:
        return
    if wrong := [label for label in how.classes.values() if label and label not in question.labels]:
        raise SettingsError(
            f"The label config has no label {quoted(wrong[0])}.", f"It has {listed(question.labels) or 'no labels'}."
        )
    unknown = {
        track.label: None
        for video, task in matched
        for track in video.tracks
        if track.label not in (None, _UNNAMED) and not track.named and track.label not in how.classes
        if track.label not in question.labels_of(task.data)
    }
    if unknown:
        named = listed(map(str, list(unknown)[:5])) + (", …" if len(unknown) > 5 else "")
        first, label = next(iter(unknown)), question.labels[0] if question.labels else ""
        raise SettingsError(
            f"These classes are no labels of the project: {named}. It has {listed(question.labels) or 'none'}.",
            f"Say what each is, as --class {first}={label}, or --class {first}= for none.",
        )


def _labels(work: ProjectWork, how: BoxImport, track: FoundTrack, task: Task) -> tuple[str, ...]:
    if work.question.labels_control is None:
        return ()
    known = work.question.labels_of(task.data)
    label = how.classes.get(track.label, track.label) if track.label is not None else None
    if label in known:
        return (label,)
    # What is not named is the only thing that there is to name, unless somebody said that it is none.
    return known if len(known) == 1 and track.label not in how.classes else ()


def _made(work: ProjectWork, video: FoundVideo, task: Task, how: BoxImport) -> _Ready:
    """The tracks of one task. Raises SettingsError for what cannot be of its video, and VideoError."""
    if len(video.tracks) > MOST_OBJECTS:
        raise refused(
            video.file,
            f"it has {counted(len(video.tracks), 'object')} of {video.names[0]}, and Label Studio shows at most {MOST_OBJECTS:,}",
            "Give boxes of the same object a track, or import fewer.",
        )
    file = task_video(work.context, work.question, task)
    with naming(task, work.question, file):
        timeline = read_timeline(file.path)
        size = video.size or next(iter(decode_whole(file.path, timeline)))[1].size
    grid = studio_grid(timeline, work.question.framerate_of(task.data))
    step = _step(video.tracks)
    tracks, left_out, outside, count = [], 0, 0, 0
    for each in video.tracks:
        last = int(each.frames[-1]) if len(each.frames) else 0
        if last >= len(timeline):
            raise refused(
                video.file,
                f"it has a box in frame {last}, counted from 0, and {video_name(task, work.question)} has {len(timeline)} frames",
                "It is about another video, or counts frames otherwise.",
            )
        boxes = clipped(each.boxes / (*size, *size))
        inside = np.asarray((boxes[:, 2:] > 0).all(axis=1), np.bool_)
        count += len(inside)
        outside += int((~inside).sum())
        frames, whole = _bridged(each.frames[inside], boxes[inside].astype(np.float64), step)
        keys = _keys(frames, whole, grid, work.settings.track_iou)
        if not keys:
            left_out += int(inside.sum())
            continue
        labels = _labels(work, how, each, task)
        tracks.append(Track(imported_track_id(each.number), keys, labels, each.score, "prediction"))
    if 2 * outside > count:
        raise refused(
            video.file,
            f"most of its boxes lie outside of the {size[0]} x {size[1]} pixels of {video_name(task, work.question)}",
            "They are not in pixels of this video.",
        )
    if not tracks:
        raise refused(
            video.file,
            f"Label Studio shows none of its boxes in {video_name(task, work.question)}",
            "Give boxes inside the picture, in frames that Label Studio counts.",
        )
    items = track_items(tracks, work.question, grid)
    return _Ready(video, task, tuple(tracks), items, left_out + outside)


def _step(tracks: Iterable[FoundTrack]) -> int:
    """Of how many frames one usually has boxes: of every one, mostly."""
    frames = [each.frames for each in tracks if len(each.frames) > 1]
    gaps = np.diff(np.unique(np.concatenate(frames))) if frames else np.ones(1)
    return int(np.median(gaps)) if len(gaps) else 1


def _bridged(
    frames: NDArray[np.int64], boxes: NDArray[np.float64], step: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """With boxes in the frames between those of a file that has only every `step`th; wider gaps stay."""
    if step < 2 or len(frames) < 2:
        return frames, boxes
    every = np.arange(frames[0], frames[-1] + 1)
    after = np.minimum(np.searchsorted(frames, every), len(frames) - 1)
    before = np.maximum(np.searchsorted(frames, every, "right") - 1, 0)
    every = every[frames[after] - frames[before] <= step]
    return every, np.stack([np.interp(every, frames, boxes[:, axis]) for axis in range(4)], axis=1)


def _keys(
    frames: NDArray[np.int64], boxes: NDArray[np.float64], grid: StudioGrid, least: float
) -> tuple[KeyFrame, ...]:
    """Key frames that draw the boxes, shares of the picture; none where Label Studio shows no frame of them."""
    dense = np.full((len(grid.timeline), 4), np.nan)
    dense[frames] = boxes
    rows = at_studio_frames(dense, grid)
    shown = np.flatnonzero(~np.isnan(rows[:, 0])) + 1
    thinned = thin(shown, rows[shown - 1].astype(np.float32), least, exact=True)
    percent = [(100 * key.box.astype(np.float64)).tolist() for key in thinned]
    return tuple(
        KeyFrame(StudioFrame(key.frame), x, y, width, height, enabled=key.enabled)
        for key, (x, y, width, height) in zip(thinned, percent, strict=True)
    )


def _outcome(work: ProjectWork, each: _Ready) -> Outcome:
    name, keys = video_name(each.task, work.question), sum(len(track.keys) for track in each.tracks)
    return Outcome(each.found.file, name, "imported", each.task.id, len(each.tracks), keys, each.left_out)


def _predicted(work: ProjectWork, ready: Sequence[_Ready], version: str) -> list[Outcome]:
    """Pushes them; a prediction of the same version is replaced. Where the label stream shows no version, it shows this one."""
    predictions, new = work.context.studio.predictions, list[PredictionItem]()
    outcomes: dict[int, Outcome] = {}
    for each in ready:
        score = min((track.score for track in each.tracks if track.score is not None), default=1.0)
        item: PredictionItem = {
            "task": each.task.id,
            "model_version": version,
            "score": score,
            "result": each.items,
        }
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


def _submitted(work: ProjectWork, ready: Sequence[_Ready]) -> list[Outcome]:
    """Submits them as annotations, unless the task has one with the same boxes."""
    wanted = {each.task.id for each in ready}
    there: dict[int, list[dict[str, str]]] = {}
    for task, said in work.context.studio.annotations.by_task(work.id):
        if task.id in wanted:
            results = [each["result"] for each in said if isinstance(each.get("result"), list)]
            there[task.id] = [_checksums(read_tracks(each, work.question).tracks) for each in results]
    outcomes = []
    for each in ready:
        outcome = _outcome(work, each)
        if _checksums(read_tracks(each.items, work.question).tracks) in there.get(each.task.id, []):
            outcomes.append(replace(outcome, state="present", message="The task has an annotation with these boxes."))
            continue
        work.context.studio.annotations.submit(each.task.id, submittable(each.items))
        outcomes.append(outcome)
    return outcomes


def _checksums(tracks: Iterable[Track]) -> dict[str, str]:
    return {each.id: checksum(each) for each in tracks}
