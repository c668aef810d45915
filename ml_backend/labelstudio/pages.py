"""Addresses of Label Studio's own pages, for links."""

from __future__ import annotations


def project_page(url: str, project: int) -> str:
    """The project's list of tasks, the Data Manager."""
    return f"{url}/projects/{project}/data"


def task_page(url: str, project: int, task: int) -> str:
    """Opens one task."""
    return f"{url}/projects/{project}/data?task={task}"


def settings_page(url: str, project: int, page: str) -> str:
    """One of a project's settings pages: `labeling` or `ml`."""
    return f"{url}/projects/{project}/settings/{page}"
