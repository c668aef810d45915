"""Exports of a project to be downloaded: asked for here, made by a job."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, send_file

from ml_backend.errors import PayloadError
from ml_backend.projects import exports
from ml_backend.server.label_studio_routes import backend
from ml_backend.server.naming import named_project

blueprint = Blueprint("exports", __name__)


@blueprint.get("/exports")
def list_exports() -> Response:
    """Those of `?project=` that are complete, the newest first."""
    return jsonify(exports=[asdict(file) for file in exports.made(backend().settings.data_dir, named_project())])


@blueprint.post("/exports/<name>")
def ask_export(name: str) -> tuple[Response, int]:
    """Queues the job that makes it."""
    return jsonify(job=exports.ask(backend().redis, backend().settings.data_dir, named_project(), name)), 202


@blueprint.get("/exports/<name>")
def download_export(name: str) -> Response:
    path = exports.path(backend().settings.data_dir, named_project(), name)
    if not path.is_file():
        raise PayloadError(f"{name} has not been created yet.", "Request it with a POST, and follow it in /jobs.")
    return send_file(path, as_attachment=True, download_name=name)
