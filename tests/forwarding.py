"""A real forward proxy and servers with certificates of their own authority, on this machine."""

from __future__ import annotations

import base64
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Authority:
    """`certificate`: the file in PEM that clients are to trust."""

    folder: Path
    certificate: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "certificate", self.folder / "authority.pem")
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", "/CN=An authority of our own", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-keyout", self.folder / "authority.key", "-out", self.certificate),
        )

    def server(self, name: str) -> ssl.SSLContext:
        """What a server needs to be `name`."""
        key, request, made = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        names = self.folder / f"{name}.names"
        names.write_text(f"subjectAltName=DNS:{name}\nauthorityKeyIdentifier=keyid\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / "authority.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", names, "-out", made),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made, key)
        return context


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Proxy(ThreadingHTTPServer):
    """Connects to this machine whatever host it is asked for, and keeps what that was. `login`: `user:password`."""

    def __init__(self, login: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.login = login

    @property
    def url(self) -> str:
        return f"http://{f'{self.login}@' if self.login else ''}127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        if not self._admitted(self.path):
            return
        with closing(socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2])))) as there:
            self.send_response(200)
            self.end_headers()
            self._pass_on(there)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if not self._admitted(address.netloc):
            return
        with closing(socket.create_connection(("127.0.0.1", address.port or 80))) as there:
            headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items() if "roxy" not in name)
            path = f"{address.path or '/'}{f'?{address.query}' if address.query else ''}"
            there.sendall(f"{self.command} {path} HTTP/1.0\r\n{headers}\r\n".encode())
            there.sendall(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            while part := there.recv(1 << 16):
                self.connection.sendall(part)
        self.close_connection = True

    do_POST = do_HEAD = do_GET

    def _admitted(self, host: str) -> bool:
        self.server.asked.append(host)
        login = self.server.login
        given = self.headers.get("Proxy-Authorization")
        if login is None or given == "Basic " + base64.b64encode(login.encode()).decode():
            return True
        self.send_error(407)
        return False

    def _pass_on(self, there: socket.socket) -> None:
        while True:
            for source in select.select([self.connection, there], [], [], 5)[0]:
                part = source.recv(1 << 16)
                if not part:
                    self.close_connection = True
                    return
                (there if source is self.connection else self.connection).sendall(part)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxy(login: str | None = None) -> Iterator[Proxy]:
    with Proxy(login) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
