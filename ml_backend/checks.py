"""What was looked at, and how to mend it: the state of one thing of an installation, and what is unusual about a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml_backend.errors import ColdblitzError

State = Literal["ok", "warning", "fault"]
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Check:
    """`message`: one sentence on what was found. `remedy`: one on what to do; empty when nothing is to be done.

    A *fault* keeps the backend from doing its work; a *warning* does not, but somebody should know of it.
    """

    name: str
    state: State
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class FixableCheck(Check):
    """`fix`: the name of what we can do about it ourselves, if somebody wants that; empty for nothing."""

    fix: str = ""


def fixable(check: Check, fix: str) -> FixableCheck:
    """The same, with what can be done about it."""
    return FixableCheck(check.name, check.state, check.message, check.remedy, fix)


def ok(name: str, message: str) -> Check:
    return Check(name, "ok", message)


def warning(name: str, message: str, remedy: str) -> Check:
    return Check(name, "warning", message, remedy)


def fault(name: str, message: str, remedy: str) -> Check:
    return Check(name, "fault", message, remedy)


def fault_of(name: str, error: ColdblitzError) -> Check:
    """The fault that an error of ours tells of."""
    return Check(name, "fault", error.message, error.remedy)


@dataclass(frozen=True)
class Finding:
    """One thing about a video. `error`: it cannot be used, or not labelled in a browser; `warning`: labelling it goes wrong
    or slowly unless something is done; `note`: good to know."""

    kind: str
    message: str
    remedy: str
    severity: Severity
