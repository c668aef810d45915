"""How model versions are named in Label Studio, which keeps those of all models of a project side by side."""

from __future__ import annotations

import re

from ml_backend.labelstudio.regions import KEYFRAMES_VERSION

_OURS = re.compile(r"(cold|blitz|custom-[A-Za-z0-9_]+)-v[0-9]+")


def is_ours(version: str) -> bool:
    """Whether a version is named as those that this backend makes; the predictions may be another Coldblitz's."""
    return version == KEYFRAMES_VERSION or _OURS.fullmatch(version) is not None
