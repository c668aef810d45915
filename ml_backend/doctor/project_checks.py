"""What is checked of one project of Label Studio: its label config, its way to us and back, its videos, its pinned version."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice

from redis import Redis
from redis.exceptions import RedisError

from ml_backend.checks import Check, fault, fault_of, fixable, ok, warning
from ml_backend.errors import ColdblitzError, LabelConfigError, LabelStudioError
from ml_backend.jobs.connection import who_answers
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.videos import video_address
from ml_backend.labelstudio.connections import Connection
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, is_ours
from ml_backend.projects.registry import Known, recall
from ml_backend.settings import Settings
from ml_backend.wording import counted, cut

_VIDEOS_TRIED = 3
_CONNECT = "In Label Studio: the project, Settings, Model, Connect Model."
_LOCAL = (
    "If Label Studio refuses the address because it is a local one, start Label Studio with ML_BLOCK_LOCAL_IP=false "
    "SSRF_PROTECTION_ENABLED=false."
)


@dataclass(frozen=True)
class _Named:
    """Names a project's checks: `project 7, webhook`."""

    project: int

    def __call__(self, what: str) -> str:
        return f"project {self.project}, {what}"


def check_project(context: JobContext, redis: Redis, number: int) -> Iterator[Check]:
    """Everything about a project, whether it is connected or not."""
    named = _Named(number)
    try:
        project = context.studio.projects.get(number)
        config_check, config = _label_config(named, project)
        yield config_check
        if config is not None and config.timelines and config.main.reviewed_control is None:
            yield _not_reviewable(named)
        yield _rights(context, named, number)
        ours = yield from _connections(context, redis, named, project)
        yield from _videos(context, named, number, config)
        if ours:
            pinned = _pinned(context, named, project)
            yield pinned if pinned.state == "ok" else fixable(pinned, "pin")
    except LabelStudioError as error:
        yield fault_of(named("access"), error)


def _label_config(named: _Named, project: Project) -> tuple[Check, LabelConfig | None]:
    name = named("label config")
    try:
        config = parse_label_config(project.label_config)
    except LabelConfigError as error:
        return fault_of(name, error), None
    tags = {"timeline": "TimelineLabels", "choices": "Choices"}
    what = "; ".join(
        f"<{tags[each.kind]} name={each.from_name!r}> is predicted on <Video name={each.to_name!r}>"
        for each in config.questions
    )
    boxes = "; ".join(
        f"<VideoRectangle name={each.from_name!r}> asks for boxes on <Video name={each.to_name!r}>, whose tracks are predicted "
        "unless `detector` is `none`"
        for each in config.tracks
    )
    what = "; ".join(filter(None, (what, boxes)))
    also = "".join(f" {sentence}" for sentence in config.left_alone)
    if any(each.framerate is None for each in (*config.timelines, *config.tracks)):
        advice = 'Write framerate="$fps" into <Video>, with the video\'s own rate in the task, so that each frame can be labeled.'
        told = f"{what}, at 24 frames per second because no framerate is set.{also}"
        return fixable(warning(name, told, advice), "framerate"), config
    return ok(name, f"{what}.{also}"), config


def _not_reviewable(named: _Named) -> Check:
    advice = 'Add <Choices> with <Choice value="reviewed"/>, so that annotators can mark a whole timeline as correct.'
    told = "The label config has no choice that marks a timeline as reviewed."
    return fixable(warning(named("reviewed choice"), told, advice), "reviewed")


def _rights(context: JobContext, named: _Named, number: int) -> Check:
    context.studio.predictions.check_push(number)
    return ok(named("rights"), "The token can read the project and store predictions in it.")


def _connections(context: JobContext, redis: Redis, named: _Named, project: Project) -> Generator[Check, None, bool]:
    """Returns whether the project may be ours to show something in: others' show what others have made."""
    found = context.studio.backends.all(project.key.id)
    strangers: list[Connection] = []
    if not found:
        yield fault(named("connection"), "No ML backend is connected to it.", f"{_CONNECT} {_LOCAL}")
    # Label Studio has called the /setup of each just now.
    with contextlib.suppress(RedisError):
        known = recall(redis, str(project.key))
        strangers = [
            each for each in found if each.state == "connected" and not _reaches_us(context, redis, each, known)
        ]
        for stranger in strangers:
            yield _stranger(named, stranger)
        found = [each for each in found if each not in strangers]
    for connection in found:
        yield _connection(context.settings, named, connection)
        webhook = _webhook(context, named, project.key.id, connection)
        yield webhook if webhook.state == "ok" else fixable(webhook, "webhook")
    return bool(found) or not strangers


def _reaches_us(context: JobContext, redis: Redis, connection: Connection, known: Known | None) -> bool:
    answer = who_answers(context.studio, redis, connection)
    return answer == "us" or (answer == "silent" and known is not None)


def _stranger(named: _Named, connection: Connection) -> Check:
    return warning(
        named("connection"),
        f"Label Studio reaches {connection.url}, but it is not this Coldblitz that answers there.",
        "If it is another ML backend, no action is needed. Two Coldblitz backends must not share a project: each "
        "trains, and shows its own predictions. If it should be this one, it uses another REDIS_URL there.",
    )


