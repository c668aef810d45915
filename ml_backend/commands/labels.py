"""`coldblitz labels`: which regions a training has read, how many frames they taught, and why others taught nothing."""

from __future__ import annotations

import json

from rich.table import Table

from ml_backend.commands.backend import Backend
from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError
from ml_backend.projects.label_account import Account, parse
from ml_backend.wording import counted


def print_account(backend: Backend, project: str, task: int | None, as_json: bool) -> None:
    """Prints the account of the last training, of a project or one of its tasks. Raises SettingsError without one."""
    found = backend.labels(project, task)
    if found is None:
        of = f"project {project}" if task is None else f"task {task} of project {project}"
        raise SettingsError(
            f"No training has read the labels of {of} yet.", "One does when an annotation is submitted."
        )
    console = terminal()
    if as_json:
        console.print_json(json.dumps(found))
    else:
        console.print(_table(parse(found)))


def _table(account: Account) -> Table:
    title = (
        f"{counted(account.regions, 'region')} in {counted(account.annotations, 'annotation')}, read {account.made}: "
        f"{account.taught} taught something"
    )
    table = Table("control", "regions", "frames", "what became of them", title=title)
    for row in account.rows:
        table.add_row(row.control, str(row.regions), str(row.frames or ""), row.said)
    return table
