"""Who is let in, and for how long somebody who guesses has to wait."""

from __future__ import annotations

import base64
import unicodedata
from dataclasses import replace

import httpx
import pytest
import requests
from flask.testing import FlaskClient
from loopback import serving
from redis import Redis
from werkzeug.test import TestResponse

from ml_backend.server.app import create_app
from ml_backend.server.security import FailedLogins
from ml_backend.settings import Settings

RIGHT, WRONG = ("studio", "pässword"), ("studio", "password")


@pytest.fixture
def locked(redis: Redis, redis_settings: Settings) -> FlaskClient:
    return create_app(replace(redis_settings, basic_auth_user=RIGHT[0], basic_auth_pass=RIGHT[1])).test_client()


def ask(client: FlaskClient, auth: tuple[str, str] | None, address: str) -> TestResponse:
    return client.get("/jobs", auth=auth, environ_overrides={"REMOTE_ADDR": address})


class TestGuessing:
    def test_after_ten_wrong_logins_even_the_right_one_has_to_wait(self, locked: FlaskClient) -> None:
        assert [ask(locked, WRONG, "192.0.2.1").status_code for _ in range(12)] == [401] * 10 + [429] * 2
        answer = ask(locked, RIGHT, "192.0.2.1")
        assert answer.status_code == 429
        assert set(answer.get_json()) == {"error", "remedy"}
        assert 0 < int(answer.headers["Retry-After"]) <= 60

    def test_others_do_not_wait(self, locked: FlaskClient) -> None:
        for _ in range(12):
            ask(locked, WRONG, "192.0.2.1")
        assert ask(locked, RIGHT, "192.0.2.2").status_code == 200
        assert locked.get("/health", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200

    def test_who_has_logged_in_before_is_not_locked_out_by_a_guesser_at_the_same_address(
        self, locked: FlaskClient
    ) -> None:
        """Label Studio, behind the same proxy."""
        assert ask(locked, RIGHT, "192.0.2.1").status_code == 200
        for _ in range(12):
            ask(locked, WRONG, "192.0.2.1")
        assert ask(locked, WRONG, "192.0.2.1").status_code == 429
        assert ask(locked, RIGHT, "192.0.2.1").status_code == 200

    def test_no_login_at_all_is_no_guess(self, locked: FlaskClient) -> None:
        """So come events of Label Studio until Coldblitz has given their webhook the login."""
        assert {ask(locked, None, "192.0.2.1").status_code for _ in range(30)} == {401}
        assert ask(locked, RIGHT, "192.0.2.1").status_code == 200

    @pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Bearer c3R1ZGlv", "nonsense"])
    def test_a_login_of_another_form_is_a_guess(self, locked: FlaskClient, header: str) -> None:
        headers, client = {"Authorization": header}, {"REMOTE_ADDR": "192.0.2.1"}
        tries = [locked.get("/jobs", headers=headers, environ_overrides=client).status_code for _ in range(11)]
        assert tries == [401] * 10 + [429]


class TestEncodings:
    """Browsers and curl send the login in UTF-8, Label Studio in Latin-1; some keyboards write é as two characters."""

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    @pytest.mark.parametrize("password", ["pässword", "señor:ÿ", "plain", "cafe\u0301"])
    def test_each_is_understood(self, redis: Redis, redis_settings: Settings, password: str, encoding: str) -> None:
        client = create_app(replace(redis_settings, basic_auth_user="jürgen", basic_auth_pass=password)).test_client()
        sent = unicodedata.normalize("NFC", f"jürgen:{password}").encode(encoding)
        assert self.status(client, sent) == 200
        assert self.status(client, sent + b"x") == 401
        assert self.status(client, sent[:-1]) == 401

    @pytest.mark.parametrize("sent", [b"", b":", b"studio", b"\xff\xfe", "studio:pässword".encode("utf-16")])
    def test_nothing_else_is(self, locked: FlaskClient, sent: bytes) -> None:
        assert self.status(locked, sent) == 401

    @staticmethod
    def status(client: FlaskClient, sent: bytes) -> int:
        header = f"Basic {base64.b64encode(sent).decode()}"
        return client.get("/jobs", headers={"Authorization": header}).status_code

    def test_as_requests_sends_it_for_label_studio(self, redis: Redis, redis_settings: Settings) -> None:
        app = create_app(replace(redis_settings, basic_auth_user=RIGHT[0], basic_auth_pass=RIGHT[1]))
        with serving(app) as url:
            assert requests.get(f"{url}/jobs", auth=RIGHT, timeout=10).status_code == 200
            assert httpx.get(f"{url}/jobs", auth=RIGHT).status_code == 200


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class TestFailedLogins:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def failed(self, clock: Clock) -> FailedLogins:
        return FailedLogins(clock)

    def test_a_minute_after_the_first_failure_it_is_over(self, failed: FailedLogins, clock: Clock) -> None:
        for _ in range(10):
            assert failed.admit("192.0.2.1", right=False) == 0
        clock.seconds += 20
        assert failed.admit("192.0.2.1", right=True) == 40
        assert failed.admit("192.0.2.1", right=False) == 40
        clock.seconds += 40
        assert failed.admit("192.0.2.1", right=True) == 0

    def test_a_right_login_makes_earlier_failures_forgotten(self, failed: FailedLogins) -> None:
        for _ in range(5):
            for _ in range(9):
                assert failed.admit("192.0.2.1", right=False) == 0
            assert failed.admit("192.0.2.1", right=True) == 0

    def test_an_address_is_known_for_a_day(self, failed: FailedLogins, clock: Clock) -> None:
        failed.admit("192.0.2.1", right=True)
        clock.seconds += 25 * 3600
        for _ in range(10):
            failed.admit("192.0.2.1", right=False)
        assert failed.admit("192.0.2.1", right=True) == 60

    def test_all_of_an_ipv6_network_is_one_address(self, failed: FailedLogins) -> None:
        for number in range(10):
            failed.admit(f"2001:db8:0:1::{number:x}", right=False)
        assert failed.admit("2001:db8:0:1:ffff::1", right=True) > 0
        assert failed.admit("2001:db8:0:2::1", right=True) == 0
        assert failed.admit("::ffff:192.0.2.1", right=True) == 0

    def test_however_many_guess_it_remembers_a_bounded_number(self, failed: FailedLogins) -> None:
        for number in range(5000):
            failed.admit(f"10.0.{number // 250}.{number % 250}", right=number % 2 == 0)
        assert len(failed._failures) <= 2048
        assert len(failed._known) <= 2048
