"""The log of every process: lines to read, or one JSON object a line with LOG_FORMAT=json. What is secret never gets into it.

A job's lines carry what they are about: its project, task, model version, kind and id.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from ml_backend.errors import SettingsError
from ml_backend.wording import quoted

FIELDS = ("kind", "project", "task", "version", "job")

_about: ContextVar[Mapping[str, object] | None] = ContextVar("about", default=None)
_hidden: set[str] = set()
# A JSON web token (what stands before it is kept), the value of an Authorization header, the login of an address. Whoever
# can create tasks writes some of what is searched, so nothing here may be tried twice: hence the possessive quantifiers.
_SECRETS = re.compile(
    r"(?<![\w-])(?=[\w-]*+\.[\w-]++\.)([\w-]*?)eyJ[\w-]++\.[\w-]++\.[\w-]*+"
    r"|(?<=Bearer )\S+|(?<=Basic )[A-Za-z0-9+/=]{8,}|(?<=Token )[0-9a-f]{40}"
    r"|(?<=://)[^\s/@:]*+:[^\s/@]++(?=@)"
)
_LONGEST = 20_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_NOISY = ("httpx", "httpcore", "urllib3")


def set_up(environment: Mapping[str, str] = os.environ, stream: TextIO | None = None) -> None:
    """Logs from LOG_LEVEL on, to stderr unless `stream` is given. Raises SettingsError for an unknown LOG_FORMAT or LOG_LEVEL."""
    level = (environment.get("LOG_LEVEL") or "info").strip().upper()
    if level not in _LEVELS:
        raise SettingsError(f"LOG_LEVEL is {quoted(level.lower())}.", f"Set it to {', '.join(_LEVELS).lower()}.")
    wanted = environment.get("LOG_FORMAT") or "text"
    if wanted not in ("text", "json"):
        raise SettingsError(f"LOG_FORMAT is {quoted(wanted)}.", "Set it to text or json.")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_tell_about)
    handler.setFormatter(_JsonLines() if wanted == "json" else _TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    # Jobs log their own failures, in one line.
    logging.getLogger("rq.worker").setLevel(logging.CRITICAL)


def hide(*secrets: str | None) -> None:
    """Keeps these out of every line from now on, but for those of one or two letters, which are in every word."""
    _hidden.update(secret for secret in secrets if secret and len(secret) > 2)


@contextlib.contextmanager
def about(**fields: object) -> Iterator[None]:
    """Gives the lines logged inside the `with` block these of FIELDS, but for those that are None."""
    token = _about.set({**(_about.get() or {}), **{name: value for name, value in fields.items() if value is not None}})
    try:
        yield
    finally:
        _about.reset(token)


def _tell_about(record: logging.LogRecord) -> bool:
    for name, value in (_about.get() or {}).items():
        if not hasattr(record, name):
            setattr(record, name, value)
    return True


def _known(record: logging.LogRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


def without_secrets(text: str) -> str:
    """`text` without what was hidden, and without whatever else looks like a token or a password; at most 20,000 characters."""
    for secret in _hidden:
        text = text.replace(secret, "…")
    text = _SECRETS.sub(r"\1…", text)
    # Cut last: half a token would not look like one. The end of a traceback says the most.
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # An address that somebody asks for may hold a line that looks like one of ours.
        record.message = _CONTROL.sub(lambda found: repr(found[0])[1:-1], record.message)
        told = ", ".join(f"{name} {value}" for name, value in _known(record).items())
        line = super().formatMessage(record)
        return f"{line} [{told}]" if told else line

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            **_known(record),
        }
        if record.exc_info:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)
