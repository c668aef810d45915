"""The detector that a project has chosen, and what its classes are called there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ml_backend.detector_names import BUILT_IN
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.label_config import Question
from ml_backend.objects import choosing
from ml_backend.objects.choosing import Places, make_detector
from ml_backend.objects.class_names import class_names, words_of
from ml_backend.objects.detector import Detector, Limits
from ml_backend.projects.training_choice import MODEL_FILES
from ml_backend.queueing.job_limits import allow, video_seconds
from ml_backend.settings import Settings

# Of DATA_DIR: weights of networks, each under its name as `detector` has it.
WEIGHTS = "detectors"
# A network on a processor takes so many seconds for a picture, on a slow machine.
_SECONDS_PER_PICTURE = 6.0
_SHOWN = 12


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
    words = words_of(question.labels, question.predicted_values)
    detector = make_detector(settings.detector, _places(work.context.settings), words, least)
    named = class_names(detector.names, question.labels, question.predicted_values)
    limits = Limits(
        least or 0.0, settings.smallest_box, settings.largest_box, named.labels, most_tracks=settings.max_tracks
    )
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


def allow_for_detector(work: ProjectWork, detector: Detector, path: Path) -> None:
    """Gives the running job the time that a network or a researcher's file may take for the video at `path`."""
    if work.settings.detector not in BUILT_IN:
        allow(_SECONDS_PER_PICTURE * detector.rate * video_seconds(path))


def state_of_detector(work: ProjectWork, question: Question) -> list[object]:
    """What else the tracks of a question depend on; empty for what moves, which has no classes and no file."""
    name = work.settings.detector
    if name == "motion" and not question.predicted_values:
        return []
    labels = [list(question.labels), dict(question.predicted_values)]
    return [*labels, choosing.stamp(name, _places(work.context.settings))]


def _places(settings: Settings) -> Places:
    folder = settings.data_dir
    return Places(
        folder / WEIGHTS, folder / MODEL_FILES, folder / "weights", settings.device, settings.detector_license
    )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
