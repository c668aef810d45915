"""The webhooks that bring a project's events to us."""

from __future__ import annotations

import base64

from ml_backend.jobs.worker_context import WorkerContext
from ml_backend.records import projects


def mend_webhook(context: WorkerContext, key: str, project: int) -> None:
    """Has Label Studio tell us of `project`, under the address by which it reaches us for the project `key`.

    Label Studio makes the webhook of a connected project itself, but not when its first attempt to connect was refused,
    and never with a login.
    """
    known = projects.recall(context.redis, key)
    if known is None or known.backend_url is None:
        return
    url, headers = f"{known.backend_url}/webhook", _login(context)
    ours = next((hook for hook in context.client.webhooks(project) if hook["url"].rstrip("/") == url), None)
    if ours is None:
        context.client.save_webhook(project, url, headers, None)
    elif headers and any((ours.get("headers") or {}).get(name) != value for name, value in headers.items()):
        context.client.save_webhook(project, url, {**(ours.get("headers") or {}), **headers}, ours["id"])


def _login(context: WorkerContext) -> dict[str, str]:
    user, password = context.settings.basic_auth_user, context.settings.basic_auth_pass
    if not user or not password:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
