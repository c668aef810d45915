"""`coldblitz doctor`: checks an installation from end to end, and says how to mend what is wrong."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from redis import Redis
from rich.text import Text

from ml_backend import logs
from ml_backend.checks import Check, fault_of, ok, warning
from ml_backend.commands.terminal import terminal
from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings, notes

_SECONDS = 10.0
_MOST_PROJECTS = 50
_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


def examine(environment: Mapping[str, str], project: int | None) -> Iterator[Check]:
    """Checks everything, or with `project` that project alone beside the rest. Goes on behind a fault as far as it can."""
    # Imported here: the SDK, OpenVINO and the decoder take seconds, and `--help` needs none of them.
    from ml_backend.doctor.machine_checks import check_codecs, check_machine
    from ml_backend.labelstudio.access import check_label_studio, check_token

    try:
        settings = Settings.from_environment(environment)
    except SettingsError as error:
        yield fault_of("environment", error)
        yield check_codecs()
        return
    logs.hide(*settings.secrets)
    yield ok("environment", " ".join(["All variables are set and valid.", *notes(environment)]))
    yield from check_machine(settings)
    reached = check_label_studio(settings.label_studio_url, _SECONDS)
    yield reached
    if reached.state == "fault":
        return
    token = check_token(settings.label_studio_url, settings.label_studio_api_key, _SECONDS)
    yield token
    if token.state != "fault":
        yield from _projects(settings, project)


def _projects(settings: Settings, number: int | None) -> Iterator[Check]:
    from ml_backend.doctor.project_checks import check_project
    from ml_backend.jobs.context import JobContext

    context = JobContext(settings)
    try:
        numbers = [number] if number is not None else [each.key.id for each in context.studio.projects.all()]
        connected = [
            each for each in numbers[:_MOST_PROJECTS] if number is not None or context.studio.backends.all(each)
        ]
    except LabelStudioError as error:
        yield fault_of("projects", error)
        return
    if number is None and len(numbers) > _MOST_PROJECTS:
        yield warning("projects", f"Only {_MOST_PROJECTS} of {len(numbers)} were checked.", "Name one with --project.")
    if not connected:
        yield warning(
            "projects",
            "No project has an ML backend.",
            "In Label Studio: your project, Settings, Model, Connect Model.",
        )
    with contextlib.closing(Redis.from_url(redis_url(settings), socket_timeout=_SECONDS)) as redis:
        for each in connected:
            yield from check_project(context, redis, each)


def report(checks: Iterator[Check], as_json: bool) -> bool:
    """Prints what was found as it comes; True when there is no fault."""
    console = terminal()
    found = []
    for check in checks:
        found.append(check)
        if not as_json:
            line = Text.assemble(
                (f"{check.state:<8}", _COLOURS[check.state]), (check.name, "bold"), f": {check.message}"
            )
            console.print(line, soft_wrap=True)
            if check.remedy:
                console.print(Text(f"        {check.remedy}", style=_COLOURS[check.state]), soft_wrap=True)
    if as_json:
        console.print_json(json.dumps([asdict(check) for check in found]))
    return all(check.state != "fault" for check in found)
