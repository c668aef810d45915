"""A data set of pictures: a folder per label as torchvision's ImageFolder reads it, or Hugging Face `datasets`' imagefolder. Its JPEGs are
whole frames, made on all cores, in the order in which they are shown."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import VideoError
from ml_backend.export.choose import Choice, Part, Picked, Plan
from ml_backend.export.project import Video
from ml_backend.export.target import Target, folder_names, opened, stem
from ml_backend.features.hashing import HASH_INPUT, phash
from ml_backend.video.timeline import Timeline
from ml_backend.video.whole_frames import Coded, decode_whole, upright
from ml_backend.wording import in_list

# As good as the video mostly is; OpenCV's own default is 95, half as large again.
QUALITY = 92
_AHEAD = 8


def pictures(
    path: Path, timeline: Timeline, frames: Set[int], *, hashed: bool = False
) -> Iterator[tuple[int, bytes, int]]:
    """Yields frame index, JPEG and perceptual hash (0 unless `hashed`) of each of `frames`. Raises VideoUnreadable."""
    last = max(frames, default=-1)
    pending: deque[tuple[int, Future[tuple[bytes, int]]]] = deque()
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="jpeg") as pool:
        for index, frame in decode_whole(path, timeline):
            if index in frames:
                pending.append((index, pool.submit(_encoded, frame, hashed)))
            while len(pending) > _AHEAD:
                yield _next(pending)
            if index >= last:
                break
        while pending:
            yield _next(pending)


def _next(pending: deque[tuple[int, Future[tuple[bytes, int]]]]) -> tuple[int, bytes, int]:
    index, job = pending.popleft()
    return index, *job.result()


def _encoded(frame: Coded, hashed: bool) -> tuple[bytes, int]:
    picture = upright(frame, "bgr24")
    _, coded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return coded.tobytes(), _hash(picture) if hashed else 0


def _hash(picture: NDArray[np.uint8]) -> int:
    small = cv2.resize(
        cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (HASH_INPUT, HASH_INPUT), interpolation=cv2.INTER_AREA
    )
    return int(phash(np.asarray(small, np.uint8)[None])[0])


Layout = Literal["imagefolder", "huggingface"]
CARD, LISTING = "dataset.json", "metadata.jsonl"


@dataclass(frozen=True)
class Source:
    """What the data set is made of, for its card. `license`: as the researcher gave it."""

    project: int
    title: str
    label_studio: str
    labels: tuple[str, ...]
    license: str | None = None


@dataclass(frozen=True)
class Row:
    """One picture as the card of a part lists it."""

    file_name: str
    label: str
    confidence: float
    source: str
    task: int
    video: str
    frame: int
    seconds: float


def write_dataset(
    path: Path,
    source: Source,
    videos: Sequence[Video],
    plan: Plan,
    choice: Choice,
    layout: Layout,
    file_of: Callable[[Video], Path],
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Writes the pictures of `plan` and a card, `dataset.json`; returns the card.

    `file_of`: the file of a video. `progress` is called with the share of the plan's pictures that are done. Raises SettingsError when
    `path` is there already, and StorageError; a video that cannot be used is left out and named on the card.
    """
    folders = folder_names(dict.fromkeys([*source.labels, *([choice.none] if choice.none else [])]))
    tasks: list[dict[str, Any]] = []
    rows: dict[Part, list[Row]] = {}
    left_out: list[str] = []
    done = 0
    with opened(path, _fingerprint(source, plan, choice, layout)) as target:
        for video in videos:
            picked = plan.picked.get(video.task.id, ())
            if not picked:
                continue
            part = plan.parts.get(video.task.id, "")
            try:
                mine = list(_write_video(target, video, picked, folders, part, choice.near, file_of))
                rows.setdefault(part, []).extend(mine)
                tasks.append(_task(video, part, mine))
            except VideoError as error:
                left_out.append(f"Task {video.task.id} is left out: {error}")
            done += len(picked)
            progress(done / len(plan))
        counts = {part: dict(sorted(Counter(row.label for row in mine).items())) for part, mine in rows.items()}
        card = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            **asdict(source),
            "layout": layout,
            "choice": asdict(choice),
            "folders": folders,
            "counts": counts,
            "tasks": tasks,
            "left_out": left_out,
        }
        if layout == "huggingface":
            for part, mine in rows.items():
                _write(target, f"{part}/{LISTING}" if part else LISTING, _listing(mine, part))
            _write(target, "README.md", _hugging_face_card(source, card).encode())
        _write(target, CARD, json.dumps(card, indent=1, ensure_ascii=False).encode())
    return card


