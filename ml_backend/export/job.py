"""The job behind the dashboard's exports."""

from __future__ import annotations

from ml_backend.export.choose import Choice
from ml_backend.export.write import write_export
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import open_project
from ml_backend.jobs.project_lock import project_lock_if_free
from ml_backend.projects import job_requests
from ml_backend.queueing.queue import enqueue
from ml_backend.store.files import put
from ml_backend.wording import counted


@job
def export(context: JobContext, project: str, name: str) -> str:
    """Makes the export `name` of a project (see `projects/job_requests.py`) in place of an older one.

    Raises SettingsError when nothing is labelled, StorageError and LabelStudioError.
    """
    work = open_project(context, project)
    redis = context.redis
    final = job_requests.export_path(context.settings.data_dir, project, name)
    # The older one is there to be had until the new one is whole.
    fresh = final.with_name(f"new-{final.name}")

    def again() -> None:
        enqueue(redis, "export", project, name)

    # It may be asked for again while it is being made: then once more, with what is labelled by then.
    with project_lock_if_free(redis, context.settings.data_dir, project, f"export-{name}", again) as ours:
        if not ours:
            return f"{name} is being created, and will be created again after that"
        fresh.unlink(missing_ok=True)
        written = write_export(work, fresh, None, Choice(every=job_requests.export_every(name)), context.progress.share)
        put(fresh, final)
    number = written.get("pictures", written.get("rows"))
    left_out = (
        f", without {counted(len(written['skipped']), 'video')} that could not be used" if written["skipped"] else ""
    )
    return f"{name}: {number} {'pictures' if 'pictures' in written else 'rows'}{left_out}"
