"""Names of files that are no valid UTF-8, as cameras and old disks have them, for people and for programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def readable(name: str) -> str:
    """A file's name, as Python gives it, with the letters that are meant: what is no UTF-8 is taken for Western European."""
    content = os.fsencode(name)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


@contextmanager
def readable_path(path: Path) -> Iterator[Path]:
    """The same file under a name that can be printed and opened by any library: a link while the `with` block lasts, where
    its own name cannot."""
    if readable(str(path)) == str(path):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / readable(path.name)
        link.symlink_to(path.absolute())
        yield link
