"""A project's model versions: how good each is on videos it has not seen, and which one people are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from ml_backend.projects import model_versions, registry
from ml_backend.server.dashboard import charts
from ml_backend.server.dashboard.jobs_page import curves
from ml_backend.server.dashboard.site import ProjectPage, blueprint, done, project_page
from ml_backend.server.dashboard.training_form import training_form
from ml_backend.server.label_studio_routes import backend

_SHOWN = 100
# A confusion matrix of more labels than this is not read by anybody.
_MOST_LABELS = 30
_OF_TRAINING = ("mode", "default_label", "min_frames", "fill_gaps", "dense")


@blueprint.get("/dashboard/projects/<int:project_id>/models")
def models_page(project_id: int) -> str:
    project = project_page(project_id)
    versions = model_versions.summaries(backend().settings.data_dir, backend().redis, project.key)
    return render_template(
        "dashboard/models.html",
        project=project,
        versions=list(reversed(versions))[:_SHOWN],
        number=len(versions),
        labels=list(project.colours),
        before=_before(project, versions),
        wanted=registry.wanted_version(backend().redis, project.key),
        curve=learning_curve(versions),
        form=training_form(project),
    )


@blueprint.get("/dashboard/projects/<int:project_id>/models/<version>")
def model_page(project_id: int, version: str) -> str:
    project = project_page(project_id)
    card = model_versions.model_card(backend().settings.data_dir, project.key, version)
    controls = [card.get("question") or "", *(card.get("others") or {})]
    if (control := request.args.get("control")) in card.get("others", {}):
        card = {**card, **card["others"][control], "question": control}
    full = "judgement" in card["metrics"]
    metrics = card["metrics"] if full else card["metrics"].get("quick") or {}
    return render_template(
        "dashboard/model.html",
        project=project,
        card=card,
        controls=controls if len(controls) > 1 else [],
        full=full,
        metrics=metrics,
        active=project.active == version,
        confusion=_confusion(metrics.get("confusion")),
        reliability=charts.reliability(metrics["reliability"], "Calibration") if metrics.get("reliability") else None,
        curves=curves(card["curves"].get("epochs") or [], card["curves"].get("best")),
        curve=learning_curve(card["learning_curve"]),
        settings=_settings(card),
    )


@blueprint.post("/dashboard/projects/<int:project_id>/models/<version>/activate")
def activate_version(project_id: int, version: str) -> Response:
    model_versions.activate(backend().settings.data_dir, backend().redis, project_page(project_id).key, version)
    text = f"{version} is being rolled out; it is active when all tasks have its predictions."
    return done(text, "dashboard.models_page", project_id=project_id)


@blueprint.post("/dashboard/projects/<int:project_id>/models/<version>/delete")
def delete_version(project_id: int, version: str) -> Response:
    model_versions.delete(backend().settings.data_dir, backend().redis, project_page(project_id).key, version)
    return done(f"{version} is deleted.", "dashboard.models_page", project_id=project_id)


def _settings(card: Mapping[str, Any]) -> dict[str, str]:
    """What a version was trained with: of the project's settings those that a training reads."""
    said = card["settings"]
    found = {name: said[name] for name in _OF_TRAINING if said.get(name) is not None}
    if card["kind"] == "blitz":
        found |= {f"blitz.{name}": value for name, value in (said.get("blitz") or {}).items()}
    return {name: str(value) for name, value in found.items()}


def learning_curve(versions: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Scores of versions over what each learnt from; None until two were measured."""
    measured = [row for row in versions if row["macro_f1"] is not None and row["labelled_frames"]]
    if len(measured) < 2:
        return None
    points = [(float(row["labelled_frames"]), float(row["macro_f1"])) for row in measured]
    order = sorted(range(len(points)), key=points.__getitem__)
    bands = [measured[at].get("macro_f1_interval") for at in order]
    series = charts.Series("macro-F1", [points[at] for at in order], band=bands)
    return charts.lines([series], "Learning curve", "labeled frames", "macro-F1")


def _before(project: ProjectPage, versions: Sequence[Mapping[str, Any]]) -> str | None:
    """The version that was shown before the active one, if it is still there."""
    pinned = registry.pins(backend().redis, project.key)
    there = {row["name"] for row in versions} - {project.active}
    return max((name for name in pinned if name in there), key=pinned.__getitem__, default=None)


def _confusion(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Rows of (count, shade): the shade, 0 to 9, is the share of its row."""
    if not found or len(found["labels"]) > _MOST_LABELS:
        return None
    rows = [[(count, min(9, 10 * count // max(1, sum(row)))) for count in row] for row in found["counts"]]
    return {"labels": found["labels"], "rows": rows}
