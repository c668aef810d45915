"""Where commands print: labels, file names and other people's words as they are, never as markup."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


def terminal(*, stderr: bool = False, **options: Any) -> Console:
    """A console for which `[/x]` and `:cat:` are text; what is to be bold or green is a `Text`."""
    return Console(stderr=stderr, markup=False, emoji=False, **options)


def progress_bars(quiet: bool) -> Progress:
    """Bars on the standard error that go when they are done."""
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=terminal(stderr=True), transient=True, disable=quiet)
