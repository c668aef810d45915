"""Which files are researchers' models: told by their names, without running them."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".py", ".pt", ".pt2", ".onnx")


def model_files(folder: Path) -> list[str]:
    """The names of those that lie in `folder` itself, sorted; none without a folder."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [each.name for each in entries if each.suffix in SUFFIXES and each.name[0] not in "._" and each.is_file()]
