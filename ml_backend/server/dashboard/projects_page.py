"""`/`: every connected project with its progress, its model, and what is wrong with what to do; and what its settings are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from flask import Response, render_template, request

from ml_backend.checks import Check
from ml_backend.detector_names import is_trained
from ml_backend.labelstudio import addresses
from ml_backend.labelstudio.recommended import recommended_config
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.project_settings import parse_project_settings
from ml_backend.projects import (
    detector_versions,
    installation,
    label_report,
    model_versions,
    registry,
    reports,
    settings_changes,
    stored_predictions,
    task_view,
    track_rows,
    training_choice,
)
from ml_backend.projects.detector_versions import DetectorReport
from ml_backend.projects.label_report import LabelReport
from ml_backend.projects.model_versions import VersionSummary
from ml_backend.projects.reports import StoppingReport
from ml_backend.projects.track_rows import TaughtTracks
from ml_backend.queueing import queue
from ml_backend.queueing.waiting import wait_of
from ml_backend.server.dashboard import formatting
from ml_backend.server.dashboard.site import ProjectPage, blueprint, project_page, titles
from ml_backend.server.label_studio_routes import backend, health
from ml_backend.settings import Settings
from ml_backend.store.connect import check_store

# Beyond this many a page would be slow; the newest are shown.
_MOST_PROJECTS = 50


@dataclass(frozen=True)
class Progress:
    """How many of a project's tasks have been `done`; `text` says what that is."""

    name: str
    done: int
    of: int
    text: str


@dataclass(frozen=True)
class Row:
    """A project on the page. `versions`: summaries of its model versions, the oldest first. `companion`: the project with
    its suggested frames as images. `taught`: what was learned about boxes with several labels. `detector`: how the
    training of a detector stands."""

    project: ProjectPage
    labels: LabelReport | None
    versions: list[VersionSummary]
    progress: tuple[Progress, ...]
    problems: list[str]
    findings: list[registry.SharedFinding]
    left: StoppingReport | None
    companion: registry.KnownCompanion | None
    taught: list[TaughtTracks]
    detector: DetectorReport | None

    @property
    def companion_page(self) -> str | None:
        return (
            addresses.project_page(backend().settings.label_studio_pages, self.companion.id) if self.companion else None
        )

    @property
    def active(self) -> VersionSummary | None:
        return next((version for version in self.versions if version.active), None)

    @property
    def not_shown(self) -> str:
        """Of a project without an active version: why its newest is none."""
        newest = self.versions[-1]
        if newest.decision.startswith(f"{newest.name} is kept back"):
            return newest.decision
        of = {progress.name: progress for progress in self.progress}
        if 0 < of["reviewed"].of == of["reviewed"].done:
            return (
                f"{newest.name} is trained. All videos are reviewed, so there is nothing to predict. "
                "It becomes active when a video is added."
            )
        return f"{newest.name} is trained. It becomes active once its predictions are in Label Studio; see the jobs."

    @property
    def trend(self) -> list[float | None]:
        return [version.macro_f1 for version in self.versions[-30:]]

    @property
    def distribution(self) -> list[tuple[str, float, str]]:
        frames = self.labels.frames if self.labels else {}
        order = [*self.project.colours, *sorted(frames.keys() - self.project.colours.keys())]
        return [(label, frames[label], self.project.colour(label)) for label in order if frames.get(label)]


@blueprint.get("/")
def home() -> str | Response:
    """The dashboard for a browser; for everybody else what `/health` says."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        return health()
    redis = backend().redis
    keys = registry.known_keys(redis)
    shown = sorted(keys, key=registry.number_of, reverse=True)[:_MOST_PROJECTS]
    problems, findings = registry.problems(redis), registry.findings(redis)
    rows = [_row(known, problems, findings) for key in shown if (known := registry.recall(redis, key))]
    return render_template(
        "dashboard/projects.html",
        rows=rows,
        more=len(keys) - len(shown),
        counts=queue.counts(redis),
        checks=list(_checks()),
        url=request.url_root.rstrip("/"),
    )


def _row(
    known: registry.Known, problems: Mapping[str, list[str]], findings: Mapping[str, list[registry.SharedFinding]]
) -> Row:
    data_dir, project = backend().settings.data_dir, ProjectPage(known)
    labels = label_report.load(data_dir, known.key)
    return Row(
        project,
        labels,
        model_versions.summaries(data_dir, backend().redis, known.key),
        tuple(_progress(project, labels)),
        problems.get(known.key, []),
        findings.get(known.key, []),
        reports.load_stopping(data_dir, known.key, project.active) if project.active else None,
        registry.recall_companion(backend().redis, known.key),
        track_rows.load_taught(data_dir, known.key),
        detector_versions.load_report(data_dir, known.key) if is_trained(known.settings.detector) else None,
    )


def _progress(project: ProjectPage, labels: LabelReport | None) -> Iterator[Progress]:
    """Of what is ready in files and of what Label Studio last said, the larger: each of them lags behind the other at times."""
    seen, active = project.overview, project.active
    stored = seen.versions if seen else {}
    suggested = max(_ready(project.key, KEYFRAMES_VERSION), stored.get(KEYFRAMES_VERSION, 0))
    predicted = max(_ready(project.key, active), stored.get(active, 0)) if active else 0
    labelled, reviewed = (len(labels.tasks), len(labels.reviewed)) if labels else (0, 0)
    tasks = max(seen.tasks if seen else 0, suggested, labelled)
    yield Progress("suggested", suggested, tasks, "have suggested frames")
    yield Progress("labeled", labelled, tasks, "have a submitted annotation")
    yield Progress("reviewed", reviewed, tasks, "are fully reviewed")
    yield Progress(
        "predicted", predicted, tasks, f"have a timeline of {active}" if active else "no model is active yet"
    )


def _ready(key: str, version: str) -> int:
    return stored_predictions.number(backend().settings.data_dir, key, version)


def _checks() -> Iterator[Check]:
    """What keeps the backend as a whole from working; Label Studio is not asked, a page does not wait for it,
    and an untrained backbone is among the projects' problems."""
    redis, settings = backend().redis, backend().settings
    found = (installation.check_workers(redis), installation.check_disk(settings.data_dir), check_store(settings))
    return (check for check in found if check.state != "ok")


