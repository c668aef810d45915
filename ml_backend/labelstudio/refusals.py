"""What Label Studio's refusals mean for a person and for a job."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from types import MappingProxyType

from ml_backend.errors import (
    LabelStudioError,
    LabelStudioInvalid,
    LabelStudioMissing,
    LabelStudioRefused,
    LabelStudioUnreachable,
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
