"""Which files there are to import: those of a folder, and those that come into it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from ml_backend.errors import SettingsError, VideoUnreadable
from ml_backend.video.container import open_video, readable, readable_path

# Of files that hold moving pictures.
_MP4 = ".mp4 .m4v .mov .qt .f4v .3gp .3gpp .3g2 .insv .lrv"
_OTHER = ".mkv .webm .avi .divx .wmv .asf .flv .ogv .ogg .mxf .dv .dif .nut .y4m .ivf"
_MPEG = ".mpg .mpeg .mpe .m1v .m2v .vob .ts .mts .m2t .m2ts .mod .tod"
_RAW = ".h264 .264 .avc .h265 .265 .hevc .mjpeg .mjpg .obu .vc1"
ENDINGS = frozenset(" ".join((_MP4, _OTHER, _MPEG, _RAW)).split())
_State = tuple[int, int]


def files_in(folder: Path) -> list[Path]:
    """Its videos, by their endings, without those of its folders and hidden ones. Raises SettingsError when it cannot be
    read."""
    return [path for path in _visible_in(folder) if path.suffix.lower() in ENDINGS]


def sorted_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """A folder's videos, by their endings or else by their contents, and its other files; without those of its folders and
    hidden ones. Raises SettingsError when it cannot be read."""
    videos: list[Path] = []
    others: list[Path] = []
    for path in _visible_in(folder):
        (videos if path.suffix.lower() in ENDINGS or _is_video(path) else others).append(path)
    return videos, others


def _visible_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError as error:
        raise SettingsError(
            f"The folder {readable(str(folder))} cannot be read ({error.strerror}).", "Check its name and permissions."
        ) from error


def _is_video(path: Path) -> bool:
    try:
        with readable_path(path) as opened, open_video(opened):
            return True
    except (VideoUnreadable, OSError):
        return False


class Arrivals:
    """The files of a folder that are whole: their size and time of change have stayed the same between two polls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before: dict[Path, _State] = {}
        self._given: dict[Path, _State] = {}

    def poll(self) -> list[Path]:
        """Those that came or changed since they were given out. Raises SettingsError when the folder cannot be read."""
        now = {path: state for path in files_in(self._folder) if (state := _state(path)) is not None}
        whole = [
            path
            for path, state in now.items()
            if state[0] and self._before.get(path) == state and self._given.get(path) != state
        ]
        self._before = now
        self._given.update((path, now[path]) for path in whole)
        return whole

    def again(self, path: Path) -> None:
        """Gives out a file once more, as what kept it from being imported may pass."""
        self._given.pop(path, None)

    def forever(self, seconds: float) -> Iterator[Path]:
        """Each file when it is whole, looking every so many seconds."""
        while True:
            yield from self.poll()
            time.sleep(seconds)


def _state(path: Path) -> _State | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
