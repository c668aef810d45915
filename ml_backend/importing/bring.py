"""One video after the other: looked at, mended or cut when asked to, brought into Label Studio, made a task of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ml_backend.errors import (
    ColdblitzError,
    LabelStudioError,
    LabelStudioRefused,
    LabelStudioUnreachable,
    SettingsError,
    StorageError,
    VideoRefused,
)
from ml_backend.features.signatures import signature
from ml_backend.importing.encode import encode, frames_of
from ml_backend.importing.holdings import RECORD, Holdings, Record
from ml_backend.importing.leftovers import noted, remove_leftovers
from ml_backend.importing.metadata import Taken, read_taken
from ml_backend.importing.recipe import Part, Recipe, parts, target_rate
from ml_backend.labelstudio.buckets import SCHEMES, served_at
from ml_backend.labelstudio.file_names import name_in
from ml_backend.labelstudio.intake import UPLOADABLE, Intake, Upload
from ml_backend.video.inspection import Finding, inspect, natural_framerate
from ml_backend.video.source import VideoFile, VideoFolder
from ml_backend.video.timeline import Timeline, read_timeline

State = Literal["imported", "present", "duplicate", "refused"]
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

# What encoding again at a constant rate mends.
_MENDED = {
    "not-playable",
    "pixels",
    "open-gop",
    "matroska",
    "late-start",
    "hidden-frames",
    "same-time",
    "variable-rate",
    "broken-tail",
    "no-duration",
    "few-key-frames",
    "early-key-frames",
}
# The same boxes as MP4 under another name, which Label Studio refuses.
_AS_MP4 = (".mov", ".m4v", ".qt")


@dataclass(frozen=True)
class Outcome:
    """What became of a file or a part of it. `message`: for what is not imported, why, and what to do. `task`: the one that
    was made, or that has the same video. `passes`: whether trying again can help."""

    name: str
    state: State
    task: int | None = None
    message: str = ""
    findings: tuple[Finding, ...] = ()
    passes: bool = False


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


@dataclass(frozen=True)
class _Source:
    """`address`: of a video that Label Studio is to fetch by itself, when it is used as it is."""

    path: Path
    name: str
    content: str
    address: str | None


def bring(importer: Importer, given: str) -> Iterator[Outcome]:
    """What becomes of a file, or of the video at an address: one outcome, or one for each part.

    Raises LabelStudioRefused when the token may not import, since nothing else will be imported either.
    """
    name, recipe = _name(given), importer.recipe
    if not recipe.cuts and recipe.fps is None and (task := importer.holdings.task_at(given)) is not None:
        yield _present(name, task)
        return
    try:
        yield from _bring(importer, _source(importer, given, name))
    except LabelStudioRefused:
        raise
    except ColdblitzError as error:
        yield Outcome(name, "refused", None, f"{error.message} {error.remedy}", passes=error.passes)


def _bring(importer: Importer, source: _Source) -> Iterator[Outcome]:
    recipe, name = importer.recipe, source.name
    at_most = f"@{recipe.fps:g}" if recipe.fps is not None else ""
    if not recipe.cuts and (task := importer.holdings.task_of(source.content, at_most)) is not None:
        yield _present(name, task)
        return
    findings = tuple(_named(each, source) for each in inspect(source.path))
    faults = [each for each in findings if each.severity == "error"]
    if any(each.kind == "unreadable" for each in faults):
        yield Outcome(name, "refused", None, f"{faults[0].message} {faults[0].remedy}", findings)
        return
    timeline = read_timeline(source.path)
    times, natural = timeline.microseconds / 1e6, natural_framerate(timeline) or 25.0
    slower = recipe.fps is not None and recipe.fps < 0.99 * natural
    rate = target_rate(natural, all(each.kind != "variable-rate" for each in findings), recipe.fps)
    wanted = parts(recipe, float(times[0]), float(times[-1]) + 1 / natural, name)
    taken = read_taken(source.path)
    if not recipe.cuts and not slower and not (recipe.fix and any(each.kind in _MENDED for each in findings)):
        if faults:
            message = f"{faults[0].message} {faults[0].remedy} Or let --fix do so."
            yield Outcome(name, "refused", None, message, findings)
            return
        yield _as_it_is(importer, source, timeline, natural, taken, findings, at_most)
        return
    missing = []
    for part in wanted:
        if (task := importer.holdings.task_of(source.content, part.name + at_most)) is None:
            missing.append(part)
        else:
            yield _present(_title(name, part), task)
    if not recipe.cuts and (twin := _twin(importer, source, source.path, timeline, name)):
        yield twin
        return
    targets = [_target(importer, source, part, at_most, rate) for part in missing]
    # What an interrupted import has made is there already.
    ready = {target for target in targets if target.exists()}
    making = [part for part, target in zip(missing, targets, strict=True) if target not in ready]
    with importer.bar(f"encoding {name}", sum(frames_of(part, rate) for part in making)) as step:
        made = encode(source.path, timeline, making, rate, [t for t in targets if t not in ready], step)
        for part, target in zip(missing, targets, strict=True):
            if target not in ready:
                next(made)
            yield _made(importer, source, part, at_most, target, taken)


def _as_it_is(
    importer: Importer,
    source: _Source,
    timeline: Timeline,
    natural: float,
    taken: Taken,
    findings: tuple[Finding, ...],
    part: str,
) -> Outcome:
    if (twin := _twin(importer, source, source.path, timeline, source.name)) is not None:
        return twin
    upload_name = source.name
    if source.address is None and importer.root is None:
        ending = Path(source.name).suffix.lower()
        if ending in _AS_MP4:
            upload_name = f"{Path(source.name).stem}.mp4"
        elif ending not in UPLOADABLE:
            message = f"Label Studio takes no {ending or 'nameless'} files as uploads."
            remedy = "Let --fix encode it as MP4, or bring it in by its address or with --link."
            return Outcome(source.name, "refused", None, f"{message} {remedy}", findings)
    record = Record(source.content, part, source.content, signature(source.path, timeline))
    data = {importer.fps_key: natural, "name": source.name, **_said(taken, 0.0)}
    task = _place(importer, source.path, upload_name, source.address, data, record)
    return Outcome(source.name, "imported", task, "", findings)


def _made(
    importer: Importer,
    source: _Source,
    part: Part,
    at_most: str,
    target: Path,
    taken: Taken,
) -> Outcome:
    timeline, title = read_timeline(target), _title(source.name, part)
    if part.name and (twin := _twin(importer, source, target, timeline, title)):
        _done_with(importer, target)
        return twin
    record = Record(source.content, part.name + at_most, _content(target), signature(target, timeline))
    fps = natural_framerate(timeline) or 25.0
    data = {importer.fps_key: fps, "name": title, **_said(taken, part.start if part.name else 0.0)}
    ending = f".{part.name}.mp4" if part.name else ".mp4"
    task = _place(importer, target, Path(source.name).stem + ending, None, data, record)
    _done_with(importer, target)
    return Outcome(title, "imported", task)


def _twin(importer: Importer, source: _Source, path: Path, timeline: Timeline, title: str) -> Outcome | None:
    if importer.allow_duplicates:
        return None
    task = importer.holdings.alike(signature(path, timeline), source.content)
    if task is None:
        return None
    message = (
        f"{title} shows the same as task {task} in another encoding. Give --allow-duplicates to import it all the same."
    )
    return Outcome(title, "duplicate", task, message)


def _place(importer: Importer, path: Path, name: str, address: str | None, data: dict[str, Any], record: Record) -> int:
    """Brings a file into Label Studio and makes a task of it."""
    intake, project = importer.intake, importer.project
    if address is None and importer.root is not None:
        try:
            address = intake.link(project, path.resolve(), importer.root)
        except ValueError as error:
            raise SettingsError(
                f"{path} does not lie in a folder below {importer.root}, so that Label Studio cannot serve it.",
                "Move it there, or import it without --link.",
            ) from error
    data = {**data, RECORD: record.as_json()}
    if address is not None:
        task = intake.create_task(project, {**data, importer.video_key: address})
    else:
        remove_leftovers(importer.scratch, intake, project, importer.video_key)
        with noted(importer.scratch, intake, project, name, path.stat().st_size) as note:
            upload = _upload(importer, path, name)
            try:
                task = intake.create_task(project, {**data, importer.video_key: upload.address})
            except LabelStudioUnreachable:
                # It may have made the task without our hearing so: the note lets the next import ask.
                raise
            except LabelStudioError:
                intake.forget(project, upload)
                note.unlink()
                raise
    importer.holdings.add(task, record)
    return task


def _upload(importer: Importer, path: Path, name: str) -> Upload:
    try:
        with importer.bar(f"uploading {name}", path.stat().st_size) as step:
            return importer.intake.upload(importer.project, path, name, step)
    except (LabelStudioUnreachable, LabelStudioRefused):
        raise
    except LabelStudioError as error:
        raise LabelStudioError(
            error.message,
            "If it is too large, raise DATA_UPLOAD_MAX_MEMORY_SIZE of Label Studio, cut it with --segment, or use --link.",
        ) from error


def _source(importer: Importer, given: str, name: str) -> _Source:
    if "://" not in given:
        path = Path(given)
        try:
            with importer.bar(f"reading {name}", path.stat().st_size) as step:
                return _Source(path, name, _content(path, step), None)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be read ({error.strerror}).", "Check its name and its rights."
            ) from error
    with importer.bar(f"fetching {name}", 100) as step:
        file, address = _fetched(importer, given, lambda share: step(round(100 * share)))
    return _Source(file.path, name, file.content, address)


def _fetched(importer: Importer, given: str, progress: Callable[[float], None]) -> tuple[VideoFile, str]:
    """The video at an address, and the address for a task's data: of one in a bucket that a storage of the project has, its
    URI, which Label Studio resolves for everybody; of another public object in S3 its address in the web."""
    scheme, remedy = urlsplit(given).scheme, ""
    if scheme in SCHEMES:
        remedy = "Connect its bucket as a source storage of the project in Label Studio (Settings, Cloud Storage)."
        served = importer.intake.video_address(served_at(importer.project, given))
        try:
            if served is not None:
                return importer.videos.fetch(served.url, served.headers, progress), given
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
        raise VideoRefused(f"{given} is not an address of a video.", "Give http://, https:// or s3://, or a file.")
    return given


def _name(given: str) -> str:
    return name_in(given) if "://" in given else Path(given).name


def _content(path: Path, step: Callable[[int], None] = lambda done: None) -> str:
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            done += len(chunk)
            step(done)
    return digest.hexdigest()


def _target(importer: Importer, source: _Source, part: Part, at_most: str, rate: Fraction) -> Path:
    """The same for the same work: beside a linked file, where it stays, else below `scratch` until it is uploaded."""
    if importer.root is not None and source.address is None:
        kind = f"{part.name or 'fixed'}{at_most.replace('@', '.')}"
        return source.path.with_name(f"{source.path.stem}.{kind}.{source.content[:8]}.mp4")
    exact = f"{rate.numerator}-{rate.denominator}"
    return importer.scratch / f"{source.content[:16]}.{part.name or 'whole'}.{exact}.mp4"


def _done_with(importer: Importer, target: Path) -> None:
    if target.parent == importer.scratch:
        target.unlink(missing_ok=True)


def _said(taken: Taken, start: float) -> dict[str, Any]:
    """For filtering in the Data Manager; a part was recorded that much later."""
    said: dict[str, Any] = {}
    if taken.recorded is not None:
        said["recorded"] = (taken.recorded + timedelta(seconds=start)).isoformat(timespec="seconds")
    for name in ("latitude", "longitude", "altitude"):
        if (value := getattr(taken, name)) is not None:
            said[name] = value
    return said


def _title(name: str, part: Part) -> str:
    return f"{name} {part.name} s" if part.name else name


def _present(name: str, task: int) -> Outcome:
    return Outcome(name, "present", task, f"{name} is task {task} already.")


def _named(finding: Finding, source: _Source) -> Finding:
    cached = source.path.name
    return replace(
        finding,
        message=finding.message.replace(cached, source.name),
        remedy=finding.remedy.replace(cached, source.name),
    )


def summary(outcomes: Sequence[Outcome]) -> dict[State, int]:
    """How many of each state there are."""
    states: tuple[State, ...] = ("imported", "present", "duplicate", "refused")
    return {state: sum(each.state == state for each in outcomes) for state in states}
