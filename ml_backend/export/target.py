"""Where pictures go: a folder, or a zip written once and never held in memory; and labels and video names as names of files in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from ml_backend.errors import SettingsError
from ml_backend.export.staging import unwritable

# What Windows, macOS or a shell would trip over.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\s]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ENDING = re.compile(r"(.+)\.\w{1,5}(?: ([\d.]+-[\d.]+) s)?", re.DOTALL)
_MOST_BYTES = 100


def file_name(text: str) -> str:
    """`text` as the name of a file or folder: forbidden characters become `_`, letters of all languages stay."""
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip("._ ")
    while len(name.encode()) > _MOST_BYTES:
        name = name[:-1]
    name = name.rstrip("._ ")
    return f"_{name}" if not name or _RESERVED.fullmatch(name) else name


def stem(video: str) -> str:
    """A video's name as the beginning of other files' names: without its ending, with the seconds of a part
    (`day.mp4 0-60 s`) after it."""
    match = _ENDING.fullmatch(video)
    return file_name(" ".join(filter(None, match.groups())) if match else video)


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """A folder for each label; labels that would share one, also where case does not count, get a number."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        name, number = file_name(label), 1
        while name.casefold() in taken:
            number += 1
            name = f"{file_name(label)}_{number}"
        taken.add(name.casefold())
        names[label] = name
    return names


_STATE = ".coldblitz-export.json"


class Target(Protocol):
    """`has`: whether an interrupted run wrote this name already. `write` is never asked to write one twice."""

    def has(self, name: str) -> bool: ...

    def write(self, name: str, content: bytes) -> None: ...


@contextmanager
def opened(path: Path, fingerprint: str) -> Iterator[Target]:
    """A zip when `path` ends so, else a folder; begun anew unless what is there was begun with the same `fingerprint`.

    Raises SettingsError when `path` is there already, or somebody else's file or folder has the name of the unfinished one;
    StorageError when it cannot be written; what was written until then is continued the next time.
    """
    if path.exists():
        raise SettingsError(f"{path} already exists.", "Remove it, or choose another name with -o.")
    part = path.with_name(f"{path.name}.part")
    if os.path.lexists(part) and not _is_ours(part):
        raise SettingsError(
            f"{part} is in the way, and no export has written it.",
            "Remove it yourself, or choose another name with -o.",
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".zip":
            with _zip(part, fingerprint) as target:
                yield target
        else:
            with _folder(part, fingerprint) as target:
                yield target
        os.replace(part, path)
    except OSError as error:
        raise unwritable(
            part, error, "give another name with -o", "The same command continues where this one stopped."
        ) from error


def _is_ours(part: Path) -> bool:
    """Whether an export that was interrupted has left it."""
    if part.is_dir():
        # Between the two steps that begin one, it is empty.
        return (part / _STATE).is_file() or not any(part.iterdir())
    return _journal(part).is_file()


def _journal(part: Path) -> Path:
    return part.with_name(f"{part.name}.entries")


@contextmanager
def _folder(part: Path, fingerprint: str) -> Iterator[Target]:
    state = part / _STATE
    if part.exists() and _said(state) != fingerprint:
        shutil.rmtree(part)
    part.mkdir(exist_ok=True)
    state.write_text(json.dumps(fingerprint))
    yield _Folder(part)
    state.unlink()


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[Path] = set()

    def has(self, name: str) -> bool:
        return (self._root / name).exists()

    def write(self, name: str, content: bytes) -> None:
        path = self._root / name
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        unfinished = self._root / f"{_STATE}.part"
        unfinished.write_bytes(content)
        os.replace(unfinished, path)


def _said(state: Path) -> object:
    try:
        return json.loads(state.read_text())
    except (OSError, ValueError):
        return None


@contextmanager
def _zip(part: Path, fingerprint: str) -> Iterator[Target]:
    """Entries are stored, since JPEG does not shrink. A journal beside the zip says which of them are whole: the list of a
    zip's entries is at its end, which an interrupted one does not have."""
    journal = _journal(part)
    entries = _whole(journal, part, fingerprint)
    if not entries:
        journal.write_text(json.dumps(fingerprint) + "\n")
    with part.open("ab") as file:
        file.truncate(entries[-1][1] if entries else 0)
    with zipfile.ZipFile(part, "a", zipfile.ZIP_STORED) as archive, journal.open("a") as log:
        for info, _ in entries:
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
        yield _Zip(archive, log)
    journal.unlink()


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, journal: TextIO) -> None:
        self._archive = archive
        self._journal = journal

    def has(self, name: str) -> bool:
        return name in self._archive.NameToInfo

    def write(self, name: str, content: bytes) -> None:
        info = zipfile.ZipInfo(name, time.localtime()[:6])
        info.external_attr = 0o644 << 16
        self._archive.writestr(info, content)
        row = [info.filename, info.header_offset, info.file_size, info.CRC, info.date_time, self._archive.start_dir]
        self._journal.write(json.dumps(row) + "\n")


def _whole(journal: Path, part: Path, fingerprint: str) -> list[tuple[zipfile.ZipInfo, int]]:
    """The entries that an interrupted run wrote whole, each with the number of the byte behind it."""
    entries: list[tuple[zipfile.ZipInfo, int]] = []
    try:
        lines = journal.read_text().splitlines()
        if not lines or json.loads(lines[0]) != fingerprint:
            return []
        size = part.stat().st_size
        for line in lines[1:]:
            name, offset, length, crc, date, end = json.loads(line)
            if end > size:
                break
            info = zipfile.ZipInfo(name, tuple(date))
            info.header_offset, info.file_size, info.compress_size, info.CRC = offset, length, length, crc
            info.external_attr = 0o644 << 16
            entries.append((info, end))
    except (OSError, ValueError):
        pass  # none yet, or its last line is cut off
    return entries
