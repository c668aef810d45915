"""A project's videos, and one of them over time: what the model says, how sure it is, and what people say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flask import jsonify, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from ml_backend.annotation import Region
from ml_backend.errors import SettingsError
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, parse_regions
from ml_backend.projects import (
    label_report,
    playback,
    registry,
    reports,
    stored_predictions,
    task_view,
    track_faults,
    track_questions,
    tracks,
)
from ml_backend.projects.label_report import HumanRegion
from ml_backend.projects.task_view import TaskView
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.queueing.queue import last_failure, reason_of
from ml_backend.server.dashboard import boxes, charts, player, strips
from ml_backend.server.dashboard.labels_page import twice
from ml_backend.server.dashboard.shown import Shown, certainty_of, names_of, predicted_regions, shown_of, words_of
from ml_backend.server.dashboard.site import ProjectPage, blueprint, done, project_page, shown_of_video, titles
from ml_backend.server.label_studio_routes import backend
from ml_backend.store import files
from ml_backend.wording import counted

_A_PAGE = 50
# A picture of more regions than this is a grey block, and slow.
_MOST_REGIONS = 1000
_MOST_LABELS = 40
_MOST_ASKED = 20
# The kinds of jobs by which something is known of a video.
_ABOUT_A_VIDEO = ("suggest", "predict", "embed")


@dataclass(frozen=True)
class VideoRow:
    task: int
    view: TaskView | None
    sure: float | None
    errors: float | None
    labelled: bool
    reviewed: bool
    findings: int
    pictured: bool


@blueprint.get("/dashboard/projects/<int:project_id>/videos")
def videos_page(project_id: int) -> str:
    project, data_dir = project_page(project_id), backend().settings.data_dir
    report = label_report.load(data_dir, project.key)
    labelled, reviewed = (set(report.tasks), set(report.reviewed)) if report else (set[int](), set[int]())
    left = reports.load_stopping(data_dir, project.key, project.active) if project.active else None
    counted = reports.videos_with_errors(data_dir, project.key)[: None if left else 0]
    order = next((order for order in reports.ORDERS if order == request.args.get("sort")), None)
    known = stored_predictions.tasks(data_dir, project.key) | labelled
    tasks = reports.in_order_of(counted, order, known) if order else sorted(known)
    page = min(max(request.args.get("page", 1, int), 1), max(1, -(-len(tasks) // _A_PAGE)))
    shown = tasks[_A_PAGE * (page - 1) : _A_PAGE * page]
    found = registry.findings_of_tasks(backend().redis, project.key, shown)
    rows = [
        VideoRow(
            task,
            (view := task_view.load(data_dir, project.key, task)),
            _sure(project, task, view),
            reports.errors_of(counted, task),
            task in labelled,
            task in reviewed,
            len(found.get(task, ())),
            files.exists(task_view.thumbnail(data_dir, project.key, task)),
        )
        for task in shown
    ]
    boxed = project.config is not None and bool(project.config.tracks)
    asked, number_asked = track_questions.best(data_dir, project.key, _MOST_ASKED) if boxed and page == 1 else ([], 0)
    return render_template(
        "dashboard/videos.html",
        project=project,
        asked=asked,
        number_asked=number_asked,
        rows=rows,
        number=len(tasks),
        page=page,
        pages=-(-len(tasks) // _A_PAGE),
        sort=order,
        placed=len(playback.places(data_dir, project.key)) > 0,
        left=left,
        twice=twice(data_dir, project.key),
    )


def _no_data(project: ProjectPage, task: int) -> SettingsError:
    """What is said in place of a task's page: why its job has failed, where one has."""
    told = f"There is no data yet about task {task} of project {project.id}"
    failures = (last_failure(backend().redis, kind, project.key, task) for kind in _ABOUT_A_VIDEO)
    failed = [failure for failure in failures if failure is not None]
    if not failed:
        remedy = "It is examined once it has a usable video. See the jobs and the project's problems."
        return SettingsError(f"{told}.", remedy)
    last = max(failed, key=lambda job: job.ended_at or job.created_at)
    return SettingsError(f"{told}, since its job failed.", reason_of(last))


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>")
def video_page(project_id: int, task: int) -> str:
    project, data_dir = project_page(project_id, request.args.get("control", "")), backend().settings.data_dir
    view, control = task_view.load(data_dir, project.key, task), project.other_timeline
    view = view.about(control) if view else None
    people = label_report.regions_of(data_dir, project.key, task, control)
    shown = shown_of(project, task, view)
    asked = predicted_regions(project, task, KEYFRAMES_VERSION)
    names = names_of(project)
    boxed = boxes.load(project, task, names)
    if view is None and not people and not shown.regions and not asked and not boxed.shown:
        raise _no_data(project, task)
    report = label_report.load(data_dir, project.key)
    reviewed = report is not None and task in report.reviewed
    at = strips.Clock(view.framerate if view else 24.0)
    ends = [*(r.end for r in people), *(r.end for r in shown.regions), *(r.end for r in asked)]
    length = view.frames if view else max([*ends, int(boxed.last)])
    words = words_of(project, task, people, names, reviewed=reviewed)
    played = player.player_of(project, task)
    first = min((int(each.track.keys[0].frame) for each in boxed.shown), default=None)
    return render_template(
        "dashboard/video.html",
        project=project,
        task=task,
        view=view,
        shown=shown,
        length=length,
        seconds=view.seconds if view else length / at.framerate,
        strips=[
            *_strips(project, at, float(length), shown, people, asked, names),
            *_beside(project, at, float(length), task, shown.version),
        ],
        heat=list(_heat(project, view, float(length))),
        player=played,
        titles=titles(played.wait.running if played.wait is not None else ()),
        described=player.described,
        timelines=_other_timelines(project),
        asked_for=shown_of_video(),
        query=request.query_string.decode(errors="replace"),
        beside=player.beside(project, words, at, length),
        certainty=player.certainty_line(view, length, at.framerate),
        unsure=strips.least_sure(shown.regions, at),
        differing=strips.differing(people, shown.regions, at, whole=reviewed) if shown.version else [],
        reviewed=reviewed,
        labeled=bool(people),
        asked=[at.stretch(region.start, region.end) for region in asked[:60]],
        findings=registry.findings_of_task(backend().redis, project.key, task),
        sheet=task_view.load_sheet(data_dir, project.key, task),
        account=label_report.load_account(data_dir, project.key, task),
        tracks=tracks.made_of(data_dir, project.key, task),
        lanes=list(boxed.lanes()),
        more_lanes=boxed.more,
        aspect=boxed.aspect,
        faults=track_faults.load(data_dir, project.key, task),
        at_frame=min(max(request.args.get("frame", first or 0, int), 0), length),
        learns=project.config is None or bool(project.config.questions),
    )


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/tracks.json")
def track_boxes(project_id: int, task: int) -> Response:
    """The boxes of the page's script."""
    project = project_page(project_id)
    return jsonify(boxes.load(project, task, names_of(project)).as_json())


