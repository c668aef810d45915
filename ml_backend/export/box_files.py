"""The files of an export of boxes: COCO JSON, YOLO, MOT challenge, or a picture of each box, with the pictures they are about."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend import __version__
from ml_backend.export.box_formats import (
    Box,
    BoxedFrame,
    BoxedVideo,
    TrackOrigin,
    coco,
    mot_lines,
    mot_sequence,
    yolo_data,
    yolo_lines,
)
from ml_backend.export.boxed_tasks import BoxChoice, BoxedObject, BoxedTask
from ml_backend.export.choose import Part
from ml_backend.export.dataset import CARD, QUALITY, Source
from ml_backend.export.target import folder_names, stem
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import naming, task_video
from ml_backend.labelstudio.box_track import Floats, upright
from ml_backend.video import whole_frames
from ml_backend.video.demux import demux
from ml_backend.video.timeline import FrameIndex, Timeline, usual_lasting
from ml_backend.video.whole_frames import Coded, Size, decode_exactly
from ml_backend.wording import in_list

BoxForm = Literal["coco", "yolo", "mot", "crops"]
Counts = dict[Part, dict[str, int]]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Written:
    """What was written of one task. `frames`: with a picture, or that would have one. `boxes`: in them, by label."""

    task: BoxedTask
    part: Part
    frames: int
    boxes: Mapping[str, int]


class BoxSet:
    """Files of one form below `root`, video by video; with `alone` one JSON file at `root` and no pictures."""

    def __init__(self, root: Path, form: BoxForm, labels: Sequence[str], parts: Sequence[Part], alone: bool) -> None:
        self._root, self._form, self._labels, self._parts, self._alone = root, form, labels, parts, alone
        self._folders = folder_names(labels)
        self._videos: dict[Part, list[BoxedVideo]] = {part: [] for part in parts or ("",)}

    def add(
        self,
        work: ProjectWork,
        task: BoxedTask,
        chosen: NDArray[np.int64],
        boxed: NDArray[np.int64],
        part: Part,
        progress: Callable[[float], None],
    ) -> Written:
        """Writes the pictures of the frames `chosen`, and the boxes in them. MOT's table has those of all `boxed` frames: it is
        about tracks, and its readers miss an object where it has no box. Raises VideoError, and leaves nothing of the video."""
        wanted = (boxed if self._form == "mot" else chosen).tolist()
        pictured, files = set(chosen.tolist()), _Files()
        found: list[BoxedFrame] = []
        counts: Counter[str] = Counter()
        count = 0
        try:
            for frame, coded in _frames(work, task, wanted, self._file, pictures=not self._alone):
                found.append(frame)
                if frame.frame in pictured:
                    count += 1
                    counts.update(box.label for box in frame.boxes)
                    if coded is not None and not self._alone:
                        self._write_picture(files, task, frame, coded, part)
                progress(len(found) / len(wanted))
        except BaseException:
            files.remove()
            raise
        if self._form == "mot" and found:
            self._write_mot(task, found, part)
        elif self._form == "coco" and found:
            self._videos[part].append(_video(task, found))
        return Written(task, part, count, counts)

    def finish(
        self,
        source: Source,
        choice: BoxChoice,
        written: Sequence[Written],
        counts: Counts,
        left_out: Sequence[str],
    ) -> None:
        """Writes what is about all videos: annotations of COCO, the classes of YOLO, and the card."""
        made = datetime.now(UTC)
        if self._form == "coco":
            info = {
                "description": f"Boxes of “{source.title}”",
                "version": "1.0",
                "year": made.year,
                "contributor": f"Coldblitz {__version__}",
                "date_created": made.isoformat(timespec="seconds"),
                "url": "",
                "license": source.license,
                "project": source.project,
                "choice": asdict(choice),
                "left_out": list(left_out),
            }
            for part, videos in self._videos.items():
                path = self._root if self._alone else self._root / f"{part or 'annotations'}.json"
                _write(path, json.dumps(coco(videos, self._labels, info), ensure_ascii=False, indent=1) + "\n")
        if self._form == "yolo":
            _write(self._root / "data.yaml", yolo_data(self._labels, self._parts))
        if self._alone:
            return
        card = {
            "made": made.isoformat(timespec="seconds"),
            **asdict(source),
            "layout": self._form,
            "choice": asdict(choice),
            "folders": self._folders if self._form == "crops" else {},
            "counts": counts,
            "tasks": [_task(each) for each in written],
            "left_out": list(left_out),
        }
        _write(self._root / CARD, json.dumps(card, indent=1, ensure_ascii=False) + "\n")
        _write(self._root / "README.md", _read_me(source, self._form, counts, made))

    def _file(self, task: BoxedTask, index: int) -> str:
        return f"{index + 1:06d}.jpg" if self._form == "mot" else f"{_begin(task)}_frame{index:06d}.jpg"

    def _write_picture(self, files: _Files, task: BoxedTask, frame: BoxedFrame, coded: Coded, part: Part) -> None:
        picture = whole_frames.upright(coded, "bgr24")
        if self._form == "crops":
            for box in frame.boxes:
                name = f"{Path(frame.file).stem}_track{box.track}.jpg"
                files.write(self._root / part / self._folders[box.label] / name, _jpeg(cut_out(picture, box)))
            return
        folder = {
            "coco": self._root / "images",
            "yolo": self._root / "images" / part,
            "mot": self._root / part / _begin(task) / "img1",
        }[self._form]
        files.write(folder / frame.file, _jpeg(picture))
        if self._form == "yolo":
            lines = yolo_lines(frame, self._labels).encode()
            files.write(self._root / "labels" / part / f"{Path(frame.file).stem}.txt", lines)

    def _write_mot(self, task: BoxedTask, frames: Sequence[BoxedFrame], part: Part) -> None:
        folder = self._root / part / _begin(task)
        _write(folder / "gt" / "gt.txt", mot_lines(frames, self._labels))
        _write(folder / "gt" / "labels.txt", "".join(f"{label}\n" for label in self._labels))
        sequence = mot_sequence(_video(task, frames), _begin(task), frames[0].width, frames[0].height)
        _write(folder / "seqinfo.ini", sequence)


class _Files:
    """Files that belong to one video."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._made: set[Path] = set()

    def write(self, path: Path, content: bytes) -> None:
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        self._paths.append(path)
        path.write_bytes(content)

    def remove(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)


