"""Label Studio's items of box tracks, to and from tracks: one item an object, with the frames at which somebody placed its box.

Of `value` only `sequence` and `labels` are read: Label Studio writes frame numbers, counts and times anew on Submit. Labels
stand in the same item; a second one of `<Labels>` would show them twice. `meta.pushed` is a checksum of what was predicted,
which survives Submit and tells a box that somebody moved: `origin` stays *prediction* when it is dragged.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from ml_backend.annotation import Origin
from ml_backend.errors import TrackError
from ml_backend.labelstudio.box_track import KeyFrame, Track
from ml_backend.labelstudio.label_config import Question
from ml_backend.labelstudio.regions import remark_of
from ml_backend.prediction_item import ResultItem
from ml_backend.provenance import RegionId, tagged_id
from ml_backend.video.timeline import MOST_STUDIO_FRAMES, StudioFrame, StudioGrid
from ml_backend.wording import cut

_ORIGINS: tuple[Origin, ...] = ("manual", "prediction", "prediction-changed")
# In percent: a thousandth of a pixel of a picture with 10,000. What is written is what a checksum is taken of.
_DIGITS = 5
# A box farther out is none in percent: pixels, most likely.
_FARTHEST = 1000.0
_REMEDY = "Delete it in Label Studio and draw it again."


@dataclass(frozen=True)
class Length:
    """Of a video as Label Studio counts it: `frames` at `framerate` a second, and its `duration` in seconds."""

    frames: int
    duration: float
    framerate: float

    @classmethod
    def of(cls, grid: StudioGrid) -> Length:
        return cls(len(grid), float(grid.timeline.duration), grid.framerate)


def track_items(tracks: Iterable[Track], question: Question, grid: StudioGrid | Length) -> list[ResultItem]:
    """The result items of one task's tracks, in their order, which is that of Label Studio's list of regions.

    `grid`: of the task's video, at the frame rate of the question. Where a box has no label in the label config, none is
    written. Raises ValueError for a track that Label Studio could not
    show as it is meant: key frames that do not ascend, lie outside the grid or are no numbers, or several with one id.
    """
    length = Length.of(grid) if isinstance(grid, StudioGrid) else grid
    items = [_item(track, question, length) for track in tracks]
    if len({item["id"] for item in items}) < len(items):
        raise ValueError("two tracks have the same id")
    return items


def _item(track: Track, question: Question, length: Length) -> ResultItem:
    if question.labels_control is None:
        track = replace(track, labels=())
    frames = [key.frame for key in track.keys]
    if not frames or frames != sorted(set(frames)) or frames[0] < 1 or frames[-1] > length.frames:
        raise ValueError(f"key frames of {track.id} must ascend within 1..{length.frames}")
    keys = list(map(_rounded, track.keys))
    if not all(math.isfinite(number) for key in keys for number in key[1:6]):
        raise ValueError(f"boxes of {track.id} must be numbers")
    value: dict[str, Any] = {
        "framesCount": length.frames,
        "duration": length.duration,
        "sequence": [
            {
                "frame": frame,
                "enabled": enabled,
                "rotation": rotation,
                "x": x,
                "y": y,
                "width": width,
                "height": height,
                # Label Studio's own: not when the frame is shown, which is one frame earlier.
                "time": frame / length.framerate,
            }
            for frame, x, y, width, height, rotation, enabled in keys
        ],
    }
    if track.labels:
        value["labels"] = list(track.labels)
    item: ResultItem = {
        "id": question.region_id(track.id),
        "from_name": question.from_name,
        "to_name": question.to_name,
        "type": "videorectangle",
        "value": value,
        "meta": {
            **({"text": [track.text]} if track.text else {}),
            "pushed": checksum(track),
            "pushed_labels": list(track.labels),
        },
    }
    if track.score is not None:
        # A score that is not a number would keep Label Studio from opening the task.
        item["score"] = round(min(max(track.score, 0.0), 1.0), 6) if math.isfinite(track.score) else 0.0
    return item


def checksum(track: Track) -> str:
    """Eight hexadecimal digits, the same for the same labels and boxes."""
    content = [sorted(track.labels), *map(_rounded, track.keys)]
    return f"{zlib.crc32(json.dumps(content).encode()):08x}"


def _rounded(key: KeyFrame) -> tuple[int, float, float, float, float, float, bool]:
    # Zero has a sign otherwise, which the browser does not write.
    x, y, width, height, rotation = (
        round(float(number), _DIGITS) + 0.0 for number in (key.x, key.y, key.width, key.height, key.rotation)
    )
    return int(key.frame), x, y, width, height, rotation, bool(key.enabled)


@dataclass(frozen=True)
class ReadTracks:
    """What the result of an annotation, draft or prediction says of boxes. `refused`: a reason for each region that cannot be
    read; the others can."""

    tracks: tuple[Track, ...] = ()
    refused: tuple[TrackError, ...] = ()


def read_tracks(result: Sequence[object], question: Question) -> ReadTracks:
    """The tracks of a result on the boxes of `question`, in its order; items of other controls are left out, and so are questions about
    tracks, whatever became of them: they are no objects (`track_questions.answers`)."""
    tracks: dict[str, Track] = {}
    refused: list[TrackError] = []
    if question.kind != "tracks":
        return ReadTracks()
    for item in result:
        if not isinstance(item, Mapping) or item.get("type") != "videorectangle":
            continue
        if item.get("from_name") != question.from_name:
            continue
        ours = RegionId.parse(str(item.get("id")))
        if ours is not None and ours.kind == "track question":
            continue
        try:
            track = _track(item, question)
            if track.id in tracks:
                raise _refused(item, "another one has the same id")
        except TrackError as error:
            refused.append(error)
        else:
            tracks[track.id] = track
    return ReadTracks(tuple(tracks.values()), tuple(refused))


def is_untouched(track: Track, pushed: Iterable[Track] = ()) -> bool:
    """Whether a model drew this track and nobody has changed its boxes or labels since.

    `pushed`: what was predicted of the task, if at hand: it tells of tracks of other models, which have no checksum. Of
    those that are not among it nobody is known to have changed anything.
    """
    if track.origin in ("manual", "prediction-changed"):
        return False
    if track.pushed is not None:
        return track.pushed == checksum(track)
    was = next((each for each in pushed if each.id == track.id), None)
    if was is not None:
        return checksum(was) == checksum(track)
    return track.origin == "prediction"


def has_own_label(track: Track) -> bool:
    """Whether a person has called this track what its labels say: it was predicted with others, or drawn. A label that a model gave
    and that was kept while the box was moved is no person's word."""
    return bool(track.labels) and (track.pushed_labels is None or set(track.labels) != set(track.pushed_labels))


