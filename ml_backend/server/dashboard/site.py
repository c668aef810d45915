"""The dashboard's blueprint: its frame, its filters, and what goes wrong as a page instead of JSON."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from markupsafe import Markup, escape
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from ml_backend.errors import ColdblitzError, LabelConfigError, SettingsError
from ml_backend.labelstudio import addresses
from ml_backend.labelstudio.label_config import LabelConfig, Question, parse_label_config
from ml_backend.labelstudio.recommended import colours_of
from ml_backend.projects import label_report, registry
from ml_backend.queueing.queue import JobRow
from ml_backend.server.dashboard import charts, formatting
from ml_backend.server.label_studio_routes import backend

log = logging.getLogger(__name__)

blueprint = Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/dashboard/static",
)
_TICKED = re.compile(r"`([^`]{1,200})`")
_HERE = Path(__file__).parent
_KEPT_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class ProjectPage:
    """A project as every page about it begins: what Redis knows of it, without asking Label Studio."""

    known: registry.Known
    # The timeline that a page is asked to speak of; by default the first one.
    control: str = ""

    @property
    def key(self) -> str:
        return self.known.key

    @property
    def id(self) -> int:
        return self.known.id

    @cached_property
    def overview(self) -> registry.Overview | None:
        return registry.recall_overview(backend().redis, self.key)

    @property
    def title(self) -> str:
        return self.overview.title if self.overview else f"Project {self.id}"

    @cached_property
    def config(self) -> LabelConfig | None:
        """None when it has nothing to predict; the project's problems say so."""
        try:
            config = parse_label_config(self.known.label_config)
        except LabelConfigError:
            return None
        return config.with_labels(label_report.load_task_labels(backend().settings.data_dir, self.key) or {})

    @cached_property
    def colours(self) -> dict[str, str]:
        return colours_of(self.question) if self.question else {}

    def colours_in(self, control: str) -> dict[str, str]:
        """Those of another question's labels."""
        asked = self.config.questions if self.config else ()
        return next((colours_of(each) for each in asked if each.from_name == control), {})

    @property
    def question(self) -> Question | None:
        """The one that pages about labels speak of."""
        timelines = self.config.timelines if self.config else ()
        main = self.config.main if self.config else None
        return next((each for each in timelines if each.from_name == self.control), main)

    @property
    def other_timeline(self) -> str:
        """The control that a page speaks of, where it is not the first one of its kind."""
        asked, main = self.question, self.config.main if self.config else None
        return asked.from_name if asked is not None and asked != main else ""

    @cached_property
    def active(self) -> str | None:
        return registry.active_version(backend().redis, self.key)

    @property
    def page(self) -> str:
        return addresses.project_page(backend().settings.label_studio_pages, self.id)

    def task_page(self, task: int) -> str:
        return addresses.task_page(backend().settings.label_studio_pages, self.id, task)

    def colour(self, label: str) -> str:
        return self.colours.get(label, "#808080")


def project_page(number: int, control: str = "") -> ProjectPage:
    """The newest project of that number, for a page about the timeline `control`. Raises SettingsError for one that is not connected."""
    redis = backend().redis
    keys = registry.keys_of(registry.known_keys(redis), str(number))
    known = registry.recall(redis, keys[-1]) if keys else None
    if known is None:
        raise SettingsError(
            f"Project {number} is not connected to this backend.",
            "Connect it in Label Studio: project, Settings, Model, Connect Model.",
        )
    return ProjectPage(known, control)


def titles(jobs: Iterable[JobRow]) -> dict[str, str]:
    """Of the projects that jobs are about, by their keys, as far as Label Studio was asked about them."""
    found = ((key, registry.recall_overview(backend().redis, key)) for key in {job["project"] for job in jobs} if key)
    return {key: overview.title for key, overview in found if overview is not None}


def shown_of_video() -> dict[str, Any]:
    """What the address of a video's page asks for: a timeline, two words beside each other. Forms lead back to the same."""
    return {name: request.args[name] for name in ("control", "one", "other") if name in request.args}


def done(text: str, endpoint: str, **values: Any) -> AnyResponse:
    """After a form: back to a page, which says what was done."""
    return redirect(url_for(endpoint, done=text, **values), 303)


@blueprint.app_template_global()
def static_file(name: str) -> str:
    """The address of a static file, which changes with its content."""
    known: dict[str, str] = current_app.extensions.setdefault("coldblitz static", {})
    if name not in known:
        known[name] = sha256((_HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return url_for("dashboard.static", filename=name, v=known[name])


@blueprint.app_template_filter()
def foldable(name: str) -> Markup:
    """A person's name. Where it is an e-mail address, a line breaks around its parts first, and within them only if it must."""
    said = str(escape(name))
    return Markup(said.replace("@", "@<wbr>").replace(".", "<wbr>.") if "@" in said else said)


@blueprint.app_template_filter()
def marked(text: str) -> Markup:
    """What stands between backticks is something to type."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))


@blueprint.context_processor
def for_all_pages() -> dict[str, Any]:
    return {
        "words": formatting,
        "charts": charts,
        "now": datetime.now(UTC),
        "said": request.args.get("done", "")[:300],
    }


@blueprint.after_request
def keep_static_files(answer: Response) -> Response:
    if request.endpoint == "dashboard.static" and answer.status_code == 200:
        answer.headers["Cache-Control"] = f"private, max-age={_KEPT_SECONDS}, immutable"
    return answer


@blueprint.errorhandler(ColdblitzError)
def refused(error: ColdblitzError) -> tuple[str, int]:
    log.warning("%s %s: %s", request.method, request.path, error)
    return _error_page("That did not work", error.message, error.remedy), 400


@blueprint.errorhandler(RedisError)
def without_redis(error: RedisError) -> tuple[str, int]:
    log.error("%s %s: Redis does not answer (%s)", request.method, request.path, error)
    remedy = "Start it again; the next reconcile catches up on what was missed."
    return _error_page("Redis is unavailable", "Redis does not answer, and every page needs it.", remedy), 503


@blueprint.errorhandler(HTTPException)
def http_error(error: HTTPException) -> tuple[str, int]:
    return _error_page(error.name, error.description or "", "Go back to the projects."), error.code or 500


@blueprint.errorhandler(Exception)
def unexpected(error: Exception) -> tuple[str, int]:
    log.exception("%s %s failed", request.method, request.path)
    return _error_page(
        "Something went wrong on our side",
        f"Unexpected {type(error).__name__}.",
        "Check the backend's log, and please report it.",
    ), 500


def _error_page(title: str, message: str, remedy: str) -> str:
    return render_template("dashboard/error.html", title=title, message=message, remedy=remedy)
