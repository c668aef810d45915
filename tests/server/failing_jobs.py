"""Jobs that end at once, as each says."""

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


@job
def export(context: JobContext, project: str, name: str) -> str:
    return f"{name}: 3 rows, without 1 video that could not be used"
