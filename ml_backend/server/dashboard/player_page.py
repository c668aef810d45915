"""What the player of a task's video fetches: the video itself, the times of its frames, what its keys jump to, and pictures."""

from __future__ import annotations

import contextlib
import gzip
import os
from pathlib import Path

from flask import abort, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response

from ml_backend.projects import label_report, playback, task_view
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.server.dashboard import player
from ml_backend.server.dashboard.shown import names_of, words_of
from ml_backend.server.dashboard.site import blueprint, project_page, shown_of_video
from ml_backend.server.dashboard.strips import Clock
from ml_backend.server.label_studio_routes import backend
from ml_backend.server.video_files import video_answer
from ml_backend.store import files

_GONE = "The video is not kept here at the moment. Reload the page, and have it fetched."


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/video")
def video_file(project_id: int, task: int) -> Response:
    """The cached file, whole or in parts."""
    data_dir = backend().settings.data_dir
    found = playback.load(data_dir, project_page(project_id).key, task)
    path = playback.video_file(data_dir, found) if found is not None else None
    if found is None or path is None:
        abort(404, _GONE)
    try:
        return video_answer(path, found.mime, found.content)
    except OSError:
        abort(404, _GONE)


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/frames.bin")
def frame_times(project_id: int, task: int) -> Response:
    """When each frame is shown, see `playback.time_table`."""
    table = playback.load_time_table(backend().settings.data_dir, project_page(project_id).key, task)
    if table is None:
        abort(404, "It is not known yet when the frames of this video are shown. Have the video fetched.")
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    answer = Response(table if zipped else gzip.decompress(table), mimetype="application/octet-stream")
    answer.headers["Vary"] = "Accept-Encoding"
    if zipped:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/player.json")
def player_facts(project_id: int, task: int) -> Response:
    """What is said of the video, and what keys jump to."""
    project, data_dir = project_page(project_id, request.args.get("control", "")), backend().settings.data_dir
    view, control = task_view.load(data_dir, project.key, task), project.other_timeline
    view = view.about(control) if view else None
    found = playback.load(data_dir, project.key, task)
    frames = found.frames if found else view.frames if view else 1
    framerate = found.framerate if found else view.framerate if view else 24.0
    people = label_report.regions_of(data_dir, project.key, task, control)
    report = label_report.load(data_dir, project.key)
    reviewed = report is not None and task in report.reviewed
    words = words_of(project, task, people, names_of(project), reviewed=reviewed)
    pair = player.beside(project, words, Clock(framerate), frames)
    return jsonify(player.facts(words, view, pair, frames, framerate))


@blueprint.post("/dashboard/projects/<int:project_id>/videos/<int:task>/fetch")
def fetch_video(project_id: int, task: int) -> Response:
    queue(backend().redis, "fetch", project_page(project_id).key, task, again=True)
    return redirect(url_for("dashboard.video_page", project_id=project_id, task=task, **shown_of_video()), 303)


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/sheet.jpg")
def sheet_picture(project_id: int, task: int) -> Response:
    path = task_view.sheet_picture(backend().settings.data_dir, project_page(project_id).key, task)
    # One that is looked at is kept longer than others.
    with contextlib.suppress(OSError):
        os.utime(path)
    return _picture(path)


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/thumbnail.jpg")
def thumbnail(project_id: int, task: int) -> Response:
    return _picture(task_view.thumbnail(backend().settings.data_dir, project_page(project_id).key, task))


def _picture(path: Path) -> Response:
    try:
        return Response(files.current(path).read_bytes(), mimetype="image/jpeg")
    except OSError:
        abort(404, "Its pictures have not been made yet.")
