"""`coldblitz import-boxes`: boxes and keypoints of other programs into a project."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ml_backend.commands.terminal import progress_bars, terminal
from ml_backend.errors import SettingsError
from ml_backend.settings import Settings
from ml_backend.wording import counted, quoted

if TYPE_CHECKING:
    from ml_backend.importing.import_boxes import Outcome
    from ml_backend.importing.import_labels import Outcome as LabelOutcome

_Kind = TypeVar("_Kind", "Outcome", "LabelOutcome")
_LONGEST = 100
_STYLES = {"imported": "green", "present": "dim", "empty": "dim", "unmatched": "yellow", "refused": "red"}


def import_boxes(
    files: Annotated[
        list[Path], typer.Argument(help="MOT (gt.txt, det.txt), COCO (.json), DeepLabCut or SLEAP (.csv) files.")
    ],
    project: Annotated[int, typer.Option("--project", help="Number of the project in Label Studio.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="What a class of the files is called here: car=vehicle; car= for no label."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Predictions get the version import-NAME; the default is the name of the first file."),
    ] = None,
    annotations: Annotated[
        bool, typer.Option("--annotations", help="Submit annotations instead of making predictions.")
    ] = False,
    task: Annotated[int | None, typer.Option(help="The task whose video the boxes of one video are about.")] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Which boxes of the label config, if there are several; the default is the first."),
    ] = None,
    likelihood: Annotated[float, typer.Option(min=0, max=1, help="Keypoints: minimum likelihood of a point.")] = 0.6,
    margin: Annotated[
        float,
        typer.Option(min=0, max=5, help="Keypoints: added around the points, as a share of the longer side."),
    ] = 0.1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Boxes, tracks and keypoints of other programs, as predictions or annotations of the videos they are about. Exit code 1 when
    some of them are about no video of the project. Example: coldblitz import-boxes MOT/*/gt/gt.txt --project 1 --class 1=mouse"""
    from ml_backend.importing.import_boxes import BoxImport
    from ml_backend.importing.import_boxes import import_boxes as run
    from ml_backend.importing.keypoints import Boxing
    from ml_backend.jobs.context import JobContext
    from ml_backend.jobs.project import open_boxes

    if annotations and name is not None:
        raise SettingsError("--name is that of predictions.", "Omit it, or omit --annotations.")
    version = None if annotations else f"import-{version_name(name, files[0])}"
    how = BoxImport(version, meanings(classes or (), "--class", "class"), Boxing(likelihood, margin), task)
    work = open_boxes(JobContext(Settings.from_environment()), project, control)
    with progress_bars(as_json) as progress:
        row = progress.add_task("reading boxes", total=1)
        outcomes = run(work, files, how, lambda share: progress.update(row, completed=share))
    tell_imported(outcomes, version, _said, as_json)
    raise SystemExit(0 if all(each.state in ("imported", "present") for each in outcomes) else 1)


def version_name(name: str | None, first: Path) -> str:
    """`name`, or one made of that of the first file or, of a `gt/gt.txt`, of its sequence."""
    if name is None:
        sequence = first.parent.parent.name if first.parent.name in ("gt", "det") else ""
        return re.sub(r"[^A-Za-z0-9]+", "-", sequence or first.stem).strip("-")[:_LONGEST] or "files"
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{_LONGEST}}}", name):
        raise SettingsError(
            f"{quoted(name)} cannot be the name of predictions.",
            f"Give up to {_LONGEST} letters, digits, - and _ with --name.",
        )
    return name


def meanings(given: Sequence[str], option: str, noun: str) -> dict[str, str]:
    """What each name of the files is here, as `option` says it."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, label = each.partition("=")
        if not equals or not name:
            raise SettingsError(f"{option} {each} is not a {noun} and its label.", f"Write {option} car=vehicle.")
        if name in found:
            raise SettingsError(f"{option} {name} is given twice.", f"A {noun} has one label: omit one of them.")
        found[name] = label.strip()
    return found


def _said(outcome: Outcome) -> str:
    said = f"{counted(outcome.tracks, 'track')}, {counted(outcome.key_frames, 'key frame')}"
    return said + (f"; left out since nothing shows them: {outcome.left_out} boxes" if outcome.left_out else "")


def tell_imported(outcomes: Sequence[_Kind], version: str | None, said: Callable[[_Kind], str], as_json: bool) -> None:
    """Prints what became of each video; `said`: what one that was imported has got."""
    console = terminal()
    if as_json:
        console.print_json(json.dumps({"version": version, "videos": [asdict(each) for each in outcomes]}))
        return
    for each in outcomes:
        what = f"task {each.task}, {said(each)}" if each.state == "imported" else each.message
        console.print(f"{each.state:<10}{each.video}: {what}", style=_STYLES[each.state], soft_wrap=True)
    as_what = f"as predictions of {version}" if version else "as annotations"
    done = sum(each.state == "imported" for each in outcomes)
    console.print(f"{counted(done, 'video')} {as_what}", soft_wrap=True)
