"""The jobs: what runs and how far it is, what waits, what is done, and what failed with a way to try it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import abort, render_template
from markupsafe import Markup
from werkzeug.wrappers import Response

from ml_backend.queueing import interventions, queue
from ml_backend.queueing.waiting import lines
from ml_backend.server.dashboard import charts
from ml_backend.server.dashboard.site import blueprint, done, titles
from ml_backend.server.label_studio_routes import backend

# What each kind of job does, for somebody who has not read the code.
DOES = {
    "configure": "saves settings in Label Studio",
    "mend": "does in Label Studio what a check asks for",
    "examine": "checks a project and its connection",
    "examine_installation": "checks the installation",
    "reconcile": "compares a project with Label Studio",
    "train": "trains the next model version",
    "rollout": "sends a version's predictions to Label Studio",
    "suggest": "picks frames worth labeling",
    "predict": "predicts a new task",
    "embed": "computes the embeddings of a video, once for all models",
    "embed_part": "embeds a part of a long video",
    "recognize": "learns the labels of tracks",
    "track": "finds and follows objects",
    "train_detector": "trains a detector on submitted boxes",
    "evaluate": "measures a version on held-out videos",
    "quality": "looks for wrong labels and disagreement",
    "stopping": "estimates the remaining errors",
    "columns": "renews the Data Manager's columns",
    "fetch": "fetches a video that somebody wants to watch",
    "pictures": "draws a video's pictures ahead of time",
    "sheet": "draws a video's contact sheet",
    "export": "exports labels and frames",
    "bouts": "counts bouts",
    "recheck": "looks for videos whose files were replaced",
    "discover": "looks for connected projects",
}
_SHOWN = 30
_WAITING = ("queued", "scheduled", "deferred")
_KEPT = (
    f"jobs about one task are kept for {queue.TASK_ENDED_FOR // 60} minutes, others for {queue.ENDED_FOR // 60} minutes"
)
_GONE = "There is no such job."


@blueprint.get("/dashboard/jobs")
def jobs_page() -> str:
    redis = backend().redis
    shown = {state: rows[:_SHOWN] for state, rows in queue.listing(redis).items()}
    return render_template(
        "dashboard/jobs.html",
        jobs=shown,
        counts=queue.counts(redis),
        lines={kind: states for kind, states in lines(redis).items() if any(states[name] for name in _WAITING)},
        kept=_KEPT,
        titles=titles(row for rows in shown.values() for row in rows),
        does=DOES,
        curves=curves,
    )


@blueprint.post("/dashboard/jobs/retry")
def retry_jobs() -> Response:
    queued = len(interventions.retry_failed(backend().redis))
    told = "1 job is" if queued == 1 else f"{queued} jobs are"
    return done(f"{told} being retried.", "dashboard.jobs_page")


@blueprint.post("/dashboard/jobs/<job_id>/retry")
def retry_job(job_id: str) -> Response:
    queued = interventions.retry_job(backend().redis, job_id)
    return abort(404, _GONE) if queued is None else done("The job is being retried.", "dashboard.jobs_page")


@blueprint.post("/dashboard/jobs/<job_id>/cancel")
def cancel_job(job_id: str) -> Response:
    cancelled = interventions.cancel(backend().redis, job_id)
    if cancelled is None:
        abort(404, _GONE)
    text = (
        "The job is cancelled. If it is running, it stops at its next progress report."
        if cancelled
        else "The job has already ended."
    )
    return done(text, "dashboard.jobs_page")


def curves(epochs: Sequence[Mapping[str, float]], best: int | None = None) -> list[Markup]:
    """Training curves, one picture for the loss and one for the score, from one row an epoch; none for none.

    `best`: the epoch that was kept.
    """
    loss = [
        charts.Series("training", _points(epochs, "train_loss"), "second"),
        charts.Series("held out", _points(epochs, "validation_loss")),
    ]
    score = [charts.Series("held out", _points(epochs, "validation_macro_f1"))]
    overlap = [charts.Series("held out", _points(epochs, "validation_ap50"))]
    kept = f", epoch {best} was kept" if best is not None else ""
    found = (
        charts.lines([each for each in loss if each.points], f"Loss{kept}", "epoch", "loss", None),
        charts.lines([each for each in score if each.points], f"Macro-F1{kept}", "epoch", "macro-F1"),
        charts.lines([each for each in overlap if each.points], f"AP50{kept}", "epoch", "AP50"),
    )
    return [picture for picture in found if picture]


def _points(epochs: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    return [
        (float(row.get("epoch", position)), float(row[name]))
        for position, row in enumerate(epochs)
        if isinstance(row.get(name), int | float)
    ]
