"""Every setting of a project as people meet it: how it is written, what it may be, and what it does; the README says the same words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ml_backend.project_settings import BlitzSettings, FramesPerLabel, ProjectSettings, has_range, range_of
from ml_backend.roi import RegionOfInterest

Kind = Literal["choice", "whole number", "number", "yes or no", "frames per label", "region", "text"]
BLITZ = "blitz."
# What each does, by what it is about, as Markdown whose links lead from the top of the repository.
_TOLD: dict[str, dict[str, str]] = {
    "First suggestions": {
        "sampling": (
            'how to choose the first frames. `"unique"`: pictures that differ by perceptual hash; `"uniform"`: '
            'evenly spaced; `"random"`: drawn at random; `"shots"`: spread over the shots of an edited film; '
            '`"auto"`: `unique` right away, then the most representative frame of each stretch of time once the '
            "video is embedded, if nobody has started on the task ([how](docs/suggestions.md), "
            "[measured](docs/choice.md)). No strategy suggests black, blurred, or badly exposed pictures unless "
            "the video shows nothing else"
        ),
        "frames_per_video": "maximum number of suggestions per video",
        "sample_fps": "frames per second to look at before a video is embedded",
        "hash_threshold": "how many of the 64 hash bits must differ for a picture to count as different",
    },
    "What the model sees": {
        "resolution": (
            "the side, in pixels, of the square picture that the backbone sees: `160`, `224`, or `320`. Larger "
            "helps with small subjects and costs time ([how](docs/small-subjects.md))"
        ),
        "roi": (
            "region of interest: look only at this part of each picture, as `[x, y, width, height]` in percent, "
            "the way Label Studio counts rectangles. A task whose data has a `roi` of its own uses that "
            "([how](docs/small-subjects.md))"
        ),
    },
    "Training": {
        "mode": (
            'what to train. `"cold"`: from a few labeled frames; `"blitz"`: from reviewed timelines; `"custom"`: '
            'your own model file; `"auto"`: Cold until two timelines are reviewed, then Blitz, or your model file '
            "if one is named"
        ),
        "custom_model": "the name of a model file in `DATA_DIR/custom_models`",
        "default_label": (
            "the label that a gap in a reviewed timeline stands for; by default a gap means none of the labels"
        ),
        "dense": (
            "whether annotations cover whole videos (`true` or `false`), for label configs without a *reviewed* choice"
        ),
        "min_frames": (
            "merge shorter runs of a label into their neighbors (the dissertation used 10): one number, or one "
            'per label, such as `{"jump": 5}`'
        ),
        "fill_gaps": (
            "fill gaps of up to this many frames between two runs of the same label: one number, or one per label"
        ),
        "blitz.fit": (
            '`"head"` trains on what the frozen network sees, `"finetune"` also trains the network on your videos '
            "([how](docs/learning.md#fine-tuning))"
        ),
        "blitz.cycles": "the number of epochs",
        "blitz.validation_split": "the share of videos held out",
        "blitz.early_stopping": "epochs without improvement before it stops",
        "blitz.image_size": "the side of the training pictures in pixels",
        "blitz.frame_step": "train on every n-th frame",
    },
    "Objects": {
        "detector": (
            'what finds objects for `<VideoRectangle>` ([which](docs/objects.md#detectors)). `"motion"`: whatever '
            'moves in front of a still camera; `"people"`: people who stand or walk; `"torchvision/<name>"`, '
            '`"hf/<name>"`: a network; `"train"`: one that [learns from the boxes that you '
            'submit](docs/objects.md#a-detector-that-learns); `"custom:<file>"`: your own; `"none"`: predict no '
            "tracks"
        ),
        "follower": (
            'what follows a [box that you draw](docs/objects.md#one-box-is-enough). `"auto"`: by its movement or '
            'its looks, without weights; `"hf/<owner>/<name>"`: a SAM 2 model'
        ),
        "smallest_box": "ignore boxes whose area is less than this percentage of the picture",
        "largest_box": "ignore boxes whose area is more than this percentage of the picture",
        "max_tracks": "maximum number of tracks found in a video, the most confident first",
        "track_iou": (
            "how closely the boxes drawn between key frames follow the object, as the smallest overlap (IoU) at "
            "any frame. Lower means fewer key frames"
        ),
        "model_score_threshold": (
            "leave out boxes and tracks with a lower score, 0 to 1; by default the attribute "
            "`model_score_threshold` of the control"
        ),
        "questions_per_video": (
            "maximum number of frames per video at which a found track is [asked "
            "about](docs/objects.md#boxes-worth-a-look)"
        ),
        "per_individual": (
            "with a `<VideoRectangle>` and a `<TimelineLabels>` on one video: `true` gives each tracked "
            "individual a timeline of its own, learned from what is seen of it alone "
            "([how](docs/objects.md#a-timeline-for-each-individual))"
        ),
    },
    "Work in Label Studio": {
        "serve_uncertain_first": (
            "`true` sets Label Studio's task order to *Uncertainty sampling* when a model becomes active, so that "
            "the label stream serves the most useful video first "
            "([how](docs/suggestions.md#the-most-useful-video-first)). Coldblitz never sets it back"
        ),
        "data_manager_columns": (
            "`true` shows how sure the model is of each video, and how many of its labels are doubted, as columns of "
            "Label Studio's Data Manager, with tabs that go by them ([how](docs/in-label-studio.md)). It writes two "
            "numbers into the tasks' data"
        ),
        "companion": (
            "`true` creates a second Label Studio project with the suggested frames as images, each labeled with "
            "a single key ([how](docs/companion.md))"
        ),
    },
}
_DETAILS = re.compile(r" ?\(\[[^]]*\]\([^)]*\)(?:, \[[^]]*\]\([^)]*\))*\)")
_EMPHASIS = re.compile(r"\*([^*]+)\*")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class DescribedSetting:
    """`name`: the key of the extra params, `blitz.cycles` for one within another. `group`: what it is about. `told`: what it
    does, as Markdown. `choices`: of the kind *choice*. `least`, `most`: of numbers that have a range. `default`: what holds
    where nothing is set."""

    name: str
    group: str
    kind: Kind
    told: str
    default: Any
    choices: tuple[str | int, ...] = ()
    least: float | None = None
    most: float | None = None

    @property
    def explanation(self) -> str:
        """What it does without links, for pages that have none; what stands between backticks is something to type."""
        text = _EMPHASIS.sub(r"\1", _LINK.sub(r"\1", _DETAILS.sub("", self.told)))
        return f"{text[:1].upper()}{text[1:]}."


def described_settings() -> tuple[DescribedSetting, ...]:
    """All of them, by what they are about."""
    own = {each.name: each.default for each in fields(ProjectSettings)}
    blitz = {f"{BLITZ}{each.name}": each.default for each in fields(BlitzSettings)}
    hints = get_type_hints(ProjectSettings)
    hints |= {f"{BLITZ}{name}": hint for name, hint in get_type_hints(BlitzSettings).items()}
    return tuple(
        _described(name, group, told, (own | blitz)[name], hints[name])
        for group, settings in _TOLD.items()
        for name, told in settings.items()
    )


def value_in(params: Mapping[str, Any], name: str) -> Any:
    """What extra params say of a setting; None where they say nothing. Within something that is no object there is nothing."""
    if not name.startswith(BLITZ):
        return params.get(name)
    blitz = params.get(BLITZ[:-1])
    return blitz.get(name.removeprefix(BLITZ)) if isinstance(blitz, Mapping) else None


def effective(settings: ProjectSettings, name: str) -> Any:
    """The value that holds."""
    return getattr(settings.blitz, name.removeprefix(BLITZ)) if name.startswith(BLITZ) else getattr(settings, name)


def _described(name: str, group: str, told: str, default: Any, hint: Any) -> DescribedSetting:
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    least, most = range_of(name) if has_range(name) else (None, None)
    return DescribedSetting(name, group, _kind(hint), told, default, choices, least, most)


def _kind(hint: Any) -> Kind:
    if get_origin(hint) is Literal:
        return "choice"
    if hint == FramesPerLabel:
        return "frames per label"
    accepted = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds: dict[Any, Kind] = {bool: "yes or no", int: "whole number", float: "number", RegionOfInterest: "region"}
    return next((kinds[each] for each in accepted if each in kinds), "text")
