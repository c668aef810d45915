"""Files and folders that are written whole or not at all, several at a time.

Each is written beside its place, under a name that ends in `.part`, and moved there when all are done.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from ml_backend.errors import SettingsError, StorageError

# A folder that holds it was written here, and may be written again.
MARK = ".coldblitz-export"


# What another disk or less on this one mends, what another owner or mount does, and what another name does.
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def unwritable(path: Path, error: OSError, rename: str = "give another name", then: str = "") -> StorageError:
    """What to raise when `path`, or the file in it that `error` names, cannot be written, with the remedy that fits the reason.

    `rename`: how a person gives another name. `then`: a sentence on what comes after.
    """
    if error.errno in _FULL:
        remedy = f"Free up disk space, or {rename}."
    elif error.errno in _FORBIDDEN:
        remedy = f"Make the folder writable for this user, or {rename}."
    else:
        remedy = f"{rename[:1].upper()}{rename[1:]}."
    name = error.filename if isinstance(error.filename, str | os.PathLike) else path
    return StorageError(
        f"{name} cannot be written ({error.strerror or error}).", " ".join(filter(None, (remedy, then)))
    )


@dataclass(frozen=True)
class Output:
    """A place to write to. `option`: how a person names it on the command line."""

    path: Path
    option: str
    folder: bool


def check_outputs(outputs: Sequence[Output], inputs: Sequence[Path], overwrite: bool) -> None:
    """Raises SettingsError for an output that is there already, unless it may be overwritten; and always for one that is no
    result of an earlier run, whose `.part` is somebody's folder, that is or contains one of the `inputs`, or that lies in another
    output."""
    for one, other in permutations(outputs, 2):
        if other.path.resolve().is_relative_to(one.path.resolve()):
            raise SettingsError(
                f"{other.option} {other.path} lies in {one.option} {one.path}.",
                "Give each of them a place of its own.",
            )
    for output in outputs:
        path = output.path
        if any(each.resolve().is_relative_to(path.resolve()) for each in inputs):
            raise SettingsError(
                f"{path} is a video that is to be read, or has one in it.", f"Give another name with {output.option}."
            )
        part = _part(output)
        if part.is_dir() and not (part / MARK).is_file():
            raise SettingsError(
                f"{part} is in the way, and this command has not written it.",
                f"Remove it yourself, or choose another name with {output.option}.",
            )
        if not os.path.lexists(path):
            continue
        if not overwrite:
            raise SettingsError(
                f"{path} already exists.", f"Use --overwrite, or choose another name with {output.option}."
            )
        if not _replaceable(output):
            kind = "folder that this command has written" if output.folder else "file"
            raise SettingsError(
                f"{path} is no {kind}, and is not overwritten.",
                f"Remove it yourself, or choose another name with {output.option}.",
            )


def _part(output: Output) -> Path:
    """Where it is written until all are done."""
    return output.path.with_name(f"{output.path.name}.part")


def _replaceable(output: Output) -> bool:
    path = output.path
    if path.is_symlink():
        return False
    return (path / MARK).is_file() if output.folder else path.is_file()


@contextmanager
def staged(outputs: Sequence[Output], rename: str = "give another name") -> Iterator[Mapping[str, Path]]:
    """Where to write each output, by its option; folders are there already. `rename`: as of `unwritable`.

    When the `with` block ends well, all of them replace what was at their places; when it does not, nothing is left of them.
    Raises StorageError when they cannot be written.
    """
    parts = {output.option: _part(output) for output in outputs}
    try:
        for output in outputs:
            part = parts[output.option]
            _remove(part)
            part.parent.mkdir(parents=True, exist_ok=True)
            if output.folder:
                part.mkdir()
                (part / MARK).touch()
        yield parts
        for output in outputs:
            if output.folder:
                _remove(output.path)
            os.replace(parts[output.option], output.path)
    except OSError as error:
        raise unwritable(outputs[0].path, error, rename) from error
    finally:
        for part in parts.values():
            with suppress(OSError):
                _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
