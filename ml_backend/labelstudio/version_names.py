"""How model versions are named in Label Studio, which keeps those of all models of a project side by side."""

from __future__ import annotations

from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.provenance import ModelVersion


def is_ours(version: str) -> bool:
    """Whether a version is named as those that this backend makes; the predictions may be another Coldblitz's."""
    return version == KEYFRAMES_VERSION or ModelVersion.parse(version) is not None