def _connection(settings: Settings, named: _Named, connection: Connection) -> Check:
    name, url = named("connection"), connection.url
    why = f" ({cut(' '.join(connection.error.split()), 200)})" if connection.error else ""
    if connection.state == "unreachable":
        return fault(
            name,
            f"Label Studio cannot reach its ML backend at {url}{why}.",
            f"Start it there, or give Label Studio the address at which its machine reaches this one: inside a container "
            f"localhost is the container itself. {_LOCAL}",
        )
    if settings.basic_auth_user and connection.user != settings.basic_auth_user:
        return fault(
            name,
            f"Label Studio calls {url} without the login that it asks for.",
            "In Label Studio, set the model's basic authentication to BASIC_AUTH_USER and BASIC_AUTH_PASS.",
        )
    if connection.state != "connected":
        return fault(
            name,
            f"Label Studio reaches {url}, but cannot use what it answers{why}: the state is {connection.state}.",
            "Check that Coldblitz answers there, that BASIC_AUTH_PASS is the model's password in Label Studio, and the log.",
        )
    return ok(name, f"Label Studio reaches its ML backend at {url}.")


def _webhook(context: JobContext, named: _Named, number: int, connection: Connection) -> Check:
    name, url = named("webhook"), f"{connection.url}/webhook"
    mended = (
        "Restart Coldblitz or wait five minutes: it repairs this automatically. If it does not, see `coldblitz status`."
    )
    ours = [hook for hook in context.studio.webhooks.of(number) if hook.url == url]
    if not ours:
        return fault(
            name,
            f"There is no webhook to {url}, so Label Studio does not report annotations.",
            f"{mended} This happens when Label Studio is started with ML_BLOCK_LOCAL_IP=false alone; it also needs "
            "SSRF_PROTECTION_ENABLED=false.",
        )
    if not any(hook.whole for hook in ours):
        return fault(
            name,
            f"The webhook to {url} is off, or does not send every event with its payload.",
            "In Label Studio: the project, Settings, Webhooks; switch it on, with payload and all actions.",
        )
    login = _login(context.settings)
    if login is not None and not any(hook.login == login for hook in ours if hook.whole):
        sent = "a different login than ours" if any(hook.login for hook in ours) else "no login"
        return fault(name, f"The webhook to {url} sends {sent}, so every event is refused.", mended)
    if len(ours) > 1:
        return warning(
            name, f"There are {len(ours)} webhooks to {url}.", "Delete all but one in the project's settings."
        )
    return ok(name, f"Events are sent to {url}{' with the login' if login else ''}.")


def _login(settings: Settings) -> str | None:
    if settings.basic_auth_user is None or settings.basic_auth_pass is None:
        return None
    return "Basic " + base64.b64encode(f"{settings.basic_auth_user}:{settings.basic_auth_pass}".encode()).decode()


def _videos(context: JobContext, named: _Named, number: int, config: LabelConfig | None) -> Iterator[Check]:
    """Asks for the first bytes of a few tasks' videos, and for the storage that local files come from."""
    if config is None:
        return
    name = named("videos")
    tasks = list(islice(context.studio.tasks.all(number), _VIDEOS_TRIED))
    if not tasks:
        yield warning(name, "The project has no task.", "Import videos.")
        return
    local = any(str(config.main.video_of(task.data)).startswith("/data/local-files/") for task in tasks)
    if local and not context.studio.uploads.local_folders(number):
        yield fault(
            named("storage"),
            "Tasks name local files, but the project has no local-files storage, and Label Studio serves local files only with one.",
            "In Label Studio: the project, Settings, Cloud Storage, Add Source Storage, Local files.",
        )
    for task in tasks:
        try:
            address = video_address(context, config.main, task)
            context.videos.check(address.url, address.headers)
        except ColdblitzError as error:
            yield fault(name, f"Task {task.id}: {error.message}", error.remedy)
            return
    which = "video of the first task" if len(tasks) == 1 else f"videos of the first {len(tasks)} tasks"
    yield ok(name, f"The {which} can be fetched.")


def _pinned(context: JobContext, named: _Named, project: Project) -> Check:
    name, pinned = named("model version"), project.model_version
    if not pinned:
        return warning(
            name,
            "No version is pinned, so the label stream shows no predictions.",
            "Coldblitz pins one with the first suggestions; if none is there after a few minutes, see `coldblitz status`.",
        )
    number = context.studio.predictions.versions(project.key.id).get(pinned, 0)
    if not number and not is_ours(pinned):
        return warning(
            name,
            f"{pinned} is pinned, as Label Studio does with a model's title, and shows no predictions.",
            "Coldblitz pins its own with the first suggestions; if none is there after a few minutes, see `coldblitz status`.",
        )
    if not number:
        return fault(
            name,
            f"{pinned} is pinned, but no task has a prediction of it, so the label stream shows none.",
            "Choose another version in the project's settings (Annotation, Live Predictions), or wait for the next model.",
        )
    if not is_ours(pinned):
        return warning(
            name, f"{pinned} is pinned, which is not Coldblitz's.", "Choose one of Coldblitz's to see what it predicts."
        )
    if pinned != KEYFRAMES_VERSION and not (context.models_dir(str(project.key)) / pinned).is_dir():
        return warning(
            name,
            f"{pinned} is pinned, but no model of that name is here: another Coldblitz made it, or it was imported.",
            "No action is needed: the next model that is trained here is shown in its place.",
        )
    return ok(name, f"{pinned} is pinned, and {counted(number, 'task')} {'has' if number == 1 else 'have'} it.")
