"""OpenVINO without its reports: importing it otherwise forks a process that tells Google Analytics, wherever it runs."""

from __future__ import annotations

import sys

# As if it were not installed, which OpenVINO provides for.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

__all__ = ["ov"]
