"""Pseudo-labels for training a detector, from videos alone: frames, the boxes that a detector and a tracker find in them, and files
in the format of other programs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend import __version__
from ml_backend.errors import CustomModelError, SettingsError, VideoError
from ml_backend.export.box_formats import (
    Box,
    BoxedFrame,
    BoxedVideo,
    coco,
    mot_lines,
    mot_sequence,
    yolo_data,
    yolo_lines,
)
from ml_backend.export.box_frames import Chosen, Figures, FrameChoice, choose
from ml_backend.export.staging import Output, check_outputs, staged
from ml_backend.export.target import stem
from ml_backend.objects.boxes import Track, in_pixels
from ml_backend.objects.choosing import Places, make_detector
from ml_backend.objects.detector import Detector, Limits
from ml_backend.objects.finder import Scaled, TrackFinder, preview
from ml_backend.video.container import readable, readable_path
from ml_backend.video.demux import demux
from ml_backend.video.inspection import inspect
from ml_backend.video.timeline import FrameIndex, Timeline, usual_lasting
from ml_backend.video.whole_frames import Size, decode_exactly, decode_whole, upright

Format = Literal["coco", "yolo", "mot"]
# Called with what is being done and how much there is of it; returns what is called with how much is done.
Bar = Callable[[str, int], Callable[[int], None]]

# Kinds of findings about what a file lacks.
_INCOMPLETE = {"broken-tail"}
_OUT, _IMAGES, _DRAWN = "--out", "--images", "--drawn"
# The longer side of pictures that are judged, in pixels; and as in `export/dataset.py`.
_JUDGED_SIDE, _QUALITY = 384, 92
_SHADES = ((56, 56, 255), (49, 210, 207), (10, 249, 72), (255, 194, 0), (199, 55, 255), (31, 112, 255), (168, 153, 44))


@dataclass(frozen=True)
class Job:
    """What is to be made of videos.

    `detector`: as in `choosing`, found and run as `places` says. `words`: what it is to look for, if it reads text. `limits`:
    which of its boxes count, under which labels. `form`: of what is written to `out`: a JSON file, or a folder. `images`: with
    COCO, a folder for the pictures; the other formats have them always. `drawn`: a folder for pictures with the boxes drawn in.
    """

    out: Path
    detector: str = "motion"
    form: Format = "coco"
    limits: Limits = field(default_factory=Limits)
    choice: FrameChoice = field(default_factory=FrameChoice)
    images: Path | None = None
    drawn: Path | None = None
    overwrite: bool = False
    places: Places = field(default_factory=Places)
    words: tuple[str, ...] = ()

    def make_detector(self) -> Detector:
        """A new one for each video. Raises WeightsError, SettingsError and CustomModelError."""
        return make_detector(self.detector, self.places, self.words, self.limits.least_score or None)

    @property
    def labels(self) -> tuple[str, ...]:
        """All that a box may be called."""
        known = self.limits.labels
        return tuple(dict.fromkeys(known.values() if known is not None else self.make_detector().names))

    @property
    def outputs(self) -> tuple[Output, ...]:
        more = [Output(path, option, True) for path, option in ((self.images, _IMAGES), (self.drawn, _DRAWN)) if path]
        return (Output(self.out, _OUT, self.form != "coco"), *more)


@dataclass(frozen=True)
class VideoReport:
    """What became of a video. `frames`: how many are written, of `considered`. `left_out`: how many are not, by reason. `error`:
    why the video is left out; None when it is not. `warnings`: what is wrong with a video that is used."""

    name: str
    frames: int = 0
    boxes: int = 0
    tracks: int = 0
    considered: int = 0
    left_out: Mapping[str, int] | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Seen:
    """A video that was looked through. `sizes`: (width, height) of each frame that decoded, as a browser shows it. `keys`: the
    ascending times of its key frames, in ticks."""

    path: Path
    name: str
    stem: str
    timeline: Timeline
    keys: NDArray[np.int64]
    sizes: list[Size]
    tracks: list[Track]
    chosen: Chosen


def pseudo_label(videos: Sequence[Path], job: Job, bar: Bar) -> list[VideoReport]:
    """Writes what `job` says of the videos; what became of each is returned in their order.

    A video that cannot be read is left out; when all are, nothing is written. Raises SettingsError before anything is done when a
    path is no file, an output is there already or cannot be, or options contradict each other; StorageError when the disk is full.
    """
    paths = list({path.resolve(): path for path in videos}.values())
    for path in paths:
        if not path.is_file():
            raise SettingsError(f"{readable(str(path))} is not a file.", "Give the names of video files.")
    if job.form != "coco" and job.images is not None:
        raise SettingsError(
            f"--images changes nothing with --format {job.form}, which has its pictures in it.", "Leave it out."
        )
    check_outputs(job.outputs, paths, job.overwrite)
    names = [readable(path.name) for path in paths]
    begins = _unique([stem(name) for name in names])
    reports: dict[str, VideoReport] = {}
    seen: list[_Seen] = []
    for path, name, begin in zip(paths, names, begins, strict=True):
        try:
            seen.append(_look(path, name, begin, job, bar))
        except (VideoError, CustomModelError) as error:
            reports[begin] = VideoReport(name, error=str(error))
    if seen:
        with staged(job.outputs) as places:
            for video, boxed in _written(seen, job, places, bar):
                reports[video.stem] = VideoReport(
                    video.name,
                    len(boxed.frames),
                    sum(len(frame.boxes) for frame in boxed.frames),
                    len(video.tracks),
                    video.chosen.considered,
                    video.chosen.left_out,
                    warnings=tuple(each.message for each in inspect(video.path) if each.kind in _INCOMPLETE),
                )
    return [reports[begin] for begin in begins]


def _unique(names: Sequence[str]) -> list[str]:
    """The same, with a number behind those that are there already, also where case does not count."""
    taken: set[str] = set()
    found = []
    for name in names:
        free, number = name, 1
        while free.casefold() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.casefold())
        found.append(free)
    return found


def _look(path: Path, name: str, begin: str, job: Job, bar: Bar) -> _Seen:
    """Detects, tracks, judges and chooses, in one decode. Raises VideoError."""
    with readable_path(path) as opened:
        found = demux(opened)
        timeline = Timeline(found.pts, found.time_base, found.duration, found.early)
        keys = np.sort(found.packets.pts[found.packets.key])
        every = job.choice.every or max(1, round(_rate(timeline)))
        scaled, figures = Scaled(_JUDGED_SIDE), Figures()
        sizes: list[Size] = []
        step = bar(f"{name}: detecting", len(timeline))
        detector = job.make_detector()
        preview(opened, timeline, detector)
        with TrackFinder(timeline, detector, job.limits) as finder:
            for index, coded in decode_whole(opened, timeline):
                finder.see(index, coded.frame)
                # Frames that do not decode have the size of the one before.
                sizes += [coded.size] * (index + 1 - len(sizes))
                if index % finder.every == 0 or (not job.choice.key_frames and index % every == 0):
                    figures.add(index, scaled(coded.frame))
                step(index + 1)
            tracks = [_within(track, job.limits) for track in finder.finish()]
        tracks = [track for track in tracks if len(track)]
        chosen = choose(tracks, figures.finish(), finder.every, every, job.choice)
        step(len(timeline))
    return _Seen(path, name, begin, timeline, keys, sizes, tracks, chosen)


def _rate(timeline: Timeline) -> float:
    """Frames a second as they usually follow each other, also in a file whose end is missing."""
    return 1 / usual_lasting(timeline)


def _within(track: Track, limits: Limits) -> Track:
    """Without boxes that are too small or too large: limits hold for what is written, not only for what was detected."""
    share = np.prod(track.boxes[:, 2:].astype(np.float64), axis=1) * 100
    keep = (share >= limits.smallest) & (share <= limits.largest)
    return Track(
        track.number,
        track.frames[keep],
        track.boxes[keep],
        track.scores[keep],
        track.score,
        track.label,
        track.looks,
    )


def _frames(video: _Seen, indices: Sequence[int], file: Callable[[int], str]) -> Iterator[BoxedFrame]:
    for index in indices:
        width, height = video.sizes[index]
        boxes = []
        for track in video.tracks:
            at = int(np.searchsorted(track.frames, index))
            if at == len(track) or track.frames[at] != index:
                continue
            left, top, wide, high = in_pixels(track.boxes[at], width, height).tolist()
            score = float(track.scores[at])
            boxes.append(Box(track.number, track.label or "", score, left, top, wide, high))
        seconds = video.timeline.seconds(FrameIndex(index))
        yield BoxedFrame(file(index), index, seconds, width, height, tuple(boxes))


def _written(
    seen: Sequence[_Seen], job: Job, places: Mapping[str, Path], bar: Bar
) -> Iterator[tuple[_Seen, BoxedVideo]]:
    """Writes everything, video by video; yields each with the frames that are written of it."""
    done: list[BoxedVideo] = []
    for video in seen:
        boxed = _video(video, video.chosen.frames.tolist(), job.form)
        if job.form != "coco" or len(places) > 1:
            boxed = _pictures(video, boxed, job, places, bar)
        if job.form == "yolo":
            for frame in boxed.frames:
                _write(places[_OUT] / "labels" / f"{Path(frame.file).stem}.txt", yolo_lines(frame, job.labels))
        elif job.form == "mot":
            _write_mot(video, places[_OUT] / video.stem, job.labels)
        done.append(boxed)
        yield video, boxed
    if job.form == "coco":
        text = json.dumps(coco(done, job.labels, _info(job)), ensure_ascii=False, indent=1)
        _write(places[_OUT], text + "\n")
    elif job.form == "yolo":
        _write(places[_OUT] / "data.yaml", yolo_data(job.labels))


def _video(video: _Seen, indices: Sequence[int], form: Format) -> BoxedVideo:
    def file(index: int) -> str:
        return f"{index + 1:06d}.jpg" if form == "mot" else _picture_name(video, index)

    frames = tuple(_frames(video, indices, file))
    tracks = {track.number: track.score for track in video.tracks}
    return BoxedVideo(video.name, _rate(video.timeline), len(video.timeline), tracks, frames)


def _picture_name(video: _Seen, index: int) -> str:
    return f"{video.stem}_frame{index:06d}.jpg"


def _write_mot(video: _Seen, folder: Path, labels: Sequence[str]) -> None:
    """The boxes of all frames: the format is about tracks, and its readers miss an object where it has no box."""
    indices = np.unique(np.concatenate([np.empty(0, np.int64), *(track.frames for track in video.tracks)])).tolist()
    boxed = _video(video, [index for index in indices if index < len(video.sizes)], "mot")
    _write(folder / "gt" / "gt.txt", mot_lines(boxed.frames, labels))
    _write(folder / "gt" / "labels.txt", "".join(f"{label}\n" for label in labels))
    _write(folder / "seqinfo.ini", mot_sequence(boxed, video.stem, *video.sizes[0]))


def _pictures(video: _Seen, boxed: BoxedVideo, job: Job, places: Mapping[str, Path], bar: Bar) -> BoxedVideo:
    """Writes the pictures of the frames; returns the video with those that could be."""
    whole, drawn = places.get(_IMAGES), places.get(_DRAWN)
    if job.form != "coco":
        whole = places[_OUT] / ("images" if job.form == "yolo" else f"{video.stem}/img1")
        whole.mkdir(parents=True, exist_ok=True)
    frames = {frame.frame: frame for frame in boxed.frames}
    written = []
    step = bar(f"{video.name}: writing", len(frames))
    with readable_path(video.path) as opened:
        for index, coded in decode_exactly(opened, video.timeline, frames.keys(), video.keys):
            frame, picture = frames[index], upright(coded, "bgr24")
            if whole is not None:
                _write_jpeg(whole / frame.file, picture)
            if drawn is not None:
                _write_jpeg(drawn / _picture_name(video, index), draw_boxes(picture, frame))
            written.append(frame)
            step(len(written))
    return BoxedVideo(boxed.name, boxed.rate, boxed.length, boxed.tracks, tuple(written))


def draw_boxes(picture: NDArray[np.uint8], frame: BoxedFrame) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 BGR with each box in the color of its track, its label, track and score above it; `picture` stays as it is."""
    shown = picture.copy()
    thick = max(1, round(max(picture.shape) / 500))
    size, bold = max(0.4, max(picture.shape) / 1600), max(1, thick // 2)
    for box in frame.boxes:
        shade = _SHADES[box.track % len(_SHADES)]
        corner, opposite = (
            (round(box.left), round(box.top)),
            (round(box.left + box.width) - 1, round(box.top + box.height) - 1),
        )
        cv2.rectangle(shown, corner, opposite, shade, thick)
        text = f"{_plain(box.label)} {box.track} {box.score:.2f}"
        (wide, high), under = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, bold)
        left = max(0, min(corner[0], picture.shape[1] - wide))
        # Inside the box where there is no room above it.
        bottom = corner[1] - under if corner[1] - under - high >= 0 else corner[1] + high + under
        cv2.rectangle(shown, (left, bottom - high - 2), (left + wide, bottom + under - 1), shade, -1)
        cv2.putText(shown, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), bold, cv2.LINE_AA)
    return shown


def _plain(text: str) -> str:
    """What OpenCV's font can draw of it: letters without accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _write_jpeg(path: Path, picture: NDArray[np.uint8]) -> None:
    _, coded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    path.write_bytes(coded.tobytes())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _info(job: Job) -> dict[str, Any]:
    now = datetime.now(UTC)
    limits = job.limits
    return {
        "description": f"Pseudo-labels by the detector {job.detector!r}; no person has looked at them.",
        "version": "1.0",
        "year": now.year,
        "contributor": f"Coldblitz {__version__}",
        "date_created": now.isoformat(timespec="seconds"),
        "url": "",
        "detector": job.detector,
        "least_score": limits.least_score,
        "smallest_percent": limits.smallest,
        "largest_percent": limits.largest,
        "choice": asdict(job.choice),
    }
