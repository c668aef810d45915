"""Which projects are ours to work on: those that have an ML backend entry in Label Studio which reaches this very backend; and the webhooks
that bring their events."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from redis import Redis

from ml_backend.errors import Gone, LabelStudioError, LabelStudioRefused, LabelStudioUnreachable
from ml_backend.jobs.context import JobContext
from ml_backend.labelstudio.connections import Connection
from ml_backend.labelstudio.projects import Project
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.projects import links, reconcile_state, registry
from ml_backend.projects.links import Link
from ml_backend.projects.registry import Known
from ml_backend.queueing.queue import enqueue

log = logging.getLogger(__name__)

# Where nobody answered, or another backend for the first time, is asked again after a minute.
_UNSURE_SECONDS = 60
_MOST_FORMER = 5
_NO_ENTRY = "Project {} is not connected to this backend in Label Studio."
_NO_WEBHOOK = (
    "Label Studio cannot send annotations to {}, since it accepts only host names with a dot, localhost, and IP addresses for a webhook. "
    "Until you connect the model at such an address, annotations are noticed every five minutes."
)
_CONNECT = "To use it, connect it in Label Studio: project, Settings, Model, Connect Model."


# Who answers at an entry: this backend, another one, one that has no /versions (upstream's server has none either), or nobody.
Answer = Literal["us", "other", "silent", "nobody"]


@dataclass(frozen=True)
class Standing:
    """What Label Studio says of a project. `stored`: number of predictions of each version; `entry`: the ML backend that
    reaches us, None without one; `others`: those that reach another backend; `sure`: whether somebody answered at each."""

    stored: Mapping[str, int]
    entry: Connection | None
    others: tuple[Connection, ...]
    sure: bool


def look(context: JobContext, project: Project) -> Standing:
    """Finds out, and notes, whether and through which entry a project reaches us. Asks nothing but a list as long as the
    entries are the same, but for once an hour. Raises LabelStudioError."""
    redis, key = context.redis, str(project.key)
    stored, entries = context.studio.backends.beside_versions(project.key.id)
    before = links.recall(redis, key)
    answers = _answers(context, key, entries)
    ours = [entry for entry in entries if answers[_name(entry)] == "us"]
    if not ours:
        ours = [entry for entry in entries if _benefit_of_doubt(context, key, entry, answers, before)][:1]
    if ours:
        _note(context, project, ours[0], before, entries, answers[_name(ours[0])])
    others = tuple(entry for entry in entries if answers[_name(entry)] == "other" and entry not in ours)
    return Standing(stored, ours[0] if ours else None, others, "nobody" not in answers.values())


def demand(context: JobContext, project: Project) -> None:
    """For jobs that change what annotators see. Raises Gone when the project is not ours to work on (any more)."""
    if look(context, project).entry is None:
        key = str(project.key)
        if links.recall(context.redis, key) is not None:
            enqueue(context.redis, "reconcile", key, again=True)
        raise not_ours(key)


def not_ours(key: str) -> Gone:
    return Gone(_NO_ENTRY.format(registry.number_of(key)), _CONNECT)


def who_answers(studio: LabelStudio, redis: Redis, entry: Connection) -> Answer:
    """Asks an ML backend, through Label Studio, who it is."""
    instance = links.ask(redis)
    try:
        status, versions = studio.backends.versions(entry.number)
    except LabelStudioError as error:
        log.info("Could not find out who answers at %s: %s", entry.url, error.message)
        return "nobody"
    if status == 200:
        return "us" if instance in versions else "other"
    return "silent" if status in (404, 405) else "nobody"


def _answers(context: JobContext, key: str, entries: Sequence[Connection]) -> dict[str, Answer]:
    """Who answered at each entry within the last hour, or does now."""
    known: dict[str, Answer] = reconcile_state.get(context.redis, key, "entries") or {}
    if known.keys() == {_name(entry) for entry in entries}:
        return known
    asked = {_name(entry): who_answers(context.studio, context.redis, entry) for entry in entries}
    reconcile_state.put(context.redis, key, "entries", asked, _UNSURE_SECONDS if "nobody" in asked.values() else None)
    return asked


def _benefit_of_doubt(
    context: JobContext, key: str, entry: Connection, answers: Mapping[str, Answer], before: Link | None
) -> bool:
    """Whether an entry that has not said that it is ours is taken for it, be it for the time being."""
    was_ours = before is not None and before.connected and before.url == entry.url
    if answers[_name(entry)] == "other":
        # A web process of another release may answer while both are exchanged; it is asked again.
        return was_ours and before is not None and not before.doubted
    if was_ours:
        return True
    # It cannot say so, but our /setup was called, and there is no other.
    if len(answers) > 1 or registry.recall(context.redis, key) is None:
        return False
    if before is None or before.entry is None:
        return before is None or before.connected or links.was_called(context.redis, key)
    return False


def _note(
    context: JobContext,
    project: Project,
    entry: Connection,
    before: Link | None,
    entries: Sequence[Connection],
    answer: Answer,
) -> None:
    redis, key = context.redis, str(project.key)
    if registry.recall(redis, key) is None:
        # Redis was lost: what /setup had told.
        registry.remember(redis, Known(key, project.label_config, entry.extra_params))
    kept = before or Link()
    if answer == "us":
        addresses = {each.url for each in entries}
        former = dict.fromkeys((*kept.former, *([kept.url] if kept.url else ())))
        gone = tuple(url for url in former if url not in addresses)[-_MOST_FORMER:]
        now = Link(entry.url, entry.number, since=kept.since, former=gone)
    else:
        now = replace(kept, connected=True, doubted=answer == "other")
        if now.doubted:
            reconcile_state.put(redis, key, "entries", {_name(entry): answer}, _UNSURE_SECONDS)
    if not kept.connected:
        log.info("project %s is connected again, at %s", key, entry.url)
        now = replace(now, since=time.time())
        registry.set_problems(redis, key, "connection", [])
        # Of what happened meanwhile nobody has told us.
        reconcile_state.drop(redis, key, *(name for name in reconcile_state.SEEN if name != "entries"))
    if now != before:
        links.note(redis, key, now)


def _name(entry: Connection) -> str:
    return f"{entry.number} {entry.url}"


def mend_webhook(context: JobContext, key: str, project: int) -> bool:
    """Has Label Studio tell us of `project`, under the address by which it reaches us for the project `key`, and no other; returns
    whether that was not so.

    Label Studio makes the webhook of a connected project itself, but not when its first attempt to connect was refused,
    and never with a login.
    """
    link = links.recall(context.redis, key)
    if link is None or link.entry is None or link.url is None:
        return False
    url, headers, is_mended = _hook(link.url), _login(context), False
    hooks = context.studio.webhooks.all(project)
    ours = next((hook for hook in hooks if _address(hook) == url), None)
    if ours is None:
        is_mended = _make_webhook(context, key, project, url, headers)
    elif headers and any((ours.get("headers") or {}).get(name) != value for name, value in headers.items()):
        context.studio.webhooks.save(project, url, {**(ours.get("headers") or {}), **headers}, ours["id"])
        is_mended = True
    return _remove(context, hooks, {_hook(former) for former in link.former}) or is_mended


def renew_webhook(context: JobContext, key: str, project: int) -> str | None:
    """Switches the webhook of a connected project on, with every event, its payload, and our login, and removes doubles of it;
    makes one where there is none. Returns its address, None where the project does not reach us."""
    link = links.recall(context.redis, key)
    if link is None or link.entry is None or link.url is None:
        return None
    url, headers = _hook(link.url), _login(context)
    hooks = [hook for hook in context.studio.webhooks.all(project) if _address(hook) == url]
    kept = {**(hooks[0].get("headers") or {}), **headers} if hooks else headers
    context.studio.webhooks.save(project, url, kept, hooks[0]["id"] if hooks else None)
    _remove(context, hooks[1:], {url})
    registry.set_problems(context.redis, key, "webhook", [])
    return url


def _make_webhook(context: JobContext, key: str, project: int, url: str, headers: Mapping[str, str]) -> bool:
    """Whether there is one now: Label Studio takes an address for a model that it refuses for a webhook, and the rest of the work goes on
    without events."""
    told = []
    try:
        context.studio.webhooks.save(project, url, headers, None)
    except (LabelStudioUnreachable, LabelStudioRefused):
        raise
    except LabelStudioError as error:
        log.warning("There is no webhook for project %s: %s", key, error.message)
        told = [_NO_WEBHOOK.format(url.removesuffix("/webhook"))]
    registry.set_problems(context.redis, key, "webhook", told)
    return not told


def remove_webhooks(context: JobContext, key: str, project: int) -> None:
    """Has Label Studio tell us nothing more of `project`."""
    link = links.recall(context.redis, key)
    if link is not None:
        addresses = {_hook(url) for url in (*link.former, link.url) if url}
        _remove(context, context.studio.webhooks.all(project) if addresses else [], addresses)


def _remove(context: JobContext, hooks: list[dict[str, object]], addresses: set[str]) -> bool:
    """Whether there were any."""
    removed = [hook for hook in hooks if _address(hook) in addresses]
    for hook in removed:
        context.studio.webhooks.delete(int(str(hook["id"])))
    return bool(removed)


def _hook(backend: str) -> str:
    return f"{backend}/webhook"


def _address(hook: dict[str, object]) -> str:
    return str(hook["url"]).rstrip("/")


def _login(context: JobContext) -> dict[str, str]:
    user, password = context.settings.basic_auth_user, context.settings.basic_auth_pass
    if not user or not password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
