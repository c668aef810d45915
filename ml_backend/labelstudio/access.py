"""Access to Label Studio: how a request shows a token, what a refusal means, and whether a Label Studio answers and takes the token.

Nothing here needs its SDK, for which the web process has no room.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any

import httpx

from ml_backend import transport
from ml_backend.checks import Check, fault, fault_of, ok
from ml_backend.errors import (
    LabelStudioError,
    LabelStudioInvalid,
    LabelStudioMissing,
    LabelStudioRefused,
    LabelStudioUnreachable,
    SettingsError,
)
from ml_backend.logs import without_secrets

TOKEN_REMEDY = "Set LABEL_STUDIO_API_KEY to a personal access token (Label Studio, Account & Settings) of a user who can see the project."


# A request has one Authorization header.
LOGIN_REMEDY = (
    "Label Studio's token needs the header that such a login takes: let the proxy pass /api, /data, /tasks and /projects "
    "without a login, or set LABEL_STUDIO_URL to the address behind it."
)


def asks_for_login(status: int, headers: Mapping[str, str]) -> bool:
    """Whether something in front of Label Studio asks for a user name and a password."""
    challenge = next((value for name, value in headers.items() if name.lower() == "www-authenticate"), "")
    return status == 401 and challenge.lower().startswith(("basic", "digest", "negotiate", "ntlm"))


def refusal(status: int, body: object, headers: Mapping[str, str] = MappingProxyType({})) -> LabelStudioError:
    """The error of an answer with a status of 400 or more: whether trying again can help, and what to do."""
    if asks_for_login(status, headers):
        return LabelStudioRefused("A proxy in front of Label Studio requires a login.", LOGIN_REMEDY)
    said = detail(body)
    if status in (401, 403):
        return LabelStudioRefused(f"Label Studio refused the token ({status}: {said}).", TOKEN_REMEDY)
    if status >= 500 or status == 429:
        return LabelStudioUnreachable(
            f"Label Studio answered {status} ({said}).",
            "The work is retried automatically. If the problem persists, check Label Studio's log.",
        )
    remedy = "Check that the project and its tasks still exist."
    kinds = {400: LabelStudioInvalid, 404: LabelStudioMissing, 413: LabelStudioInvalid}
    return kinds.get(status, LabelStudioError)(f"Label Studio answered {status} ({said}).", remedy)


def detail(body: object) -> str:
    """Label Studio's own words for a refusal, cut short, and without the token if it repeats it."""
    if isinstance(body, str):
        with contextlib.suppress(ValueError):
            body = json.loads(body)
    if isinstance(body, Mapping):
        # Else all it says is "Validation error".
        wrong = body.get("validation_errors")
        more = [str(text) for texts in wrong.values() for text in texts] if isinstance(wrong, Mapping) else []
        body = ": ".join([str(body.get("detail", dict(body))), *more])
    return without_secrets(str(body))[:200]


