"""What an import works with, the same for each of its files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ml_backend.importing.existing_videos import Holdings
from ml_backend.importing.recipe import Recipe
from ml_backend.labelstudio.uploads import Intake
from ml_backend.video.cache import VideoFolder

# Told what is done now and of how many steps; it gives a function to tell how many are done.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Importer:
    """`root`: Label Studio's document root when files are to be linked, else they are uploaded. `scratch`: where files are
    made. `video_key`, `fps_key`: where a task's data name the video and its frame rate."""

    intake: Intake
    project: int
    video_key: str
    fps_key: str
    holdings: Holdings
    recipe: Recipe
    scratch: Path
    videos: VideoFolder
    root: Path | None
    allow_duplicates: bool
    bar: Bar