def tree(plan: Plan, source: Source, choice: Choice) -> list[str]:
    """The folders that will be made, each with how many pictures at most; near duplicates are found only on the way."""
    folders = folder_names(dict.fromkeys([*source.labels, *([choice.none] if choice.none else [])]))
    return [
        f"{'/'.join(filter(None, (part, folders[label])))}/  {count}"
        for part, counts in plan.counts().items()
        for label, count in counts.items()
    ]


def _write_video(
    target: Target,
    video: Video,
    picked: Sequence[Picked],
    folders: Mapping[str, str],
    part: Part,
    near: int,
    file_of: Callable[[Video], Path],
) -> Iterator[Row]:
    begin = f"{stem(video.name)}_task{video.task.id}_frame"
    times = video.timeline.pts

    def name(row: Picked) -> str:
        return "/".join(filter(None, (part, folders[row.label], f"{begin}{row.frame:06d}.jpg")))

    # To know which are alike, all must be looked at again.
    missing = {row.frame for row in picked if near or not target.has(name(row))}
    coded = pictures(file_of(video), video.timeline, missing, hashed=near > 0) if missing else iter(())
    upcoming = next(coded, None)
    kept: dict[str, int] = {}
    for frame, rows in groupby(picked, key=lambda row: row.frame):
        picture: tuple[int, bytes, int] | None = None
        if frame in missing:
            if upcoming is None or upcoming[0] != frame:
                continue  # behind the last good frame of a damaged video
            picture, upcoming = upcoming, next(coded, None)
        for row in rows:
            if picture is not None:
                if near and row.label in kept and (kept[row.label] ^ picture[2]).bit_count() < near:
                    continue
                kept[row.label] = picture[2]
                _write(target, name(row), picture[1])
            seconds = round(float(int(times[frame]) * video.timeline.time_base), 6)
            run = row.run
            yield Row(name(row), row.label, run.confidence, run.source, video.task.id, video.name, frame, seconds)


def _write(target: Target, name: str, content: bytes) -> None:
    if not target.has(name):
        target.write(name, content)


def _task(video: Video, part: Part, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "task": video.task.id,
        "video": video.name,
        "part": part or None,
        "pictures": len(rows),
        "version": video.version,
        "annotators": list(video.annotators),
    }


def _fingerprint(source: Source, plan: Plan, choice: Choice, layout: Layout) -> str:
    """The same for the same pictures with the same names: only then is an interrupted export continued."""
    said = hashlib.sha256(repr((asdict(source), asdict(choice), layout, sorted(plan.parts.items()))).encode())
    for task, rows in sorted(plan.picked.items()):
        said.update(repr((task, [(row.frame, row.label) for row in rows])).encode())
    return said.hexdigest()


def _listing(rows: Sequence[Row], part: Part) -> bytes:
    """`metadata.jsonl`, whose file names are relative to its folder."""
    prefix = f"{part}/" if part else ""
    lines = [
        json.dumps({**asdict(row), "file_name": row.file_name.removeprefix(prefix)}, ensure_ascii=False) for row in rows
    ]
    return ("\n".join(lines) + "\n").encode()


def _hugging_face_card(source: Source, card: Mapping[str, Any]) -> str:
    counts = "".join(
        f"\n* {part or 'all'}: " + ", ".join(f"{in_list(label)} {count}" for label, count in labels.items())
        for part, labels in card["counts"].items()
    )
    head = f"license: {source.license}\n" if source.license else ""
    return (
        f"---\n{head}task_categories:\n- image-classification\n---\n\n# {source.title}\n\nFrames of videos with their "
        f"labels, exported by Coldblitz on {card['made']}.\n{counts}\n"
    )
