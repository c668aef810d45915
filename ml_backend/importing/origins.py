"""What is to be imported, a file or the video at an address, and with what; and when and where a camera says that it was taken."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from ml_backend.errors import SettingsError, StorageError, VideoRefused
from ml_backend.importing.encode import repack
from ml_backend.importing.existing_videos import Holdings
from ml_backend.importing.recipe import Recipe
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.labelstudio.task_data import SCHEMES, name_in, served_at
from ml_backend.labelstudio.uploads import UPLOADABLE
from ml_backend.video.cache import VideoFile, VideoFolder
from ml_backend.video.container import open_video, readable, readable_path
from ml_backend.video.timeline import exact

# Told what is done now; it gives a function to tell the share that is done, 0..1.
Bar = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class Importer:
    """`root`: Label Studio's document root when files are to be linked, else they are uploaded. `scratch`: where files are
    made. `video_key`, `fps_key`: where a task's data name the video and its frame rate."""

    studio: LabelStudio
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


_TIMES = ("com.apple.quicktime.creationdate", "creation_time")
_PLACES = ("com.apple.quicktime.location.ISO6709", "location", "location-eng")
# A camera without a clock writes the zero of MP4 (1904) or of Unix.
_EARLIEST = 1980
# ISO 6709, annex H: latitude, longitude and perhaps an altitude in metres.
_PLACE = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?")


@dataclass(frozen=True)
class Taken:
    """`recorded`: when the first frame was, in UTC. `latitude` in -90..90 and `longitude` in -180..180 degrees,
    `altitude` in metres; None for what the file does not say."""

    recorded: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None


def read_taken(path: Path) -> Taken:
    """Raises VideoUnreadable."""
    with open_video(path) as (container, stream):
        return taken({**stream.metadata, **container.metadata})


def taken(tags: Mapping[str, str]) -> Taken:
    """From a container's tags, whatever their case."""
    found = {name.lower(): value for name, value in tags.items()}
    times = (_time(found[name.lower()]) for name in _TIMES if name.lower() in found)
    places = (_place(found[name.lower()]) for name in _PLACES if name.lower() in found)
    place = next((place for place in places if place), None)
    return Taken(next((time for time in times if time), None), *(place or (None, None, None)))


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if time.year >= _EARLIEST else None


def _place(text: str) -> tuple[float, float, float | None] | None:
    match = _PLACE.match(text.strip())
    if match is None:
        return None
    latitude, longitude = _degrees(match[1], 2), _degrees(match[2], 3)
    # What has no fix yet says 0, 0.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return None
    return latitude, longitude, float(match[3]) if match[3] else None


def _degrees(text: str, digits: int) -> float:
    """`+DD.D`, `+DDMM.M` or `+DDMMSS.S`, `digits` being those of the degrees."""
    whole, _, part = text[1:].partition(".")
    fraction = float(f"0.{part or 0}")
    parts = [int(whole[:digits]), *(int(whole[at : at + 2]) for at in range(digits, len(whole), 2))]
    value = sum((number + (fraction if at == len(parts) - 1 else 0)) / 60**at for at, number in enumerate(parts))
    return round(float(-value if text[0] == "-" else value), 7)


# What a browser finds in a .webm file.
_WEBM, _WEBM_SOUND = ("vp8", "vp9", "av1"), {"opus", "vorbis"}


@dataclass(frozen=True)
class Origin:
    """`content`: SHA-256 of what was given. `address`: of a video that Label Studio is to fetch by itself, when it is used as
    it is. `beside`: the file itself, when it was one. `raw`: whether `path` is what was made of a raw stream."""

    path: Path
    name: str
    content: str
    address: str | None
    beside: Path | None = None
    raw: bool = False


