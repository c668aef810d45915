"""What a project's settings are, where each comes from, and what was ignored and why. Secrets are never shown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from flask import render_template

from ml_backend.labelstudio import pages
from ml_backend.labelstudio.recommended import recommended_config
from ml_backend.project_settings import parse_project_settings
from ml_backend.projects import registry, task_view, training_choice
from ml_backend.server.dashboard import formatting
from ml_backend.server.dashboard.site import ProjectPage, blueprint, project_page
from ml_backend.server.label_studio_routes import backend
from ml_backend.settings import Settings

# Half of a login is not shown either; a Redis address may hold a password.
_HIDDEN = {"basic_auth_user"}
_OF_TRAINING = ("mode", "blitz.")
# So is this, of which the page need not say anything.
_FILE = "custom_model"
_EXAMPLE = {"person": "#0072B2", "empty": "#999999"}


@dataclass(frozen=True)
class Setting:
    name: str
    value: str
    source: str


@blueprint.get("/dashboard/projects/<int:project_id>/settings")
def settings_page(project_id: int) -> str:
    project, data_dir = project_page(project_id), backend().settings.data_dir
    rates = task_view.natural_rates(data_dir, project.key)
    framerate = _framerate(project, rates)
    _, ignored = parse_project_settings(project.known.extra_params)
    settings = training_choice.settings_of(data_dir, project.known)
    chosen = training_choice.in_force(data_dir, project.known) is not None
    given = project.known.extra_params if isinstance(project.known.extra_params, Mapping) else {}
    return render_template(
        "dashboard/settings.html",
        project=project,
        project_settings=list(of_project(settings, given, chosen=chosen)),
        installation=list(of_installation(backend().settings, os.environ)),
        ignored=ignored,
        problems=registry.problems(backend().redis).get(project.key, []),
        rates=rates,
        framerate=framerate,
        recommended=recommended_config(
            project.colours or _EXAMPLE, framerate, project.question.video_key if project.question else "video"
        ),
        labeling=pages.settings_page(backend().settings.label_studio_pages, project.id, "labeling"),
        model=pages.settings_page(backend().settings.label_studio_pages, project.id, "ml"),
    )


def of_project(settings: Any, given: Mapping[str, Any], within: str = "", *, chosen: bool = False) -> Iterator[Setting]:
    """Each setting of a project; one that holds several is written out, as `blitz.cycles`. `chosen`: whether how to train
    was chosen on the models page."""
    for each in fields(settings):
        value, said = getattr(settings, each.name), given.get(each.name)
        if is_dataclass(value):
            yield from of_project(
                value, said if isinstance(said, Mapping) else {}, f"{within}{each.name}.", chosen=chosen
            )
        elif chosen and (f"{within}{each.name}".startswith(_OF_TRAINING) or (each.name == _FILE and value != said)):
            yield Setting(f"{within}{each.name}", _text(value), "models page")
        else:
            # What was understood need not look as it was written.
            taken = each.name in given and (said == value or value != each.default)
            yield Setting(f"{within}{each.name}", _text(value), "extra params" if taken else "default")


def of_installation(settings: Settings, environment: Mapping[str, str]) -> Iterator[Setting]:
    """Each setting of the installation, by the name of its environment variable."""
    for each in fields(settings):
        value, name = getattr(settings, each.name), each.name.upper()
        default = None if each.default is MISSING else each.default
        secret = not each.repr or each.name in _HIDDEN
        shown = "set, not shown" if secret and value is not None else _text(value)
        if name.endswith("_BYTES"):
            shown = f"{shown} ({formatting.size(value)})"
        told = name in environment or f"{name}_FILE" in environment or value != default
        yield Setting(name, shown, "environment" if told else "default")


def _text(value: object) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value)
    return str(value)


def _framerate(project: ProjectPage, rates: Mapping[float, int]) -> str:
    """What to write into the `<Video>` tag: the config's own variable, the rate that all videos share, or a variable."""
    written = project.question.framerate if project.question else None
    if written and written.startswith("$"):
        return written
    return str(next(iter(rates))).removesuffix(".0") if len(rates) == 1 else "$fps"
