"""A task's tracks, put into the prediction of it that Label Studio has."""

from __future__ import annotations

from ml_backend.jobs.box_tracks import with_tracks
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.predictions import GivenPrediction
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.labelstudio.tasks import Task
from ml_backend.prediction_item import PredictionItem, StoredItem
from ml_backend.projects import registry, stored_predictions


def shown_version(work: ProjectWork) -> str:
    """The version whose predictions have the tracks."""
    return registry.active_version(work.context.redis, work.key) or KEYFRAMES_VERSION


def show_anew(work: ProjectWork, task: Task, shown: GivenPrediction) -> bool:
    """Puts the tracks that are known of a task now in the place of those in a prediction of it, as Label Studio gives it; returns
    whether it says something else then.

    To be called within `pushing`.
    """
    item = _kept(work, str(shown["model_version"]), task, shown)
    renewed = with_tracks(work, task, item)
    if renewed == item:
        return False
    work.context.studio.predictions.replace(int(shown["id"]), renewed)
    stored_predictions.save(work.context.settings.data_dir, work.key, renewed)
    return True


def show_anew_unless_begun(work: ProjectWork, task: Task) -> bool:
    """The same of the task's own prediction, unless somebody has begun to work on it. Raises Gone when the task is."""
    predictions = work.context.studio.predictions
    number = predictions.untouched(work.id, task.id, shown_version(work))
    shown = next((each for each in predictions.of(task.id) if each["id"] == number), None)
    return number is not None and shown is not None and show_anew(work, task, shown)


def _kept(work: ProjectWork, version: str, task: Task, shown: GivenPrediction) -> PredictionItem:
    """A prediction as it was pushed; where its file is lost, as Label Studio has it."""
    kept = stored_predictions.load(work.context.settings.data_dir, work.key, version, task.id)
    score = shown.get("score")
    there: StoredItem = {
        "model_version": version,
        "score": float(score) if score is not None else 0.0,
        "result": shown["result"],
    }
    return {**(kept or there), "task": task.id}
