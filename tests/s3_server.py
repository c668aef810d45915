"""A real S3 server (moto's) as a process of its own, which tests may stop and start again; its bucket outlives it only if it is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import obstore
import pytest
from obstore.store import S3Store

from ml_backend.demo.process import free_port

BUCKET = "coldblitz"
_SECONDS = 180.0


@dataclass(frozen=True)
class S3Server:
    """`environment`: what a process needs to reach it, beside STORE_URL."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "never-to-be-logged",
            "AWS_REGION": "us-east-1",
        }

    def stand_still(self) -> None:
        """It answers nobody; what it holds stays."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def s3_server(host: str = "127.0.0.1") -> Iterator[S3Server]:
    """With the empty bucket `BUCKET`."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", host, "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = S3Server(f"http://{host}:{port}", process)
    try:
        limit = time.monotonic() + _SECONDS
        while not _make_bucket(server):
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < limit, "it does not answer"
            time.sleep(0.1)
        yield server
    finally:
        with suppress(ProcessLookupError):
            server.go_on()
        process.kill()
        process.wait()


def store_of(server: S3Server, bucket: str = BUCKET) -> S3Store:
    return S3Store(
        bucket,
        endpoint=server.url,
        access_key_id="testing",
        secret_access_key="never-to-be-logged",
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def _make_bucket(server: S3Server) -> bool:
    try:
        request = urllib.request.Request(f"{server.url}/{BUCKET}", method="PUT")
        with urllib.request.urlopen(request, timeout=2):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """STORE_URL of an empty folder in the bucket, and the variables with which this process reaches it."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    yield f"s3://{BUCKET}/installation"
    store = store_of(s3)
    for page in obstore.list(store):
        obstore.delete(store, [each["path"] for each in page])
