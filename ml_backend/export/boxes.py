"""An export of a project's boxes from beginning to end: which frames, in which part, and what is told about it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import SettingsError, VideoError
from ml_backend.export.box_files import BoxForm, BoxSet, Counts, Written
from ml_backend.export.boxed_tasks import BoxChoice, BoxedTask, boxed_tasks
from ml_backend.export.choose import PARTS, Part, split
from ml_backend.export.dataset import Source
from ml_backend.export.staging import Output, check_outputs, staged
from ml_backend.jobs.project import ProjectWork

Bar = Callable[[str], Callable[[float], None]]
_OUT = "-o"
_REMEDY = "Draw some boxes and submit them, or relax the options: another --source, or a lower --min-confidence."


@dataclass(frozen=True, eq=False)
class _Planned:
    """`boxed`: (k,) all frame indices with a box. `chosen`: (m,) those that are taken."""

    task: BoxedTask
    boxed: NDArray[np.int64]
    chosen: NDArray[np.int64]


def write_boxes(
    work: ProjectWork,
    output: Path,
    form: BoxForm,
    choice: BoxChoice,
    bar: Bar,
    license: str | None = None,
    *,
    preview: bool = False,
) -> dict[str, Any]:
    """Writes the boxes of the question of `work` to `output`: a file of COCO JSON where it ends in `.json`, else a folder.

    Returns counts, and `skipped`: a sentence for each task and region that was left out. All of it is there in the end, or
    nothing. With `preview` nothing is written. Raises SettingsError, StorageError and LabelStudioError.
    """
    alone = form == "coco" and output.suffix.lower() == ".json"
    _refuse(output, form, choice, alone, license)
    skipped: list[str] = []
    progress = bar("reading the boxes of each video")
    planned = []
    for task in boxed_tasks(work, choice, skipped):
        boxed = task.boxed()
        planned.append(_Planned(task, boxed, _chosen(task, boxed, choice)))
        progress(0.0)
    planned = [each for each in planned if len(each.chosen)]
    if not planned:
        raise SettingsError(f"No box matches the export options.{''.join(f' {each}' for each in skipped[:1])}", _REMEDY)
    frames = {each.task.task.id: len(each.chosen) for each in planned}
    groups = {each.task.task.id: each.task.group for each in planned}
    parts = split(frames, groups, choice.shares, choice.seed) if choice.shares else {}
    if preview:
        return {
            "videos": len(planned),
            "frames": sum(frames.values()),
            "tree": _tree(planned, parts),
            "skipped": skipped,
        }
    labels = tuple(dict.fromkeys([*work.question.labels, *(o.label for each in planned for o in each.task.objects)]))
    source = Source(work.id, work.project.title, work.context.settings.label_studio_url, labels, license)
    written: list[Written] = []
    step = bar("writing boxes")
    with staged([Output(output, _OUT, not alone)], "give another name with -o") as places:
        files = BoxSet(places[_OUT], form, labels, tuple(part for part in PARTS if part in parts.values()), alone)
        for position, each in enumerate(planned):
            part = parts.get(each.task.task.id, "")
            try:
                written.append(
                    files.add(work, each.task, each.chosen, each.boxed, part, _within(step, position, planned))
                )
            except VideoError as error:
                skipped.append(f"Task {each.task.task.id} is left out: {error}")
        if not any(each.frames for each in written):
            raise SettingsError(f"No picture with a box can be read. {skipped[0] if skipped else ''}".strip(), _REMEDY)
        counts = _counts(written)
        files.finish(source, choice, written, counts, skipped)
    return {
        "videos": len(written),
        "frames": sum(each.frames for each in written),
        "boxes": sum(sum(of.values()) for of in counts.values()),
        "counts": counts,
        "skipped": skipped,
    }


def _refuse(output: Path, form: BoxForm, choice: BoxChoice, alone: bool, license: str | None) -> None:
    """Raises SettingsError for a place that cannot take what is asked for, before anything is read."""
    if os.path.lexists(output):
        raise SettingsError(f"{output} already exists.", "Remove it, or choose another name with -o.")
    if output.suffix.lower() in (".zip", ".csv", ".parquet") or (output.suffix.lower() == ".json" and not alone):
        what = "a .json file or a folder" if form == "coco" else "a folder"
        raise SettingsError(f"Boxes as {form} are not written to a {output.suffix} file.", f"Give {what} with -o.")
    if alone and choice.shares is not None:
        raise SettingsError("--split needs a file for each part.", "Give a folder with -o, or omit --split.")
    if choice.key_frames and choice.every > 1:
        raise SettingsError("--every and --key-frames are two ways to take frames.", "Omit one of them.")
    check_outputs([Output(output, _OUT, not alone)], [], False)


def _chosen(task: BoxedTask, boxed: NDArray[np.int64], choice: BoxChoice) -> NDArray[np.int64]:
    if choice.key_frames:
        return np.intersect1d(boxed, [index for each in task.objects for index in each.key_pictures(task.grid)])
    return boxed[:: choice.every]


def _within(step: Callable[[float], None], position: int, planned: Sequence[_Planned]) -> Callable[[float], None]:
    """What is told the share that is done of the video at `position`."""
    return lambda share: step((position + share) / len(planned))


def _counts(written: Sequence[Written]) -> Counts:
    """Boxes by part (`""` when nothing is split) and label."""
    found: dict[Part, Counter[str]] = {}
    for each in written:
        found.setdefault(each.part, Counter()).update(each.boxes)
    return {part: dict(sorted(found[part].items())) for part in ("", *PARTS) if part in found}


def _tree(planned: Sequence[_Planned], parts: dict[int, Part]) -> list[str]:
    """A line for each video: its part, its name, and how many frames of it are taken."""
    return [
        f"{'/'.join(filter(None, (parts.get(each.task.task.id, ''), each.task.name)))}  {len(each.chosen)}"
        for each in planned
    ]
