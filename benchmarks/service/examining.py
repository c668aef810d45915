"""Examining broken files in processes with a worker's bounds, and what came of each: used, refused, or neither.

python -m benchmarks.service.examining FILE…      one line of JSON a file; used by `examine_all`
"""

from __future__ import annotations

import faulthandler
import json
import resource
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.service.answering import answering

_MEMORY = 2 * 1024**3
_SECONDS = 30.0


@dataclass(frozen=True)
class Examined:
    """`frames`: how many could be used; None when it was refused, with the one `error` that says so. `trouble`: what should
    not be: an exception that is none of ours, a crash, or a hang."""

    name: str
    frames: int | None = None
    error: str | None = None
    trouble: str | None = None


class Trap(ThreadingHTTPServer):
    """A server that nothing must ask; it keeps what is asked all the same."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Trap

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def trap() -> AbstractContextManager[Trap]:
    """A trap that is set."""
    return answering(Trap())


def examine_all(files: dict[str, Path]) -> list[Examined]:
    """Examines files in a process of their own, and in a new one after each that takes it down."""
    found: list[Examined] = []
    names = list(files)
    while names:
        done = subprocess.run(
            [sys.executable, "-m", __name__, *(str(files[name]) for name in names)],
            capture_output=True,
            text=True,
            check=False,
        )
        for name, line in zip(names, done.stdout.splitlines(), strict=False):
            found.append(Examined(name, **json.loads(line)))
        names = names[len(done.stdout.splitlines()) :]
        if names:
            trouble = f"the process ended with code {done.returncode}: {done.stderr[-1000:]}"
            found.append(Examined(names.pop(0), trouble=trouble))
    return found


def main(paths: list[str]) -> None:
    from benchmarks.service.corpus import examine

    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    for path in paths:
        # A decoder that hangs cannot be stopped but with its process.
        faulthandler.dump_traceback_later(_SECONDS, exit=True)
        try:
            frames, error = examine(Path(path))
            row = {"frames": frames, "error": error}
        except Exception as wrong:
            row = {"trouble": repr(wrong)}
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
