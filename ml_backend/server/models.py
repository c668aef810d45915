"""The model versions of a project over HTTP: the same as `coldblitz models`, and what was found about its labels."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from ml_backend.records import model_versions, quality_report
from ml_backend.server.naming import named_project
from ml_backend.server.protocol import backend

blueprint = Blueprint("models", __name__)


@blueprint.get("/models")
def list_models() -> Response:
    """All versions of `?project=`, the oldest first."""
    return jsonify(models=model_versions.summaries(backend().settings.data_dir, backend().redis, named_project()))


@blueprint.get("/models/<version>")
def show_model(version: str) -> Response:
    """The model card, as `coldblitz models show --json` prints it."""
    return jsonify(model_versions.model_card(backend().settings.data_dir, named_project(), version))


@blueprint.post("/models/<version>/activate")
def activate_model(version: str) -> Response:
    """Queues its roll-out."""
    model_versions.activate(backend().settings.data_dir, backend().redis, named_project(), version)
    return jsonify(wanted=version)


@blueprint.post("/models/<version>/delete")
def delete_model(version: str) -> Response:
    model_versions.delete(backend().settings.data_dir, backend().redis, named_project(), version)
    return jsonify(deleted=version)


@blueprint.get("/quality")
def quality() -> Response:
    """Labels that are probably wrong and agreement of annotators, as after the last training; null before the first."""
    report = quality_report.load(backend().settings.data_dir, named_project())
    return jsonify(quality=report.as_json() if report else None)
