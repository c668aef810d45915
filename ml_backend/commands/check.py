"""`coldblitz check`: what is unusual about videos, before anybody labels them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.text import Text

from ml_backend.checks import Finding
from ml_backend.commands.terminal import terminal
from ml_backend.errors import ColdblitzError, SettingsError
from ml_backend.settings import Settings
from ml_backend.video.container import readable, readable_path
from ml_backend.video.inspection import inspect

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Checked:
    """`name`: the file, or the task. `findings`: the worst first; empty when all is well."""

    name: str
    findings: tuple[Finding, ...]


def check_files(paths: list[Path], framerate: float | None, thorough: bool) -> Iterator[Checked]:
    """`framerate`: as it is written into the `<Video>` tag. Raises SettingsError for a path that is no file, and for a
    framerate that is none."""
    if framerate is not None and not (math.isfinite(framerate) and framerate > 0):
        raise SettingsError(f"A framerate is a positive number, not {framerate:g}.", "Write --framerate 25")
    if framerate is not None and framerate < 1:
        # As Label Studio reads it: seconds a frame.
        framerate = 1 / framerate
    for path in paths:
        if not path.is_file():
            raise SettingsError(f"{readable(str(path))} is not a file.", "Give a video file, --task or --project.")
        with readable_path(path) as opened:
            yield Checked(readable(str(path)), inspect(opened, framerate, thorough=thorough))


def check_tasks(settings: Settings, project: int, task: int | None, thorough: bool) -> Iterator[Checked]:
    """The videos of a project's tasks, or of one. Raises LabelStudioError."""
    # Imported here: a file is checked without Label Studio, and its SDK takes seconds to import.
    from ml_backend.jobs.context import JobContext
    from ml_backend.jobs.videos import inspect_video, task_video, video_name
    from ml_backend.labelstudio.label_config import parse_label_config

    context = JobContext(settings)
    question = parse_label_config(context.studio.projects.get(project).label_config).main
    tasks = context.studio.tasks.all(project) if task is None else [context.studio.tasks.get(project, task)]
    for each in tasks:
        name = f"task {each.id} ({video_name(each, question)})"
        try:
            video = task_video(context, question, each)
        except ColdblitzError as error:
            yield Checked(name, (Finding("unreachable", error.message, error.remedy, "error"),))
            continue
        yield Checked(name, inspect_video(each, question, video, thorough))


def report(checked: Iterator[Checked], as_json: bool) -> bool:
    """Prints what was found as it comes; True when no video has an error."""
    console = terminal()
    rows = []
    well = True
    for each in checked:
        well = well and all(finding.severity != "error" for finding in each.findings)
        rows.append({"name": each.name, "findings": [asdict(finding) for finding in each.findings]})
        if not as_json:
            console.print(
                Text(each.name, style="bold"), Text("" if each.findings else "nothing unusual", style="green")
            )
            for finding in each.findings:
                console.print(
                    Text(f"  {finding.severity}: {finding.message} {finding.remedy}", style=_COLOURS[finding.severity])
                )
    if as_json:
        console.print_json(json.dumps(rows))
    return well