def cut_out(picture: Picture, box: Box) -> Picture:
    """The pixels of (h, w, 3) that a box touches, at least one."""
    height, width = picture.shape[:2]
    left, top = min(int(box.left), width - 1), min(int(box.top), height - 1)
    # What is a hair beyond a pixel's edge does not touch the next one.
    right = max(left + 1, math.ceil(round(box.left + box.width, 3)))
    bottom = max(top + 1, math.ceil(round(box.top + box.height, 3)))
    return picture[top:bottom, left:right]


def _frames(
    work: ProjectWork,
    task: BoxedTask,
    frames: Sequence[int],
    file: Callable[[BoxedTask, int], str],
    *,
    pictures: bool,
) -> Iterator[tuple[BoxedFrame, Coded | None]]:
    """Each of the frame indices that decodes and has a box in its picture, with the `pictures` as they are coded, if wanted. Raises
    VideoError."""
    objects = [(each, *each.boxes(task.grid)) for each in task.objects]
    timeline = task.grid.timeline
    video = task_video(work.context, work.question, task.task)
    with naming(task.task, work.question, video):
        packets = demux(video.path).packets
        keys = np.sort(packets.pts[packets.key])
        sizes = None if pictures else _sizes(video.path, timeline, frames, keys)
        decoded: Iterable[tuple[int, Coded | None, Size]] = (
            ((index, coded, coded.size) for index, coded in decode_exactly(video.path, timeline, frames, keys))
            if sizes is None
            else ((index, None, size) for index, size in zip(frames, sizes, strict=True))
        )
        pixels: dict[Size, list[Floats]] = {}
        for index, coded, size in decoded:
            if size not in pixels:
                pixels[size] = [upright(boxes, size[0] / size[1]) / 100 * (*size, *size) for _, boxes, _ in objects]
            found = [
                _box(each, placed[index], bool(own[index]))
                for (each, _, own), placed in zip(objects, pixels[size], strict=True)
            ]
            if there := tuple(box for box in found if box is not None):
                seconds = timeline.seconds(FrameIndex(index))
                yield BoxedFrame(file(task, index), int(index), seconds, *size, there), coded


def _sizes(path: Path, timeline: Timeline, frames: Sequence[int], keys: NDArray[np.int64]) -> list[Size] | None:
    """(width, height) of each of the frames as a browser shows it, from the key frames before them: pictures change their size there
    alone. None where the last of the frames does not decode, so that all have to be tried."""
    at = np.unique(np.searchsorted(timeline.pts, keys))
    at = at[at < len(timeline)]
    here = np.maximum(np.searchsorted(at, frames, "right") - 1, 0)
    wanted = {*at[np.unique(here)].tolist(), frames[-1]}
    seen = {int(index): coded.size for index, coded in decode_exactly(path, timeline, wanted, keys)}
    if seen.keys() != wanted:
        return None
    return [seen[int(at[each])] for each in here]


def _box(each: BoxedObject, row: Floats, by_person: bool) -> Box | None:
    """An object's box from (4,) left, top, width, height in pixels; None where it has none, or less than a hundredth of a pixel."""
    left, top, wide, high = row.tolist()
    if math.isnan(left):
        return None
    source, score = ("human", 1.0) if by_person else ("model", each.score)
    box = Box(each.number, each.label, score, left, top, wide, high, source)
    return box if min(box.rounded()[2:]) > 0 else None


def _video(task: BoxedTask, frames: Sequence[BoxedFrame]) -> BoxedVideo:
    timeline = task.grid.timeline
    origins = {
        each.number: TrackOrigin((each.drawn or each.track).id, each.label, each.source, each.untouched)
        for each in task.objects
    }
    scores = {each.number: each.score for each in task.objects}
    rate = 1 / usual_lasting(timeline)
    return BoxedVideo(task.name, rate, len(timeline), scores, tuple(frames), task.task.id, origins)


def _begin(task: BoxedTask) -> str:
    return f"{stem(task.name)}_task{task.task.id}"


def _jpeg(picture: Picture) -> bytes:
    _, coded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return coded.tobytes()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _task(written: Written) -> dict[str, Any]:
    task = written.task
    return {
        "task": task.task.id,
        "video": task.name,
        "part": written.part or None,
        "frames": written.frames,
        "boxes": sum(written.boxes.values()),
        "objects": len(task.objects),
        "source": "model" if task.version is not None else "human",
        "version": task.version,
        "annotator": task.author,
    }


def _read_me(source: Source, form: BoxForm, counts: Counts, made: datetime) -> str:
    told = "".join(
        f"\n* {part or 'all'}: " + ", ".join(f"{in_list(label)} {count}" for label, count in of.items())
        for part, of in counts.items()
    )
    license = f"\nLicense: {source.license}\n" if source.license else ""
    return (
        f"# {source.title}\n\nBoxes of objects in frames of videos, as {form}, exported by Coldblitz on "
        f"{made.isoformat(timespec='seconds')}. `{CARD}` says what they were made of.\n{told}\n{license}"
    )