@blueprint.post("/dashboard/projects/<int:project_id>/videos/<int:task>/sheet")
def make_sheet(project_id: int, task: int) -> Response:
    queue(backend().redis, "sheet", project_page(project_id).key, task, again=True)
    text = "The pictures are being created. They appear here when the job has finished."
    return done(text, "dashboard.video_page", project_id=project_id, task=task, **shown_of_video())


def _other_timelines(project: ProjectPage) -> list[str]:
    """Those that the page could speak of instead."""
    timelines = project.config.timelines if project.config else ()
    return [each.from_name for each in timelines if each != project.question]


def _strips(
    project: ProjectPage,
    at: strips.Clock,
    length: float,
    shown: Shown,
    people: tuple[HumanRegion, ...],
    asked: tuple[Region, ...],
    names: Mapping[int | None, str],
) -> Iterator[tuple[str, Markup]]:
    """(name, picture) of each row of regions."""
    kinds: list[tuple[str, str, Sequence[Region] | Sequence[HumanRegion]]] = [
        (_named(f"Model {shown.version}", whose), "the model", own)
        for whose, own in strips.by_individual(shown.regions, lambda region: region.remark.removeprefix("who: "))
    ]
    authors = dict.fromkeys(region.author for region in people)
    for author in list(authors)[:8]:
        who = names.get(author, f"user {author}" if author is not None else "unknown")
        mine = [region for region in people if region.author == author]
        kinds += [
            (_named(who, whose), who, own) for whose, own in strips.by_individual(mine, lambda region: region.who)
        ]
    kinds += [("Questions", "the model", shown.questions), ("Suggested", "suggested", asked)]
    for name, who, regions in kinds:
        if regions:
            spans = [at.span(region, project.colours, who) for region in regions[:_MOST_REGIONS]]
            desc = f"{counted(len(regions), 'region')} in {length:.0f} frames"
            yield name, charts.timeline(length, spans, name, desc)


def _named(row: str, whose: str) -> str:
    return f"{row}, {whose}" if whose else row


def _beside(
    project: ProjectPage, at: strips.Clock, length: float, task: int, version: str | None
) -> Iterator[tuple[str, Markup]]:
    """The model's regions on the label config's other timelines."""
    found = stored_predictions.load(backend().settings.data_dir, project.key, version, task) if version else None
    others = project.config.timelines if project.config and found else ()
    for question in others:
        if found is None or question == project.question:
            continue
        regions = [region for region in parse_regions(found.get("result") or [], question) if region.labels]
        if regions:
            colours, name = project.colours_in(question.from_name), f"Model, {question.from_name}"
            spans = [at.span(region, colours, "the model") for region in regions[:_MOST_REGIONS]]
            yield (
                name,
                charts.timeline(length, spans, name, f"{counted(len(regions), 'region')} in {length:.0f} frames"),
            )


def _heat(project: ProjectPage, view: TaskView | None, length: float) -> Iterator[tuple[str, str, list[int], Markup]]:
    """(label, colour, percent, picture) of each label that the model knows."""
    for label, percent in list(view.percent.items() if view else ())[:_MOST_LABELS]:
        colour = project.colour(label)
        yield label, colour, percent, charts.heat(percent, length, colour, label, "frames")
    for control, labels in view.more.items() if view else ():
        # Where it is no question it is an individual, which the first one is asked about.
        colours = project.colours_in(control) or project.colours
        for label, percent in list(labels.items())[:_MOST_LABELS]:
            named, colour = f"{control}: {label}", colours.get(label, "#808080")
            yield named, colour, percent, charts.heat(percent, length, colour, named, "frames")


def _sure(project: ProjectPage, task: int, view: TaskView | None) -> float | None:
    active = project.active
    found = stored_predictions.load(backend().settings.data_dir, project.key, active, task) if active else None
    return certainty_of(found, view) if found else None
