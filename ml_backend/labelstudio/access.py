"""Whether Label Studio answers and takes the token, asked without its SDK: the web process has no room for that."""

from __future__ import annotations

from typing import Any

import httpx

from ml_backend import transport
from ml_backend.checks import Check, fault, fault_of, ok
from ml_backend.errors import SettingsError
from ml_backend.labelstudio.refusals import LOGIN_REMEDY, asks_for_login
from ml_backend.logs import without_secrets

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
