"""Whether Label Studio answers and takes the token, asked without its SDK: the web process has no room for that. What its refusals mean."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
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
    release = _json(answer).get("release")
    if answer.status_code != 200 or not isinstance(release, str):
        return fault(name, f"Something at {url} answers {answer.status_code}, but not as Label Studio does.", remedy)
    return ok(name, f"Label Studio {release} answers at {url}.")


def check_token(url: str, api_key: str, timeout: float) -> Check:
    """Whether Label Studio takes the token, and of which kind it is. Each of its two calls may take `timeout` seconds."""
    name = "token"
    personal = api_key.count(".") == 2
    kind = "personal access token" if personal else "legacy token"
    try:
        header = f"Token {api_key}"
        if personal:
            answer = transport.ask("POST", f"{url}/api/token/refresh/", json={"refresh": api_key}, timeout=timeout)
            access = _json(answer).get("access")
            if answer.status_code != 200 or not isinstance(access, str):
                return _refused(name, kind, answer)
            header = f"Bearer {access}"
        answer = transport.ask(
            "GET", f"{url}/api/current-user/whoami", headers={"Authorization": header}, timeout=timeout
        )
    except (httpx.HTTPError, SettingsError) as error:
        reason, known = transport.why(error, url)
        return fault(
            name, f"It cannot be tried, since Label Studio does not answer ({reason}).", known or "Fix that first."
        )
    return ok(name, f"Label Studio accepts the {kind}.") if answer.status_code == 200 else _refused(name, kind, answer)


def _refused(name: str, kind: str, answer: httpx.Response) -> Check:
    if asks_for_login(answer.status_code, answer.headers):
        return fault(name, "A proxy in front of Label Studio requires a login.", LOGIN_REMEDY)
    detail = without_secrets(str(_json(answer).get("detail", "no reason given")))[:200].rstrip(".")
    remedy = _LEGACY_OFF if "legacy token authentication" in detail.lower() else _NEW_TOKEN
    return fault(name, f"Label Studio refuses the {kind} ({answer.status_code}: {detail}).", remedy)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
