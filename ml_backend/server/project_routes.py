"""A project over HTTP, the same as on the command line: its model versions, what was found about its labels, and its exports."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request, send_file

from ml_backend.errors import PayloadError, SettingsError
from ml_backend.projects import (
    detector_versions,
    job_requests,
    label_report,
    model_versions,
    registry,
    reports,
    track_faults,
    training_choice,
)
from ml_backend.projects.model_versions import VersionSummary, project_key
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.server.label_studio_routes import backend, json_body
from ml_backend.store import files

# As many as there are labels that are probably wrong in an answer.
_MOST_FAULTS = 500


def named_project() -> str:
    """The key of `?project=`. Raises PayloadError when no project is named, and SettingsError when it is not known."""
    project = request.args.get("project")
    if not project:
        raise PayloadError("The request names no project.", "Add ?project= with the project's number in Label Studio.")
    return project_key(backend().settings.data_dir, backend().redis, project)


blueprint = Blueprint("project", __name__)


@blueprint.get("/models")
def list_models() -> Response:
    """All versions of `?project=`, the oldest first."""
    return jsonify(models=[each.as_json() for each in _versions()])


@blueprint.get("/models/training")
def show_training() -> Response:
    """How `?project=` trains: what was chosen, or that its extra params say it."""
    made = training_choice.in_force(backend().settings.data_dir, _named())
    return jsonify(training=_training(made))


@blueprint.post("/models/training")
def start_training() -> tuple[Response, int]:
    """Has it train like this from now on, and queues a training."""
    project, settings, body = _named(), backend().settings, json_body()
    if not isinstance(body, dict) or not body.keys() <= {"kind", "blitz", "file"}:
        raise PayloadError("The body is no object of kind, blitz and file.", "See docs/openapi.yaml.")
    kind, blitz, file = body.get("kind"), body.get("blitz", {}), body.get("file")
    if not isinstance(kind, str) or not isinstance(blitz, dict) or not (file is None or isinstance(file, str)):
        raise PayloadError("kind or file is not a text, or blitz not an object.", "See docs/openapi.yaml.")
    has_file = settings.custom_model is not None
    made = training_choice.choose(settings.data_dir, project, kind, blitz, has_file=has_file, file=file)
    return jsonify(job=queue(backend().redis, "train", project.key, again=True), training=_training(made)), 202


@blueprint.get("/models/<version>")
def show_model(version: str) -> Response:
    """The model card, as `coldblitz models show --json` prints it."""
    return jsonify(model_versions.model_card(backend().settings.data_dir, named_project(), version).as_json())


@blueprint.post("/models/<version>/activate")
def activate_model(version: str) -> Response:
    """Queues its roll-out."""
    model_versions.activate(backend().settings.data_dir, backend().redis, named_project(), version)
    return jsonify(wanted=version)


@blueprint.post("/models/<version>/delete")
def delete_model(version: str) -> Response:
    model_versions.delete(backend().settings.data_dir, backend().redis, named_project(), version)
    return jsonify(deleted=version)


@blueprint.get("/detectors")
def list_detectors() -> Response:
    """The detectors that were trained for `?project=`, the oldest first, the one in use, and what they learn from."""
    data_dir, project = backend().settings.data_dir, named_project()
    active, report = detector_versions.active_card(data_dir, project), detector_versions.load_report(data_dir, project)
    return jsonify(
        detectors=[card.as_json() for card in detector_versions.cards(data_dir, project)],
        active=active.name if active is not None else None,
        report=asdict(report) if report is not None else None,
    )


@blueprint.get("/quality")
def quality() -> Response:
    """Labels that are probably wrong and agreement of annotators, as after the last training; null before the first. Beside it the
    tracks that are probably wrong now."""
    data_dir, project = backend().settings.data_dir, named_project()
    report = reports.load_quality(data_dir, project)
    faults, found = track_faults.worst(data_dir, project, _MOST_FAULTS)
    return jsonify(
        quality=report.as_json() if report else None,
        track_faults={"found": found, "faults": [asdict(each) for each in faults]},
    )


@blueprint.get("/labels")
def labels() -> Response:
    """What the last training read of `?project=`, or of one `&task=`, and what it taught; null before the first."""
    text = request.args.get("task")
    if text is not None and not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise PayloadError("The task is no number.", "Give its number in Label Studio, or none for all tasks.")
    account = label_report.load_account(
        backend().settings.data_dir, named_project(), None if text is None else int(text)
    )
    return jsonify(labels=account.as_json() if account else None)


def _versions() -> list[VersionSummary]:
    return model_versions.summaries(backend().settings.data_dir, backend().redis, named_project())


def _named() -> registry.Known:
    """The project of `?project=`. Raises SettingsError when it is not connected."""
    key = named_project()
    known = registry.recall(backend().redis, key)
    if known is None:
        raise SettingsError(f"Project {key} is not connected.", "Connect it in Label Studio (Settings, Model).")
    return known


def _training(made: training_choice.TrainingChoice | None) -> dict[str, object]:
    if made is None:
        return {"kind": training_choice.EXTRA_PARAMS}
    return {"kind": made.kind, "blitz": asdict(made.blitz), **({"file": made.file} if made.file else {})}


@blueprint.get("/exports")
def list_exports() -> Response:
    """Those of `?project=` that are complete, the newest first."""
    return jsonify(
        exports=[asdict(file) for file in job_requests.exports_made(backend().settings.data_dir, named_project())]
    )


@blueprint.post("/exports/<name>")
def ask_export(name: str) -> tuple[Response, int]:
    """Queues the job that makes it."""
    return jsonify(
        job=job_requests.ask_export(backend().redis, backend().settings.data_dir, named_project(), name)
    ), 202


@blueprint.get("/exports/<name>")
def download_export(name: str) -> Response:
    path = job_requests.export_path(backend().settings.data_dir, named_project(), name)
    if not files.current(path).is_file():
        raise PayloadError(f"{name} has not been created yet.", "Request it with a POST, and follow it in /jobs.")
    return send_file(path, as_attachment=True, download_name=name)
