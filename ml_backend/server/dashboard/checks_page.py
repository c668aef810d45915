"""Setup, step by step, and the checks of each project: what `coldblitz doctor` finds, and a button for what we can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from ml_backend.checks import FixableCheck
from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.label_config_edits import with_framerate, with_reviewed
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.projects import check_reports, links, registry, stored_predictions, task_view
from ml_backend.projects.check_reports import INSTALLATION, CheckReport
from ml_backend.projects.settings_changes import mark_of
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.queueing.waiting import wait_of
from ml_backend.server.dashboard.projects_page import framerate_for
from ml_backend.server.dashboard.site import ProjectPage, blueprint, project_page, titles
from ml_backend.server.label_studio_routes import backend
from ml_backend.wording import rounded

_MOST_PROJECTS = 50
# The steps of the setup, each with the checks that it is about.
_STEPS = (
    ("Label Studio answers, and takes the token", ("label studio", "token")),
    ("Coldblitz can work", ("redis", "workers", "jobs", "disk", "codecs")),
    ("There are weights to see with", ("weights", "text")),
)


@dataclass(frozen=True)
class Step:
    """`checks`: None before the first check."""

    title: str
    checks: tuple[FixableCheck, ...] | None

    @property
    def state(self) -> str:
        """The worst of its checks."""
        states = [each.state for each in self.checks or ()]
        return max(states, key=("ok", "warning", "fault").index, default="note")


@dataclass(frozen=True)
class Remedy:
    """What a button offers: `button` names it, `question` asks, `changes` says what changes in Label Studio. `value`: what is
    written, if that is a choice. `instead`: why it cannot be done from here, then there is no button. `text`: the label config
    as it would be."""

    fix: str
    button: str
    question: str = ""
    changes: Sequence[str] = ()
    value: str = ""
    instead: str = ""
    text: str = ""


@blueprint.get("/dashboard/start")
def start_page() -> str:
    """Opened for the first time, or after a start, it has everything checked."""
    redis, url = backend().redis, backend().settings.label_studio_url
    report = check_reports.recall(redis, INSTALLATION)
    outdated = report is not None and check_reports.is_outdated(redis, INSTALLATION, report)
    failure = check_reports.failure(redis, INSTALLATION, url)
    if (report is None or outdated) and failure is None:
        queue(redis, "examine_installation", url, again=True)
    wait = wait_of(redis, "examine_installation", url)
    keys = sorted(registry.known_keys(redis), key=registry.number_of, reverse=True)[:_MOST_PROJECTS]
    projects = [
        (ProjectPage(known), found, found is not None and check_reports.is_outdated(redis, key, found))
        for key in keys
        if (known := registry.recall(redis, key)) is not None and not links.is_disconnected(redis, key)
        for found in (check_reports.recall(redis, key),)
    ]
    return render_template(
        "dashboard/start.html",
        steps=list(_steps(report)),
        report=report,
        running=check_reports.is_running(redis, INSTALLATION, url),
        failure=failure,
        outdated=outdated,
        wait=wait,
        titles=titles(wait.running if wait is not None else ()),
        projects=projects,
        studio=backend().settings.label_studio_pages,
        url=request.url_root.rstrip("/"),
    )


@blueprint.post("/dashboard/start")
def check_installation() -> Response:
    queue(backend().redis, "examine_installation", backend().settings.label_studio_url, again=True)
    return redirect(url_for("dashboard.start_page"), 303)


def _steps(report: CheckReport | None) -> list[Step]:
    if report is None:
        return [Step(title, None) for title, _ in _STEPS]
    return [Step(title, tuple(each for each in report.checks if each.name in names)) for title, names in _STEPS]


@blueprint.get("/dashboard/projects/<int:project_id>/checks")
def checks_page(project_id: int) -> str:
    """Opened for the first time, or after something has changed, it has the project checked."""
    project, redis = project_page(project_id), backend().redis
    report = check_reports.recall(redis, project.key)
    outdated = report is not None and check_reports.is_outdated(redis, project.key, report)
    repair = check_reports.recall_repair(redis, project.key)
    failure = check_reports.failure(redis, project.key, backend().settings.label_studio_url)
    if (report is None or outdated) and failure is None:
        queue(redis, "examine", project.key, again=True)
    wait = wait_of(redis, "examine", project.key)
    repair_wait = wait_of(redis, "mend", project.key, repair.fix) if repair is not None else None
    remedies = {each.fix: remedy_for(project, each.fix) for each in (report.checks if report else ()) if each.fix}
    return render_template(
        "dashboard/checks.html",
        project=project,
        report=report,
        remedies=remedies,
        outdated=outdated,
        repair=repair,
        repair_wait=repair_wait,
        running=check_reports.is_running(redis, project.key, backend().settings.label_studio_url),
        failure=failure,
        wait=wait,
        titles=titles(job for each in (wait, repair_wait) if each is not None for job in each.running),
    )


@blueprint.post("/dashboard/projects/<int:project_id>/checks")
def check_project(project_id: int) -> Response:
    queue(backend().redis, "examine", project_page(project_id).key, again=True)
    return redirect(url_for("dashboard.checks_page", project_id=project_id), 303)


@blueprint.get("/dashboard/projects/<int:project_id>/checks/<fix>")
def ask_remedy(project_id: int, fix: str) -> str:
    """What would change, and whether that is wanted."""
    project = project_page(project_id)
    remedy = remedy_for(project, fix)
    return render_template(
        "dashboard/remedy.html", project=project, remedy=remedy, mark=mark_of(project.known.label_config)
    )


@blueprint.post("/dashboard/projects/<int:project_id>/checks/<fix>")
def do_remedy(project_id: int, fix: str) -> str | tuple[str, int] | Response:
    """Has a worker do what was confirmed, unless it would be something else by now."""
    project = project_page(project_id)
    remedy, mark = remedy_for(project, fix), mark_of(project.known.label_config)
    if remedy.instead or request.form.get("mark") != mark or request.form.get("value", "") != remedy.value:
        told = "What is to be done has changed since you opened this page. Look at it once more."
        page = render_template("dashboard/remedy.html", project=project, remedy=remedy, mark=mark, told=told)
        return page, 409
    check_reports.ask_repair(backend().redis, project.key, fix, remedy.value, project.known.label_config)
    return redirect(url_for("dashboard.checks_page", project_id=project_id), 303)


def remedy_for(project: ProjectPage, fix: str) -> Remedy:
    """What we can do about what a check has found. Refuses a name that is none with a 404."""
    try:
        config = parse_label_config(project.known.label_config)
    except LabelConfigError:
        config = None
    if fix == "webhook":
        return _webhook(project)
    if fix == "pin":
        return _pin(project)
    if fix not in ("framerate", "reviewed"):
        abort(404, "There is no such remedy.")
    if config is None:
        return Remedy(
            fix, "Correct the label config", instead="The label config asks for nothing that can be predicted."
        )
    return _framerate(project, config) if fix == "framerate" else _reviewed(project, config)


def _framerate(project: ProjectPage, config: LabelConfig) -> Remedy:
    button, data_dir = "Set the frame rate", backend().settings.data_dir
    rates = task_view.natural_rates(data_dir, project.key)
    if not rates:
        return Remedy(
            "framerate", button, instead="No video has been examined yet. Check again when one has suggestions."
        )
    if len(rates) > 1:
        told = (
            "The videos have different frame rates, so each task's data needs its own. `coldblitz import` writes it; then "
            f'write framerate="{framerate_for(project, rates)}" into <Video>.'
        )
        return Remedy("framerate", button, instead=told)
    value = str(next(iter(rates))).removesuffix(".0")
    try:
        text = with_framerate(project.known.label_config, value)
    except LabelConfigError as error:
        return Remedy("framerate", button, instead=f"{error.message} {error.remedy}")
    number = sum(rates.values())
    all_have = "the examined video has" if number == 1 else f"all {number} examined videos have"
    changes = (
        f'In the label config of project {project.id}, <Video> gets framerate="{value}", which {all_have}.',
        "Suggestions are made anew, since frames are counted at another rate then.",
        "If there are annotations by then, nothing is changed: their frames would move.",
    )
    return Remedy(
        "framerate",
        button,
        f"Set the frame rate to {rounded(float(value))} frames per second?",
        changes,
        value,
        text=text,
    )


def _reviewed(project: ProjectPage, config: LabelConfig) -> Remedy:
    button = "Add the choice"
    try:
        text = with_reviewed(project.known.label_config)
    except LabelConfigError as error:
        return Remedy("reviewed", button, instead=f"{error.message} {error.remedy}")
    changes = (
        f'In the label config of project {project.id}, a choice “reviewed” about <Video name="{config.main.to_name}"> is added.',
        "Annotators see it beside the video. Annotations and predictions stay as they are.",
    )
    return Remedy("reviewed", button, "Add the choice that marks a timeline as reviewed?", changes, text=text)


def _webhook(project: ProjectPage) -> Remedy:
    button, link = "Repair the webhook", links.recall(backend().redis, project.key)
    if link is None or link.url is None or not link.connected:
        return Remedy(
            "webhook", button, instead="It is not known yet under which address Label Studio reaches Coldblitz."
        )
    login = ", with the login of BASIC_AUTH_USER" if backend().settings.basic_auth_user else ""
    changes = (
        f"Project {project.id} has one webhook to {link.url}/webhook: switched on, for all actions, with payload{login}.",
        "Other webhooks of the project to the same address are deleted; those to other addresses stay.",
    )
    return Remedy("webhook", button, "Repair the webhook?", changes)


def _pin(project: ProjectPage) -> Remedy:
    version = project.active or KEYFRAMES_VERSION
    button = f"Show {version}"
    seen = project.overview
    # The last reconcile may be minutes ago, and what was pushed since is known here.
    there = (seen.versions if seen else {}).get(version, 0) or stored_predictions.number(
        backend().settings.data_dir, project.key, version
    )
    if not there:
        return Remedy(
            "pin", button, instead=f"No task has a prediction of {version} yet. Wait for the jobs, and check again."
        )
    changes = (
        f"The label stream of project {project.id} shows the predictions of {version}, whatever it shows now.",
        "Predictions of other versions stay in Label Studio.",
    )
    return Remedy("pin", button, f"Show {version} in the label stream?", changes, version)
