"""Requests share connections: of one process, as long as Label Studio keeps them, and never so that something is done twice.

The server is real, and ends connections as Label Studio and what stands before it do.
"""

from __future__ import annotations

import gc
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from loopback import closed_port
from told_studio import LEGACY, PROJECT, personal_token

from ml_backend.errors import LabelStudioUnreachable
from ml_backend.labelstudio.studio import LabelStudio


class Keeping(ThreadingHTTPServer):
    """Says which project it was asked for, over connections that it keeps. `asked`: the connection of each request, its method
    and its path. `end`: what ends a connection in place of the answer to a later request on it."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.asked: list[tuple[int, str, str]] = []
        self.open: set[socket.socket] = set()
        self.number = 0
        self.end: Callable[[socket.socket], object] | None = None
        self.ends_first = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Keeping

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)
        self.server.number += 1
        self.number, self.requests = self.server.number, 0

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.number, self.command, self.path))
        self.requests += 1
        if self.server.end is not None and (self.requests > 1 or self.server.ends_first):
            self.server.end(self.connection)
            self.close_connection = True
            return
        if self.path == "/api/token/refresh/":
            said: Any = {"access": personal_token(300, "access")}
        else:
            said = {**PROJECT, "title": self.path.rstrip("/").rpartition("/")[2]}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


ENDS = pytest.mark.parametrize("end", [lambda connection: connection.shutdown(socket.SHUT_RDWR), reset])


@contextmanager
def keeping(port: int = 0) -> Iterator[Keeping]:
    with Keeping(port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            for connection in list(server.open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server() -> Iterator[Keeping]:
    with keeping() as made:
        yield made


@pytest.fixture
def client(server: Keeping) -> Iterator[LabelStudio]:
    with LabelStudio(server.url, LEGACY, timeout=5) as made:
        yield made


def test_what_is_read_comes_over_one_connection(server: Keeping, client: LabelStudio) -> None:
    assert [client.projects.get(number).title for number in range(5)] == ["0", "1", "2", "3", "4"]
    assert {connection for connection, *_ in server.asked} == {1}


def test_a_label_studio_that_was_restarted_in_between_is_asked_anew() -> None:
    with keeping() as server, LabelStudio(server.url, LEGACY, timeout=5) as client:
        assert client.projects.get(7).title == "7"
        port = server.server_port
        server.shutdown()
        server.server_close()
        for connection in list(server.open):
            connection.shutdown(socket.SHUT_RDWR)
        with pytest.raises(LabelStudioUnreachable):
            client.projects.get(7)
        with keeping(port) as again:
            assert client.projects.get(8).title == "8"
            assert again.asked == [(1, "GET", "/api/projects/8/")]


@ENDS
def test_a_connection_that_ends_just_as_it_is_used_is_no_failure(
    server: Keeping, client: LabelStudio, end: Callable[[socket.socket], object]
) -> None:
    client.projects.get(1)
    server.end = end
    assert [client.projects.get(number).title for number in (2, 3, 4)] == ["2", "3", "4"]
    asked = [(connection, path[-2]) for connection, _, path in server.asked]
    assert asked == [(1, "1"), (1, "2"), (2, "2"), (3, "3"), (3, "4"), (4, "4")]


@ENDS
def test_what_changes_something_has_a_connection_of_its_own(
    server: Keeping, client: LabelStudio, end: Callable[[socket.socket], object]
) -> None:
    client.projects.get(1)
    server.end = end
    client.projects.pin(7, "cold-v1")
    client.predictions.check_push(7)
    client.predictions.delete(30)
    assert [connection for connection, *_ in server.asked] == [1, 2, 3, 4]


@ENDS
def test_it_is_never_sent_twice(server: Keeping, client: LabelStudio, end: Callable[[socket.socket], object]) -> None:
    server.end, server.ends_first = end, True
    for change in (
        lambda: client.projects.pin(7, "cold-v1"),
        lambda: client.tasks.create(7, {}),
        lambda: client.predictions.delete(30),
    ):
        server.asked.clear()
        with pytest.raises(LabelStudioUnreachable):
            change()
        assert len(server.asked) == 1


def test_threads_share_it_and_the_token_is_exchanged_once(server: Keeping) -> None:
    with LabelStudio(server.url, personal_token(), timeout=20) as client, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: client.projects.get(number).title, range(200)))
    assert found == [str(number) for number in range(200)]
    assert [method for _, method, _ in server.asked].count("POST") == 1
    assert len({connection for connection, method, _ in server.asked if method == "GET"}) <= 8


FORKED = """
import os, sys
from ml_backend.labelstudio.studio import LabelStudio

client = LabelStudio(sys.argv[1], "the-token")
assert client.projects.get(1).title == "1"
child = os.fork()
if child == 0:
    os._exit(0 if client.projects.get(2).title == "2" else 1)
_, status = os.waitpid(child, 0)
assert status == 0
assert client.projects.get(3).title == "3"
"""


def test_a_fork_has_connections_of_its_own(server: Keeping) -> None:
    subprocess.run([sys.executable, "-c", FORKED, server.url], check=True, timeout=60)
    assert [(connection, path) for connection, _, path in server.asked] == [
        (1, "/api/projects/1/"),
        (2, "/api/projects/2/"),
        (1, "/api/projects/3/"),
    ]


def test_connections_are_closed_with_the_client_or_when_nobody_has_it_any_more(server: Keeping) -> None:
    with LabelStudio(server.url, LEGACY, timeout=5) as closed:
        closed.projects.get(1)
    LabelStudio(server.url, LEGACY, timeout=5).projects.get(1)
    gc.collect()
    deadline = monotonic() + 10
    while server.open:
        assert monotonic() < deadline
        sleep(0.01)


def test_other_connections_may_be_given() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, request.headers["Authorization"]))
        return httpx.Response(200, json=PROJECT)

    url = f"http://127.0.0.1:{closed_port()}"
    client = LabelStudio(url, LEGACY, transport=httpx.MockTransport(answer))
    assert client.projects.get(7).title == "A street"
    assert asked == [("/api/projects/7/", f"Token {LEGACY}")]
