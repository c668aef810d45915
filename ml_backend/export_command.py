"""`coldblitz export`: labels as a table, pictures in a folder per label, or clips."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from ml_backend.errors import SettingsError, StorageError
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml_backend.export.choose import Choice
    from ml_backend.export.project import Video
    from ml_backend.jobs.project_work import ProjectWork
    from ml_backend.jobs.worker_context import WorkerContext

_TABLES = (".json", ".csv", ".parquet")


class Form(StrEnum):
    imagefolder = "imagefolder"
    huggingface = "huggingface"
    clips = "clips"


class By(StrEnum):
    human = "human"
    model = "model"
    both = "both"


def export(
    project: Annotated[int, typer.Argument(help="The project's number in Label Studio.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="labels: .json, .csv or .parquet; pictures: .zip or a folder.")
    ],
    form: Annotated[
        Form, typer.Option("--as", help="What to write when it is not a table of labels.")
    ] = Form.imagefolder,
    source: Annotated[By, typer.Option(help="Whose labels.")] = By.both,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Of a model's labels at least this.")] = 0.0,
    every: Annotated[int, typer.Option(min=1, help="Of each label's frames in a video every so many.")] = 1,
    max_per_label: Annotated[
        int | None, typer.Option(min=1, help="Pictures of a label, spread over all videos.")
    ] = None,
    near: Annotated[
        int, typer.Option(min=0, max=64, help="Leave out what differs in fewer bits of 64; 4 is sensible.")
    ] = 0,
    none: Annotated[str | None, typer.Option(help="A folder for frames that have none of the labels.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Shares of train, val and test, by whole videos: 0.8,0.1,0.1")
    ] = None,
    license: Annotated[str | None, typer.Option(help="Noted on the data set's card.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Say what would be written, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """A project's labels, people's and the model's, and the very frames they are about. An interrupted export goes on where
    it stopped when the command is given again. Exit code 1 when nothing could be written.
    Example: coldblitz export 1 -o frames.zip --every 5 --split 0.8,0.1,0.1"""
    from ml_backend.export.choose import Choice
    from ml_backend.export.project import open_work, videos
    from ml_backend.jobs.worker_context import WorkerContext

    context = WorkerContext(Settings.from_environment())
    work = open_work(context, project)
    choice = Choice(every, max_per_label, source.value, min_confidence, none, near, _shares(split))
    skipped: list[str] = []
    with _bar(as_json) as bar:
        step = bar("reading what is known of each video", None)
        found = []
        for video in videos(context, work, skipped):
            found.append(video)
            step(len(found))
        if output.suffix.lower() in _TABLES:
            written = _labels(output, found, preview)
        else:
            written = _pictures(context, work, found, output, form, choice, license, preview, bar)
    _tell({**written, "skipped": [*skipped, *written.get("skipped", ())]}, output, as_json)


Step = Callable[[int], None]
Bar = Callable[[str, int | None], Step]


def _labels(output: Path, found: Sequence[Video], preview: bool) -> dict[str, Any]:
    from ml_backend.export.tables import writing

    rows = sum(len(run) for video in found for run in video.runs)
    if not rows:
        raise SettingsError("Nothing is labelled in this project yet.", "Label some frames, or let a model predict.")
    if not preview:
        _refuse(output)
        part = output.with_name(f"{output.name}.part")
        try:
            with writing(part, output.suffix.lower()) as write:
                for video in found:
                    write(video)
            os.replace(part, output)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StorageError(
                f"{output} cannot be written ({error.strerror}).", "Make room, or name another."
            ) from error
    return {"videos": len(found), "rows": rows}


def _pictures(
    context: WorkerContext,
    work: ProjectWork,
    found: Sequence[Video],
    output: Path,
    form: Form,
    choice: Choice,
    license: str | None,
    preview: bool,
    bar: Bar,
) -> dict[str, Any]:
    from ml_backend.export.choose import plan
    from ml_backend.export.clips import clips, write_clips
    from ml_backend.export.dataset import Layout, Source, tree, write_dataset
    from ml_backend.export.project import fetch

    def file_of(video: Video) -> Path:
        return fetch(context, work, video).path

    if form is Form.clips:
        count = sum(len(clips(video, choice)) for video in found)
        if preview:
            return {"videos": len(found), "clips": count}
        done = write_clips(output, work.config.labels, found, choice, file_of, bar("cutting clips", count))
        return {"videos": len(found), "clips": done}
    planned = plan(found, choice)
    origin = Source(work.id, work.project.title, context.settings.label_studio_url, work.config.labels, license)
    if preview:
        return {"pictures": len(planned), "counts": planned.counts(), "tree": tree(planned, origin, choice)}
    layout: Layout = "huggingface" if form is Form.huggingface else "imagefolder"
    step = bar("writing pictures", len(planned))
    card = write_dataset(output, origin, found, planned, choice, layout, file_of, step)
    pictures = sum(task["pictures"] for task in card["tasks"])
    return {"pictures": pictures, "counts": card["counts"], "skipped": card["left_out"]}


def _shares(text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    shares += [0.0] * (3 - len(shares))
    if len(shares) != 3 or any(not 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise SettingsError(
            f"--split {text} is not the shares of train, val and test.", "Write 0.8,0.1,0.1: their sum is 1."
        )
    return shares[0], shares[1], shares[2]


def _refuse(output: Path) -> None:
    if output.exists():
        raise SettingsError(f"{output} is there already.", "Remove it, or give another name with -o.")


@contextmanager
def _bar(quiet: bool) -> Iterator[Bar]:
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:

        def begin(text: str, total: int | None) -> Step:
            row = progress.add_task(text, total=total)
            return lambda done: progress.update(row, completed=done)

        yield begin


def _tell(written: dict[str, Any], output: Path, as_json: bool) -> None:
    console = Console()
    if as_json:
        console.print_json(json.dumps({"output": str(output), **written}))
        return
    for line in written.pop("tree", ()):
        console.print(line, markup=False)
    for sentence in written.pop("skipped"):
        console.print(sentence, style="yellow", markup=False)
    counts = written.pop("counts", {})
    console.print(", ".join(f"{count} {name}" for name, count in written.items()) + f": {output}", markup=False)
    for part, labels in counts.items():
        said = ", ".join(f"{label} {count}" for label, count in labels.items())
        console.print(f"  {part or 'all'}: {said}", markup=False)
