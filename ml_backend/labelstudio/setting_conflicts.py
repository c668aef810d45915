"""Settings of a project that contradict each other, or ask for something that its label config does not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields

from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.project_settings import ProjectSettings, parse_project_settings
from ml_backend.wording import quoted, some

# What other tracks are found by; `jobs.box_tracks.state_of` says the same of a video.
OF_TRACKS = (
    "detector",
    "follower",
    "smallest_box",
    "largest_box",
    "max_tracks",
    "track_iou",
    "model_score_threshold",
)
# What there is to set about boxes; a detector that is *none* asks for nothing, and `per_individual` has a sentence of its own.
OF_BOXES = (*OF_TRACKS, "questions_per_video")
_EACH = (
    "The setting per_individual needs boxes and a timeline on the same video, and the label config does not have both, so it is "
    "ignored. Add a <VideoRectangle> and a <TimelineLabels> to the same <Video>, or remove the setting."
)
_EACH_CUSTOM = (
    "The setting per_individual is ignored, since a custom model sees whole frames. Remove custom_model to use it."
)


@dataclass(frozen=True)
class ModelFiles:
    """`files`: the names of those in DATA_DIR/custom_models. `installed`: whether CUSTOM_MODEL names one for every project."""

    files: Collection[str] = ()
    installed: bool = False


@dataclass(frozen=True)
class Conflict:
    """`names`: of the settings that cannot all be as they are. `sentence`: why, and what to do."""

    names: tuple[str, ...]
    sentence: str


def setting_conflicts(params: object, config: LabelConfig, files: ModelFiles) -> tuple[Conflict, ...]:
    """Those of a project with these extra params. Values that are not valid are no part of any."""
    settings, _ = parse_project_settings(params)
    found = (_boxes(settings, config), _each(settings, config), *_models(settings, files), *_labels(settings, config))
    return tuple(each for each in found if each is not None)


def _boxes(settings: ProjectSettings, config: LabelConfig) -> Conflict | None:
    defaults = {each.name: each.default for each in fields(ProjectSettings)}
    of_boxes = [name for name in OF_BOXES if getattr(settings, name) not in (defaults[name], "none", "unknown")]
    if config.tracks or not of_boxes:
        return None
    told = (
        f"{_params(of_boxes)} {'has' if len(of_boxes) == 1 else 'have'} no effect, since the label config has no "
        f"<VideoRectangle>. Add one on the <Video>, or remove {'it' if len(of_boxes) == 1 else 'them'}."
    )
    return Conflict(tuple(of_boxes), told)


def _each(settings: ProjectSettings, config: LabelConfig) -> Conflict | None:
    if not settings.per_individual:
        return None
    if settings.mode == "custom" or (settings.mode == "auto" and settings.custom_model is not None):
        return Conflict(("per_individual", "mode", "custom_model"), _EACH_CUSTOM)
    boxed = {each.video for each in config.tracks}
    if any(each.video in boxed for each in config.timelines):
        return None
    return Conflict(("per_individual",), _EACH)


def _models(settings: ProjectSettings, files: ModelFiles) -> Iterator[Conflict]:
    file, mode = settings.custom_model, settings.mode
    if mode == "custom" and not file and not files.installed:
        told = "Extra param 'mode' is 'custom', but no model file is named. Name one in 'custom_model', or set CUSTOM_MODEL."
        yield Conflict(("mode", "custom_model"), told)
    if file and mode in ("cold", "blitz"):
        told = (
            f"Extra param 'custom_model' has no effect, since 'mode' is '{mode}'. Set 'mode' to 'auto' or 'custom', or remove "
            "'custom_model'."
        )
        yield Conflict(("mode", "custom_model"), told)
    if file and mode in ("auto", "custom") and file not in files.files:
        listed = some(sorted(files.files), "or") or "none so far"
        told = (
            f"Extra param 'custom_model' names {quoted(file)}, which is not in the folder custom_models of DATA_DIR. Put it "
            f"there, or name one that is: {listed}."
        )
        yield Conflict(("custom_model",), told)
    if settings.blitz.fit == "finetune" and mode in ("cold", "custom"):
        told = (
            f"Extra param 'blitz' asks for 'finetune', but 'mode' is '{mode}', which does not train the network. Set 'mode' to "
            "'auto' or 'blitz', or 'fit' to 'head'."
        )
        yield Conflict(("mode", "blitz.fit"), told)


def _labels(settings: ProjectSettings, config: LabelConfig) -> Iterator[Conflict]:
    learned = {label for each in config.questions for label in each.labels}
    # A task may bring along labels that nobody has seen yet.
    whole = not any(each.labels_from for each in config.questions)
    given: dict[str, list[str]] = {"default_label": [settings.default_label] if settings.default_label else []}
    for name, frames in (("min_frames", settings.min_frames), ("fill_gaps", settings.fill_gaps)):
        given[name] = list(frames) if isinstance(frames, Mapping) else []
    for name, labels in given.items():
        unknown = [label for label in labels if label not in learned]
        if unknown and whole:
            meant = f"Name {some(sorted(learned), 'or')}, or remove it." if learned else "Remove it."
            such = "such label" if len(unknown) == 1 else "such labels"
            told = f"Extra param '{name}' names {some(unknown)}, but the label config has no {such}. {meant}"
            yield Conflict((name,), told)
    if settings.companion and not config.questions:
        told = (
            "Extra param 'companion' has no effect, since the label config asks for boxes alone, and a box is no answer about "
            "a whole image. Remove it, or add a <TimelineLabels> or <Choices>."
        )
        yield Conflict(("companion",), told)


def _params(names: Collection[str]) -> str:
    named = [f"'{name}'" for name in names]
    if len(named) == 1:
        return f"Extra param {named[0]}"
    return f"Extra params {', '.join(named[:-1])} and {named[-1]}"
