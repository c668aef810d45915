"""How a project of Label Studio is connected to ML backends: what it says of each, and the webhooks that bring its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.payloads import read_extra_params

# Label Studio calls a backend's /health, then its /setup, whenever it is asked for the state.
_STATES = {"CO": "connected", "DI": "unreachable", "ER": "unusable", "TR": "connected", "PR": "connected"}


@dataclass(frozen=True)
class Connection:
    """An ML backend of a project. `state`: *connected*; *unreachable*, its /health has not answered; *unusable*, its
    /setup has not; or what Label Studio calls it. `user`: of the login that it is given, None without one. `version`: what
    its /setup answered last.
    """

    number: int
    url: str
    title: str
    state: str
    error: str
    user: str | None
    version: str = ""
    extra_params: object = None


@dataclass(frozen=True)
class Hook:
    """A webhook. `whole`: whether it is on, sends each event, and sends what the event is about. `login`: the
    Authorization header that it sends, None without one."""

    url: str
    whole: bool
    login: str | None


def connections(client: Client, project: int) -> list[Connection]:
    """After Label Studio has called each of them. Raises LabelStudioError."""
    return connections_of(client.backends(project))


def connections_of(rows: Iterable[Mapping[str, Any]]) -> list[Connection]:
    """The oldest first."""
    return sorted(map(_connection, rows), key=lambda connection: connection.number)


def hooks(client: Client, project: int) -> list[Hook]:
    """Raises LabelStudioError."""
    return [_hook(row) for row in client.webhooks(project)]


def _connection(row: Mapping[str, Any]) -> Connection:
    return Connection(
        number=int(row.get("id") or 0),
        url=str(row.get("url", "")).rstrip("/"),
        title=str(row.get("title") or ""),
        state=_STATES.get(str(row.get("state")), str(row.get("readable_state"))),
        error=str(row.get("error_message") or ""),
        user=str(row.get("basic_auth_user")) if row.get("auth_method") == "BASIC_AUTH" else None,
        version=str(row.get("model_version") or ""),
        extra_params=read_extra_params(row.get("extra_params")),
    )


def _hook(row: Mapping[str, Any]) -> Hook:
    headers = {str(name).lower(): str(value) for name, value in (row.get("headers") or {}).items()}
    # Those that name their actions miss the others.
    whole = bool(row.get("is_active", True) and row.get("send_payload") and row.get("send_for_all_actions"))
    return Hook(str(row.get("url", "")).rstrip("/"), whole, headers.get("authorization"))
