"""One setting for certificates and one for proxies, followed by every connection: the API, tokens, videos, commands.

The servers, the certificates and the proxies are real.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import httpx
import pytest
import requests
from flask import Flask, Response, jsonify
from forwarding import Authority, proxy
from loopback import closed_port, serving

from ml_backend import requests_transport, transport
from ml_backend.commands.backend import There
from ml_backend.errors import ColdblitzError, LabelStudioUnreachable, SettingsError, VideoUnreachable
from ml_backend.features.hub import fetch_model_folder
from ml_backend.features.weights import download
from ml_backend.labelstudio.access import check_label_studio, check_token
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.settings import Settings
from ml_backend.video.cache import VideoFolder
from ml_backend.video.safe_http import VideoHosts

BUNDLES = ["CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]
LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl90eXBlIjogInJlZnJlc2giLCAiZXhwIjogOTk5OTk5OTk5OX0.c2ln"

app = Flask("everything")


@app.get("/api/version")
def version() -> Response:
    return jsonify(release="1.23.2")


@app.post("/api/token/refresh/")
def refresh() -> Response:
    return jsonify(access="eyJhbGciOiJIUzI1NiJ9.eyJleHAiOiA5OTk5OTk5OTk5fQ.c2ln")


@app.get("/api/current-user/whoami")
def whoami() -> Response:
    return jsonify(id=1)


@app.get("/api/projects/")
def projects() -> Response:
    return jsonify(results=[], count=0)


@app.get("/jobs")
def jobs() -> Response:
    return jsonify(counts={})


@app.post("/api/projects/7/import")
def take() -> Response:
    return jsonify(file_upload_ids=[5])


@app.get("/api/import/file-upload/5")
def taken() -> Response:
    return jsonify(file="upload/7/a.mp4")


@app.get("/a.mp4")
def video() -> Response:
    return Response(b"film", mimetype="video/mp4")


@app.get("/api/models/somebody/network/revision/main")
def repository() -> Response:
    return jsonify(id="somebody/network", sha="5" * 40, siblings=[{"rfilename": "model.safetensors"}])


@app.get(f"/api/models/somebody/network/tree/{'5' * 40}")
def files() -> Response:
    return jsonify([{"type": "file", "path": "model.safetensors", "size": 7, "oid": "abc"}])


@app.get(f"/somebody/network/resolve/{'5' * 40}/model.safetensors")
def weights() -> Response:
    return Response(b"weights", headers={"ETag": '"abc"', "X-Repo-Commit": "5" * 40})


# What each reaches of a server, by its address.
WAYS: dict[str, Callable[[str, Path], object]] = {
    "API": lambda url, _: list(LabelStudio(url, LEGACY).projects.all()),
    "personal token": lambda url, _: list(LabelStudio(url, PERSONAL).projects.all()),
    "upload": lambda url, folder: LabelStudio(url, LEGACY).uploads.add(7, _film(folder), "a.mp4", lambda _: None),
    "video of Label Studio": lambda url, folder: _videos(folder, url).fetch(f"{url}/a.mp4", {}),
    "command": lambda url, _: There(url).call("GET", "/jobs"),
    "doctor": lambda url, _: _ok(check_label_studio(url, 5)) and _ok(check_token(url, PERSONAL, 5)),
    "demo": lambda url, _: requests_transport.session(url).get(f"{url}/jobs", timeout=5).json(),
    "Hugging Face": lambda url, folder: fetch_model_folder(
        "somebody/network", folder, [], "Not fetched ({}).", "", url
    ),
    "client": lambda url, _: transport.client(url).get(f"{url}/jobs").json(),
}


def _ok(check: object) -> bool:
    if getattr(check, "state", None) != "ok":
        raise SettingsError(getattr(check, "message", ""), getattr(check, "remedy", ""))
    return True


def _film(folder: Path) -> Path:
    (folder / "a.mp4").write_bytes(b"film")
    return folder / "a.mp4"


def _videos(folder: Path, url: str) -> VideoFolder:
    return VideoFolder(folder / "videos", 10**9, 10**9, VideoHosts.of([httpx.URL(url).host]))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*BUNDLES, "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def url(authority: Authority) -> Iterator[str]:
    with serving(app, "localhost", authority.server("localhost")) as address:
        yield address


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(app) as address:
        yield int(address.rpartition(":")[2])


class TestCertificates:
    @pytest.mark.parametrize("way", WAYS)
    def test_an_unknown_one_is_told_with_the_setting(self, way: str, url: str, tmp_path: Path) -> None:
        with pytest.raises((ColdblitzError, httpx.ConnectError, requests.exceptions.SSLError)) as refused:
            WAYS[way](url, tmp_path)
        told = str(refused.value)
        if isinstance(refused.value, ColdblitzError):
            assert "its certificate is not trusted" in told
            assert "CA_BUNDLE" in told
        assert "certificate" in told

    @pytest.mark.parametrize("name", BUNDLES)
    @pytest.mark.parametrize("way", WAYS)
    def test_one_setting_is_enough_for_all(
        self, way: str, name: str, url: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, str(authority.certificate))
        assert WAYS[way](url, tmp_path) is not None

    @pytest.mark.parametrize("way", WAYS)
    def test_the_certificate_of_the_server_alone_is_enough_whoever_signed_it(
        self, way: str, url: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CA_BUNDLE", str(authority.folder / "localhost.pem"))
        assert WAYS[way](url, tmp_path) is not None

    def test_the_public_authorities_stay_trusted(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        public = len(transport.certificates().get_ca_certs())
        monkeypatch.setenv("CA_BUNDLE", str(authority.certificate))
        assert len(transport.certificates().get_ca_certs()) == public + 1 > 100

    def test_several_settings_add_up(
        self, url: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A system that has SSL_CERT_FILE set for all its programs is no hindrance, nor is a folder."""
        monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
        assert check_label_studio(url, 5).state == "fault"
        monkeypatch.setenv("CA_BUNDLE", str(authority.certificate))
        assert check_label_studio(url, 5).state == "ok"

    def test_another_name_is_told(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CA_BUNDLE", str(authority.certificate))
        with (
            serving(app, "localhost", authority.server("other.example")) as url,
            pytest.raises(LabelStudioUnreachable, match="certificate is not valid for 'localhost'") as refused,
        ):
            list(LabelStudio(url, LEGACY).projects.all())
        assert "the name that the certificate was issued for" in refused.value.remedy

    def test_so_is_a_server_that_speaks_no_https(self, tmp_path: Path) -> None:
        with serving(app, "localhost") as url:
            told = check_label_studio(url.replace("http", "https"), 5)
            assert "does not speak https" in told.message
            assert "http://" in told.remedy
            with pytest.raises(VideoUnreachable, match="does not speak https"):
                _videos(tmp_path, url).fetch(f"{url.replace('http', 'https')}/a.mp4", {})

    @pytest.mark.parametrize("name", BUNDLES)
    @pytest.mark.parametrize("content", [None, "", "no certificate"])
    def test_a_file_without_certificates_is_named_at_the_start(
        self, name: str, content: str | None, tmp_path: Path
    ) -> None:
        if content is not None:
            (tmp_path / "ca.pem").write_text(content)
        environment = {"LABEL_STUDIO_URL": "http://studio", "LABEL_STUDIO_API_KEY": "key"}
        with pytest.raises(SettingsError, match=rf"^{name} is .*ca\.pem.*BEGIN CERTIFICATE"):
            Settings.from_environment({**environment, name: str(tmp_path / "ca.pem")})


class TestProxies:
    """`studio.example` has no address here: only the proxy finds it."""

    @pytest.mark.parametrize("way", WAYS)
    def test_it_is_used_for_every_connection(
        self, way: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with proxy("ann:pass") as through:
            monkeypatch.setenv("HTTP_PROXY", through.url)
            monkeypatch.setenv("http_proxy", through.url)
            assert WAYS[way](f"http://studio.example:{port}", tmp_path) is not None
            assert set(through.asked) == {f"studio.example:{port}"}

    @pytest.mark.parametrize("way", WAYS)
    def test_so_it_is_by_https(
        self, way: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CA_BUNDLE", str(authority.certificate))
        with proxy() as through, serving(app, "studio.example", authority.server("studio.example")) as url:
            monkeypatch.setenv("https_proxy", through.url)
            assert WAYS[way](url, tmp_path) is not None
            assert set(through.asked) == {url.removeprefix("https://")}

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    @pytest.mark.parametrize("way", WAYS)
    def test_this_machine_is_reached_without(
        self, way: str, host: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
        assert WAYS[way](f"http://{host}:{port}", tmp_path) is not None

    @pytest.mark.parametrize("exception", ["studio.example", ".example", "other.example, studio.example", "*"])
    def test_so_are_those_of_no_proxy(self, exception: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
        assert transport.proxy_of("http://studio.example/") == "http://proxy.example:3128"
        monkeypatch.setenv("no_proxy", exception)
        assert transport.proxy_of("http://studio.example/") is None

    def test_networks_may_be_excepted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "proxy.example:3128")
        monkeypatch.setenv("no_proxy", "10.1.0.0/16")
        assert transport.proxy_of("http://10.1.2.3/") is None
        assert transport.proxy_of("http://10.2.2.3/") == "http://proxy.example:3128"

    @pytest.mark.parametrize("way", sorted(WAYS.keys() - {"demo", "client"}))
    def test_one_that_does_not_answer_is_named(self, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = f"127.0.0.1:{closed_port()}"
        monkeypatch.setenv("http_proxy", f"http://ann:secret@{gone}")
        with pytest.raises(ColdblitzError, match=f"through the proxy http://{gone}") as refused:
            WAYS[way]("http://studio.example", tmp_path)
        assert "NO_PROXY" in refused.value.remedy
        assert "secret" not in str(refused.value)

    def test_of_another_kind_it_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALL_PROXY", "socks5://ann:secret@proxy.example:1080")
        told = check_label_studio("http://studio.example", 5)
        assert "socks5://proxy.example:1080" in told.message
        assert "secret" not in told.message
        with pytest.raises(SettingsError, match="only http"):
            list(LabelStudio("http://studio.example", LEGACY).projects.all())

    def test_a_video_from_elsewhere_is_never_fetched_by_it_and_the_way_to_allow_it_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy looks names up itself, so that nothing could be checked."""
        with proxy() as through:
            monkeypatch.setenv("http_proxy", through.url)
            folder = VideoFolder(tmp_path, 10**9, 10**9, VideoHosts.of(["studio.example"]))
            with pytest.raises(VideoUnreachable, match=r"VIDEO_HOSTS names; add bucket\.invalid"):
                folder.fetch("http://bucket.invalid/a.mp4", {})
            assert not through.asked


def test_weights_are_fetched_like_everything_else(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CA_BUNDLE", str(authority.certificate))
    digest = "4a5c3d"
    with (
        serving(app, "localhost", authority.server("localhost")) as url,
        pytest.raises(ValueError, match="something else"),
    ):
        download(f"{url}/a.mp4", tmp_path / f"net-{digest}.pth")


# `reach` connects by itself, to addresses that it has checked.
CONNECTING = {"ml_backend/transport.py", "ml_backend/requests_transport.py", "ml_backend/video/safe_http.py"}


def test_nothing_connects_past_it() -> None:
    root = Path(__file__).resolve().parents[1]
    past = re.compile(
        r"(?:httpx\d?|requests)\.(?:get|post|put|patch|delete|head|request|stream|Client|Session)|url(?:open|retrieve)"
    )
    for path in sorted((root / "ml_backend").rglob("*.py")):
        if str(path.relative_to(root)) not in CONNECTING:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    assert not past.fullmatch(ast.unparse(node.func)), f"{path}:{node.lineno}"
