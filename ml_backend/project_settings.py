"""Settings of a project, from its ML backend's *extra params* in Label Studio; which files can be its `custom_model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ml_backend.detector_names import AUTO, UNKNOWN, wrong_detector, wrong_follower
from ml_backend.errors import SettingsError
from ml_backend.roi import RegionOfInterest
from ml_backend.wording import cut, quoted

SUFFIXES = (".py", ".pt", ".pt2", ".onnx")


def model_files(folder: Path) -> list[str]:
    """The names of those that lie in `folder` itself, sorted; none without a folder."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [each.name for each in entries if each.suffix in SUFFIXES and each.name[0] not in "._" and each.is_file()]


FramesPerLabel = int | Mapping[str, int]


@dataclass(frozen=True)
class BlitzSettings:
    """How Blitz learns: the value of the extra param `blitz`.

    `fit`: *head* trains on what the frozen network sees, *finetune* trains the network first. The rest is about that:
    `cycles`: epochs of the one-cycle schedule. `validation_split`: share of the videos that are held out.
    `early_stopping`: it ends after so many epochs that were no better on them. `image_size`: side of the pictures it
    trains on, in pixels; it predicts from the `resolution`. `frame_step`: it trains on every so many-th frame.
    """

    fit: Literal["head", "finetune"] = "head"
    cycles: int = 10
    validation_split: float = 0.2
    early_stopping: int = 3
    image_size: int = 160
    frame_step: int = 5


@dataclass(frozen=True)
class ProjectSettings:
    """What a project may set in its ML backend's *extra params*.

    `sampling`: how keyframes are picked; `auto` is `unique` at once, and by the embeddings when they are there;
    `random` draws them by chance, `shots` shares them out over the shots.
    `frames_per_video`: at most so many (Label Studio shows about ten rows well). `sample_fps`: frames per second looked
    at before the video is embedded. `hash_threshold`: bits of 64 by which a frame must differ; 4 is what docs/suggestions.md measured.
    `mode`: which kind of model to train; `auto` is Cold until two whole timelines have been reviewed, then Blitz, and
    custom when a model file is named. `custom_model`: name of a file in DATA_DIR/custom_models.
    `default_label`: what the gaps of a dense annotation mean (none when unset).
    `min_frames`: shorter runs are merged into their neighbours; 1 is off, 10 is the dissertation's rule. `fill_gaps`: up to
    so many frames between two runs of one label are counted in with them. Both are one number, or one for each label.
    `dense`: whether annotations cover whole videos, when the label config has no *reviewed* choice to say it.
    `serve_uncertain_first`: a model that becomes active sets Label Studio's task order to *Uncertainty sampling*.
    `blitz`: how Blitz learns. `companion`: whether suggested frames are images in a project of their own, too.
    `resolution`: side of the square picture that the backbone sees, in pixels. `roi`: the part of each picture that is looked
    at, all of it when unset; a task's data may have one of its own.
    `detector`: what finds objects in a project with boxes, as in `detector_names`; with `none` no track is predicted.
    `follower`: what follows a drawn box; `auto` needs no weights, `hf/<owner>/<name>` is a SAM 2 model.
    `smallest_box`, `largest_box`: of a found box's area in percent of the picture's. `max_tracks`: in one video, the surest
    first. `track_iou`: how well what Label Studio draws between key frames overlaps with what was found, at least.
    `model_score_threshold`: boxes and tracks that are less sure are left out; the attribute of the control when unset.
    `per_individual`: whether each tracked individual has a timeline of its own, where a video has both.
    `questions_per_video`: how many frames of found tracks a person is asked about, at most.
    `data_manager_columns`: whether tasks' data get numbers that Label Studio's Data Manager shows as columns, and tabs that go by
    them.
    """

    sampling: Literal["auto", "uniform", "random", "unique", "shots"] = "auto"
    frames_per_video: int = 10
    sample_fps: float = 2.0
    hash_threshold: int = 4
    mode: Literal["auto", "cold", "blitz", "custom"] = "auto"
    custom_model: str | None = None
    default_label: str | None = None
    min_frames: FramesPerLabel = 1
    fill_gaps: FramesPerLabel = 0
    dense: bool | None = None
    serve_uncertain_first: bool = False
    blitz: BlitzSettings = BlitzSettings()
    companion: bool = False
    resolution: Literal[160, 224, 320] = 160
    roi: RegionOfInterest | None = None
    # Trainings, which know their settings by their `repr`, learn nothing from boxes.
    detector: str = field(default="motion", repr=False)
    follower: str = field(default=AUTO, repr=False)
    smallest_box: float = field(default=0.0, repr=False)
    largest_box: float = field(default=100.0, repr=False)
    max_tracks: int = field(default=50, repr=False)
    track_iou: float = field(default=0.9, repr=False)
    model_score_threshold: float | None = field(default=None, repr=False)
    # Trainings name it where it is set, so that those of other projects stay what they were.
    per_individual: bool = field(default=False, repr=False)
    questions_per_video: int = field(default=3, repr=False)
    data_manager_columns: bool = field(default=False, repr=False)

    @property
    def taught(self) -> str:
        """What a training goes by, as text; how keyframes are picked, of which it learns nothing, is as by default in it, so that
        versions of before keep their marks."""
        return repr(replace(self, **{name: _DEFAULTS[name] for name in SUGGESTING}))


# How keyframes are picked.
SUGGESTING = ("sampling", "frames_per_video", "sample_fps", "hash_threshold")
_DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(ProjectSettings)}

