"""Addresses that a task's creator could write to make a worker call what it must not (server-side request forgery).

The internet is played by a server at 127.0.0.2, which is therefore allowed, and names are looked up in a table, so that
nothing leaves the machine. What a worker really connects to is seen by Python's audit hook.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.service.answering import answering
from ml_backend.errors import ColdblitzError
from ml_backend.video.cache import VideoFolder
from ml_backend.video.safe_http import VideoHosts, look_up

INTERNET, INSIDE = "127.0.0.2", "127.0.0.1"
TOKEN = "Bearer the-token-of-label-studio"

# Each way to write this machine's address that some reader understands.
_HERE = (
    *(
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
    ),
    *(
        "017700000001",
        "0",
        "0.0.0.0",
        "127.0.0.1.",
        "127.255.255.254",
        "%31%32%37.0.0.1",
        "１２７.０.０.１",
        "127。0。0。1",
    ),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::1%25lo]"),
)
# Names whose owner has given them an address of our network.
_NAMES = {
    "loopback.example": ["127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "sixtofour.example": ["2002:7f00:1::"],
    "six.example": ["::1"],
    "metadata.example": ["169.254.169.254"],
    "carrier.example": ["100.64.0.1"],
    "private.example": ["10.1.2.3"],
    "unique-local.example": ["fd00::1"],
    "link-local.example": ["fe80::1"],
    "multicast.example": ["224.0.0.1"],
    "nobody.example": ["0.0.0.0"],
    "both.example": [INTERNET, "127.0.0.1"],
}
_NETWORKS = (
    "169.254.169.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "[fd00::1]",
    "[fe80::1]",
    "[ff02::1]",
)
_SCHEMES = (
    *(
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://127.0.0.1/a.mp4",
        "gopher://127.0.0.1:{port}/_GET",
        "dict://127.0.0.1:{port}/",
    ),
    *(
        "concat:http://127.0.0.1:{port}/a|file:///etc/passwd",
        "data:video/mp4;base64,AAAA",
        "unix:///run/redis.sock",
        "rtsp://127.0.0.1:{port}/",
    ),
    *(
        "http+unix://%2Frun%2Fredis.sock/",
        "subfile:///etc/passwd",
        "jar:http://127.0.0.1:{port}/!/",
        "/etc/passwd",
        "../../etc/passwd",
    ),
)
_TRICKS = (
    *(
        "http://studio.example@127.0.0.1:{port}/a",
        "http://127.0.0.1:{port}#@studio.example/a",
        "http://127.0.0.1:{port}\\@studio.example/a",
    ),
    *(
        "http://studio.example:8080\\@127.0.0.1:{port}/a",
        "http://127.0.0.1:{port}?@studio.example/a",
        "http://studio.example\n@127.0.0.1:{port}/a",
    ),
    *(
        "http:127.0.0.1:{port}/a",
        "http:/127.0.0.1:{port}/a",
        "http:///127.0.0.1:{port}/a",
        " http://127.0.0.1:{port}/a",
        "http://127.0.0.1:{port} /a",
    ),
    *(
        "http://studio.example.127.0.0.1:{port}/a",
        "http://stu\tdio.example:{port}/a",
        "http://\u0000127.0.0.1:{port}/a",
    ),
)


@dataclass(frozen=True)
class Attempt:
    """`way`: how it is tried. `url`: a task's address; `{port}` is that of the server inside."""

    way: str
    url: str


@dataclass
class Outcome:
    """`connected`: the addresses that were connected to although they must not be. `error`: how the attempt ended, None when
    the internet's server was asked for a video. `clear`: whether a person could read the error."""

    attempt: Attempt
    connected: list[str] = field(default_factory=list)
    error: str | None = None
    clear: bool = True

    @property
    def let_through(self) -> bool:
        return bool(self.connected)


