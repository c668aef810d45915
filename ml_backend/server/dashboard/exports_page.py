"""A project's labels and labelled frames, to be taken elsewhere."""

from __future__ import annotations

from flask import render_template, request
from werkzeug.wrappers import Response

from ml_backend.projects import exports
from ml_backend.server.dashboard.site import blueprint, done, project_page
from ml_backend.server.label_studio_routes import backend

_OFFERED = ("labels.json", "labels.csv", "labels.parquet", "frames.zip")


@blueprint.get("/dashboard/projects/<int:project_id>/export")
def exports_page(project_id: int) -> str:
    project = project_page(project_id)
    made = exports.made(backend().settings.data_dir, project.key)
    return render_template("dashboard/exports.html", project=project, made=made, offered=_OFFERED)


@blueprint.post("/dashboard/projects/<int:project_id>/export")
def make_export(project_id: int) -> Response:
    name = request.form.get("name", "")
    step = request.form.get("every", "1")
    if name == "frames.zip" and step != "1":
        name = f"frames-every-{step}.zip"
    exports.ask(backend().redis, backend().settings.data_dir, project_page(project_id).key, name)
    return done(
        f"{name} is being created. It will be listed here when it is complete.",
        "dashboard.exports_page",
        project_id=project_id,
    )
