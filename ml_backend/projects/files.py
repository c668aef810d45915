"""Writes a file so that nobody ever reads half of it."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from ml_backend.errors import StorageError


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Puts `content` at `path`, whose folder is made. `what`: how the error begins. Raises StorageError."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(
            f"{what} cannot be written to {path.parent} ({error.strerror}).",
            "Free up disk space there, or set DATA_DIR to another disk.",
        ) from error
