"""The line between the backend and Label Studio, which can be cut in the middle of what goes over it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

_CHUNK = 1 << 16
# What a request begins with; connections are kept for more than one.
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ")


class Line:
    """Hands connections on to `url`, byte by byte; while it is cut, it closes each at once and breaks those that are open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "localhost", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._up = threading.Event()
        self._up.set()
        self._cut_when: Callable[[], bool] | None = None
        self.url = f"http://localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._up.clear()
        self._cut_when = None
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut_when(self, condition: Callable[[], bool]) -> None:
        """Cuts it at the first request at which the condition holds, before that is handed on."""
        self._cut_when = condition

    @property
    def is_cut(self) -> bool:
        return not self._up.is_set()

    def mend(self) -> None:
        self._up.set()

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            if self.is_cut:
                return
            with socket.create_connection(self._target) as far:
                self._open |= {near, far}
                back = threading.Thread(target=_pump, args=(far, near), daemon=True)
                back.start()
                _pump(near, far, self._cut_at)
                back.join()
                self._open -= {near, far}

    def _cut_at(self, data: bytes) -> bool:
        if data.startswith(_METHODS) and self._cut_when is not None and self._cut_when():
            self.cut()
        return self.is_cut


def _pump(source: socket.socket, target: socket.socket, ends_at: Callable[[bytes], bool] = lambda _: False) -> None:
    with contextlib.suppress(OSError):
        while (data := source.recv(_CHUNK)) and not ends_at(data):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def line_to(url: str) -> Iterator[Line]:
    line = Line(url)
    try:
        yield line
    finally:
        line.close()
