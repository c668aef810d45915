"""Which project a request is about."""

from __future__ import annotations

from flask import request

from ml_backend.errors import PayloadError
from ml_backend.projects.model_versions import project_key
from ml_backend.server.label_studio_routes import backend


def named_project() -> str:
    """The key of `?project=`. Raises PayloadError when no project is named, and SettingsError when it is not known."""
    project = request.args.get("project")
    if not project:
        raise PayloadError("The request names no project.", "Add ?project= with the project's number in Label Studio.")
    return project_key(backend().settings.data_dir, backend().redis, project)
