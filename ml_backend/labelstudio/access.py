"""Whether Label Studio answers and takes the token, asked without its SDK: the web process has no room for that."""

from __future__ import annotations

from typing import Any

import httpx

from ml_backend.checks import Check, fault, ok
from ml_backend.logs import without_secrets

_NEW_TOKEN = (
    "Copy a personal access token (Label Studio, Account & Settings) into LABEL_STUDIO_API_KEY and start again."
)
_LEGACY_OFF = "Use a personal access token (Label Studio, Account & Settings), or allow legacy tokens in the organization's settings."


def check_label_studio(url: str, timeout: float) -> Check:
    """Whether a Label Studio answers at `url`, within `timeout` seconds."""
    name, remedy = "label studio", "Check that it runs, and that LABEL_STUDIO_URL is its address as seen from here."
    try:
        answer = httpx.get(f"{url}/api/version", timeout=timeout)
    except httpx.HTTPError as error:
        return fault(name, f"Label Studio at {url} does not answer ({type(error).__name__}).", remedy)
    if answer.is_redirect:
        return fault(name, f"{url} sends us on to {answer.headers.get('Location')}.", "Set LABEL_STUDIO_URL to that.")
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
            answer = httpx.post(f"{url}/api/token/refresh/", json={"refresh": api_key}, timeout=timeout)
            access = _json(answer).get("access")
            if answer.status_code != 200 or not isinstance(access, str):
                return _refused(name, kind, answer)
            header = f"Bearer {access}"
        answer = httpx.get(f"{url}/api/current-user/whoami", headers={"Authorization": header}, timeout=timeout)
    except httpx.HTTPError as error:
        return fault(
            name, f"Nobody knows, since Label Studio does not answer ({type(error).__name__}).", "Mend that first."
        )
    return ok(name, f"Label Studio takes the {kind}.") if answer.status_code == 200 else _refused(name, kind, answer)


def _refused(name: str, kind: str, answer: httpx.Response) -> Check:
    detail = without_secrets(str(_json(answer).get("detail", "no reason given")))[:200].rstrip(".")
    remedy = _LEGACY_OFF if "legacy token authentication" in detail.lower() else _NEW_TOKEN
    return fault(name, f"Label Studio refuses the {kind} ({answer.status_code}: {detail}).", remedy)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
