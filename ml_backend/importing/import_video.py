"""One video after the other: looked at, mended or cut when asked to, brought into Label Studio, made a task of."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from ml_backend.checks import Finding
from ml_backend.errors import (
    ColdblitzError,
    LabelStudioError,
    LabelStudioRefused,
    LabelStudioUnreachable,
    SettingsError,
)
from ml_backend.features.hashing import signature
from ml_backend.importing.encode import encode
from ml_backend.importing.existing_videos import RECORD, Record, noted, remove_leftovers
from ml_backend.importing.origins import (
    Importer,
    Origin,
    Taken,
    content_of,
    name_of,
    open_origin,
    read_taken,
    repacked,
    upload_name,
)
from ml_backend.importing.recipe import Part, parts, refuse_too_short, target_rate
from ml_backend.labelstudio.uploads import Upload
from ml_backend.video.inspection import inspect
from ml_backend.video.timeline import Timeline, natural_framerate, read_timeline, usual_lasting

State = Literal["imported", "present", "duplicate", "refused"]

# What encoding again at a constant rate mends.
_MENDED = {
    "not-playable",
    "pixels",
    "hdr",
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
_LET_FIX = " Or use --fix to do this."
log = logging.getLogger(__name__)


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


def bring(importer: Importer, given: str) -> Iterator[Outcome]:
    """What becomes of a file, or of the video at an address: one outcome, or one for each part.

    Raises LabelStudioRefused when the token may not import, since nothing else will be imported either.
    """
    name, recipe = name_of(given), importer.recipe
    if not recipe.cuts and recipe.fps is None and (task := importer.holdings.task_at(given)) is not None:
        yield _present(name, task)
        return
    try:
        with open_origin(importer, given) as source:
            yield from _bring(importer, source)
    except LabelStudioRefused:
        raise
    except ColdblitzError as error:
        yield Outcome(name, "refused", None, f"{error.message} {error.remedy}", passes=error.passes)
    except Exception as error:
        # The others go on, whatever is wrong with this one.
        log.exception("import of %s", name)
        message = f"{name} cannot be imported ({type(error).__name__}: {error})."
        yield Outcome(name, "refused", None, f"{message} Convert it with another program, and please report this.")


def _bring(importer: Importer, source: Origin) -> Iterator[Outcome]:
    recipe, name = importer.recipe, source.name
    at_most = f"@{recipe.fps:g}" if recipe.fps is not None else ""
    if recipe.raw_fps is not None and any(each.kind == "raw" for each in inspect(source.path)):
        at_most += f"~{recipe.raw_fps:g}"
    if not recipe.cuts and (task := importer.holdings.task_of(source.content, at_most)) is not None:
        yield _present(name, task)
        return
    findings = tuple(_named(each, source) for each in inspect(source.path))
    raw = bool(findings) and findings[0].kind == "raw"
    if raw and (recipe.fix or recipe.cuts):
        source = repacked(importer, source)
        findings = tuple(_named(each, source) for each in inspect(source.path))
    try:
        yield from _looked_at(importer, source, findings, at_most)
    finally:
        if source.raw:
            source.path.unlink(missing_ok=True)


def _looked_at(importer: Importer, source: Origin, findings: tuple[Finding, ...], at_most: str) -> Iterator[Outcome]:
    recipe, name = importer.recipe, source.name
    faults = [each for each in findings if each.severity == "error"]
    if any(each.kind in ("unreadable", "raw") for each in faults):
        message = f"{faults[0].message} {faults[0].remedy}" + (_LET_FIX if faults[0].kind == "raw" else "")
        yield Outcome(name, "refused", None, message, findings)
        return
    timeline = read_timeline(source.path)
    times, natural, lasting = timeline.microseconds / 1e6, natural_framerate(timeline) or 25.0, usual_lasting(timeline)
    slower = recipe.fps is not None and recipe.fps < 0.99 * natural
    rate = target_rate(timeline, all(each.kind != "variable-rate" for each in findings), recipe.fps)
    refuse_too_short(recipe, lasting, name)
    wanted = parts(recipe, float(times[0]), float(times[-1]) + lasting, name)
    taken = read_taken(source.path)
    stays = source.address is not None or (importer.root is not None and not source.raw)
    called = source.name if stays else upload_name(source)
    mend = recipe.fix and (called is None or any(each.kind in _MENDED for each in findings))
    if not recipe.cuts and not slower and not mend:
        if faults:
            yield Outcome(name, "refused", None, f"{faults[0].message} {faults[0].remedy}{_LET_FIX}", findings)
        elif called is None:
            message = f"Label Studio takes no {Path(name).suffix or 'nameless'} files as uploads."
            remedy = "Use --fix to encode it as MP4, or import it by its URL or with --link."
            yield Outcome(name, "refused", None, f"{message} {remedy}", findings)
        else:
            yield _as_it_is(importer, source, called, timeline, natural, taken, findings, at_most)
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
    # What an interrupted import has made already exists.
    ready = {target for target in targets if target.exists()}
    making = [part for part, target in zip(missing, targets, strict=True) if target not in ready]
    with importer.bar(f"encoding {name}") as progress:
        made = encode(source.path, timeline, making, rate, [t for t in targets if t not in ready], progress)
        for part, target in zip(missing, targets, strict=True):
            if target not in ready:
                next(made)
            yield _made(importer, source, part, at_most, target, taken)


def _as_it_is(
    importer: Importer,
    source: Origin,
    called: str,
    timeline: Timeline,
    natural: float,
    taken: Taken,
    findings: tuple[Finding, ...],
    part: str,
) -> Outcome:
    if (twin := _twin(importer, source, source.path, timeline, source.name)) is not None:
        return twin
    content = content_of(source.path) if source.raw else source.content
    record = Record(source.content, part, content, signature(source.path, timeline))
    data = {importer.fps_key: natural, "name": source.name, **_said(taken, 0.0)}
    path = source.path
    if source.raw and importer.root is not None and source.beside is not None:
        path = Path(shutil.move(path, source.beside.with_name(f"{called[:-4]}.fixed.{source.content[:8]}.mp4")))
    task = _place(importer, path, called, source.address, data, record)
    return Outcome(source.name, "imported", task, "", findings)


def _made(
    importer: Importer,
    source: Origin,
    part: Part,
    at_most: str,
    target: Path,
    taken: Taken,
) -> Outcome:
    timeline, title = read_timeline(target), _title(source.name, part)
    if part.name and (twin := _twin(importer, source, target, timeline, title)):
        _done_with(importer, target)
        return twin
    record = Record(source.content, part.name + at_most, content_of(target), signature(target, timeline))
    fps = natural_framerate(timeline) or 25.0
    data = {importer.fps_key: fps, "name": title, **_said(taken, part.start if part.name else 0.0)}
    ending = f".{part.name}.mp4" if part.name else ".mp4"
    task = _place(importer, target, Path(source.name).stem + ending, None, data, record)
    _done_with(importer, target)
    return Outcome(title, "imported", task)


def _twin(importer: Importer, source: Origin, path: Path, timeline: Timeline, title: str) -> Outcome | None:
    if importer.allow_duplicates:
        return None
    task = importer.holdings.alike(signature(path, timeline), source.content)
    if task is None:
        return None
    message = f"{title} shows the same as task {task} in another encoding. Use --allow-duplicates to import it anyway."
    return Outcome(title, "duplicate", task, message)


def _place(importer: Importer, path: Path, name: str, address: str | None, data: dict[str, Any], record: Record) -> int:
    """Brings a file into Label Studio and makes a task of it."""
    studio, project = importer.studio, importer.project
    if address is None and importer.root is not None:
        try:
            address = studio.uploads.link(project, path.resolve(), importer.root)
        except ValueError as error:
            raise SettingsError(
                f"{path} is not in a subfolder of {importer.root}, so Label Studio cannot serve it.",
                "Move it there, or import it without --link.",
            ) from error
    data = {**data, RECORD: record.as_json()}
    if address is not None:
        task = studio.tasks.create(project, {**data, importer.video_key: address})
    else:
        remove_leftovers(importer.scratch, studio, project, importer.video_key)
        with noted(importer.scratch, studio, project, name, path.stat().st_size) as note:
            upload = _upload(importer, path, name)
            try:
                task = studio.tasks.create(project, {**data, importer.video_key: upload.address})
            except LabelStudioUnreachable:
                # It may have made the task without our hearing so: the note lets the next import ask.
                raise
            except LabelStudioError:
                studio.uploads.discard(project, upload)
                note.unlink()
                raise
    importer.holdings.add(task, record)
    return task


def _upload(importer: Importer, path: Path, name: str) -> Upload:
    try:
        with importer.bar(f"uploading {name}") as progress:
            return importer.studio.uploads.add(importer.project, path, name, progress)
    except (LabelStudioUnreachable, LabelStudioRefused):
        raise
    except LabelStudioError as error:
        raise LabelStudioError(
            error.message,
            "If it is too large, raise DATA_UPLOAD_MAX_MEMORY_SIZE of Label Studio, cut it with --segment, or use --link.",
        ) from error


def _target(importer: Importer, source: Origin, part: Part, at_most: str, rate: Fraction) -> Path:
    """The same for the same work: beside a linked file, where it stays, else below `scratch` until it is uploaded."""
    if importer.root is not None and source.beside is not None:
        kind = f"{part.name or 'fixed'}{at_most.replace('@', '.').replace('~', '.')}"
        return source.beside.with_name(f"{source.beside.stem}.{kind}.{source.content[:8]}.mp4")
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


def _named(finding: Finding, source: Origin) -> Finding:
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