def _track(item: Mapping[str, Any], question: Question) -> Track:
    """Raises TrackError."""
    value = item.get("value")
    sequence = value.get("sequence") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(sequence, list) or not sequence:
        raise _refused(item, "it has no key frames")
    # Of several at one frame the last one counts. Label Studio draws between them in the order in which they stand.
    keys = {key.frame: key for at, each in enumerate(sequence, start=1) for key in [_key(item, at, each)]}
    meta = item.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    pushed, score, origin = meta.get("pushed"), item.get("score"), item.get("origin")
    given = meta.get("pushed_labels")
    return Track(
        id=str(item.get("id", "")).removesuffix(tagged_id("", question.tag)),
        keys=tuple(sorted(keys.values(), key=lambda key: key.frame)),
        labels=tuple(dict.fromkeys(each for each in _list(value.get("labels")) if isinstance(each, str))),
        score=float(score) if _is_number(score) else None,
        # Label Studio does not say of regions that it copied from a prediction, and of imported ones.
        origin=origin if origin is None or origin in _ORIGINS else "manual",
        text=remark_of(item),
        pushed=pushed if isinstance(pushed, str) and re.fullmatch(r"[0-9a-f]{8}", pushed) else None,
        pushed_labels=tuple(each for each in given if isinstance(each, str)) if isinstance(given, list) else None,
    )


def _key(item: Mapping[str, Any], at: int, key: object) -> KeyFrame:
    """The `at`th key frame of an item. Raises TrackError."""
    if not isinstance(key, Mapping):
        raise _refused(item, f"its key frame {at} has no box")
    frame = _number(item, at, key, "frame")
    if frame > MOST_STUDIO_FRAMES:
        raise _refused(item, f"its key frame {at} is at frame {frame:g}, which no video has")
    x, y, width, height = (_number(item, at, key, name) for name in ("x", "y", "width", "height"))
    if width < 0 or height < 0:
        raise _refused(item, f"its key frame {at} has a box of negative size")
    if max(abs(x), abs(y), width, height) > _FARTHEST:
        raise _refused(item, f"its key frame {at} is not in percent of the picture")
    rotation = _number(item, at, key, "rotation") if key.get("rotation") is not None else 0.0
    # As a browser takes it: without the word a box is not enabled. Frame 0 is shown as frame 1.
    return KeyFrame(StudioFrame(max(1, round(frame))), x, y, width, height, rotation, bool(key.get("enabled")))


def _number(item: Mapping[str, Any], at: int, key: Mapping[str, Any], name: str) -> float:
    if name not in key:
        raise _refused(item, f"its key frame {at} has no {name}")
    if not _is_number(key[name]):
        raise _refused(item, f"the {name} of its key frame {at} is not a number")
    return float(key[name])


def _is_number(value: object) -> TypeGuard[int | float]:
    # JSON as Python reads it has NaN, Infinity, and whole numbers of any length.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 1 << 53


def _refused(item: Mapping[str, Any], why: str) -> TrackError:
    region, control = cut(item.get("id", "")), cut(item.get("from_name", ""))
    return TrackError(f"The boxes of region “{region}” on “{control}” cannot be read: {why}.", _REMEDY)


def _list(value: object) -> list[Any]:
    # Label Studio's API stores results of any form.
    return value if isinstance(value, list) else []