# Half of a login is not shown either; a Redis address may hold a password.
_HIDDEN = {"basic_auth_user"}
_OF_TRAINING = ("mode", "blitz.")
# So is this, of which the page need not say anything.
_FILE = "custom_model"
_EXAMPLE = {"person": "#0072B2", "empty": "#999999"}


@dataclass(frozen=True)
class Setting:
    name: str
    value: str
    source: str


@blueprint.get("/dashboard/projects/<int:project_id>/settings")
def settings_page(project_id: int) -> str:
    project, data_dir = project_page(project_id), backend().settings.data_dir
    rates = task_view.natural_rates(data_dir, project.key)
    framerate = framerate_for(project, rates)
    _, ignored = parse_project_settings(project.known.extra_params)
    settings = training_choice.settings_of(data_dir, project.known)
    chosen = training_choice.in_force(data_dir, project.known) is not None
    wait = wait_of(backend().redis, "configure", project.key)
    given = project.known.extra_params if isinstance(project.known.extra_params, Mapping) else {}
    return render_template(
        "dashboard/settings.html",
        project=project,
        project_settings=list(of_project(settings, given, chosen=chosen)),
        installation=list(of_installation(backend().settings, os.environ)),
        ignored=ignored,
        problems=registry.problems(backend().redis).get(project.key, []),
        change=settings_changes.recall(backend().redis, project.key),
        wait=wait,
        titles=titles(wait.running if wait is not None else ()),
        rates=rates,
        framerate=framerate,
        recommended=recommended_config(
            project.colours or _EXAMPLE, framerate, project.question.video_key if project.question else "video"
        ),
        labeling=addresses.settings_page(backend().settings.label_studio_pages, project.id, "labeling"),
        model=addresses.settings_page(backend().settings.label_studio_pages, project.id, "ml"),
    )


def of_project(settings: Any, given: Mapping[str, Any], within: str = "", *, chosen: bool = False) -> Iterator[Setting]:
    """Each setting of a project; one that holds several is written out, as `blitz.cycles`. `chosen`: whether how to train
    was chosen on the models page."""
    for each in fields(settings):
        value, said = getattr(settings, each.name), given.get(each.name)
        if is_dataclass(value):
            yield from of_project(
                value, said if isinstance(said, Mapping) else {}, f"{within}{each.name}.", chosen=chosen
            )
        elif chosen and (f"{within}{each.name}".startswith(_OF_TRAINING) or (each.name == _FILE and value != said)):
            yield Setting(f"{within}{each.name}", _text(value), "models page")
        else:
            # What was understood need not look as it was written.
            taken = each.name in given and (said == value or value != each.default)
            yield Setting(f"{within}{each.name}", _text(value), "extra params" if taken else "default")


def of_installation(settings: Settings, environment: Mapping[str, str]) -> Iterator[Setting]:
    """Each setting of the installation, by the name of its environment variable."""
    for each in fields(settings):
        value, name = getattr(settings, each.name), each.name.upper()
        default = None if each.default is MISSING else each.default
        secret = not each.repr or each.name in _HIDDEN
        shown = "set, not shown" if secret and value is not None else _text(value)
        if name.endswith("_BYTES"):
            shown = f"{shown} ({formatting.size(value)})"
        told = name in environment or f"{name}_FILE" in environment or value != default
        yield Setting(name, shown, "environment" if told else "default")


def _text(value: object) -> str:
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value)
    return str(value)


def framerate_for(project: ProjectPage, rates: Mapping[float, int]) -> str:
    """What to write into the `<Video>` tag: the config's own variable, the rate that all videos share, or a variable."""
    written = project.question.framerate if project.question else None
    if written and written.startswith("$"):
        return written
    return str(next(iter(rates))).removesuffix(".0") if len(rates) == 1 else "$fps"
