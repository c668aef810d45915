"""Names that people see in Label Studio: addresses of its own pages, and model versions, which it keeps of all models side by side."""

from __future__ import annotations

from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.provenance import ModelVersion


def project_page(url: str, project: int) -> str:
    """The project's list of tasks, the Data Manager."""
    return f"{url}/projects/{project}/data"


def task_page(url: str, project: int, task: int) -> str:
    """Opens one task."""
    return f"{url}/projects/{project}/data?task={task}"


def settings_page(url: str, project: int, page: str) -> str:
    """One of a project's settings pages: `labeling` or `ml`."""
    return f"{url}/projects/{project}/settings/{page}"


def is_ours(version: str) -> bool:
    """Whether a version is named as those that this backend makes; the predictions may be another Coldblitz's."""
    return version == KEYFRAMES_VERSION or ModelVersion.parse(version) is not None
