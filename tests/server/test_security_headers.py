"""What another site can make a browser do here: nothing. And what a browser is told with every answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from redis import Redis
from studio import CONFIG

from ml_backend.projects import links
from ml_backend.server.app import create_app
from ml_backend.settings import Settings


@pytest.fixture
def client(redis: Redis, redis_settings: Settings) -> FlaskClient:
    return create_app(redis_settings).test_client()


OURS = [
    {},  # Label Studio, curl
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:9090"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost:9090"},
    {"Origin": "https://localhost:9090"},  # a proxy in front speaks TLS
]
OTHERS = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8080"},  # a page of Label Studio's on this machine
    {"Origin": "http://localhost:8080"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://[bad"},
    {"Origin": ""},
]


@pytest.mark.parametrize("headers", OURS)
def test_our_own_pages_and_programs_may_change_something(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/jobs/retry", headers=headers, base_url="http://localhost:9090")
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/jobs/retry", "/webhook", "/setup", "/nowhere"])
@pytest.mark.parametrize("headers", OTHERS)
def test_pages_of_other_sites_may_not(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    answer = client.post(path, headers=headers, base_url="http://localhost:9090")
    assert answer.status_code == 403
    assert set(answer.get_json()) == {"error", "remedy"}


def test_reading_changes_nothing_and_is_allowed(client: FlaskClient) -> None:
    assert client.get("/jobs", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


OWN_NAMES = [
    "127.0.0.1",
    "[::1]",
    "10.1.2.3",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "coldblitz",
    "coldblitz.localhost",
]
LAN_NAMES = ["host.docker.internal", "lab-pc.local", "ml-backend"]
SHOWS = [
    "/",
    "/jobs",
    "/exports",
    "/metrics",
    "/ready",
    "/models?project=7",
    "/quality?project=7",
    "/dashboard/jobs",
    "/nowhere",
]


class TestNamesThatLeadHere:
    """A site can give its own name our address (DNS rebinding): its pages then read and send as if they were ours."""

    @pytest.mark.parametrize("path", SHOWS)
    def test_without_a_login_nothing_is_shown_under_a_strangers_name(self, client: FlaskClient, path: str) -> None:
        answer = client.get(path, base_url="http://evil.example:9090")
        assert answer.status_code == 403
        assert "'evil.example'" in answer.get_json()["error"]
        assert "PUBLIC_HOSTS" in answer.get_json()["remedy"]

    @pytest.mark.parametrize("path", ["/jobs/retry", "/jobs", "/exports/labels.json"])
    def test_nor_changed(self, client: FlaskClient, path: str) -> None:
        assert client.post(path, base_url="http://evil.example:9090").status_code == 403

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example."]
    )
    def test_whatever_it_looks_like(self, client: FlaskClient, host: str) -> None:
        assert client.get("/jobs", base_url=f"http://{host}").status_code == 403

    @pytest.mark.parametrize("host", [*OWN_NAMES, *LAN_NAMES])
    def test_our_own_names_are_known(self, client: FlaskClient, host: str) -> None:
        assert client.get("/jobs", base_url=f"http://{host}:9090").status_code == 200
        origin = {"Origin": f"http://{host}:9090"}
        assert client.post("/jobs/retry", base_url=f"http://{host}:9090", headers=origin).status_code == 200

    def test_so_are_those_that_the_admin_names(self, redis: Redis, redis_settings: Settings) -> None:
        named = replace(redis_settings, public_hosts=("coldblitz.lab.example",), host="ml.lab.example")
        client = create_app(named).test_client()
        for host in ("coldblitz.lab.example", "ml.lab.example"):
            assert client.get("/jobs", base_url=f"http://{host}:9090").status_code == 200
        assert client.get("/jobs", base_url="http://other.lab.example:9090").status_code == 403

    def test_so_is_the_one_that_label_studio_has(self, client: FlaskClient, redis: Redis) -> None:
        """A person opens what they have pasted there."""
        url = "http://blitz.lab.example:9090"
        links.note(redis, "7.1769860800", links.Link(url="http://blitz.lab.example:9090", entry=1))
        assert client.get("/jobs", base_url=url).status_code == 200
        links.note(redis, "7.1769860800", links.Link(url=url, entry=1, connected=False))
        assert client.get("/jobs", base_url=url).status_code == 403

    def test_with_a_login_any_will_do(self, redis: Redis, redis_settings: Settings) -> None:
        """No browser has our login for another site's name."""
        locked = create_app(replace(redis_settings, basic_auth_user="studio", basic_auth_pass="x")).test_client()
        assert locked.get("/jobs", base_url="http://evil.example", auth=("studio", "x")).status_code == 200

    def test_label_studio_is_served_under_any_name(self, client: FlaskClient) -> None:
        base = "http://ml.lab.example:9090"
        assert client.get("/health", base_url=base).status_code == 200
        setup = {"project": "7.1769860800", "schema": CONFIG, "hostname": "http://studio", "access_token": ""}
        assert client.post("/setup", base_url=base, json=setup).status_code == 200
        body = {"tasks": [], "project": "7.1769860800", "label_config": CONFIG, "params": {}}
        assert client.post("/predict", base_url=base, json=body).status_code == 200
        event = {"action": "PROJECT_UPDATED", "project": {"id": 7, "created_at": "2026-01-31T12:00:00Z"}}
        assert client.post("/webhook", base_url=base, json=event).status_code == 201
        assert client.get("/versions", base_url=base).status_code == 200

    @pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook", "/versions"])
    def test_but_not_a_page_under_it(self, client: FlaskClient, path: str) -> None:
        headers = {"Origin": "http://evil.example:9090"}
        assert client.post(path, base_url="http://evil.example:9090", headers=headers, json={}).status_code == 403


@pytest.mark.parametrize("path", ["/health", "/jobs", "/nowhere", "/setup"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_a_refusal_of_the_login_carries_them_too(redis: Redis, redis_settings: Settings) -> None:
    locked = create_app(replace(redis_settings, basic_auth_user="studio", basic_auth_pass="x")).test_client()
    answer = locked.get("/jobs")
    assert answer.status_code == 401
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
