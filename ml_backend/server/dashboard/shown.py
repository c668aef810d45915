"""What is said of one video, as pages show it: which version's prediction, and whose regions may stand beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml_backend.annotation import Region
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, parse_regions
from ml_backend.prediction_item import StoredItem
from ml_backend.projects import label_report, stored_predictions
from ml_backend.projects.label_report import HumanRegion
from ml_backend.projects.task_view import TaskView
from ml_backend.provenance import ModelVersion
from ml_backend.server.dashboard.site import ProjectPage
from ml_backend.server.label_studio_routes import backend

_PERSON = "person-"


@dataclass(frozen=True)
class Shown:
    """The prediction that is drawn: the active version's, else the newest that is at hand.

    `regions`: of the timeline that the page speaks of. `questions`: the frames that it asks about. `sure`: of the whole video, None where
    that is not known of this timeline.
    """

    version: str | None
    sure: float | None
    regions: tuple[Region, ...]
    questions: tuple[Region, ...] = ()


def shown_of(project: ProjectPage, task: int, view: TaskView | None) -> Shown:
    active = project.active
    for version in dict.fromkeys((*([active] if active else []), *_versions(project))):
        found = stored_predictions.load(backend().settings.data_dir, project.key, version, task)
        if found is not None:
            regions = _parsed(project, found)
            labelled = tuple(region for region in regions if region.labels)
            questions = tuple(region for region in regions if not region.labels)
            sure = None if project.other_timeline else certainty_of(found, view)
            return Shown(version, sure, labelled, questions)
    return Shown(None, None, ())


def predicted_regions(project: ProjectPage, task: int, version: str) -> tuple[Region, ...]:
    found = stored_predictions.load(backend().settings.data_dir, project.key, version, task)
    return _parsed(project, found) if found else ()


def certainty_of(prediction: StoredItem, view: TaskView | None) -> float | None:
    """How sure the model is of the whole video, which the score of a prediction says unless it was put back behind
    others."""
    if view is not None and view.certainty is not None and view.version == prediction.get("model_version"):
        return view.certainty
    score = prediction.get("score")
    return float(score) if isinstance(score, int | float) else None


@dataclass(frozen=True)
class Word:
    """What one version or one person says of a video. `key`: how an address names it. `is_partial`: they may have
    left out what they did not look at."""

    key: str
    name: str
    regions: tuple[Region, ...] | tuple[HumanRegion, ...]
    is_partial: bool = False

    @property
    def is_person(self) -> bool:
        return self.key.startswith(_PERSON)


def words_of(
    project: ProjectPage, task: int, people: Sequence[HumanRegion], names: Mapping[int | None, str], *, reviewed: bool
) -> list[Word]:
    """Everybody's: the active version's and the other ones', the newest first, then people's."""
    active, found = project.active, []
    for version in dict.fromkeys((*([active] if active else []), *_versions(project))):
        regions = tuple(region for region in predicted_regions(project, task, version) if region.labels)
        if regions:
            found.append(Word(version, f"Model {version}", regions))
    for author in dict.fromkeys(region.author for region in people):
        mine = tuple(region for region in people if region.author == author)
        called = names.get(author, f"user {author}" if author is not None else "unknown")
        found.append(Word(f"{_PERSON}{author}", called, mine, not reviewed))
    return found


def names_of(project: ProjectPage) -> dict[int | None, str]:
    """What annotators are called."""
    report = label_report.load(backend().settings.data_dir, project.key)
    return {author.author: author.called for author in report.authors} if report else {}


def _versions(project: ProjectPage) -> list[str]:
    others = set(stored_predictions.versions(backend().settings.data_dir, project.key)) - {KEYFRAMES_VERSION}
    return sorted(others, key=_number, reverse=True)


def _number(version: str) -> int:
    parsed = ModelVersion.parse(version)
    return parsed.number if parsed else 0


def _parsed(project: ProjectPage, prediction: StoredItem) -> tuple[Region, ...]:
    return parse_regions(prediction.get("result") or [], project.question) if project.question else ()
