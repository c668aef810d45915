"""What is done while labels cannot be told apart: nothing is predicted, and the admin and the suggestions say so."""

from __future__ import annotations

from collections.abc import Sequence

from ml_backend.cards.model_card import ModelCard
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.prediction_item import PredictionItem, ResultItem
from ml_backend.projects import registry, stored_predictions

NOT_APART = "These labels cannot be told apart yet"
_NOTE = f"{NOT_APART}, so nothing is predicted. Please label the suggested frames."
_TOLD = (
    NOT_APART
    + ": of the labeled frames that {} was not shown, it predicts no better than always giving the same answer. "
    "Nothing is predicted, and suggestions continue.{} What can help: more labeled frames of each label; labels "
    "that can be seen within about a second of video; another BACKBONE (`coldblitz backbones bench`)."
)
_TOLD_OF_WHOLE = (
    NOT_APART
    + ": of the answered videos that {} was not shown, it gets no more right than always giving the same answer would. "
    "Nothing is predicted.{} What can help: more answered videos of each kind; another BACKBONE (`coldblitz backbones bench`)."
)
_LEFT_OPEN = (
    "The labels of “{}” cannot be told apart yet: {} answers it no better than always giving the same answer, so it leaves it open "
    "and predicts the others.{} More labels of each kind can help."
)
_MIXED_UP = " Most often confused: {}."
# Suggestions that say so, of the tasks that come next.
_TASKS = 100


def tell_of_untold(work: ProjectWork, card: ModelCard) -> bool:
    """Whether a version can tell no question's labels apart; the admin and the next annotators are told then."""
    every = card.each()
    if any(each.told_apart for each in every):
        return False
    told = _TOLD_OF_WHOLE if all(each.is_whole for each in every) else _TOLD
    registry.set_problems(work.context.redis, work.key, "model", [told.format(card.name, _mixed_up(every))])
    for task in sorted(stored_predictions.tasks(work.context.settings.data_dir, work.key))[:_TASKS]:
        _note(work, task)
    return True


def left_open(card: ModelCard) -> list[str]:
    """A sentence for each question that a version leaves open though it answers others."""
    every = card.each()
    if not any(each.told_apart for each in every):
        return []
    return [_LEFT_OPEN.format(each.question, card.name, _mixed_up([each])) for each in every if not each.told_apart]


def _mixed_up(cards: Sequence[ModelCard]) -> str:
    pairs = [" and ".join(f"“{label}”" for label in pair) for each in cards for pair in each.calibration.confused or ()]
    return _MIXED_UP.format(", ".join(pairs)) if pairs else ""


def _note(work: ProjectWork, task: int) -> None:
    """Puts the sentence into a task's suggestions, unless somebody has begun to work on it."""
    item = stored_predictions.load(work.context.settings.data_dir, work.key, KEYFRAMES_VERSION, task)
    if item is None or all(_says_so(region) for region in item["result"]):
        return
    number = work.context.studio.predictions.untouched(work.id, task, KEYFRAMES_VERSION)
    if number is None:
        return
    noted: list[ResultItem] = [{**region, "meta": {"text": [_NOTE]}} for region in item["result"]]
    told: PredictionItem = {**item, "task": task, "result": noted}
    work.context.studio.predictions.replace(number, told)
    stored_predictions.save(work.context.settings.data_dir, work.key, told)


def _says_so(region: ResultItem) -> bool:
    return bool((region.get("meta") or {}).get("text") == [_NOTE])
