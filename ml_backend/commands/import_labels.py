"""`coldblitz import-labels`: timelines of other programs into a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml_backend.commands.import_boxes import meanings, tell_imported, version_name
from ml_backend.commands.terminal import progress_bars
from ml_backend.errors import SettingsError
from ml_backend.settings import Settings
from ml_backend.wording import counted

if TYPE_CHECKING:
    from ml_backend.importing.import_labels import Outcome


def import_labels(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="BORIS (.boris, tabular or aggregated events), ELAN (.eaf), Observer (.csv), SimBA (.csv), WebVTT, SRT, EDL, markers "
            "(.csv), or a FiftyOne dataset."
        ),
    ],
    project: Annotated[int, typer.Option("--project", help="Number of the project in Label Studio.")],
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label", help="What a label of the files is called here: groom=grooming; groom= to leave it out."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Predictions get the version import-NAME; the default is the name of the first file."),
    ] = None,
    annotations: Annotated[
        bool, typer.Option("--annotations", help="Submit annotations instead of making predictions.")
    ] = False,
    ground_truth: Annotated[
        bool, typer.Option("--ground-truth", help="Submit them as ground truth; implies --annotations.")
    ] = False,
    reviewed: Annotated[
        bool,
        typer.Option("--reviewed", help="Check reviewed: what has no label has none. Implies --annotations."),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Import only this observation or video of the files; may be given several times."),
    ] = None,
    task: Annotated[int | None, typer.Option(help="The task whose video the labels of one video are about.")] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Which timeline of the label config; by default, the one that has the label."),
    ] = None,
    tiers: Annotated[list[str] | None, typer.Option("--tier", help="ELAN: import only this tier.")] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            min=1, max=1000, help="EDL and markers: frames per second of the timecode; the default is the video's."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Timelines of other programs, as predictions or annotations of the videos they are about. Exit code 1 when some of them are about
    no video of the project. Example: coldblitz import-labels study.boris --project 1 --annotations --label groom=grooming"""
    from ml_backend.importing.import_labels import LabelImport, open_timelines
    from ml_backend.importing.import_labels import import_labels as run
    from ml_backend.jobs.context import JobContext

    submit = annotations or ground_truth or reviewed
    if submit and name is not None:
        raise SettingsError("--name is that of predictions.", "Omit it, or omit --annotations.")
    version = None if submit else f"import-{version_name(name, files[0])}"
    meant = meanings(labels or (), "--label", "name")
    how = LabelImport(version, ground_truth, reviewed, only or None, meant, control, task, tiers or None, fps)
    work = open_timelines(JobContext(Settings.from_environment()), project, control)
    with progress_bars(as_json) as progress:
        row = progress.add_task("reading labels", total=1)
        outcomes = run(work, files, how, lambda share: progress.update(row, completed=share))
    tell_imported(outcomes, version, _said, as_json)
    raise SystemExit(0 if all(each.state in ("imported", "present", "empty") for each in outcomes) else 1)


def _said(outcome: Outcome) -> str:
    said = counted(outcome.events, "event")
    return said + (
        f"; left out since Label Studio shows no frame of them: {outcome.left_out}" if outcome.left_out else ""
    )
