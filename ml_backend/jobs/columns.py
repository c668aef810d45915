"""Columns of the Data Manager that say how sure the model is of each video and how many of its labels are doubted, and tabs that go by
them; where the project's settings allow it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ml_backend.errors import LabelStudioRefused
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.job import job
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.labelstudio.tabs import CERTAINTY, DOUBTS, TabName
from ml_backend.labelstudio.tasks import LARGE_PAGE, Task
from ml_backend.projects import reconcile_state, registry, reports, stored_predictions, task_view
from ml_backend.queueing.queue import enqueue

# More places than this in one video are not told apart: each number is a request of its own.
_MOST_DOUBTS = 50
_REFUSED = (
    "The columns and tabs of the Data Manager cannot be kept: {} Give the token's user the right to change the project, or turn "
    "data_manager_columns off."
)


def queue_columns(work: ProjectWork, stored: Mapping[str, int]) -> str | None:
    """Queues that they are renewed when anything they say may have changed; returns what was done, if anything. `stored`: the
    number of predictions of each version."""
    if not work.settings.data_manager_columns:
        registry.set_problems(work.context.redis, work.key, "columns", [])
        return None
    if _state(work, stored) == reconcile_state.get(work.context.redis, work.key, "columns"):
        return None
    return "the Data Manager's columns" if enqueue(work.context.redis, "columns", work.key) else None


@job
def columns(context: JobContext, project_key: str) -> str:
    """Writes the numbers that have changed into the tasks' data, all tasks with the same number in one request, and makes the tabs
    that were never made."""
    work = open_project(context, project_key)
    if not work.settings.data_manager_columns:
        return "the project does not want columns in the Data Manager"
    state = _state(work, context.studio.predictions.versions(work.id))
    try:
        done = _renew(work)
    except LabelStudioRefused as error:
        registry.set_problems(context.redis, project_key, "columns", [_REFUSED.format(error.message)])
        raise
    registry.set_problems(context.redis, project_key, "columns", [])
    reconcile_state.put(context.redis, project_key, "columns", state)
    return done


def _state(work: ProjectWork, stored: Mapping[str, int]) -> list[str | int | None]:
    """Tells what the columns are made of from what they were made of before."""
    data_dir, active = work.context.settings.data_dir, registry.active_version(work.context.redis, work.key)
    quality = reports.load_quality(data_dir, work.key)
    stopping = reports.load_stopping(data_dir, work.key, None)
    made = [report.made if report else None for report in (quality, stopping)]
    return [active, stored.get(active or "", 0), *made]


def _renew(work: ProjectWork) -> str:
    certainty, doubts = _certainty(work), _doubts(work)
    there = set[int]()
    changed: dict[tuple[str, int], list[int]] = {}
    for task in work.context.studio.tasks.all(work.id, LARGE_PAGE):
        there.add(task.id)
        for name, value in ((CERTAINTY, certainty.get(task.id)), (DOUBTS, _doubted(task, doubts))):
            if value is not None and task.data.get(name) != value:
                changed.setdefault((name, value), []).append(task.id)
    for position, ((name, value), tasks) in enumerate(sorted(changed.items()), start=1):
        work.progress.report(100 * position / (len(changed) + 1), "renewing columns of the Data Manager")
        work.context.studio.tasks.set_number(work.id, name, value, tasks)
    known = reconcile_state.get(work.context.redis, work.key, "tabs") or {}
    tabs = work.context.studio.tabs.keep(work.id, _tabs(certainty.keys() & there, doubts.keys() & there), known)
    reconcile_state.put(work.context.redis, work.key, "tabs", tabs)
    written = len({task for tasks in changed.values() for task in tasks})
    return f"renewed the Data Manager's columns of {written} of {len(there)} tasks"


def _tabs(sure: Sequence[int] | set[int], doubted: Sequence[int] | set[int]) -> list[TabName]:
    """Those whose columns there are."""
    wanted: list[TabName] = ["To label"]
    if sure:
        wanted.append("Not sure")
    if doubted:
        wanted.append("Disagreement")
    return wanted


def _certainty(work: ProjectWork) -> dict[int, int]:
    """How sure the active version is of each video that it predicts, in percent."""
    data_dir, version = work.context.settings.data_dir, registry.active_version(work.context.redis, work.key)
    found: dict[int, int] = {}
    for task in stored_predictions.tasks(data_dir, work.key) if version else ():
        view = task_view.load(data_dir, work.key, task)
        if view is not None and view.version == version and view.certainty is not None:
            found[task] = round(100 * view.certainty)
    return found


def _doubts(work: ProjectWork) -> Counter[int]:
    """How many labels of each video are probably wrong, as the page *Label quality* lists them."""
    report = reports.load_quality(work.context.settings.data_dir, work.key)
    return Counter(row.task for row in report.suspects) if report else Counter()


def _doubted(task: Task, doubts: Mapping[int, int]) -> int | None:
    """None where there never was anything to say."""
    number = min(doubts.get(task.id, 0), _MOST_DOUBTS)
    return number if number or DOUBTS in task.data else None
