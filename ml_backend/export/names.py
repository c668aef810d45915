"""Labels and video names as names of files and folders, on every system and without two becoming one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

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
