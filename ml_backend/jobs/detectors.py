"""The detector that a project has chosen, and what its classes are called there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ml_backend.detector_names import AUTO, BUILT_IN, is_trained
from ml_backend.errors import StorageError, WeightsError
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.label_config import Question
from ml_backend.objects import choosing
from ml_backend.objects.choosing import Places, make_detector
from ml_backend.objects.class_names import class_names, words_of
from ml_backend.objects.detector import Detector, Limits
from ml_backend.objects.network_detector import NetworkDetector
from ml_backend.projects import detector_versions
from ml_backend.projects.detector_versions import DetectorCard
from ml_backend.projects.training_choice import MODEL_FILES
from ml_backend.queueing.job_limits import allow, video_seconds
from ml_backend.queueing.queue import enqueue
from ml_backend.settings import Settings
from ml_backend.wording import listed

# Of DATA_DIR: weights of networks, each under its name as `detector` has it.
WEIGHTS = "detectors"
# A network on a processor takes so many seconds for a picture, on a slow machine.
_SECONDS_PER_PICTURE = 6.0
_SHOWN = 12
# The class of what a detector finds that learned from boxes without labels.
UNNAMED = "object"
# What finds objects until there are enough boxes to learn from.
BEFORE = "motion"


class Chosen(NamedTuple):
    """`limits`: what counts of what the detector finds. `meant`: whether its classes are labels of the project. `told`: what is
    wrong with the names, in sentences."""

    detector: Detector
    limits: Limits
    meant: bool
    told: tuple[str, ...]


def chosen_score(work: ProjectWork, question: Question) -> float | None:
    """What is less sure is not shown: by the extra params, else by the attribute of the control; None where nobody says."""
    chosen = work.settings.model_score_threshold
    return chosen if chosen is not None else question.score_threshold


def detector_for(work: ProjectWork, question: Question) -> Chosen:
    """Of one question about boxes, for one video. Raises WeightsError, SettingsError and CustomModelError."""
    settings, least = work.settings, chosen_score(work, question)
    if is_trained(settings.detector):
        return trained_or_before(
            work, question, detector_versions.active_card(work.context.settings.data_dir, work.key)
        )
    words = words_of(question.labels, question.predicted_values)
    detector = make_detector(settings.detector, places(work.context.settings), words, least)
    named = class_names(detector.names, question.labels, question.predicted_values)
    limits = _limits(work, question, named.labels)
    told = []
    if named.unknown:
        listed = ", ".join(f"“{each}”" for each in named.unknown)
        told.append(
            f"The detector {settings.detector} does not know {listed}, which predicted_values of <Label> names. "
            f"It knows {_some(detector.names)}."
        )
    elif not named.meant and question.labels and settings.detector not in BUILT_IN:
        told.append(
            f"The detector {settings.detector} knows none of the labels of {question.from_name}: whatever it finds is shown. "
            f"Write what it calls them into predicted_values of <Label>. It knows {_some(detector.names)}."
        )
    return Chosen(detector, limits, named.meant, tuple(told))


def _limits(work: ProjectWork, question: Question, labels: Mapping[str, str] | None) -> Limits:
    settings, least = work.settings, chosen_score(work, question) or 0.0
    return Limits(least, settings.smallest_box, settings.largest_box, labels, most_tracks=settings.max_tracks)


def trained_or_before(work: ProjectWork, question: Question, card: DetectorCard | None) -> Chosen:
    """The detector of this card, or what finds objects before there is one.

    Raises WeightsError when its weights are damaged: then it is out of use, and another one is trained.
    """
    if card is None:
        return Chosen(make_detector(BEFORE, places(work.context.settings)), _limits(work, question, None), False, ())
    context, settings = work.context, work.context.settings
    try:
        weights = detector_versions.weights_of(settings.data_dir, work.key, card)
        return trained_detector(work, question, card, weights)
    except StorageError as error:
        detector_versions.drop(settings.data_dir, work.key, card)
        enqueue(context.redis, "train_detector", work.key, again=True)
        raise WeightsError(error.message, error.remedy) from error


def trained_detector(work: ProjectWork, question: Question, card: DetectorCard, weights: bytes) -> Chosen:
    """Raises StorageError where these are not the weights of such a detector, and SettingsError."""
    # torch takes seconds to import.
    from ml_backend.features.trainable_detection import load_trained

    settings = work.context.settings
    cache = settings.data_dir / "weights"
    network = load_trained(card.base, card.labels, card.side, card.threshold, weights, settings.device, cache)
    detector = NetworkDetector(network, chosen_score(work, question))
    # A label that is not in the label config any more is nothing to show.
    labels = {each: each for each in card.labels if each in question.labels}
    meant = card.labels != (UNNAMED,) and bool(labels)
    return Chosen(detector, _limits(work, question, labels if meant else None), meant, ())


def allow_for_detector(work: ProjectWork, detector: Detector, path: Path) -> None:
    """Gives the running job the time that a network or a researcher's file may take for the video at `path`."""
    if work.settings.detector not in BUILT_IN:
        allow(_SECONDS_PER_PICTURE * detector.rate * video_seconds(path))


def state_of_detector(work: ProjectWork, question: Question) -> list[object]:
    """What else the tracks of a question depend on; empty for what moves, which has no classes and no file."""
    name = work.settings.detector
    if is_trained(name):
        card = detector_versions.active_card(work.context.settings.data_dir, work.key)
        return [card.name, card.weights_sha256, list(question.labels)] if card is not None else []
    if name == "motion" and not question.predicted_values:
        return []
    labels = [list(question.labels), dict(question.predicted_values)]
    return [*labels, choosing.stamp(name, places(work.context.settings))]


def state_of_follower(work: ProjectWork) -> list[str]:
    """What else the tracks of drawn boxes depend on; empty where they are followed without a network."""
    name = work.settings.follower
    return [] if name == AUTO else [name, choosing.stamp(name, places(work.context.settings))]


def places(settings: Settings) -> Places:
    folder = settings.data_dir
    return Places(
        folder / WEIGHTS, folder / MODEL_FILES, folder / "weights", settings.device, settings.detector_license
    )


def _some(names: tuple[str, ...]) -> str:
    return listed(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
