"""The form that changes a project's settings, what it would change, and how saving it in Label Studio ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ml_backend.described_settings import described_settings, value_in
from ml_backend.errors import SettingsError
from ml_backend.labelstudio import addresses
from ml_backend.labelstudio.setting_conflicts import ModelFiles, setting_conflicts
from ml_backend.project_settings import parse_project_settings
from ml_backend.projects import settings_changes, training_choice
from ml_backend.projects.settings_changes import SettingsChange, mark_of
from ml_backend.server.dashboard.settings_effects import effects, standing_of
from ml_backend.server.dashboard.settings_form import (
    Change,
    change_of,
    fields_of,
    offers_of,
    opened_as,
    others_of,
    shown,
    touched,
)
from ml_backend.server.dashboard.site import ProjectPage, blueprint, project_page
from ml_backend.server.label_studio_routes import backend

_STALE = (
    "The settings were changed elsewhere since you opened this page, so nothing was saved. What you typed is still "
    "here, beside what is set now: check it, and go on."
)


@dataclass(frozen=True)
class ChangedSetting:
    """`before`, `after`: as they are typed; empty where the default holds. `default`: that, None of a key that is no setting."""

    name: str
    before: str
    after: str
    default: str | None


@blueprint.get("/dashboard/projects/<int:project_id>/settings/change")
def change_settings(project_id: int) -> str:
    """With `again`: what could not be saved is typed in already; with `draft`: what was typed before."""
    project = project_page(project_id)
    if draft := request.args.get("draft"):
        return _form(project, settings_changes.recall_draft(backend().redis, project.key, draft))
    last = settings_changes.recall(backend().redis, project.key) if request.args.get("again") else None
    return _form(project, last.typed if last is not None and last.state == "refused" else {})


@blueprint.post("/dashboard/projects/<int:project_id>/settings/change")
def preview_settings(project_id: int) -> str | tuple[str, int] | Response:
    """Leads to what would change, or shows what is wrong with it; with `do` it saves, unless the settings are others by now."""
    project = project_page(project_id)
    params, typed = project.known.extra_params, touched(request.form)
    if not isinstance(params or {}, Mapping):
        return _form(project, typed)
    change = change_of(_object(params), typed, project.config, _files())
    asked = SettingsChange(params, change.after, list(change.names), change.typed)
    saved = typed.get("do") == "save" and (
        not change.names or settings_changes.is_waiting(backend().redis, project.key, asked)
    )
    if saved and not change.faults:
        # Somebody has clicked twice: it is being saved, or that is done.
        return _to_settings(project_id)
    if typed.get("mark") != mark_of(params):
        return _form(project, typed, change, told=_STALE), 409
    if typed.get("do") == "edit":
        return _to_draft("dashboard.change_settings", project, typed)
    if change.faults:
        return _form(project, typed, change), 422
    if not change.names:
        return _form(project, typed, told="Nothing is changed yet.")
    if typed.get("do") != "save":
        return _to_draft("dashboard.show_preview", project, typed)
    try:
        settings_changes.ask(backend().redis, project.key, asked)
    except SettingsError as error:
        if settings_changes.is_waiting(backend().redis, project.key, asked):
            return _to_settings(project_id)
        return _form(project, typed, told=f"{error.message} {error.remedy}"), 409
    return _to_settings(project_id)


@blueprint.get("/dashboard/projects/<int:project_id>/settings/preview")
def show_preview(project_id: int) -> str | Response:
    """What would change by what was typed. At an address of its own, whoever goes back to it sends nothing again."""
    project = project_page(project_id)
    params = project.known.extra_params
    typed = settings_changes.recall_draft(backend().redis, project.key, request.args.get("draft", ""))
    if not typed or not isinstance(params or {}, Mapping):
        return redirect(url_for("dashboard.change_settings", project_id=project_id), 303)
    change = change_of(_object(params), typed, project.config, _files())
    if not change.names:
        return _form(project, typed, told="Nothing is changed yet.")
    if typed.get("mark") != mark_of(params):
        return _form(project, typed, change, told=_STALE)
    return _preview(project, change, typed)


def _to_draft(page: str, project: ProjectPage, typed: Mapping[str, str]) -> Response:
    kept = {name: text for name, text in typed.items() if name != "do"}
    draft = settings_changes.keep_draft(backend().redis, project.key, kept)
    return redirect(url_for(page, project_id=project.id, draft=draft), 303)


def _to_settings(project_id: int) -> Response:
    return redirect(url_for("dashboard.settings_page", project_id=project_id), 303)


def _form(project: ProjectPage, typed: Mapping[str, str], change: Change | None = None, told: str = "") -> str:
    given = project.known.extra_params
    params, files = _object(given), _files()
    faults = change.faults if change is not None else {}
    shown_fields = fields_of(params, typed, faults, offers_of(project.config, files.files))
    conflicts = setting_conflicts(params, project.config, files) if project.config is not None else ()
    return render_template(
        "dashboard/settings_change.html",
        project=project,
        groups=[(name, list(each)) for name, each in groupby(shown_fields, lambda each: each.setting.group)],
        others=others_of(params, typed),
        faults=[field for field in shown_fields if field.setting.name in faults],
        conflicts=[each.sentence for each in conflicts],
        unreadable=shown(given) if given and not isinstance(given, Mapping) else None,
        mark=mark_of(given),
        opened=opened_as(params),
        told=told,
        stale=told == _STALE,
        chosen=training_choice.in_force(backend().settings.data_dir, project.known) is not None,
        model=addresses.settings_page(backend().settings.label_studio_pages, project.id, "ml"),
        shown=shown,
    )


def _preview(project: ProjectPage, change: Change, typed: Mapping[str, str]) -> str:
    data_dir, known = backend().settings.data_dir, project.known
    params = _object(known.extra_params)
    before, after = parse_project_settings(params)[0], parse_project_settings(change.after)[0]
    defaults = {each.name: shown(each.default) or "not set" for each in described_settings()}
    changed = [
        ChangedSetting(name, _shown_in(params, name), _shown_in(change.after, name), defaults.get(name))
        for name in change.names
    ]
    return render_template(
        "dashboard/settings_preview.html",
        project=project,
        changed=changed,
        effects=effects(before, after, project.config, standing_of(project, data_dir)),
        typed={name: text for name, text in typed.items() if name != "do"},
    )


def _shown_in(params: Mapping[str, Any], name: str) -> str:
    return shown(value_in(params, name))


def _object(params: object) -> dict[str, Any]:
    return dict(params) if isinstance(params, Mapping) else {}


def _files() -> ModelFiles:
    settings = backend().settings
    return ModelFiles(training_choice.files(settings.data_dir), settings.custom_model is not None)
