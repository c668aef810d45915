"""Clients that keep their side of a connection open, as the real web process meets them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from loopback import closed_port
from web_process import running_web


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    with running_web(tmp_path, closed_port()) as url:
        yield url


def asking(url: str, request: str) -> socket.socket:
    """A client that asks over HTTP 1.0: the server is to end the connection."""
    client = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=30)
    client.sendall(request.encode())
    return client


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_those_that_do_not_close_hold_up_nobody_else(web: str) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(asking(web, "GET /health HTTP/1.0\r\n\r\n"))) for _ in range(10)]
        assert b'"UP"' in read_all(clients[0])
        # A second or two for each, one after the other, would be longer.
        assert requests.get(f"{web}/health", timeout=8).json()["status"] == "UP"
        assert all(b'"UP"' in read_all(client) for client in clients[1:])


def test_one_whose_body_was_not_read_gets_the_whole_answer(web: str) -> None:
    body = "x" * 500_000
    with closing(asking(web, f"POST /nothing HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}")) as client:
        head, _, content = read_all(client).partition(b"\r\n\r\n")
    assert b" 404 " in head.splitlines()[0]
    assert f"Content-Length: {len(content)}".lower() in head.decode().lower()
