"""Whether Label Studio answers and takes the token, asked over real HTTP and without its SDK."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, Response, jsonify, request
from loopback import closed_port, serving, silent_port

from ml_backend.errors import LabelStudioRefused
from ml_backend.labelstudio.access import check_label_studio, check_token
from ml_backend.labelstudio.studio import LabelStudio

PERSONAL = "eyJh.eyJ0.c2ln"
SECONDS = 0.5
PERSONAL_FOR_THE_SDK = "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl90eXBlIjogInJlZnJlc2giLCAiZXhwIjogOTk5OTk5OTk5OX0.c2ln"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = Flask("label-studio")

    @app.get("/api/version")
    def version() -> Response:
        return jsonify(release="1.23.2")

    @app.post("/api/token/refresh/")
    def refresh() -> tuple[Response, int]:
        if request.get_json() == {"refresh": PERSONAL}:
            return jsonify(access="for-minutes"), 200
        return jsonify(detail="Token is invalid"), 401

    @app.get("/api/current-user/whoami")
    def whoami() -> tuple[Response, int]:
        given = request.headers.get("Authorization")
        if given in ("Bearer for-minutes", "Token 0123abcd"):
            return jsonify(id=1), 200
        if given == "Token switched-off":
            detail = "Authentication token no longer valid: legacy token authentication has been disabled"
            return jsonify(detail=detail), 401
        return jsonify(detail="Invalid token."), 401

    @app.get("/moved/api/version")
    def moved() -> Response:
        return Response(status=302, headers={"Location": "https://elsewhere.example/api/version"})

    @app.get("/shop/api/version")
    def shop() -> str:
        return "<html>Welcome</html>"

    with serving(app) as address:
        yield address


@pytest.fixture
def behind_a_login() -> Iterator[str]:
    app = Flask("proxy")

    @app.before_request
    def refuse() -> Response:
        return Response("who are you?", status=401, headers={"WWW-Authenticate": 'Basic realm="lab"'})

    with serving(app) as address:
        yield address


def test_a_login_in_front_of_it_is_told_since_no_token_gets_through(behind_a_login: str) -> None:
    for check in (check_label_studio(behind_a_login, SECONDS), check_token(behind_a_login, PERSONAL, SECONDS)):
        assert "requires a login" in check.message
        assert "/api" in check.remedy
    for key in ("0123abcd", PERSONAL_FOR_THE_SDK):
        with pytest.raises(LabelStudioRefused, match="requires a login"):
            list(LabelStudio(behind_a_login, key).projects.all())


def test_a_label_studio_says_which_it_is(url: str) -> None:
    check = check_label_studio(url, SECONDS)
    assert (check.state, "1.23.2" in check.message) == ("ok", True)


@pytest.mark.parametrize(("path", "told"), [("/moved", "elsewhere.example"), ("/shop", "not as Label Studio does")])
def test_something_else_is_told_from_it(url: str, path: str, told: str) -> None:
    check = check_label_studio(url + path, SECONDS)
    assert (check.state, told in check.message) == ("fault", True)
    assert "LABEL_STUDIO_URL" in check.remedy


def test_one_that_hangs_or_is_down_is_a_fault() -> None:
    with silent_port() as port:
        for address in (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{closed_port()}"):
            assert check_label_studio(address, SECONDS).state == "fault"
            assert "does not answer" in check_token(address, PERSONAL, SECONDS).message


@pytest.mark.parametrize(
    ("token", "state", "told"),
    [
        (PERSONAL, "ok", "accepts the personal access token"),
        ("0123abcd", "ok", "accepts the legacy token"),
        ("eyJh.eyJ0.another", "fault", "refuses the personal access token (401: Token is invalid)"),
        ("wrong", "fault", "refuses the legacy token (401: Invalid token)"),
        ("switched-off", "fault", "legacy token authentication has been disabled"),
    ],
)
def test_the_token_is_taken_or_refused_with_label_studios_reason(url: str, token: str, state: str, told: str) -> None:
    check = check_token(url, token, SECONDS)
    assert (check.state, told in check.message) == (state, True)
    assert token not in check.message + check.remedy


def test_where_legacy_tokens_are_off_it_says_what_to_use(url: str) -> None:
    assert "personal access token" in check_token(url, "switched-off", SECONDS).remedy
