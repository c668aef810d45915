"""Videos in buckets: Label Studio fetches them by a source storage of the project, and serves them under paths of its own."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

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
