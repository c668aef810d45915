"""Jobs that fail: one for good, one for a reason that passes."""

from __future__ import annotations

from ml_backend.errors import VideoRefused, VideoUnreachable
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job


@job
def suggest(context: JobContext, project: str, task: int) -> str:
    raise VideoRefused(f"Task {task} has no video.", "Import it again.")


@job
def away(context: JobContext, project: str, task: int) -> str:
    raise VideoUnreachable(f"The server of {task} does not answer.", "It is tried again automatically.")
