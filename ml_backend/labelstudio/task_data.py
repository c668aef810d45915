"""What a task's data say: `$variables` of a label config, looked up as Label Studio's editor does, where a video is in a bucket, and its
name on disk."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

# The editor's own pattern; a path may go through objects and lists: `$media.url`, `$files[0]`.
_VARIABLE = re.compile(r"\$([\w\[\].{}]+)", re.ASCII)
_STEP = re.compile(r"[^.\[\]]+")
# Longer ones are no addresses.
_MOST = 10_000


def variables(text: str) -> list[str]:
    """The paths that a text refers to, in order."""
    return _VARIABLE.findall(text[:_MOST])


def resolved(text: str, data: Mapping[str, Any]) -> Any:
    """What a text stands for: a lone variable for whatever the task has there, others for their text within it.

    None when the task has nothing there. A text without a variable stands for itself.
    """
    if alone := _VARIABLE.fullmatch(text[:_MOST]):
        return looked_up(data, alone[1])
    found = [looked_up(data, path) for path in variables(text)]
    if any(value is None for value in found):
        return None
    values = iter(found)
    return _VARIABLE.sub(lambda _: str(next(values)), text[:_MOST])


def looked_up(data: Mapping[str, Any], path: str) -> Any:
    """`fps`, `meta.fps` or `files[0].fps`; None when there is nothing."""
    if path in data:
        return data[path]
    found: Any = data
    for step in _STEP.findall(path):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


# Of what a source storage holds.
SCHEMES = ("s3", "gs", "azure-blob")
# What clouds add to an address: for how long it holds, and who says so.
_SIGNED = re.compile(
    r"x-(amz|goog|ms)-.*|signature|expires|awsaccesskeyid|googleaccessid|key-pair-id|policy|sig|s[eprtv]|skoid|sktid|ske|sks|skt|skv"
)
_SERVED = re.compile(r"/(?:tasks|projects)/\d+/(?:resolve|presign)/")


def served_at(project: int, uri: str) -> str:
    """The path at which Label Studio serves what lies at `uri`, when a source storage of the project has that bucket."""
    return f"/projects/{project}/resolve/?fileuri={base64.urlsafe_b64encode(uri.encode()).decode()}"


def path_from_storage(address: str) -> str | None:
    """The path and query of an address at which a Label Studio serves a file of a bucket; None for any other address."""
    try:
        parts = urlsplit(address)
        found = _SERVED.search(parts.path)
        if found is None or parts.scheme not in ("http", "https") or "fileuri" not in parse_qs(parts.query):
            return None
    except ValueError:
        return None
    return f"{parts.path[found.start() :]}?{parts.query}"


def in_bucket(value: object) -> str | None:
    """The URI of a video in a bucket of which a task's data say `value`: that itself, or the path at which Label Studio serves
    it. None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        address = urlsplit(value)
        if _SERVED.search(address.path):
            value = base64.urlsafe_b64decode(parse_qs(address.query)["fileuri"][0].encode()).decode()
        return value if urlsplit(value).scheme in SCHEMES else None
    except (ValueError, KeyError):
        return None


def lasting(value: str) -> str:
    """What stays the same of an address for as long as it names the same video: without a signature, which each reading of
    the task may renew."""
    if (uri := in_bucket(value)) is not None:
        return uri
    try:
        address = urlsplit(value)
        kept = [(name, said) for name, said in parse_qsl(address.query, True) if not _SIGNED.fullmatch(name.lower())]
    except ValueError:
        return value
    return address._replace(query=urlencode(kept)).geturl()


_LATITUDE, _LONGITUDE = ("latitude", "lat", "gps_latitude"), ("longitude", "lon", "lng", "long", "gps_longitude")
_HOLDERS = ("location", "gps", "geo", "position", "coordinates", "meta", "metadata")


def place_in(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """Where a task's video was taken, by its data: latitude and longitude in degrees, under their names in any case, be it in an
    object such as `location`. None where they say nothing that is a place."""
    lowered = {str(name).lower(): value for name, value in data.items()}
    inner = (lowered[name] for name in _HOLDERS if isinstance(lowered.get(name), Mapping))
    for one in (lowered, *({str(name).lower(): value for name, value in each.items()} for each in inner)):
        latitude = next((found for name in _LATITUDE if (found := _degrees(one.get(name), 90)) is not None), None)
        longitude = next((found for name in _LONGITUDE if (found := _degrees(one.get(name), 180)) is not None), None)
        if latitude is not None and longitude is not None:
            return latitude, longitude
    return None


def _degrees(value: Any, most: float) -> float | None:
    """A number, or a text that is one, with a comma too; None for what is none or out of range."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value.strip().replace(",", ".") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return found if -most <= found <= most else None


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
