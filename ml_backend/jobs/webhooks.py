"""The webhooks that bring a project's events to us."""

from __future__ import annotations

import base64

from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.projects import links


def mend_webhook(context: WorkerContext, key: str, project: int) -> None:
    """Has Label Studio tell us of `project`, under the address by which it reaches us for the project `key`, and no other.

    Label Studio makes the webhook of a connected project itself, but not when its first attempt to connect was refused,
    and never with a login.
    """
    link = links.recall(context.redis, key)
    if link is None or link.entry is None or link.url is None:
        return
    url, headers = _hook(link.url), _login(context)
    hooks = context.client.webhooks(project)
    ours = next((hook for hook in hooks if _address(hook) == url), None)
    if ours is None:
        context.client.save_webhook(project, url, headers, None)
    elif headers and any((ours.get("headers") or {}).get(name) != value for name, value in headers.items()):
        context.client.save_webhook(project, url, {**(ours.get("headers") or {}), **headers}, ours["id"])
    _remove(context, hooks, {_hook(former) for former in link.former})


def remove_webhooks(context: WorkerContext, key: str, project: int) -> None:
    """Has Label Studio tell us nothing more of `project`."""
    link = links.recall(context.redis, key)
    if link is not None:
        addresses = {_hook(url) for url in (*link.former, link.url) if url}
        _remove(context, context.client.webhooks(project) if addresses else [], addresses)


def _remove(context: WorkerContext, hooks: list[dict[str, object]], addresses: set[str]) -> None:
    for hook in hooks:
        if _address(hook) in addresses:
            context.client.delete_webhook(int(str(hook["id"])))


def _hook(backend: str) -> str:
    return f"{backend}/webhook"


def _address(hook: dict[str, object]) -> str:
    return str(hook["url"]).rstrip("/")


def _login(context: WorkerContext) -> dict[str, str]:
    user, password = context.settings.basic_auth_user, context.settings.basic_auth_pass
    if not user or not password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
