"""`coldblitz reconcile`: has a running backend compare itself with Label Studio now, and says what was missing."""

from __future__ import annotations

import json
from typing import Any

from rich.table import Table

from ml_backend.commands.backend import Backend, ended
from ml_backend.commands.terminal import terminal


def reconcile(backend: Backend, project: str | None, *, thorough: bool, seconds: float) -> list[dict[str, Any]]:
    """Queues the reconcile of one project (its number or key) or of all, and waits at most so long for the workers.

    One row each: project, state (`finished`, `failed`, else what it waits for) and text. `thorough` compares everything
    though nothing seems to have changed. Raises SettingsError.
    """
    jobs = backend.reconcile(project, thorough)
    return [{"project": key, **row} for key, row in ended(backend, jobs, seconds).items()]


def report(rows: list[dict[str, Any]], as_json: bool, *, of: str = "project", told: str = "what was missing") -> bool:
    """Prints what became of jobs, each named by its column `of`; returns whether all are finished."""
    if as_json:
        terminal().print_json(json.dumps(rows))
    else:
        table = Table(of, "state", told)
        for row in rows:
            table.add_row(row[of], row["state"], row["text"])
        terminal().print(table)
    return all(row["state"] == "finished" for row in rows)
