"""Azure's own emulator of its Blob Storage (Azurite) as a process of its own, where AZURITE names its program (`azurite-blob`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate

import obstore
import pytest
from obstore.store import AzureStore

from ml_backend.demo.process import free_port

_ACCOUNT, _KEY = "testing", base64.b64encode(os.urandom(32)).decode()
_VERSION = "2021-08-06"
CONTAINER = "coldblitz"
_SECONDS = 60.0


@dataclass(frozen=True)
class AzureServer:
    """`environment`: what a process needs to reach it, beside STORE_URL."""

    url: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AZURE_STORAGE_ENDPOINT": self.url,
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
        }


@contextmanager
def azure_server() -> Iterator[AzureServer]:
    """With the empty container `CONTAINER`. Skips the test where AZURITE is not set."""
    program = os.environ.get("AZURITE")
    if program is None:
        pytest.skip("AZURITE does not name Azure's emulator; docs/contributing.md says how to get it.")
    port = free_port()
    command = [program, "--silent", "--disableTelemetry", "--inMemoryPersistence", "--skipApiVersionCheck"]
    process = subprocess.Popen(
        [*command, "--blobPort", str(port)],
        env=os.environ | {"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = AzureServer(f"http://127.0.0.1:{port}/{_ACCOUNT}")
    try:
        limit = time.monotonic() + _SECONDS
        while not _make_container(server):
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < limit, "it does not answer"
            time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()


def _make_container(server: AzureServer) -> bool:
    """obstore makes none; the request is signed as Azure's documentation says ("Authorize with Shared Key")."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _VERSION}
    about = [*(f"{name}:{value}" for name, value in headers.items()), f"/{_ACCOUNT}/{_ACCOUNT}/{CONTAINER}"]
    signed = "\n".join(["PUT", *([""] * 11), *about, "restype:container"])
    digest = hmac.new(base64.b64decode(_KEY), signed.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}"
    headers["Content-Length"] = "0"
    request = urllib.request.Request(f"{server.url}/{CONTAINER}?restype=container", method="PUT", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=2):
            return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def azure() -> Iterator[AzureServer]:
    with azure_server() as server:
        yield server


@pytest.fixture
def container(azure: AzureServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """STORE_URL of an empty folder in the container, and the variables with which this process reaches it."""
    for name, value in azure.environment.items():
        monkeypatch.setenv(name, value)
    yield f"az://{CONTAINER}/installation"
    store = AzureStore(
        CONTAINER,
        endpoint=azure.url,
        account_name=_ACCOUNT,
        account_key=_KEY,
        client_options={"allow_http": True},
    )
    for page in obstore.list(store):
        obstore.delete(store, [each["path"] for each in page])
