"""What is done anew when a project's settings change, and what stays: said before they are saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from ml_backend.detector_names import NONE, is_trained
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.labelstudio.setting_conflicts import OF_BOXES, OF_TRACKS
from ml_backend.project_settings import SUGGESTING, ProjectSettings
from ml_backend.projects import label_report, stored_predictions, tracks, training_choice
from ml_backend.server.dashboard.site import ProjectPage
from ml_backend.wording import counted

_CHOOSING = (*SUGGESTING, "roi")
_SEEING = ("resolution", "roi", "per_individual")
# See `ProjectSettings.taught`.
_LEARNING = (
    "per_individual",
    *(each.name for each in fields(ProjectSettings) if each.repr and each.name not in SUGGESTING),
)


@dataclass(frozen=True)
class Standing:
    """How far a project is: the number of its `tasks`, of those with suggestions, with a submitted annotation, with one that says all
    about the video, and with tracks. `active`: the model version that is shown. `chosen`: whether how to train was chosen on the models
    page."""

    tasks: int
    suggested: int
    labeled: int
    reviewed: int
    tracked: int
    active: str | None
    chosen: bool


def standing_of(project: ProjectPage, data_dir: Path) -> Standing:
    """As the files of the project and the last comparison with Label Studio say."""
    seen, labeled = project.overview, label_report.load(data_dir, project.key)
    stored = seen.versions if seen else {}
    ready = stored_predictions.number(data_dir, project.key, KEYFRAMES_VERSION)
    suggested = max(ready, stored.get(KEYFRAMES_VERSION, 0))
    return Standing(
        tasks=max(seen.tasks if seen else 0, suggested),
        suggested=suggested,
        labeled=len(labeled.tasks) if labeled else 0,
        reviewed=len(labeled.reviewed) if labeled else 0,
        tracked=len(tracks.tasks(data_dir, project.key)),
        active=project.active,
        chosen=training_choice.in_force(data_dir, project.known) is not None,
    )


def effects(before: ProjectSettings, after: ProjectSettings, config: LabelConfig | None, at: Standing) -> list[str]:
    """Sentences, the most costly first; none where nothing that holds changes."""
    changed = {each.name for each in fields(ProjectSettings) if getattr(before, each.name) != getattr(after, each.name)}
    return [
        *_training(changed, after, config, at),
        *_tracks(changed, before, after, config, at),
        *_rest(changed, after, at),
    ]


def _training(changed: set[str], after: ProjectSettings, config: LabelConfig | None, at: Standing) -> Iterator[str]:
    if config is not None and not config.questions:
        return
    if at.chosen and changed & {"mode", "custom_model", "blitz"}:
        yield "How to train was chosen on the models page. That ends: these settings say it from now on."
    if not changed & set(_LEARNING):
        return
    custom = after.mode == "custom" or (after.mode == "auto" and after.custom_model is not None)
    if not at.labeled and not custom:
        yield "No video has a submitted annotation yet, so nothing is trained or predicted now."
        return
    learned = "the model file is taken" if custom else f"a model is trained on {_videos(at.labeled)} with annotations"
    # What is known of all questions needs no prediction; of those beside the main one it is not kept here who answered them.
    needless = at.reviewed if config is not None and len(config.questions) == 1 else 0
    number, again = max(at.tasks - needless, 0), " again" if at.active is not None else ""
    predicted = f"then {_videos(number)} {'is' if number == 1 else 'are'} predicted{again}."
    if not number:
        predicted = "and no video is predicted, since all are reviewed."
    elif needless:
        predicted += f" Reviewed videos ({needless}) are not."
    if at.active is None:
        yield f"Right away {learned}, {predicted}"
    else:
        yield f"Right away {learned}. Unless it is worse than {at.active} on held-out videos, it replaces that, {predicted}"
    if seeing := changed & set(_SEEING):
        which = " and ".join(f"`{name}`" for name in sorted(seeing))
        until = f" Until then {at.active} predicts no new video." if at.active is not None else ""
        yield f"With another {which}, the network looks at {_videos(at.tasks)} once more, which takes a while.{until}"


def _tracks(
    changed: set[str], before: ProjectSettings, after: ProjectSettings, config: LabelConfig | None, at: Standing
) -> Iterator[str]:
    if config is None or not config.tracks or not changed & set(OF_BOXES):
        return
    if after.detector == NONE:
        if before.detector != NONE and at.tracked:
            yield f"The predicted tracks of {_videos(at.tracked)} are removed. What people have submitted stays."
        return
    if changed & set(OF_TRACKS):
        searched = f"{_videos(at.tasks)} {'is' if at.tasks == 1 else 'are'} searched for objects again"
        yield f"Right away {searched}, which changes the tracks that are predicted."
        if is_trained(after.detector) and not is_trained(before.detector):
            yield "Until enough boxes are submitted to learn from, `motion` finds the objects."
    elif at.tracked:
        yield "Frames are asked about in this number when the tracks of a video are found or recognized next."


def _rest(changed: set[str], after: ProjectSettings, at: Standing) -> Iterator[str]:
    if changed & set(_CHOOSING):
        kept = f" {_kept(at.suggested)}" if at.suggested else ""
        yield f"Frames of videos that are added from now on are suggested this way.{kept}"
    if "data_manager_columns" in changed:
        yield (
            "Each task gets two numbers in its data in Label Studio once a model predicts it, and tabs that go by them are made."
            if after.data_manager_columns
            else "The columns and tabs that are in Label Studio stay, but are not kept up any more."
        )
    if "companion" in changed:
        yield (
            "A second project with the suggested frames as images is made in Label Studio now."
            if after.companion
            else "The project with the frames as images stays in Label Studio, but is not kept up and not learned from any more."
        )
    if "serve_uncertain_first" in changed:
        yield (
            "Label Studio's task order becomes *Uncertainty sampling* when a model becomes active next."
            if after.serve_uncertain_first
            else "Label Studio's task order stays as it is; change it in the project's settings there."
        )


def _kept(number: int) -> str:
    return (
        "1 video keeps the suggestions that it has."
        if number == 1
        else f"{number} videos keep the suggestions that they have."
    )


def _videos(number: int) -> str:
    return counted(number, "video")
