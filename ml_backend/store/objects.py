"""An object store (a bucket, or a folder) as whole objects: put, got, listed and deleted by name; what goes wrong is one of our errors."""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ml_backend.errors import SettingsError, StorageError, StoreUnreachable

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Store

# A store that is away for a moment is waited for; for longer, the job is tried again later.
_RETRIES, _RETRY_SECONDS = 6, 30
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(milliseconds=200), timedelta(seconds=5)
_CHUNK = 1 << 20
# So long after that, whoever asks is told at once: a web page must not wait again for each file.
_AWAY_SECONDS = 3.0
_VARIABLES = ("AWS_", "GOOGLE_", "AZURE_")
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
_TOGETHER = 1000
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "file": "the folder's permissions",
}
_EXAMPLES = {"gs": "gs://bucket/folder", "az": "az://container/folder"}
_PROBE = "format.json"
_REFUSED = re.compile(
    r"\b(401|403) |AccessDenied|Forbidden|SignatureDoesNotMatch|InvalidAccessKeyId|AuthenticationFailed"
)
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist", re.IGNORECASE)
_UNSET = re.compile(r"must be specified|missing|Unable to recognise", re.IGNORECASE)


@dataclass(frozen=True)
class Listed:
    """An object that is there. `age`: in seconds."""

    name: str
    bytes: int
    age: float


class ObjectStore:
    """What is below `url`. Its methods raise StoreUnreachable when it does not answer after several tries, and StorageError when
    it refuses. Credentials come from the variables that its own tools read; nothing here ever shows one."""

    def __init__(self, url: str, store: Store) -> None:
        self.url, self._store = url, store
        self._away_until = 0.0

    @classmethod
    def at(cls, url: str, *, patient: bool = True) -> ObjectStore:
        """Asks it for nothing yet. `patient`: waits for one that is away, instead of saying so at once. Raises SettingsError for
        what is no such address."""
        # Imported where a store is used; the wheel takes memory.
        from obstore.exceptions import BaseError
        from obstore.store import LocalStore, from_url

        # Compose files hand on what is not set as an empty text.
        for name in [name for name, value in os.environ.items() if name.startswith(_VARIABLES) and not value]:
            del os.environ[name]
        scheme = urlsplit(url).scheme
        if scheme == "file":
            try:
                return cls(url, LocalStore(Path(urlsplit(url).path), mkdir=True, automatic_cleanup=True))
            except OSError as error:
                raise SettingsError(
                    f"STORE_URL is {shown(url)}, which is not a folder that can be written ({error.strerror or error}).",
                    "Correct the path or its permissions.",
                ) from error
        try:
            told = [value for name, value in os.environ.items() if name.upper() in _ENDPOINTS]
            made = from_url(
                url,
                client_options={
                    "connect_timeout": "5 seconds" if patient else "1 second",
                    "read_timeout": "2 minutes" if patient else "1500ms",
                    "timeout": "1 day",
                    "allow_http": any(value.startswith("http://") for value in told),
                },
                retry_config={
                    "max_retries": _RETRIES if patient else 0,
                    "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
                    "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE},
                },
            )
        except (BaseError, ValueError) as error:
            raise SettingsError(
                f"STORE_URL is {shown(url)}, which cannot be used ({_first_line(error)}).",
                f"Write it like {_EXAMPLES.get(scheme, 's3://bucket/folder')}, and check "
                f"{_CREDENTIALS.get(scheme, 'its credentials')}.",
            ) from error
        return cls(url, made)

    def check(self) -> None:
        """Writes one small object. Raises SettingsError when the bucket or the credentials are wrong, StoreUnreachable."""
        try:
            self.put(_PROBE, b'{"format": 1}')
        except StoreUnreachable:
            raise
        except StorageError as error:
            raise SettingsError(error.message, error.remedy) from error

    def put(self, name: str, content: bytes | Path) -> None:
        """Puts a whole object in its place, or nothing."""
        import obstore

        with self._reported():
            obstore.put(self._store, name, content)

    def get(self, name: str, path: Path, digest: str) -> bool:
        """Brings an object to `path`, whose folder is made, whole or not at all; False when it is not there, or its SHA-256 is not
        `digest`. Raises OSError when it cannot be written there."""
        import obstore

        path.parent.mkdir(parents=True, exist_ok=True)
        part, found = path.with_name(f".{uuid.uuid4().hex}.part"), sha256()
        try:
            with part.open("wb") as file:
                try:
                    with self._reported():
                        for chunk in obstore.get(self._store, name).stream(_CHUNK):
                            found.update(chunk)
                            file.write(chunk)
                except FileNotFoundError:
                    return False
            if found.hexdigest() != digest:
                return False
            os.replace(part, path)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return True

    def list(self, prefix: str) -> Iterator[Listed]:
        """Those below the folder `prefix`; of all with an empty one."""
        import obstore

        with self._reported():
            for page in obstore.list(self._store, prefix=prefix or None, chunk_size=_TOGETHER):
                for each in page:
                    modified = each["last_modified"]
                    age = (modified.now(modified.tzinfo) - modified).total_seconds()
                    yield Listed(each["path"], each["size"], age)

    def delete(self, names: Iterable[str]) -> None:
        """Those that are there."""
        import obstore

        every = list(names)
        for start in range(0, len(every), _TOGETHER):
            with self._reported(), contextlib.suppress(FileNotFoundError):
                obstore.delete(self._store, every[start : start + _TOGETHER])

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        if time.monotonic() < self._away_until:
            raise self._away()
        try:
            yield
        except FileNotFoundError as error:
            if not _NO_BUCKET.search(str(error)):
                raise
            raise self._no_bucket() from None
        except (BaseError, PermissionError) as error:
            refused = isinstance(error, (PermissionDeniedError, UnauthenticatedError, PermissionError))
            # Without its cause: what a library says of a request may show how it was signed.
            meaning = self._meaning(str(error), refused)
            if isinstance(meaning, StoreUnreachable):
                self._away_until = time.monotonic() + _AWAY_SECONDS
            raise meaning from None

    def _meaning(self, told: str, refused: bool) -> StorageError:
        place, scheme = shown(self.url), urlsplit(self.url).scheme
        if _NO_BUCKET.search(told):
            return self._no_bucket()
        if refused or _REFUSED.search(told):
            return StorageError(
                f"The store {place} refuses the credentials.",
                f"Check {_CREDENTIALS.get(scheme, 'them')} and what they allow.",
            )
        if _UNSET.search(told.splitlines()[0]):
            return StorageError(f"The store {place} lacks credentials.", f"Set {_CREDENTIALS.get(scheme, 'them')}.")
        return self._away()

    def _no_bucket(self) -> StorageError:
        called = "container" if urlsplit(self.url).scheme == "az" else "bucket"
        return StorageError(f"The store {shown(self.url)} has no such {called}.", "Create it, or correct STORE_URL.")

    def _away(self) -> StoreUnreachable:
        return StoreUnreachable(
            f"The store {shown(self.url)} does not answer.",
            "Check STORE_URL, the network, and the store itself; it is tried again automatically, and nothing is lost.",
        )


def shown(url: str) -> str:
    """An address without a login, parameters or anything else that could be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return re.sub(r"https?://\S+|\"[^\"]*\"", "…", text)[:200].rstrip(".")