class NotExchanged(Exception):
    """Label Studio has given no access token for a personal one. `answer`: what it said instead."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.status_code}")
        self.answer = answer


def is_personal(token: str) -> bool:
    """Whether it is a personal access token, which is a JSON Web Token; a legacy token is a word."""
    return token.count(".") == 2


def exchange(client: httpx.Client, url: str, token: str) -> str:
    """The access token, good for some minutes, that Label Studio at `url` gives for a personal access token. Raises
    NotExchanged, and httpx.HTTPError."""
    answer = client.post(f"{url}/api/token/refresh/", json={"refresh": token}, auth=httpx.Auth())
    access = object_in(answer).get("access")
    if answer.status_code != 200 or not isinstance(access, str):
        raise NotExchanged(answer)
    return access


def object_in(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer, empty when it holds none."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def authorization(token: str, access: str | None = None) -> str:
    """The Authorization header for a legacy token, or for the access token that a personal one was exchanged for."""
    return f"Token {token}" if access is None else f"Bearer {access}"


class TokenAuth(httpx.Auth):
    """Signs each request: with a legacy token as it is, with a personal access token by what it is exchanged for, anew when that
    has ended, and once when Label Studio refuses it.

    `exchange`: gets another access token; what it raises, the request raises. `has_ended`: whether an access token is over.
    """

    def __init__(self, token: str, exchange: Callable[[], str], has_ended: Callable[[str], bool]) -> None:
        self._token = token
        self._exchange = exchange
        self._has_ended = has_ended
        self._access: str | None = None
        # Threads that find it ended exchange the token once.
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = shown = self.header()
        answer = yield request
        # A clock that was set back takes an ended token for good.
        if answer.status_code == 401 and self.forget(shown):
            request.headers["Authorization"] = self.header()
            yield request

    def header(self) -> str:
        """The Authorization header of now. Raises what `exchange` does."""
        if not is_personal(self._token):
            return authorization(self._token)
        with self._lock:
            if self._access is None or self._has_ended(self._access):
                self._access = self._exchange()
            return authorization(self._token, self._access)

    def forget(self, refused: str | None = None) -> bool:
        """Drops the access token, unless it is another by now than that of the `refused` header. Whether one can be had."""
        with self._lock:
            if refused in (None, authorization(self._token, self._access)):
                self._access = None
        return is_personal(self._token)


_NEW_TOKEN = (
    "Copy a personal access token (Label Studio, Account & Settings) into LABEL_STUDIO_API_KEY and start again."
)
_LEGACY_OFF = "Use a personal access token (Label Studio, Account & Settings), or allow legacy tokens in the organization's settings."


def check_label_studio(url: str, timeout: float) -> Check:
    """Whether a Label Studio answers at `url`, within `timeout` seconds."""
    name, remedy = "label studio", "Check that it runs, and that LABEL_STUDIO_URL is its address as seen from here."
    try:
        answer = transport.ask("GET", f"{url}/api/version", timeout=timeout)
    except httpx.HTTPError as error:
        reason, known = transport.why(error, url)
        return fault(name, f"Label Studio at {url} does not answer ({reason}).", known or remedy)
    except SettingsError as error:
        return fault_of(name, error)
    if answer.is_redirect:
        return fault(name, f"{url} redirects to {answer.headers.get('Location')}.", "Set LABEL_STUDIO_URL to that.")
    if asks_for_login(answer.status_code, answer.headers):
        return fault(name, f"A proxy in front of Label Studio at {url} requires a login.", LOGIN_REMEDY)
    release = object_in(answer).get("release")
    if answer.status_code != 200 or not isinstance(release, str):
        return fault(name, f"Something at {url} answers {answer.status_code}, but not as Label Studio does.", remedy)
    return ok(name, f"Label Studio {release} answers at {url}.")


def check_token(url: str, api_key: str, timeout: float) -> Check:
    """Whether Label Studio takes the token, and of which kind it is. Each of its two calls may take `timeout` seconds."""
    name = "token"
    kind = "personal access token" if is_personal(api_key) else "legacy token"
    try:
        with transport.client(url, timeout=timeout) as client:
            access = exchange(client, url, api_key) if is_personal(api_key) else None
            headers = {"Authorization": authorization(api_key, access)}
            answer = client.get(f"{url}/api/current-user/whoami", headers=headers)
    except NotExchanged as error:
        return _refused(name, kind, error.answer)
    except (httpx.HTTPError, SettingsError) as error:
        reason, known = transport.why(error, url)
        return fault(
            name, f"It cannot be tried, since Label Studio does not answer ({reason}).", known or "Fix that first."
        )
    return ok(name, f"Label Studio accepts the {kind}.") if answer.status_code == 200 else _refused(name, kind, answer)


def _refused(name: str, kind: str, answer: httpx.Response) -> Check:
    if asks_for_login(answer.status_code, answer.headers):
        return fault(name, "A proxy in front of Label Studio requires a login.", LOGIN_REMEDY)
    detail = without_secrets(str(object_in(answer).get("detail", "no reason given")))[:200].rstrip(".")
    remedy = _LEGACY_OFF if "legacy token authentication" in detail.lower() else _NEW_TOKEN
    return fault(name, f"Label Studio refuses the {kind} ({answer.status_code}: {detail}).", remedy)
