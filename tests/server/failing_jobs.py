"""A job that fails for good."""

from __future__ import annotations

from ml_backend.errors import VideoRefused
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job


@job
def suggest(context: JobContext, project: str, task: int) -> str:
    raise VideoRefused(f"Task {task} has no video.", "Import it again.")
