"""The demo's project: the recommended label config, and videos brought into Label Studio with their frame rate."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import cycle
from pathlib import Path

import av

from ml_backend.demo.studio import Studio
from ml_backend.errors import SettingsError
from ml_backend.labelstudio.recommended import recommended_config

# Told apart by people who see fewer colours, too (Okabe and Ito).
_COLOURS = ("#999999", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_ENDINGS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"}


def label_config(labels: Sequence[str]) -> str:
    """The label config that the README recommends: the grid is the video's own frame rate, and `reviewed` marks a
    finished timeline."""
    return recommended_config(dict(zip(labels, cycle(_COLOURS))))


def upload_tasks(studio: Studio, project: int, videos: Sequence[tuple[Path, Fraction]]) -> list[int]:
    """Uploads each (file, frames a second) and makes a task of it; returns the tasks' ids in the same order."""
    data = [{"video": studio.upload(project, path), "fps": float(fps)} for path, fps in videos]
    return studio.import_tasks(project, data)


def local_file_tasks(studio: Studio, project: int, folder: Path, videos: Sequence[tuple[Path, Fraction]]) -> list[int]:
    """Connects `folder`, which must lie below Label Studio's document root, as local-files storage, and makes a task
    of each of its videos."""
    storage = {"project": project, "path": str(folder), "use_blob_urls": True, "title": folder.name}
    studio.post("/api/storages/localfiles/", storage)
    data = [{"video": f"/data/local-files/?d={folder.name}/{path.name}", "fps": float(fps)} for path, fps in videos]
    return studio.import_tasks(project, data)


def find_videos(folder: Path) -> list[tuple[Path, Fraction]]:
    """The videos in `folder` with their average frames a second; raises SettingsError when there is none."""
    videos = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in _ENDINGS:
            rate = _frame_rate(path)
            if rate is not None:
                videos.append((path, rate))
    if not videos:
        raise SettingsError(
            f"There is no video in {folder}.",
            f"Let VIDEOS name a folder with files that end in {', '.join(sorted(_ENDINGS))}.",
        )
    return videos


def _frame_rate(path: Path) -> Fraction | None:
    try:
        with av.open(str(path)) as container:
            rate = container.streams.video[0].average_rate
    except (av.FFmpegError, IndexError):
        return None
    return Fraction(rate) if rate else None
