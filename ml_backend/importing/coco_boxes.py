"""COCO JSON of videos: which image is which frame of which video, and which boxes are of one object.

`coldblitz export` and `coldblitz pseudo-label` write `video` and `frame` into each image; others have `video_id` with a list of
`videos`, and `frame_id` or `frame_index`, all from 0.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_backend.importing.found_boxes import FoundVideo, TrackRows, number_each, read_text, refused

_FRAME = ("frame", "frame_id", "frame_index")
_TRACK = ("track_id", "instance_id")
# As the pictures of an export are called.
_PICTURE = re.compile(r"(.+)_frame(\d+)\.\w+")


@dataclass(frozen=True)
class _Image:
    video: str
    frame: int


@dataclass
class _Boxes:
    """Of one video. `alone`: boxes without a track."""

    size: tuple[int, int]
    tracks: defaultdict[int | str, TrackRows] = field(default_factory=lambda: defaultdict(TrackRows))
    alone: list[TrackRows] = field(default_factory=list)


def read_coco(path: Path) -> list[FoundVideo]:
    """The videos that have boxes. Without track ids each box is an object of one frame. Raises SettingsError."""
    name = str(path)
    try:
        told = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise refused(name, f"it is not JSON ({error})", "Export it again.") from error
    lists = [_list(told, key) for key in ("images", "annotations", "categories")]
    if any(each is None for each in lists):
        raise refused(name, "it has no images, annotations and categories", "Give COCO JSON of boxes in videos.")
    images, annotations, categories = (each or [] for each in lists)
    videos: dict[str, _Boxes] = {}
    places = _images(name, images, _list(told, "videos") or [], videos)
    labels = {each.get("id"): str(each.get("name")) for each in categories}
    for number, each in enumerate(annotations):
        what = f"annotation {each.get('id', number)}"
        place = places.get(each.get("image_id"))
        if place is None:
            raise refused(
                name, f"{what} is about image {each.get('image_id')!r}, which there is not", "Export it again."
            )
        if each.get("category_id") not in labels:
            raise refused(name, f"{what} is of a category that there is not", "Export it again.")
        track = next((each[key] for key in _TRACK if each.get(key) is not None), None)
        if track is not None and (isinstance(track, bool) or not isinstance(track, int | str)):
            raise refused(name, f"the track of {what} is neither a number nor a text", "Export it again.")
        of = videos[place.video]
        rows = of.tracks[track] if track is not None else TrackRows()
        if track is None:
            of.alone.append(rows)
        score = each.get("score")
        score = float(score) if isinstance(score, int | float) and math.isfinite(score) else None
        if not rows.add(place.frame, _box(name, what, each.get("bbox")), labels[each["category_id"]], score):
            raise refused(
                name, f"track {track} has two boxes in frame {place.frame} of {place.video}", "Remove one of them."
            )
    own = _own_numbers(_list(told, "tracks") or [])
    return [_video(name, title, of, own) for title, of in videos.items() if of.tracks or of.alone]


def _images(
    name: str, images: Sequence[Mapping[str, Any]], listed: Sequence[Mapping[str, Any]], videos: dict[str, _Boxes]
) -> dict[object, _Image]:
    """The video and frame of each image, by its id; `videos` gets the size of each video's pictures."""
    titles = {each.get("id"): each.get("name") or each.get("file_name") for each in listed}
    places: dict[object, _Image] = {}
    taken: dict[tuple[str, int], object] = {}
    for each in images:
        picture = _PICTURE.fullmatch(Path(str(each.get("file_name", ""))).name)
        video = each.get("video") or titles.get(each.get("video_id")) or (picture and picture[1])
        frame = next((each[key] for key in _FRAME if each.get(key) is not None), picture and int(picture[2]))
        what = f"image {each.get('id')!r}"
        if not isinstance(video, str) or not _is_count(frame):
            raise refused(
                name, f"{what} does not say which frame of which video it is", "Give each image a video and a frame."
            )
        size = each.get("width"), each.get("height")
        if not (_is_count(size[0]) and _is_count(size[1]) and size[0] and size[1]):
            raise refused(name, f"{what} has no width and height", "Give each image its size in pixels.")
        assert isinstance(frame, int)
        if (other := taken.setdefault((video, frame), each.get("id"))) != each.get("id"):
            raise refused(name, f"images {other!r} and {each.get('id')!r} are the same frame", "Remove one of them.")
        of = videos.setdefault(video, _Boxes((int(size[0]), int(size[1]))))
        if of.size != size:
            raise refused(
                name, f"the images of {video} have several sizes", "Give those of one size a file of their own."
            )
        places[each.get("id")] = _Image(video, frame)
    return places


def _own_numbers(tracks: Sequence[Mapping[str, Any]]) -> dict[object, int]:
    """The numbers that tracks have within their videos, as an export of ours says; its track ids go on from video to video."""
    return {each.get("id"): int(each["number"]) for each in tracks if _is_count(each.get("number")) and each["number"]}


def _video(file: str, title: str, of: _Boxes, own: Mapping[object, int]) -> FoundVideo:
    numbers = number_each([own.get(each, each) for each in of.tracks])
    found = [rows.track(numbers[own.get(each, each)]) for each, rows in of.tracks.items()]
    if len({each.number for each in found}) < len(found):
        found = [replace(each, number=at) for at, each in enumerate(found, start=1)]
    after = max((each.number for each in found), default=0)
    found += [rows.track(after + at) for at, rows in enumerate(of.alone, start=1)]
    return FoundVideo(file, tuple(dict.fromkeys((Path(title).name, title))), tuple(found), of.size)


def _box(name: str, what: str, box: object) -> tuple[float, float, float, float]:
    numbers = box if isinstance(box, list) and len(box) == 4 else [None]
    if not all(
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each) for each in numbers
    ):
        raise refused(name, f"the box of {what} is not four finite numbers", "Remove it, or mend the numbers.")
    left, top, width, height = map(float, numbers)
    if width <= 0 or height <= 0:
        raise refused(name, f"the box of {what} has no size", "Remove it.")
    return left, top, width, height


def _list(told: object, key: str) -> list[dict[str, Any]] | None:
    found = told.get(key) if isinstance(told, Mapping) else None
    return found if isinstance(found, list) and all(isinstance(each, dict) for each in found) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40
