"""How a project of Label Studio is connected to ML backends: what it says of each, and the webhooks that bring its events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import LabelStudioMissing
from ml_backend.labelstudio.payloads import read_extra_params
from ml_backend.labelstudio.session import Session

# Label Studio calls a backend's /health, then its /setup, whenever it is asked for the state.
_STATES = {"CO": "connected", "DI": "unreachable", "ER": "unusable", "TR": "connected", "PR": "connected"}
# What we add to a title, so that it is known again.
_SAID = re.compile(r" · (?:training|predicting with) [\w.-]+, \d+ %$")


def plain_title(title: str) -> str:
    """The title of an ML backend as people gave it."""
    return _SAID.sub("", title)


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


class Backends:
    """What is asked about ML backends; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, project: int) -> list[Connection]:
        """Those of a project, the oldest first, after Label Studio has called each of them."""
        return _connections(self._session.json("GET", "/api/ml/", {"project": project}))

    def connect(self, project: int, url: str, title: str, user: str, password: str) -> int:
        """Connects a project to an ML backend that asks for a login, after Label Studio has called it; returns its number."""
        login = {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
        return int(
            self._session.json("POST", "/api/ml/", body={"project": project, "url": url, "title": title, **login})["id"]
        )

    def say(self, project: int, number: int, text: str | None) -> None:
        """Puts `text` (`training cold-v4, 60 %`) behind the title of an ML backend, or takes it away; nothing when it is as it should
        be. Where the title is also what the project shows, Label Studio changes that with it (tried with 1.23.2)."""
        row = next((row for row in self._beside_versions(project)[1] if row.get("id") == number), None)
        if row is None:
            return
        title = str(row.get("title") or "")
        said = plain_title(title) + (f" · {text}" if text else "")
        if said == title:
            return
        # Label Studio calls what the request names, with these, before it takes the title.
        self._change(project, row, {"title": said, "extra_params": row.get("extra_params")})

    def _change(self, project: int, row: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        body = {**changes, "url": row.get("url"), "project": project}
        if row.get("auth_method") == "BASIC_AUTH":
            # An empty password stands for the one that it has.
            body |= {"auth_method": "BASIC_AUTH", "basic_auth_user": row.get("basic_auth_user"), "basic_auth_pass": ""}
        self._session.json("PATCH", f"/api/ml/{row['id']}", body=body)

    def beside_versions(self, project: int) -> tuple[dict[str, int], list[Connection]]:
        """Number of stored predictions of each model version, and the ML backends of a project, the oldest first, of which
        none is called for this."""
        stored, rows = self._beside_versions(project)
        return stored, _connections(rows)

    def _beside_versions(self, project: int) -> tuple[dict[str, int], list[dict[str, Any]]]:
        path = f"/api/projects/{project}/model-versions/"
        answer = self._session.json("GET", path, {"extended": "true", "include_live_models": "true"})
        try:
            stored, rows = {item["model_version"]: item["count"] for item in answer["static"]}, list(answer["live"])
        except (KeyError, TypeError) as error:
            raise self._session.unexpected(path) from error
        return stored, rows

    def save_extra_params(self, project: int, backend: int, before: object, after: Mapping[str, Any]) -> bool:
        """Gives an ML backend of a project other extra params, unless they are others than `before` by now, which returns
        False. They are stored as JSON text: Label Studio's own form shows an object as "[object Object]", and then saves that.

        Label Studio calls the backend's /setup with them before it stores them. Raises LabelStudioMissing.
        """
        row = next((row for row in self._beside_versions(project)[1] if row.get("id") == backend), None)
        if row is None:
            raise LabelStudioMissing(
                f"The ML backend {backend} of project {project} no longer exists.", "Connect it again."
            )
        if (read_extra_params(row.get("extra_params")) or None) != (before or None):
            return False
        text = json.dumps(after, indent=2, ensure_ascii=False) if after else None
        self._change(project, row, {"extra_params": text})
        return True

    def versions(self, backend: int) -> tuple[int, list[str]]:
        """What an ML backend answers when Label Studio asks for its /versions: the status and the versions; a backend without
        that route is a 404. Raises LabelStudioUnreachable when Label Studio itself does not answer."""
        response = self._session.request("GET", f"/api/ml/{backend}/versions")
        try:
            said = response.json()
        except ValueError:
            said = None
        if not isinstance(said, Mapping) or not isinstance(said.get("versions"), list):
            return (500 if response.status_code == 200 else response.status_code), []
        # Label Studio makes up the version of a backend that answers 404.
        return 404 if "message" in said else response.status_code, [str(version) for version in said["versions"]]


class Webhooks:
    """What is asked about webhooks and done with them; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, project: int | None = None) -> list[dict[str, Any]]:
        """Of one project, or of all, as Label Studio gives them."""
        return list(self._session.json("GET", "/api/webhooks/", {} if project is None else {"project": project}))

    def of(self, project: int) -> list[Hook]:
        """Of one project, as we read them."""
        return [_hook(row) for row in self.all(project)]

    def save(self, project: int, url: str, headers: Mapping[str, str], number: int | None) -> None:
        """Creates the project's webhook, or gives an existing one (`number`) its headers."""
        body = {
            "headers": dict(headers),
            "send_payload": True,
            "send_for_all_actions": True,
            "is_active": True,
        }
        if number is None:
            self._session.json("POST", "/api/webhooks/", body={**body, "url": url, "project": project})
        else:
            self._session.json("PATCH", f"/api/webhooks/{number}/", body=body)

    def delete(self, number: int) -> None:
        """Deletes one, if nobody else has."""
        with suppress(LabelStudioMissing):
            self._session.json("DELETE", f"/api/webhooks/{number}/")


def _connections(rows: Iterable[Mapping[str, Any]]) -> list[Connection]:
    return sorted(map(_connection, rows), key=lambda connection: connection.number)


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
