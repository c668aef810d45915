"""`coldblitz pseudo-label`: boxes that train a detector, from videos alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml_backend.commands.terminal import progress_bars, terminal
from ml_backend.detector_names import NONE, wrong_detector
from ml_backend.errors import SettingsError
from ml_backend.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml_backend.export.pseudo_labels import Bar, VideoReport
    from ml_backend.objects.choosing import Places


class BoxFormat(StrEnum):
    COCO = "coco"
    YOLO = "yolo"
    MOT = "mot"


def pseudo_label(
    videos: Annotated[list[Path], typer.Argument(help="Video files.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="COCO: a .json file; YOLO and MOT: a folder.")],
    detector: Annotated[
        str,
        typer.Option(
            help="motion: whatever moves, called object; people: who stands or walks, called person; a network: "
            "torchvision/NAME or hf/NAME; your own: custom:FILE."
        ),
    ] = "motion",
    weights: Annotated[
        Path | None, typer.Option(help="With a network: its weights; the default fetches them once.")
    ] = None,
    form: Annotated[BoxFormat, typer.Option("--format", help="Format of the boxes.")] = BoxFormat.COCO,
    every: Annotated[
        int | None, typer.Option(min=1, help="Take every n-th frame; the default is about one per second.")
    ] = None,
    key_frames: Annotated[
        bool, typer.Option("--key-frames", help="Take the frames in which a track changes its way, instead.")
    ] = False,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Minimum score of a detection.")] = 0.0,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Take only this class; may be repeated. object=mouse also renames it."),
    ] = None,
    min_size: Annotated[float, typer.Option(min=0, max=100, help="Minimum area of a box in percent.")] = 0.0,
    max_size: Annotated[float, typer.Option(min=0, max=100, help="Maximum area of a box in percent.")] = 100.0,
    near: Annotated[
        int,
        typer.Option(
            min=0,
            max=64,
            help="Skip pictures that differ in fewer than this many of 64 hash bits from one taken before, if their boxes "
            "are at the same places, too; 0 keeps them.",
        ),
    ] = 4,
    keep_bad: Annotated[
        bool, typer.Option("--keep-bad", help="Also take blurred, dark, noisy, and frozen pictures.")
    ] = False,
    boxed_only: Annotated[bool, typer.Option("--boxed-only", help="Skip frames without a box.")] = False,
    images: Annotated[Path | None, typer.Option(help="COCO: write the pictures into this folder.")] = None,
    drawn: Annotated[Path | None, typer.Option(help="Write pictures with the boxes drawn into this folder.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run has written.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Boxes and tracks to train a detector with, from videos alone: no Label Studio, no server. Exit code 1 when a video could
    not be read. Example: coldblitz pseudo-label films/*.mp4 --detector motion --out coco.json --images frames"""
    from ml_backend.export.box_frames import FrameChoice
    from ml_backend.export.pseudo_labels import Job
    from ml_backend.export.pseudo_labels import pseudo_label as run
    from ml_backend.objects.choosing import make_detector
    from ml_backend.objects.detector import Limits

    if every is not None and key_frames:
        raise SettingsError("--every and --key-frames are two ways to take frames.", "Leave one of them out.")
    if min_size > max_size:
        raise SettingsError(
            f"No box has at least {min_size:g} and at most {max_size:g} percent.", "Put --min-size below --max-size."
        )
    if form is BoxFormat.COCO and out.suffix.lower() != ".json":
        raise SettingsError(f"{out} does not end in .json.", "Write --out coco.json, or choose another --format.")
    name, places = _detector(detector, weights)
    words = tuple(each.partition("=")[0] for each in classes or ())
    labels = _labels(classes, make_detector(name, places, words).names)
    limits = Limits(min_score, min_size, max_size, labels)
    choice = FrameChoice(every, key_frames, not keep_bad, near, boxed_only)
    job = Job(out, name, form.value, limits, choice, images, drawn, overwrite, places, words)
    with _bars(as_json) as bar:
        reports = run(videos, job, bar)
    _tell(reports, out, as_json)
    raise SystemExit(1 if any(report.error for report in reports) else 0)


def _detector(detector: str, weights: Path | None) -> tuple[str, Places]:
    """Its name, and where it is found. A researcher's file may lie anywhere."""
    from ml_backend.objects.choosing import Places, is_network

    kind, named, path = detector.partition(":")
    file = Path(path).expanduser()
    name = f"custom:{file.name}" if kind == "custom" and named else detector
    problem = "there would be nothing to write" if name == NONE else wrong_detector(name)
    if problem is not None:
        raise SettingsError(f"--detector {detector} cannot be used: {problem}.", "Choose another one.")
    if weights is not None and not is_network(name):
        raise SettingsError(f"--weights changes nothing with --detector {detector}.", "Leave it out.")
    accepted = os.environ.get("DETECTOR_LICENSE") or None
    files, device = (file.parent if named else Path()), os.environ.get("DEVICE") or "auto"
    return name, Places(files=files, device=device, accepted=accepted, given=weights and weights.expanduser())


def _labels(classes: Sequence[str] | None, names: Sequence[str]) -> Mapping[str, str] | None:
    """What each class that is wanted is called; None takes all as they are."""
    if not classes:
        return None
    labels = {}
    for each in classes:
        name, renamed, label = each.partition("=")
        if name not in names:
            raise SettingsError(
                f"The detector has no class {quoted(name)}.",
                f"It has {', '.join(names)}; --class {names[0]}=mouse renames one.",
            )
        if renamed and not label.strip():
            raise SettingsError(f"--class {each} has no name behind the equals sign.", f"Write --class {name}=mouse")
        if name in labels:
            raise SettingsError(f"--class {name} is given twice.", "A class has one name: leave one of them out.")
        labels[name] = label.strip() or name
    return labels


@contextmanager
def _bars(quiet: bool) -> Iterator[Bar]:
    with progress_bars(quiet) as progress:

        def begin(text: str, total: int) -> Callable[[int], None]:
            row = progress.add_task(text, total=total)
            return lambda done: progress.update(row, completed=done, visible=done < total)

        yield begin


def _tell(reports: Sequence[VideoReport], out: Path, as_json: bool) -> None:
    written = [report for report in reports if report.error is None]
    console = terminal()
    if as_json:
        rows = [asdict(report) for report in reports]
        console.print_json(json.dumps({"output": str(out) if written else None, "videos": rows}))
        return
    for report in reports:
        if report.error is not None:
            console.print(f"{report.name} is left out: {report.error}", style="yellow", soft_wrap=True)
            continue
        reasons = ", ".join(f"{count} {reason}" for reason, count in (report.left_out or {}).items())
        console.print(
            f"{report.name}: {report.frames} frames, {report.boxes} boxes, {report.tracks} tracks"
            + (f"; left out: {reasons}" if reasons else ""),
            soft_wrap=True,
        )
        for warning in report.warnings:
            console.print(warning, style="yellow", soft_wrap=True)
    if written:
        frames, boxes = sum(each.frames for each in written), sum(each.boxes for each in written)
        console.print(f"{frames} frames, {boxes} boxes: {out}", soft_wrap=True)
    else:
        console.print("No video could be read; nothing is written.", soft_wrap=True)