def attempts() -> tuple[Attempt, ...]:
    direct = [f"http://{host}:{{port}}/a.mp4" for host in (*_HERE, *_NAMES)]
    direct += [f"http://{host}/a.mp4" for host in _NETWORKS] + [f"https://{host}/a.mp4" for host in _NETWORKS]
    hops = [*direct, *_SCHEMES, "//127.0.0.1:{port}/a.mp4", "http://studio.example@127.0.0.1:{port}/"]
    return (
        *(Attempt("direct", url) for url in direct),
        *(Attempt("scheme", url) for url in _SCHEMES),
        *(Attempt("parsing", url) for url in _TRICKS),
        *(Attempt("redirect", url) for url in hops),
        *(Attempt("redirect, the second time", url) for url in hops[:4]),
        *(Attempt("rebinding", f"http://rebinding-{after}.example:{{port}}/a.mp4") for after in range(1, 5)),
    )


class _Server(ThreadingHTTPServer):
    """Answers like a web server with a video, or sends on to `target`."""

    daemon_threads = True

    def __init__(self, address: str, port: int = 0) -> None:
        super().__init__((address, port), _Handler)
        self.target: str | None = None
        self.direct_answers = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.server.target is not None and self.server.direct_answers <= 0:
            self.send_response(302)
            # Bytes, since a header may hold what no address may.
            self.send_header("Location", self.server.target.encode("utf-8").decode("latin-1"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.server.direct_answers -= 1
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"film")

    def log_message(self, *_: object) -> None:
        pass


_seen: list[str] | None = None
_hooked = False


def _watch(event: str, arguments: Any) -> None:
    if event == "socket.connect" and _seen is not None and isinstance(arguments[1], tuple):
        _seen.append(str(arguments[1][0]))


@contextmanager
def connections() -> Iterator[list[str]]:
    """The addresses that this process connects to meanwhile. An audit hook cannot be taken out, so there is one for all."""
    global _seen, _hooked
    if not _hooked:
        sys.addaudithook(_watch)
        _hooked = True
    _seen = []
    try:
        yield _seen
    finally:
        _seen = None


def resolver() -> Callable[[str], list[str]]:
    """Looks names up in the table; `rebinding-N.example` is on the internet N times and then this machine."""
    asked = count()

    def find(host: str) -> list[str]:
        if host.startswith("rebinding-"):
            return [INTERNET if next(asked) < int(host[10]) else INSIDE]
        if host.endswith(".example"):
            if host not in _NAMES:
                raise OSError(f"no address of {host}")
            return _NAMES[host]
        return look_up(host)

    return find


def run_attempts(folder: Path, allowed: tuple[str, ...] = (INTERNET,)) -> list[Outcome]:
    """Lets a video folder, told to allow these networks, fetch every address, and tells what came of it.

    The server inside answers on the same port as the one that plays the internet, so that a rebound name would reach it.
    """
    found = []
    with answering(_Server(INTERNET)) as internet, answering(_Server(INSIDE, internet.server_port)):
        port = internet.server_port
        for number, attempt in enumerate(attempts()):
            url = attempt.url.replace("{port}", str(port))
            if attempt.way.startswith("redirect"):
                internet.target, url = url, f"http://{INTERNET}:{port}/{number}.mp4"
                internet.direct_answers = 1 if "second" in attempt.way else 0
            else:
                internet.target, internet.direct_answers = None, 0
            hosts = VideoHosts(frozenset({"studio.example"}), VideoHosts.of(allowed).networks, resolver())
            outcome = Outcome(attempt)
            with connections() as seen:
                try:
                    VideoFolder(folder, 10**9, 10**6, hosts).fetch(url, {"Authorization": TOKEN})
                except ColdblitzError as error:
                    outcome.error = str(error)
                except Exception as error:
                    outcome.error, outcome.clear = repr(error), False
                outcome.connected = [address for address in seen if address != INTERNET]
            found.append(outcome)
    return found
