"""Addresses in Label Studio: of its own pages, which people open, and of tasks' videos, which are fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ml_backend.labelstudio.task_data import path_from_storage

if TYPE_CHECKING:
    # The web process, which links to pages, has no room for the SDK.
    from ml_backend.labelstudio.session import Session


def project_page(url: str, project: int) -> str:
    """The project's list of tasks, the Data Manager."""
    return f"{url}/projects/{project}/data"


def task_page(url: str, project: int, task: int) -> str:
    """Opens one task."""
    return f"{url}/projects/{project}/data?task={task}"


def settings_page(url: str, project: int, page: str) -> str:
    """One of a project's settings pages: `labeling` or `ml`."""
    return f"{url}/projects/{project}/settings/{page}"


@dataclass(frozen=True)
class VideoAddress:
    """Where a task's video is, with the headers that fetch it: the token, for the Label Studio host alone. `renew` gives those
    of a new token, none where no other can be had."""

    url: str
    headers: Mapping[str, str]
    renew: Callable[[], Mapping[str, str]] | None = field(default=None, compare=False, repr=False)


class Videos:
    """Where videos are fetched; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def address(self, value: object) -> VideoAddress | None:
        """The address of a task's video as its data names it, None when it names none."""
        if not isinstance(value, str) or not value.strip():
            return None
        value = value.strip()
        session = self._session
        path = value.removeprefix(session.path) if value.startswith(f"{session.path}/") else value
        if not path.startswith("/"):
            path = self._path_served(value) or value
        url = session.url + path if path.startswith("/") else value
        if not any(_same_host(ours, url) for ours in (session.url, session.public) if ours):
            return VideoAddress(url, {})
        return VideoAddress(url, session.headers(), session.renewed_headers)

    def _path_served(self, address: str) -> str | None:
        """The path at which Label Studio serves what has an address under its public name; None for any other.

        Asked for here, it needs no trust in that name: whoever can create tasks can write the path alone as well.
        """
        if (served := path_from_storage(address)) is not None:
            return served
        public = self._session.public
        if public and address.startswith(f"{public}/data/"):
            return address.removeprefix(public)
        return None


def _same_host(one: str, other: str) -> bool:
    try:
        ours, theirs = urlsplit(one), urlsplit(other)
    except ValueError:
        return False
    return (ours.scheme, ours.netloc.lower()) == (theirs.scheme, theirs.netloc.lower())
