"""The log: lines to read, JSON to search, the job that each line is of, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from loopback import closed_port

from ml_backend import logs
from ml_backend.errors import SettingsError
from ml_backend.serve import gunicorn
from ml_backend.settings import Settings

SetUp = Callable[[str], io.StringIO]


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetUp]:
    """Sets the log up in a format; returns what it is written to."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "_hidden", set())

    def use(log_format: str) -> io.StringIO:
        stream = io.StringIO()
        # pytest has handlers of its own there; ours alone is looked at.
        logs.set_up({"LOG_FORMAT": log_format}, stream)
        return stream

    yield use
    root.handlers[:] = before
    root.setLevel(level)


def test_lines_are_for_reading_by_default(set_up: SetUp) -> None:
    written = set_up("")
    logging.getLogger("ml_backend.jobs.job").info("trained %s", "cold-v3")
    assert written.getvalue().strip().endswith("INFO ml_backend.jobs.job: trained cold-v3")


def test_nobody_can_write_a_line_of_their_own(set_up: SetUp) -> None:
    written = set_up("text")
    logging.getLogger("x").warning("GET %s", "/exports/a\n2026-01-01 ERROR ml_backend: forged\r\x1b[2J\x00")
    assert len(written.getvalue().splitlines()) == 1
    assert written.getvalue().strip().endswith(r"a\n2026-01-01 ERROR ml_backend: forged\r\x1b[2J\x00")


def test_a_line_tells_what_it_is_about(set_up: SetUp) -> None:
    written = set_up("text")
    with logs.about(kind="embed", project="7.1", task=5, version=None, job="embed_7-1_5_a"):
        logging.getLogger("x").info("embedded")
    logging.getLogger("x").info("after it")
    first, second = written.getvalue().splitlines()
    assert first.endswith("embedded [kind embed, project 7.1, task 5, job embed_7-1_5_a]")
    assert second.endswith("after it")


def test_json_is_one_object_a_line_whatever_is_said(set_up: SetUp) -> None:
    written = set_up("json")
    with logs.about(kind="rollout", project="7.1", version="cold-v3", job="x"), logs.about(task=5):
        logging.getLogger("ml_backend.x").warning('two\nlines, a "quote" and a ö')
    (line,) = written.getvalue().splitlines()
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("time")).utcoffset() is not None
    assert found == {
        "level": "WARNING",
        "logger": "ml_backend.x",
        "message": 'two\nlines, a "quote" and a ö',
        "kind": "rollout",
        "project": "7.1",
        "task": 5,
        "version": "cold-v3",
        "job": "x",
    }


def test_json_holds_the_traceback_of_an_error(set_up: SetUp) -> None:
    written = set_up("json")
    try:
        raise ZeroDivisionError("a mistake of ours")
    except ZeroDivisionError:
        logging.getLogger("x").exception("it failed")
    (line,) = written.getvalue().splitlines()
    assert "ZeroDivisionError: a mistake of ours" in json.loads(line)["exception"]


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("a-token-of-ours was refused", "a-token-of-ours"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.3zgpJwe_pAF-2rU8", "3zgpJwe_pAF-2rU8"),
        ("?token%3DeyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.3zgpJwe_pAF-2rU8", "3zgpJwe_pAF-2rU8"),
        ("Authorization: Bearer an-access-token", "an-access-token"),
        ("Authorization: Token 0123456789abcdef0123456789abcdef01234567", "0123456789abcdef"),
        ("Authorization: Basic c3R1ZGlvOnNlY3JldA==", "c3R1ZGlv"),
        ("redis://:the-password@redis:6379/0 does not answer", "the-password"),
    ],
)
def test_no_secret_gets_into_it(set_up: SetUp, log_format: str, said: str, secret: str) -> None:
    written = set_up(log_format)
    logs.hide("a-token-of-ours", None, "")
    log = logging.getLogger("x")
    log.info(said)
    log.info("%s", {"of": said})
    try:
        raise ValueError(said)
    except ValueError:
        log.exception("it failed")
    assert secret not in written.getvalue()
    assert "it failed" in written.getvalue()


def test_what_is_no_secret_stays(set_up: SetUp) -> None:
    written = set_up("text")
    said = "GET http://studio:8080/data/upload/7/film.mp4?x=1 in 7.1769860800, cold-v3; see http://a@b/c"
    logging.getLogger("x").info(said)
    assert said in written.getvalue()


def test_another_format_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"LOG_FORMAT is 'xml'.*text or json"):
        logs.set_up({"LOG_FORMAT": "xml"})


def test_it_may_say_more_or_less(set_up: SetUp) -> None:
    stream = io.StringIO()
    set_up("text")
    logs.set_up({"LOG_LEVEL": "warning"}, stream)
    logging.getLogger("x").info("trained")
    assert not stream.getvalue()
    logs.set_up({"LOG_LEVEL": "DEBUG"}, stream)
    logging.getLogger("x").debug("looked")
    logging.getLogger("httpx").info("GET http://studio")
    assert stream.getvalue().strip().endswith("DEBUG x: looked")


def test_another_level_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"LOG_LEVEL is 'loud'.*debug, info"):
        logs.set_up({"LOG_LEVEL": "loud"})


def test_a_letter_is_no_secret() -> None:
    logs.hide("e", "ex", "exp")
    assert logs.without_secrets("an expired token") == "an …ired token"


def test_the_settings_know_what_is_secret() -> None:
    environment = {"LABEL_STUDIO_URL": "http://studio", "LABEL_STUDIO_API_KEY": "key", "BASIC_AUTH_USER": "user"}
    more = {"BASIC_AUTH_PASS": "password", "REDIS_URL": "rediss://name:redis-password@redis:6379/0"}
    settings = Settings.from_environment({**environment, **more})
    assert set(settings.secrets) == {"key", "password", "redis-password"}


def test_the_web_process_logs_as_everything_else(tmp_path: Path) -> None:
    port = closed_port()
    environment = {
        "LABEL_STUDIO_URL": "http://studio.invalid",
        "LABEL_STUDIO_API_KEY": "the-token",
        "DATA_DIR": str(tmp_path),
        "PORT": str(port),
        "REDIS_URL": f"redis://127.0.0.1:{closed_port()}",
        "LOG_FORMAT": "json",
    }
    asks = (
        "import time, requests\n"
        "for _ in range(600):\n"
        "    try:\n"
        f"        requests.get('http://127.0.0.1:{port}/jobs', timeout=5); break\n"
        "    except requests.RequestException: time.sleep(.05)\n"
    )
    with subprocess.Popen(
        gunicorn(Settings.from_environment(environment)), env={**os.environ, **environment}, stderr=subprocess.PIPE
    ) as web:
        subprocess.run([sys.executable, "-c", asks], check=True, timeout=60)
        web.terminate()
        assert web.stderr is not None
        lines = [json.loads(line) for line in web.stderr.read().splitlines()]
    assert any("Redis does not answer" in line["message"] for line in lines)