# Each number's smallest and largest sensible value; outside it the default applies and the admin is told.
_RANGES: dict[str, tuple[float, float]] = {
    "frames_per_video": (1, 1000),
    "sample_fps": (0.01, 240),
    "hash_threshold": (1, 64),
    "min_frames": (1, 100_000),
    "fill_gaps": (0, 100_000),
    "smallest_box": (0, 100),
    "largest_box": (0, 100),
    "max_tracks": (1, 1000),
    "track_iou": (0.5, 0.99),
    "model_score_threshold": (0, 1),
    "questions_per_video": (0, 100),
    "blitz.cycles": (1, 100),
    "blitz.validation_split": (0.05, 0.5),
    "blitz.early_stopping": (1, 100),
    "blitz.image_size": (32, 512),
    "blitz.frame_step": (1, 1000),
}


def parse_project_settings(extra_params: object) -> tuple[ProjectSettings, tuple[str, ...]]:
    """The valid part of a project's extra params, and one sentence for each key that was ignored."""
    if extra_params is None or extra_params == "":
        return ProjectSettings(), ()
    if not isinstance(extra_params, Mapping):
        return ProjectSettings(), ("The extra params are not a JSON object; all defaults apply.",)
    problems: list[str] = []
    valid = _valid(ProjectSettings, extra_params, "", problems)
    if valid.get("roi") is not None:
        valid["roi"] = RegionOfInterest.parse(valid["roi"])
    if "blitz" in valid:
        valid["blitz"] = BlitzSettings(**_valid(BlitzSettings, valid["blitz"], "blitz.", problems))
    settings = ProjectSettings(**valid)
    if settings.smallest_box > settings.largest_box:
        problems.append(
            f"Extra param 'smallest_box' was ignored: {settings.smallest_box:g} is above 'largest_box', {settings.largest_box:g}."
        )
        settings = replace(settings, smallest_box=0.0)
    return settings, tuple(problems)


def checked_blitz(given: Mapping[str, Any], otherwise: BlitzSettings) -> BlitzSettings:
    """`otherwise` with the values `given`. Raises SettingsError when one of them is not valid."""
    hints = get_type_hints(BlitzSettings)
    for name, value in given.items():
        problem = _problem(f"blitz.{name}", value, hints[name]) if name in hints else "there is no such setting"
        if problem is not None:
            raise SettingsError(f"blitz.{cut(name)} cannot be set: {problem}.", "Correct it, and try again.")
    return replace(otherwise, **given)


def range_of(name: str) -> tuple[float, float]:
    """The smallest and the largest value of a number among the project's settings, such as `blitz.cycles`."""
    return _RANGES[name]


def has_range(name: str) -> bool:
    """Whether a setting is a number between two others."""
    return name in _RANGES


def wrong_value(name: str, value: object) -> str | None:
    """What is wrong with a value of a setting, such as `blitz.cycles`, the end of a sentence; None when nothing is."""
    of = BlitzSettings if name.startswith("blitz.") else ProjectSettings
    hints = get_type_hints(of)
    key = name.removeprefix("blitz.")
    return _problem(name, value, hints[key]) if key in hints else "there is no such setting"


def _valid(
    settings: type[ProjectSettings | BlitzSettings], given: Mapping[str, object], within: str, problems: list[str]
) -> dict[str, Any]:
    """The valid values of `given`; one sentence for each of the others is added to `problems`."""
    hints = get_type_hints(settings)
    known = {f.name for f in fields(settings)}
    valid: dict[str, Any] = {}
    for name, value in given.items():
        shown = f"{within}{name}"
        if name not in known:
            likely = get_close_matches(str(name).lower(), known, 1)
            meant = (
                f"did you mean {quoted(within + likely[0])}?"
                if likely
                else f"the known ones are {', '.join(sorted(known))}."
            )
            problems.append(f"Extra param {quoted(shown)} is unknown and was ignored; {meant}")
        elif name == "detector" and (problem := _problem(shown, value, hints[name])) is not None:
            problems.append(f"Extra param {quoted(shown)} cannot be used, and tracks stay as they are: {problem}.")
            valid[name] = UNKNOWN
        elif (problem := _problem(shown, value, hints[name])) is not None:
            problems.append(f"Extra param {quoted(shown)} was ignored: {problem}.")
        else:
            valid[name] = value
    return valid


def _problem(name: str, value: object, hint: Any) -> str | None:
    if name == "detector":
        return wrong_detector(value)
    if name == "follower":
        return wrong_follower(value)
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return (
            None
            if any(value == each and type(value) is type(each) for each in choices)
            else f"{quoted(value)} is not one of {', '.join(map(repr, choices))}"
        )
    if hint is BlitzSettings:
        return None if isinstance(value, Mapping) else f"{quoted(value)} is not a JSON object"
    if hint == RegionOfInterest | None:
        return _wrong_region(value)
    if hint == FramesPerLabel:
        if isinstance(value, Mapping):
            told = ((label, _problem(name, frames, int)) for label, frames in value.items())
            return next((f"for {quoted(label)}, {problem}" for label, problem in told if problem), None)
        hint = int
    accepted = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if float in accepted:
        accepted = (*accepted, int)
    # bool is an int in Python, but `true` is no number of frames.
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        return f"{quoted(value)} has the wrong type"
    if name in _RANGES and isinstance(value, int | float):
        low, high = _RANGES[name]
        if not low <= value <= high:
            return f"{quoted(value)} is not between {low:g} and {high:g}"
    return None


def _wrong_region(value: object) -> str | None:
    if value is None:
        return None
    try:
        RegionOfInterest.parse(value)
    except ValueError as error:
        return str(error)
    return None
