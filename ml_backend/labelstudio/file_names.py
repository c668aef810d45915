"""The name that a video has on disk, read from a task's data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ml_backend.labelstudio.buckets import in_bucket

# What Label Studio puts before the name of an uploaded file.
_HASH = re.compile(r"[0-9a-f]{8}-(?=.)")
_UPLOADED = re.compile(r"/data/upload/\d+/")


def file_name(data: Mapping[str, Any], address: object) -> str:
    """The name of a task's video as people know it: what the task's `data` say under `name`, as imported tasks do, else the
    last part of its `address`, as it was before it became part of one. Never holds a login or a signature."""
    name = data.get("name")
    if isinstance(name, str) and name.strip():
        return name.strip()
    return name_in(str(address))


def name_in(address: str) -> str:
    """The file name in an address of a task's data: an upload, a local file, an object in a bucket, an address in the web.

    Percent signs stand for what they stand for, and the eight letters that Label Studio puts before an upload's name are
    left out.
    """
    if (uri := in_bucket(address)) is not None:
        # Names of objects hold any sign, and none stands for another.
        return uri.rpartition("/")[2]
    try:
        parts = urlsplit(address)
        path = parts.path
        if path.endswith("/data/local-files/") and "d" in (query := parse_qs(parts.query)):
            # Decoded already.
            return query["d"][0].rpartition("/")[2]
    except ValueError:
        path = re.split(r"[?#]", address, maxsplit=1)[0]
    name = unquote(path.rpartition("/")[2], errors="replace")
    return _HASH.sub("", name, count=1) if _UPLOADED.search(path) and _HASH.match(name) else name
