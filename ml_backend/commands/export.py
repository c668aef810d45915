"""`coldblitz export`: labels as a table, pictures in a folder per label, or clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ml_backend.commands.terminal import progress_bars, terminal
from ml_backend.errors import SettingsError
from ml_backend.settings import Settings
from ml_backend.wording import in_list

if TYPE_CHECKING:
    from ml_backend.export.box_files import BoxForm
    from ml_backend.export.write import Bar
    from ml_backend.export.write import Form as FrameForm


class Form(StrEnum):
    IMAGEFOLDER = "imagefolder"
    HUGGINGFACE = "huggingface"
    CLIPS = "clips"
    COCO = "coco"
    YOLO = "yolo"
    MOT = "mot"
    CROPS = "crops"
    BORIS = "boris"
    BORIS_TABULAR = "boris-tabular"
    BORIS_AGGREGATED = "boris-aggregated"
    NOLDUS = "noldus"
    ELAN = "elan"
    SIMBA = "simba"
    VTT = "vtt"
    SRT = "srt"
    EDL = "edl"
    MARKERS = "markers"
    FIFTYONE = "fiftyone"
    LABELSTUDIO = "labelstudio"


_BOXES = (Form.COCO, Form.YOLO, Form.MOT, Form.CROPS)
_PICTURES = (Form.IMAGEFOLDER, Form.HUGGINGFACE, Form.CLIPS)


class By(StrEnum):
    HUMAN = "human"
    MODEL = "model"
    BOTH = "both"


def export(
    project: Annotated[int, typer.Argument(help="Number of the project in Label Studio.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="labels: .json, .csv or .parquet; pictures: .zip or a folder; boxes: a folder, or .json for coco; timelines: a file "
            "or a folder, by their format.",
        ),
    ],
    form: Annotated[
        Form | None,
        typer.Option(
            "--as",
            help="Format for anything but a table of labels; the default is imagefolder. Boxes: coco, yolo, mot, or crops, a "
            "picture of each box. Timelines: boris, boris-tabular, boris-aggregated, noldus, elan, simba, vtt, srt, edl, markers, "
            "fiftyone, or labelstudio.",
        ),
    ] = None,
    source: Annotated[By, typer.Option(help="Whose labels.")] = By.BOTH,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Minimum confidence of a predicted label.")] = 0.0,
    every: Annotated[
        int, typer.Option(min=1, help="Take every n-th frame of each label in a video; boxes: of each video.")
    ] = 1,
    key_frames: Annotated[
        bool, typer.Option("--key-frames", help="Boxes: take only frames at which a box was placed.")
    ] = False,
    max_per_label: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of frames per label, spread over all videos.")
    ] = None,
    near: Annotated[
        int,
        typer.Option(
            min=0, max=64, help="Skip pictures that differ in fewer than this many of 64 hash bits; 4 is a good value."
        ),
    ] = 0,
    none: Annotated[str | None, typer.Option(help="Add a folder for frames without any of the labels.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Shares of train, val, and test, split by whole videos: 0.8,0.1,0.1")
    ] = None,
    license: Annotated[str | None, typer.Option(help="License to record on the dataset card.")] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Which control to export, if there are several; by default, tables contain all of them."),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Print what would be written, and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """A project's labels or boxes, people's and the model's, and the very frames they are about. An interrupted export goes on where
    it stopped when the command is given again. Exit code 1 when nothing could be written.
    Example: coldblitz export 1 -o frames.zip --every 5 --split 0.8,0.1,0.1"""
    from ml_backend.export.choose import Choice
    from ml_backend.export.project import open_work
    from ml_backend.export.write import write_export
    from ml_backend.jobs.context import JobContext

    context = JobContext(Settings.from_environment())
    if form in _BOXES:
        from ml_backend.export.boxed_tasks import BoxChoice
        from ml_backend.export.boxes import write_boxes
        from ml_backend.jobs.project import open_boxes

        _refuse({"--max-per-label": max_per_label, "--near": near, "--none": none}, "boxes")
        boxes = BoxChoice(every, key_frames, source.value, min_confidence, _shares(split))
        with _bar(as_json) as bar:
            work = open_boxes(context, project, control)
            told = write_boxes(work, output, cast("BoxForm", form.value), boxes, bar, license, preview=preview)
        _tell(told, output, as_json)
        return
    if form is not None and form not in _PICTURES:
        from ml_backend.export.event_files import EventChoice, write_events
        from ml_backend.importing.import_labels import open_timelines

        meaningless = {
            "--every": every > 1,
            "--key-frames": key_frames,
            "--max-per-label": max_per_label,
            "--near": near,
        }
        _refuse({**meaningless, "--none": none, "--split": split, "--license": license}, "timelines")
        work = open_timelines(context, project, control)
        events = EventChoice(source.value, min_confidence)
        with _bar(as_json) as bar:
            bar_of = bar("reading the labels of each video")
            told = write_events(work, output, form.value, events, bar_of, control, preview=preview)
        _tell(told, output, as_json)
        return
    _refuse({"--key-frames": key_frames}, "frames")
    work = open_work(context, project, control)
    choice = Choice(every, max_per_label, source.value, min_confidence, none, near, _shares(split))
    with _bar(as_json) as bar:
        written = write_export(
            work, output, cast("FrameForm | None", form.value if form else None), choice, bar, license, preview=preview
        )
    _tell(written, output, as_json)


def _refuse(options: Mapping[str, object], what: str) -> None:
    """Raises SettingsError for an option that would change nothing."""
    if given := [option for option, value in options.items() if value]:
        raise SettingsError(f"{' and '.join(given)} cannot be used when exporting {what}.", "Omit it.")


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


@contextmanager
def _bar(quiet: bool) -> Iterator[Bar]:
    with progress_bars(quiet) as progress:

        def begin(text: str) -> Callable[[float], None]:
            # Until something is done nobody knows how long it takes: the bar only moves.
            row = progress.add_task(text, total=None)
            return lambda share: progress.update(row, completed=share, total=1 if share else None)

        yield begin


def _tell(written: dict[str, Any], output: Path, as_json: bool) -> None:
    console = terminal()
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
        said = ", ".join(f"{in_list(label)} {count}" for label, count in labels.items())
        console.print(f"  {part or 'all'}: {said}", markup=False)
