"""What is to be imported: a file, or the video at an address."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ml_backend.errors import SettingsError, StorageError, VideoRefused
from ml_backend.importing.importer import Importer
from ml_backend.importing.raw import repack
from ml_backend.labelstudio.buckets import SCHEMES, served_at
from ml_backend.labelstudio.file_names import name_in
from ml_backend.labelstudio.uploads import UPLOADABLE
from ml_backend.video.cache import VideoFile
from ml_backend.video.container import open_video
from ml_backend.video.names import readable, readable_path
from ml_backend.video.rates import exact

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
        with importer.bar(f"fetching {name}", 100) as step:
            file, address = _fetched(importer, given, lambda share: step(round(100 * share)))
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
            with importer.bar(f"reading {name}", file_path.stat().st_size) as step:
                origin = Origin(file_path, name, content_of(file_path, step), None, path)
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
        served = importer.intake.video_address(served_at(importer.project, given))
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


def content_of(path: Path, step: Callable[[int], None] = lambda done: None) -> str:
    """SHA-256 of a file; `step` is told how many bytes were read."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            done += len(chunk)
            step(done)
    return digest.hexdigest()