@contextmanager
def open_origin(importer: Importer, given: str) -> Iterator[Origin]:
    """What was given, while the `with` block lasts. Raises ColdblitzError."""
    name = name_of(given)
    if "://" in given:
        with importer.bar(f"fetching {name}") as progress:
            file, address = _fetched(importer, given, progress)
        yield Origin(file.path, name, file.content, address)
        return
    path = Path(given)
    if importer.root is not None and readable(str(path)) != str(path):
        raise SettingsError(
            f"The name of {readable(str(path))} is not valid UTF-8, so Label Studio cannot serve it.",
            "Rename it, or import it without --link.",
        )
    with readable_path(path) as file_path:
        try:
            with importer.bar(f"reading {name}") as progress:
                origin = Origin(file_path, name, content_of(file_path, progress), None, path)
        except OSError as error:
            raise StorageError(
                f"{readable(given)} cannot be read ({error.strerror}).", "Check its name and permissions."
            ) from error
        yield origin


def repacked(importer: Importer, origin: Origin) -> Origin:
    """The pictures of a raw stream, with times, in a file below `scratch`. Raises VideoUnreadable and StorageError."""
    rate = importer.recipe.raw_fps
    target = importer.scratch / f"{origin.content[:16]}.raw{f'.{rate:g}' if rate is not None else ''}.mp4"
    if not target.exists():
        repack(origin.path, exact(rate) if rate is not None else None, target)
    return replace(origin, path=target, raw=True)


def upload_name(origin: Origin) -> str | None:
    """What to call the file for Label Studio, which looks at the ending alone: MP4 goes by many, and by none. None when it
    takes no such files. Raises VideoUnreadable."""
    ending = Path(origin.name).suffix.lower()
    if ending in UPLOADABLE and not origin.raw:
        return origin.name
    with open_video(origin.path) as (container, stream):
        names, codec = container.format.name.split(","), stream.codec_context.codec.canonical_name
        sounds = {each.codec_context.name for each in container.streams.audio if each.codec_context is not None}
    stem = Path(origin.name).stem if 1 < len(ending) < 7 else origin.name
    if "mp4" in names:
        return f"{stem}.mp4"
    if "webm" in names and codec in _WEBM and sounds <= _WEBM_SOUND:
        return f"{stem}.webm"
    return None


def _fetched(importer: Importer, given: str, progress: Callable[[float], None]) -> tuple[VideoFile, str]:
    """The video at an address, and the address for a task's data: of one in a bucket that a storage of the project has, its
    URI, which Label Studio resolves for everybody; of another public object in S3 its address in the web."""
    scheme, remedy = urlsplit(given).scheme, ""
    if scheme in SCHEMES:
        remedy = "Connect its bucket as a source storage of the project in Label Studio (Settings, Cloud Storage)."
        served = importer.studio.videos.address(served_at(importer.project, given))
        try:
            if served is not None:
                return importer.videos.fetch(served.url, served.headers, progress, served.renew), given
        except VideoRefused as error:
            if scheme != "s3":
                raise VideoRefused(f"Label Studio does not find {given}.", remedy) from error
    address = _web_address(given)
    try:
        return importer.videos.fetch(address, {}, progress), address
    except VideoRefused as error:
        raise VideoRefused(error.message, remedy or error.remedy) from error


def _web_address(given: str) -> str:
    """Of a public object in S3, its address in the web."""
    address = urlsplit(given)
    if address.scheme == "s3":
        return f"https://{address.netloc}.s3.amazonaws.com{address.path}"
    if address.scheme not in ("http", "https"):
        raise VideoRefused(
            f"{given} is not the URL of a video.", "Give a URL that starts with http://, https://, or s3://, or a file."
        )
    return given


def name_of(given: str) -> str:
    """As people know it."""
    return name_in(given) if "://" in given else readable(Path(given).name)


def content_of(path: Path, progress: Callable[[float], None] = lambda share: None) -> str:
    """SHA-256 of a file; `progress` is called with the share that was read, 0..1."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            done += len(chunk)
            # It may have grown meanwhile.
            progress(done / max(size, done))
    return digest.hexdigest()
