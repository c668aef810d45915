"""Exports of a project to be downloaded: asked for here, made by a job."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request, send_file

from ml_backend.errors import PayloadError
from ml_backend.records import exports
from ml_backend.records.model_versions import project_key
from ml_backend.server.protocol import backend

blueprint = Blueprint("exports", __name__)


@blueprint.get("/exports")
def list_exports() -> Response:
    """Those of `?project=` that are complete, the newest first."""
    return jsonify(exports=[asdict(file) for file in exports.made(backend().settings.data_dir, _key())])


@blueprint.post("/exports/<name>")
def ask_export(name: str) -> tuple[Response, int]:
    """Queues the job that makes it."""
    return jsonify(job=exports.ask(backend().redis, backend().settings.data_dir, _key(), name)), 202


@blueprint.get("/exports/<name>")
def download_export(name: str) -> Response:
    path = exports.path(backend().settings.data_dir, _key(), name)
    if not path.is_file():
        raise PayloadError(f"{name} has not been made yet.", "Ask for it with a POST, and see /jobs.")
    return send_file(path, as_attachment=True, download_name=name)


def _key() -> str:
    """Raises PayloadError when no project is named, and SettingsError when it is not known."""
    project = request.args.get("project")
    if not project:
        raise PayloadError("The request names no project.", "Add ?project= with its number in Label Studio.")
    return project_key(backend().settings.data_dir, backend().redis, project)
