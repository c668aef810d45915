"""What may be reached: by address, by redirect, by name, and with which headers."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from loopback import closed_port

from benchmarks.service.answering import answering
from ml_backend.errors import VideoRefused
from ml_backend.video.safe_http import VideoHosts, get, is_public, shown

TOKEN = {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::", "::ffff:8.8.8.8"]
)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *(
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.1.2.3",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.0.1",
        ),
        *("198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.0.1"),
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *(
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ),
    ],
)
def test_addresses_of_this_network_or_of_nobody(address: str) -> None:
    assert not is_public(ip_address(address))


class Server(ThreadingHTTPServer):
    """Keeps what it was asked and answers 200, or sends on to where a path says."""

    def __init__(self, address: str = "127.0.0.1", answer: Callable[[str], str | None] = lambda _: None) -> None:
        super().__init__((address, 0), _Handler)
        self.answer, self.asked = answer, list[tuple[str, str | None]]()

    @property
    def host(self) -> str:
        return f"{self.server_address[0]!s}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        target = self.server.answer(self.path)
        self.send_response(200 if target is None else 302)
        if target is not None:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def here() -> Iterator[Server]:
    with answering(Server()) as server:
        yield server


@pytest.fixture
def there() -> Iterator[Server]:
    """A server that stands for one of the internet: its address is the only one allowed."""
    with answering(Server("127.0.0.2")) as server:
        yield server


class TestAddresses:
    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::1]", "[::ffff:7f00:1]"],
    )
    def test_this_machine_is_refused_however_it_is_written(self, here: Server, host: str) -> None:
        with pytest.raises(VideoRefused, match="VIDEO_HOSTS"):
            get(f"http://{host}:{here.server_port}/", {}, VideoHosts())
        assert here.asked == []

    @pytest.mark.parametrize("allowed", ["localhost", "LOCALHOST.", "127.0.0.1"])
    def test_unless_the_admin_allows_it_by_name_or_address(self, here: Server, allowed: str) -> None:
        hosts = VideoHosts.of([allowed, "::1"])
        with get(f"http://localhost:{here.server_port}/", {}, hosts) as answer:
            assert answer.status_code == 200

    def test_a_name_is_no_allowance_for_its_address(self, here: Server) -> None:
        with pytest.raises(VideoRefused):
            get(f"http://{here.host}/", {}, VideoHosts.of(["localhost"]))

    def test_one_address_that_is_refused_is_enough(self, there: Server) -> None:
        hosts = VideoHosts(networks=VideoHosts.of(["127.0.0.2"]).networks, look_up=lambda _: ["127.0.0.2", "10.0.0.1"])
        with pytest.raises(VideoRefused, match=r"10\.0\.0\.1"):
            get(f"http://files.example:{there.server_port}/", {}, hosts)
        assert there.asked == []

    def test_a_name_is_looked_up_once_a_connection(self, here: Server, there: Server) -> None:
        """A second answer that leads here (DNS rebinding) is never asked for between check and connection."""
        answers = iter([["127.0.0.2"], ["127.0.0.1"]])
        hosts = VideoHosts(networks=VideoHosts.of(["127.0.0.2"]).networks, look_up=lambda _: next(answers))
        with get(f"http://files.example:{there.server_port}/", {}, hosts):
            assert len(there.asked) == 1
        with pytest.raises(VideoRefused):
            get(f"http://files.example:{here.server_port}/", {}, hosts)
        assert here.asked == []

    def test_of_several_addresses_the_first_that_answers_serves(self, there: Server) -> None:
        hosts = VideoHosts(
            networks=VideoHosts.of(["127.0.0.0/8"]).networks, look_up=lambda _: ["127.0.0.3", "127.0.0.2"]
        )
        with get(f"http://files.example:{there.server_port}/", {}, hosts) as answer:
            assert answer.status_code == 200

    @pytest.mark.parametrize(
        "url",
        [
            *("", "s3://bucket/a.mp4", "file:///etc/passwd", "ftp://files.example/a.mp4", "http:///a.mp4", "http://"),
            *("http://studio.example\\@files.example/", "http://stu\ndio.example/", "http://[bad/", "//files.example/"),
            *("gopher://127.0.0.1:6379/_FLUSHALL", "concat:http://a.example/", "http://a.example:99999/"),
        ],
    )
    def test_what_is_no_plain_address_is_refused(self, url: str) -> None:
        with pytest.raises((VideoRefused, requests.exceptions.InvalidURL)):
            get(url, {}, VideoHosts.of(["127.0.0.1"]))

    @pytest.mark.parametrize("rest", ["a:" * 60_000, "a@" * 60_000, "ä" * 120_000, "h/?" + "sig" * 40_000])
    def test_an_endless_one_is_refused_at_once(self, rest: str) -> None:
        """Whoever can create tasks could stop all workers otherwise."""
        begun = time.process_time()
        with pytest.raises(VideoRefused, match="characters") as refused:
            get(f"http://{rest}", {}, VideoHosts())
        assert time.process_time() - begun < 5
        assert len(str(refused.value)) < 1000

    def test_a_name_without_addresses_and_a_closed_port_are_unreachable(self) -> None:
        def nowhere(_: str) -> list[str]:
            raise OSError("no such name")

        with pytest.raises(requests.ConnectionError):
            get("http://files.example/", {}, VideoHosts(look_up=nowhere))
        with pytest.raises(requests.ConnectionError):
            get(f"http://127.0.0.1:{closed_port()}/", {}, VideoHosts.of(["127.0.0.1"]))


class TestRedirects:
    @pytest.mark.parametrize(
        "target", ["http://{here}/", "//{here}/", "http://2130706433:{port}/", "file:///etc/passwd"]
    )
    def test_each_hop_is_checked(self, here: Server, there: Server, target: str) -> None:
        there.answer = lambda _: target.format(here=here.host, port=here.server_port)
        with pytest.raises(VideoRefused):
            get(f"http://{there.host}/a.mp4", TOKEN, VideoHosts.of(["127.0.0.2"]))
        assert here.asked == []

    def test_headers_stay_with_the_scheme_host_and_port(self, here: Server, there: Server) -> None:
        """A hop back to the first host does not get them again, either."""
        steps = {"/a": "/b", "/b": f"http://{there.host}/c"}
        here.answer, there.answer = steps.get, lambda _: f"http://{here.host}/d"
        with get(f"http://{here.host}/a", TOKEN, VideoHosts.of(["127.0.0.0/8"])):
            pass
        assert here.asked == [("/a", "Bearer secret"), ("/b", "Bearer secret"), ("/d", None)]
        assert there.asked == [("/c", None)]

    def test_another_port_is_another_server(self, here: Server) -> None:
        with answering(Server()) as other:
            here.answer = lambda _: f"http://{other.host}/"
            with get(f"http://{here.host}/", TOKEN, VideoHosts.of(["127.0.0.1"])):
                assert other.asked == [("/", None)]

    def test_a_ring_ends(self, here: Server) -> None:
        here.answer = lambda path: path
        with pytest.raises(VideoRefused, match="without end"):
            get(f"http://{here.host}/a", {}, VideoHosts.of(["127.0.0.1"]))
        assert len(here.asked) < 10


class TestTheEnvironment:
    def test_its_proxy_serves_trusted_hosts_alone(
        self, here: Server, there: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy looks names up itself, so that nothing could be checked."""
        monkeypatch.setenv("http_proxy", f"http://{here.host}")
        hosts = VideoHosts.of(["studio.example", "127.0.0.2"])
        with get(f"http://{there.host}/", {}, hosts), get("http://studio.example/", {}, hosts):
            assert here.asked == [("http://studio.example/", None)]
            assert there.asked == [("/", None)]

    def test_its_logins_for_other_servers_are_not_sent(
        self, here: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login admin password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        with get(f"http://{here.host}/", {}, VideoHosts.of(["127.0.0.1"])):
            assert here.asked == [("/", None)]

    def test_its_certificates_are_used_and_the_name_is_checked(
        self, here: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", key, "-out", certificate, "-subj", "/CN=x", "-addext", "subjectAltName=DNS:files.example"),
            ],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        here.socket = context.wrap_socket(here.socket, server_side=True)
        hosts = VideoHosts(networks=VideoHosts.of(["127.0.0.1"]).networks, look_up=lambda _: ["127.0.0.1"])
        with pytest.raises(requests.exceptions.SSLError):
            get(f"https://files.example:{here.server_port}/", {}, hosts)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with get(f"https://files.example:{here.server_port}/", {}, hosts) as answer:
            assert answer.status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            get(f"https://other.example:{here.server_port}/", {}, hosts)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://studio/data/local-files/?d=vids/a.mp4", "http://studio/data/local-files/?d=vids/a.mp4"),
        ("https://user:secret@files.example/a.mp4", "https://files.example/a.mp4"),
        ("https://s3.example/a?X-Amz-Signature=secret&x=1", "https://s3.example/a?X-Amz-Signature=…&x=1"),
        ("https://az.example/a?sv=1&sig=secret#t", "https://az.example/a?sv=1&sig=…#t"),
        ("https://az.example/a?x;&&MyToken=secret;y=1", "https://az.example/a?x;&&MyToken=…;y=1"),
        ("not an address", "not an address"),
    ],
)
def test_an_address_is_shown_without_what_gives_access(url: str, seen: str) -> None:
    assert shown(url) == seen
