"""What another site can make a browser do here: nothing. And what a browser is told with every answer."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from redis import Redis

from ml_backend.server.app import create_app
from ml_backend.server.browsers import is_ours
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


@pytest.mark.parametrize(
    ("host", "login", "ours"),
    [
        ("evil.example:9090", False, False),  # its name leads to our address
        ("evil.example:9090", True, True),  # but the browser has no login for that name
        ("127.0.0.1:9090", False, True),
        ("[::1]:9090", False, True),
        ("coldblitz:9090", False, True),
        ("coldblitz.localhost", False, True),
    ],
)
def test_a_site_that_gives_its_name_our_address_is_told_apart(host: str, login: bool, ours: bool) -> None:
    for headers in ({"Origin": f"http://{host}"}, {"Sec-Fetch-Site": "same-origin", "Origin": f"http://{host}"}):
        assert is_ours(headers, host, login) is ours


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
    from dataclasses import replace

    locked = create_app(replace(redis_settings, basic_auth_user="studio", basic_auth_pass="x")).test_client()
    answer = locked.get("/jobs")
    assert answer.status_code == 401
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
