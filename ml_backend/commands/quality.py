"""`coldblitz quality`: which labels of a project are probably wrong, and how far its annotators agree."""

from __future__ import annotations

import json

from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ml_backend.commands.backend import Backend
from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError
from ml_backend.projects.quality_report import QualityReport, parse

NONE = "none of the labels"
_SHOWN = 40


def print_report(backend: Backend, project: str, as_json: bool) -> None:
    """Prints what was found after the last training. Raises SettingsError when there was none."""
    found = backend.quality(project)
    if found is None:
        raise SettingsError(
            f"The labels of project {project} have not been checked yet.",
            "They are checked after each training: submit an annotation.",
        )
    console = terminal()
    if as_json:
        console.print_json(json.dumps(found))
    else:
        report = parse(found)
        console.print(_suspects(report), _agreement(report))


def _suspects(report: QualityReport) -> Group:
    title = f"Labels that are probably wrong: {report.found} in {report.videos} videos ({report.made})"
    if not report.suspects:
        return Group(Text(title, style="bold"))
    table = Table("task", "seconds", "frames", "label", "the model says", "doubt", "about", title=title)
    for row in report.suspects[:_SHOWN]:
        table.add_row(
            Text(f"{row.task} ({row.video})", style=Style(link=row.url)),
            f"{row.first_second:.2f} to {row.last_second:.2f}",
            f"{row.start} to {row.end}",
            ", ".join(row.given) or NONE,
            ", ".join(row.expected) or NONE,
            f"{row.doubt:.2f}",
            row.about,
        )
    more = report.found - _SHOWN
    # Apart from the table, where they would be cut into pieces that nobody can copy.
    links = dict.fromkeys(f"task {row.task}: {row.url}" for row in report.suspects[:_SHOWN])
    rest = [f"and {more} more; all with --json"] if more > 0 else []
    return Group(table, *(Text(line, no_wrap=True, overflow="ignore") for line in [*rest, *links]))


def _agreement(report: QualityReport) -> Group:
    of = f", about {report.about}" if report.about else ""
    title = f"Agreement (kappa; {report.compared_frames} frames labeled by two or more annotators{of})"
    people = dict.fromkeys([*report.annotator_kappa, *report.model_kappa])
    if not people:
        return Group(Text(title, style="bold"), Text("No annotator can be compared with anybody."))
    table = Table("of", "with others", "with the model", title=title)
    for label, kappa in report.label_kappa.items():
        table.add_row(label, _kappa(kappa), "")
    for number in people:
        name = report.names.get(number, f"user {number}")
        table.add_row(name, _kappa(report.annotator_kappa.get(number)), _kappa(report.model_kappa.get(number)))
    return Group(table)


def _kappa(kappa: float | None) -> str:
    return "nothing to compare" if kappa is None else f"{kappa:.3f}"
