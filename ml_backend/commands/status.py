"""`coldblitz status`: `/jobs` as a live view in the terminal."""

from __future__ import annotations

import json
import time
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ml_backend.commands.backend import There
from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError

_EVERY = 0.5
_SHOWN = 8


def follow(url: str, *, once: bool, as_json: bool) -> None:
    """Prints once, or follows until Ctrl+C. Raises SettingsError when no backend answers at `url`."""
    console = terminal()
    jobs = _jobs(url)
    if as_json:
        console.print_json(json.dumps(jobs))
        return
    if once or not console.is_terminal:
        console.print(view(jobs))
        return
    try:
        with Live(view(jobs), console=console, auto_refresh=False) as live:
            while True:
                live.update(view(_jobs(url)), refresh=True)
                time.sleep(_EVERY)
    except KeyboardInterrupt:
        return


def view(jobs: dict[str, Any]) -> Group:
    """Counts, then running jobs with their bars, then failures and problems with what to do."""
    counts = "  ".join(f"{name} {count}" for name, count in jobs["counts"].items())
    parts: list[Any] = [Text(counts, style="bold")]
    for key, version in sorted(jobs["versions"].items()):
        parts.append(Text(f"project {key.split('.')[0]} shows {version}", style="dim"))
        if left := jobs.get("stopping", {}).get(key):
            tasks = ", ".join(str(video["task"]) for video in left["worst"])
            where = f", most in the videos of tasks {tasks}" if tasks else ""
            parts.append(Text(f"  {left['text']}{where}. {left['verdict'].capitalize()}: {left['why']}"))
        if frames := jobs.get("companions", {}).get(key):
            answered = f"{frames['answered']} of {frames['images']} suggested frames are labeled"
            parts.append(Text(f"  {answered} as images in project {frames['project']}", style="dim"))
    if jobs["running"]:
        running = Table.grid(padding=(0, 2))
        for job in jobs["running"][:_SHOWN]:
            bar = ProgressBar(total=100, completed=job["percent"], width=24)
            running.add_row(job["kind"], f"project {str(job['project']).split('.')[0]}", bar, job["text"])
        parts.append(running)
    for row in jobs["finished"][:_SHOWN]:
        parts.append(Text(f"✓ {row['kind']}: {row['text']}", style="green"))
    for row in jobs["failed"][:_SHOWN]:
        parts.append(Text(f"✗ {row['kind']} {row['task'] or ''}: {row['reason']}", style="red"))
    for key, sentences in sorted(jobs["problems"].items()):
        parts.extend(Text(f"! project {key.split('.')[0]}: {sentence}", style="yellow") for sentence in sentences)
    for key, found in sorted(jobs["findings"].items()):
        for finding in found:
            tasks = ", ".join(map(str, finding["tasks"][:_SHOWN])) + (", …" if len(finding["tasks"]) > _SHOWN else "")
            text = f"{finding['severity']} in project {key.split('.')[0]}, tasks {tasks}: {finding['message']} {finding['remedy']}"
            parts.append(Text(text, style="dim" if finding["severity"] == "note" else "yellow"))
    return Group(*parts)


def _jobs(url: str) -> dict[str, Any]:
    found = There(url.rstrip("/")).call("GET", "/jobs")
    if not {"queued", "running", "finished", "failed", "counts", "versions", "problems", "findings"} <= found.keys():
        raise SettingsError(f"No Coldblitz answers at {url}, but another service.", "Give its --url.")
    return found
