"""One export from beginning to end, for the command and for the job."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ml_backend.errors import SettingsError
from ml_backend.export.choose import Choice, narrow, nothing_to_export, plan
from ml_backend.export.clips import clips, write_clips
from ml_backend.export.dataset import Source, tree, write_dataset
from ml_backend.export.project import Run, Video, fetch, videos
from ml_backend.export.staging import unwritable
from ml_backend.export.tables import beside, writing
from ml_backend.jobs.project import ProjectWork

Form = Literal["imagefolder", "huggingface", "clips"]
# Told what is done now; it gives a function to tell the share that is done, 0..1, which stays 0 when nobody knows it.
Bar = Callable[[str], Callable[[float], None]]

TABLES = (".json", ".csv", ".parquet")


def write_export(
    work: ProjectWork,
    output: Path,
    form: Form | None,
    choice: Choice,
    bar: Bar,
    license: str | None = None,
    *,
    preview: bool = False,
) -> dict[str, Any]:
    """Writes a table of labels when `output` ends like one, else `form`, an image folder when that is None; returns counts,
    and `skipped`: a sentence for each task that was left out. With `preview` nothing is written. A table has the labels of
    all of the config's questions, each with its control; the rest is about one, the main one unless `work` is on another.

    Raises SettingsError, also for what is asked for and has no meaning there, StorageError and LabelStudioError."""
    _refuse_meaningless(output, form, choice, license)
    skipped: list[str] = []
    progress = bar("reading the labels of each video")
    found: list[Video] = []
    is_table = output.suffix.lower() in TABLES
    for video in videos(work, skipped, every_question=is_table and work.asked is None):
        found.append(video)
        progress(0.0)
    if is_table:
        written = _labels(output, found, choice, preview)
    else:
        written = _pictures(work, found, output, form or "imagefolder", choice, license, preview, bar)
    return {**written, "skipped": [*skipped, *written.get("skipped", ())]}


def _refuse_meaningless(output: Path, form: Form | None, choice: Choice, license: str | None) -> None:
    """Raises SettingsError for an option that would change nothing: who gives it believes that it does."""
    asked = {
        "--as": form is not None,
        "--every": choice.every > 1,
        "--max-per-label": choice.max_per_label is not None,
        "--near": choice.near > 0,
        "--none": choice.none is not None,
        "--split": choice.shares is not None,
        "--license": license is not None,
    }
    if output.suffix.lower() in TABLES:
        what, meaningless = "a table of labels", ("--as", "--near", "--none", "--split", "--license")
    elif form == "clips":
        what, meaningless = "clips", ("--every", "--max-per-label", "--near", "--split", "--license")
    else:
        return
    if given := [option for option in meaningless if asked[option]]:
        raise SettingsError(
            f"{' and '.join(given)} cannot be used when exporting {what}.",
            "Omit it, or export pictures: use -o with a folder or a .zip file.",
        )


def _labels(output: Path, found: Sequence[Video], choice: Choice, preview: bool) -> dict[str, Any]:
    if not found:
        raise SettingsError("Nothing is labeled in this project yet.", "Label some frames, or let a model predict.")
    controls = sorted({run.control for video in found for run in video.runs})
    found = narrow(found, choice) if len(controls) == 1 else _narrowed_each(found, choice, controls)
    rows = sum(len(run) for video in found for run in video.runs)
    if not preview:
        if output.exists():
            raise SettingsError(f"{output} already exists.", "Remove it, or choose another name with -o.")
        part = output.with_name(f"{output.name}.part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            with writing(part, output.suffix.lower(), beside(found)) as write:
                for video in found:
                    write(video)
            os.replace(part, output)
        except OSError as error:
            raise unwritable(output, error, "give another name with -o") from error
        finally:
            part.unlink(missing_ok=True)
    return {"videos": len(found), "rows": rows}


def _narrowed_each(found: Sequence[Video], choice: Choice, controls: Sequence[str]) -> list[Video]:
    """Narrowed control by control: a label of the same name in another one is another thing."""
    runs: dict[int, list[Run]] = {}
    for control in controls:
        own = (replace(video, runs=tuple(run for run in video.runs if run.control == control)) for video in found)
        with suppress(SettingsError):  # nothing is left of this control; of another one something may be
            for video in narrow([video for video in own if video.runs], choice):
                runs.setdefault(video.task.id, []).extend(video.runs)
    if not runs:
        raise nothing_to_export()
    narrowed = []
    for video in found:
        if mine := sorted(runs.get(video.task.id, ()), key=lambda run: (run.start, run.stop, run.control)):
            version = video.version if any(run.source == "model" for run in mine) else None
            narrowed.append(replace(video, runs=tuple(mine), version=version))
    return narrowed


def _pictures(
    work: ProjectWork,
    found: Sequence[Video],
    output: Path,
    form: Form,
    choice: Choice,
    license: str | None,
    preview: bool,
    bar: Bar,
) -> dict[str, Any]:
    def file_of(video: Video) -> Path:
        return fetch(work, video).path

    if form == "clips":
        count = sum(len(clips(video, choice)) for video in found)
        if not count:
            raise nothing_to_export()
        if not preview:
            write_clips(output, work.question.labels, found, choice, file_of, bar("cutting clips"))
        return {"videos": len(found), "clips": count}
    planned = plan(found, choice)
    origin = Source(work.id, work.project.title, work.context.settings.label_studio_url, work.question.labels, license)
    if preview:
        return {"pictures": len(planned), "counts": planned.counts(), "tree": tree(planned, origin, choice)}
    card = write_dataset(output, origin, found, planned, choice, form, file_of, bar("writing pictures"))
    pictures = sum(task["pictures"] for task in card["tasks"])
    return {"pictures": pictures, "counts": card["counts"], "skipped": card["left_out"]}
