"""Boxes in frames as other programs read them: COCO JSON, YOLO's label files, and the MOT challenge's tables.

Nothing here reads or writes a file. Boxes come in pixels of the picture as a browser shows it, left and top counted from its
corner; each format says how it rounds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import Any

# Digits after the point: of pixels and scores in COCO and MOT, and of YOLO's shares, where 6 are a hundredth of a pixel in
# pictures of 10,000.
PIXEL_DIGITS, SCORE_DIGITS, SHARE_DIGITS = 2, 4, 6


@dataclass(frozen=True)
class Box:
    """One object in one frame. `track`: its number in the video, from 1. `score`: 0..1. `left`, `top`, `width`, `height`: in
    pixels, not rounded, inside the picture. `source`: who says so, *human* or *model*; empty where all is a model's."""

    track: int
    label: str
    score: float
    left: float
    top: float
    width: float
    height: float
    source: str = ""

    def rounded(self) -> tuple[float, float, float, float]:
        """Left, top, width and height in hundredths of a pixel. Edges are rounded, so that the box stays in the picture."""
        left, top = round(self.left, PIXEL_DIGITS), round(self.top, PIXEL_DIGITS)
        right = round(self.left + self.width, PIXEL_DIGITS)
        bottom = round(self.top + self.height, PIXEL_DIGITS)
        return left, top, round(right - left, PIXEL_DIGITS), round(bottom - top, PIXEL_DIGITS)


@dataclass(frozen=True)
class BoxedFrame:
    """A frame and its boxes. `file`: its picture, as the format names it. `frame`: frame index, from 0. `seconds`: when it is
    shown. `width`, `height`: of the picture in pixels, as a browser shows it."""

    file: str
    frame: int
    seconds: float
    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class TrackOrigin:
    """Where a track comes from. `region`: its id in Label Studio. `untouched`: a model drew it, and a person submitted it as it
    was."""

    region: str
    label: str
    source: str
    untouched: bool = False


@dataclass(frozen=True)
class BoxedVideo:
    """A video's frames, in the order in which they are shown. `tracks`: the score of each of its tracks, by number, also of
    those that are in none of the frames. `rate`: frames a second. `length`: how many frames the video has. `task`: whose video
    it is. `origins`: of each track, where that is known."""

    name: str
    rate: float
    length: int
    tracks: Mapping[int, float]
    frames: tuple[BoxedFrame, ...]
    task: int | None = None
    origins: Mapping[int, TrackOrigin] = field(default_factory=dict)


def coco(videos: Sequence[BoxedVideo], labels: Sequence[str], info: Mapping[str, Any]) -> dict[str, Any]:
    """COCO's object detection format, with videos and tracks beside it.

    All ids count from 1; `category_id` is the position in `labels`. `track_id` is of one track in one video: numbers go on from
    video to video. Where a box has a source, `label` and `source` stand beside it. `bbox` and `area` are rounded to hundredths,
    the area being that of the rounded box, `score` to 4 digits and `seconds` to 6. Raises ValueError for a label that is not
    among `labels`.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    tracks: list[dict[str, Any]] = []
    before = [0, *accumulate(max(video.tracks, default=0) for video in videos)]
    for number, video in enumerate(videos, start=1):
        first = before[number - 1]
        tracks += [
            {
                "id": first + track,
                "video_id": number,
                "score": round(score, SCORE_DIGITS),
                **({"number": track, **asdict(video.origins[track])} if track in video.origins else {}),
            }
            for track, score in sorted(video.tracks.items())
        ]
        for frame in video.frames:
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": frame.file,
                    "width": frame.width,
                    "height": frame.height,
                    "video_id": number,
                    "video": video.name,
                    "frame": frame.frame,
                    "seconds": round(frame.seconds, 6),
                }
            )
            for box in frame.boxes:
                left, top, width, height = box.rounded()
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": len(images),
                        "category_id": labels.index(box.label) + 1,
                        "bbox": [left, top, width, height],
                        "area": round(width * height, PIXEL_DIGITS),
                        "iscrowd": 0,
                        # Some readers fail without it.
                        "segmentation": [],
                        "track_id": first + box.track,
                        "score": round(box.score, SCORE_DIGITS),
                        **({"label": box.label, "source": box.source} if box.source else {}),
                    }
                )
    return {
        "info": dict(info),
        "licenses": [],
        "videos": [
            {
                "id": number,
                "name": video.name,
                "frames": video.length,
                "frame_rate": round(video.rate, 6),
                **({"task": video.task} if video.task is not None else {}),
            }
            for number, video in enumerate(videos, start=1)
        ],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(labels, start=1)
        ],
        "tracks": tracks,
    }


def yolo_lines(frame: BoxedFrame, labels: Sequence[str]) -> str:
    """The label file of one picture: class from 0, then the middle's x and y, width and height as shares of the picture, with 6
    digits; one line a box, empty without boxes.

    Raises ValueError for a label that is not among `labels`.
    """
    rows = []
    for box in frame.boxes:
        x = (box.left + box.width / 2) / frame.width
        y = (box.top + box.height / 2) / frame.height
        shares = (x, y, box.width / frame.width, box.height / frame.height)
        rows.append(f"{labels.index(box.label)} " + " ".join(f"{share:.{SHARE_DIGITS}f}" for share in shares))
    return _lines(rows)


def yolo_data(labels: Sequence[str], parts: Sequence[str] = ()) -> str:
    """`data.yaml`, relative to its own folder; `parts`: folders in `images` where the pictures are split, of *train*, *val* and
    *test*. Names are written as JSON, which YAML reads whatever is in them."""
    names = [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(labels)]
    places = {part: f"images/{part}" for part in parts} or {"train": "images"}
    # A reader asks for both.
    lines = [f"train: {places.get('train', next(iter(places.values())))}"]
    if "val" not in places:
        lines.append("# The same pictures, until some videos are set apart.")
    lines.append(f"val: {places.get('val', places.get('train', next(iter(places.values()))))}")
    lines += [f"test: {places['test']}"] if "test" in places else []
    return _lines([*lines, f"nc: {len(labels)}", "names:", *names])


def mot_lines(frames: Iterable[BoxedFrame], labels: Sequence[str]) -> str:
    """`gt.txt` of one video: frame, track, left, top, width, height, 1 (it counts), class, 1 (visible).

    Frames, tracks, classes and pixels count from 1, as the challenge has it; pixels are rounded to hundredths. Raises ValueError
    for a label that is not among `labels`.
    """
    rows = []
    for frame in frames:
        for box in frame.boxes:
            left, top, width, height = box.rounded()
            place = ",".join(f"{each:.{PIXEL_DIGITS}f}" for each in (left + 1, top + 1, width, height))
            rows.append(f"{frame.frame + 1},{box.track},{place},1,{labels.index(box.label) + 1},1")
    return _lines(rows)


def mot_sequence(video: BoxedVideo, folder: str, width: int, height: int) -> str:
    """`seqinfo.ini` of one video in a folder of this name, with pictures of this size in pixels."""
    return _lines(
        [
            "[Sequence]",
            f"name={folder}",
            "imDir=img1",
            f"frameRate={video.rate:.6g}",
            f"seqLength={video.length}",
            f"imWidth={width}",
            f"imHeight={height}",
            "imExt=.jpg",
        ]
    )


def _lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)
