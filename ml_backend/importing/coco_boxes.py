"""COCO JSON of videos: which image is which frame of which video, and which boxes are of one object.

`coldblitz export` and `coldblitz pseudo-label` write `video` and `frame` into each image; others have `video_id` with a list of
`videos`, and `frame_id` or `frame_index`, all from 0.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ml_backend.importing.found_boxes import MOST, FoundVideo, TrackRows, number_each, read_text, refused
from ml_backend.wording import cut

_FRAME = ("frame", "frame_id", "frame_index")
_TRACK = ("track_id", "instance_id")
# As the pictures of an export are called.
_PICTURE = re.compile(r"(.+)_frame(\d{1,12})\.\w+", re.DOTALL)
# Two videos of a file may have one name: the file's number of the video, if it has them, and the name.
_Video = tuple[Hashable, str]


@dataclass(frozen=True)
class _Image:
    video: _Video
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
    videos: dict[_Video, _Boxes] = {}
    listed = _by_id(name, "video", _list(told, "videos") or [])
    places = _images(name, images, listed, videos)
    labels = {key: _label(name, key, each) for key, each in _by_id(name, "category", categories).items()}
    for number, each in enumerate(annotations):
        what = f"annotation {cut(each.get('id', number))}"
        image = _id(name, f"the image_id of {what}", each.get("image_id"))
        place = places.get(image)
        if place is None:
            raise refused(name, f"{what} is about image {cut(image)}, which there is not", "Export it again.")
        category = _id(name, f"the category_id of {what}", each.get("category_id"))
        if category not in labels:
            raise refused(name, f"{what} is of a category that there is not", "Export it again.")
        track = next((each[key] for key in _TRACK if each.get(key) is not None), None)
        if track is not None and (isinstance(track, bool) or not isinstance(track, int | str)):
            raise refused(name, f"the track of {what} is neither a number nor a text", "Export it again.")
        of = videos[place.video]
        rows = of.tracks[track] if track is not None else TrackRows()
        if track is None:
            of.alone.append(rows)
        score = _finite(each.get("score"))
        if score is None and each.get("score") is not None:
            raise refused(name, f"the score of {what} is not a finite number", "Remove it, or mend the number.")
        if not rows.add(place.frame, _box(name, what, each.get("bbox")), labels[category], score):
            said = f"track {cut(track)} has two boxes in frame {place.frame} of {place.video[1]}"
            raise refused(name, said, "Remove one of them.")
    own = _own_numbers(_by_id(name, "track", _list(told, "tracks") or []))
    found = {key: of for key, of in videos.items() if of.tracks or of.alone}
    return [_video(name, title, of, own, listed.get(number)) for (number, title), of in found.items()]


def _images(
    name: str,
    images: Sequence[Mapping[str, Any]],
    listed: Mapping[Hashable, Mapping[str, Any]],
    videos: dict[_Video, _Boxes],
) -> dict[Hashable, _Image]:
    """The video and frame of each image, by its id; `videos` gets the size of each video's pictures."""
    titles = {key: each.get("name") or each.get("file_name") for key, each in listed.items()}
    places: dict[Hashable, _Image] = {}
    taken: dict[tuple[_Video, int], Hashable] = {}
    for position, each in enumerate(images):
        image = _id(name, f"the id of image {position}, counted from 0,", each.get("id"))
        what = f"image {cut(image)}"
        if image in places:
            raise refused(name, f"two images have the id {cut(image)}", "Give each image an id of its own.")
        number = _id(name, f"the video_id of {what}", each.get("video_id"))
        picture = _PICTURE.fullmatch(Path(str(each.get("file_name", ""))).name)
        video = each.get("video") or titles.get(number) or (picture and picture[1])
        frame = next((each[key] for key in _FRAME if each.get(key) is not None), picture and int(picture[2]))
        if not isinstance(video, str) or not _is_count(frame):
            raise refused(
                name, f"{what} does not say which frame of which video it is", "Give each image a video and a frame."
            )
        size = each.get("width"), each.get("height")
        if not (_is_count(size[0]) and _is_count(size[1]) and size[0] and size[1]):
            raise refused(name, f"{what} has no width and height", "Give each image its size in pixels.")
        assert isinstance(frame, int)
        key = number, video
        if (other := taken.setdefault((key, frame), image)) != image:
            said = f"images {cut(other)} and {cut(image)} are the same frame"
            raise refused(name, said, "Remove one of them.")
        of = videos.setdefault(key, _Boxes((int(size[0]), int(size[1]))))
        if of.size != size:
            raise refused(
                name, f"the images of {video} have several sizes", "Give those of one size a file of their own."
            )
        places[image] = _Image(key, frame)
    return places


def _own_numbers(tracks: Mapping[Hashable, Mapping[str, Any]]) -> dict[Hashable, int]:
    """The numbers that tracks have within their videos, as an export of ours says; its track ids go on from video to video."""
    return {
        key: int(each["number"]) for key, each in tracks.items() if _is_count(each.get("number")) and each["number"]
    }


def _video(
    file: str, title: str, of: _Boxes, own: Mapping[Hashable, int], listed: Mapping[str, Any] | None
) -> FoundVideo:
    numbers = number_each([own.get(each, each) for each in of.tracks])
    found = [rows.track(numbers[own.get(each, each)]) for each, rows in of.tracks.items()]
    if len({each.number for each in found}) < len(found):
        found = [replace(each, number=at) for at, each in enumerate(found, start=1)]
    after = max((each.number for each in found), default=0)
    found += [rows.track(after + at) for at, rows in enumerate(of.alone, start=1)]
    task = listed.get("task") if listed is not None else None
    names = tuple(dict.fromkeys((Path(title).name, title)))
    return FoundVideo(file, names, tuple(found), of.size, task if _is_count(task) else None)


def _box(name: str, what: str, box: object) -> tuple[float, float, float, float]:
    numbers = [each for each in map(_finite, box) if each is not None] if isinstance(box, list) else []
    if not isinstance(box, list) or len(numbers) != 4 or len(box) != 4:
        raise refused(name, f"the box of {what} is not four finite numbers", "Remove it, or mend the numbers.")
    left, top, width, height = numbers
    if width <= 0 or height <= 0:
        raise refused(name, f"the box of {what} has no size", "Remove it.")
    return left, top, width, height


def _finite(value: object) -> float | None:
    """None for what is no finite number, or one that is too large."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _by_id(name: str, what: str, listed: Sequence[Mapping[str, Any]]) -> dict[Hashable, Mapping[str, Any]]:
    return {_id(name, f"the id of a {what}", each.get("id")): each for each in listed}


def _id(name: str, what: str, value: object) -> Hashable:
    """None for one that is not there."""
    if value is not None and not isinstance(value, int | float | str):
        raise refused(name, f"{what} is neither a number nor a text", "Export it again.")
    return value


def _label(name: str, number: Hashable, category: Mapping[str, Any]) -> str:
    label = category.get("name")
    if not isinstance(label, str) or not label.strip():
        raise refused(name, f"category {cut(number)} has no name", "Give each category a text as its name.")
    return label


def _list(told: object, key: str) -> list[dict[str, Any]] | None:
    found = told.get(key) if isinstance(told, Mapping) else None
    return found if isinstance(found, list) and all(isinstance(each, dict) for each in found) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST
