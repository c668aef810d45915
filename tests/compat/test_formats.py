"""What is stored carries the number of its format, and a newer one than ours is refused in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from ml_backend.errors import StorageError
from ml_backend.projects.storage import DATA_FORMAT, REDIS_FORMAT, check_folder, check_redis


def test_a_folder_without_a_number_gets_ours(tmp_path: Path) -> None:
    check_folder(tmp_path, note=True)
    assert json.loads((tmp_path / "format.json").read_text()) == {"format": DATA_FORMAT}
    check_folder(tmp_path, note=True)


def test_who_only_looks_writes_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "x"}', '{"format": 1e999}'])
def test_a_number_that_cannot_be_read_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "format.json").write_text(content)
    check_folder(tmp_path, note=True)
    assert json.loads((tmp_path / "format.json").read_text()) == {"format": DATA_FORMAT}


def test_a_newer_folder_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    newer = json.dumps({"format": DATA_FORMAT + 1, "more": 1})
    (tmp_path / "format.json").write_text(newer)
    with pytest.raises(StorageError) as refused:
        check_folder(tmp_path, note=True)
    assert refused.value.message == (
        f"The data folder {tmp_path} was written by a newer version of Coldblitz "
        f"(format {DATA_FORMAT + 1}; this version reads up to {DATA_FORMAT})."
    )
    assert refused.value.remedy == "Update Coldblitz, or set DATA_DIR to another folder."
    assert (tmp_path / "format.json").read_text() == newer


def test_a_redis_without_a_number_gets_ours(redis: Redis) -> None:
    check_redis(redis)
    assert redis.get("coldblitz:format") == str(REDIS_FORMAT).encode()
    check_redis(redis)


def test_a_newer_redis_is_refused_and_left_as_it_is(redis: Redis) -> None:
    redis.set("coldblitz:format", REDIS_FORMAT + 1)
    with pytest.raises(
        StorageError, match=r"^What Redis holds was written by a newer version of Coldblitz \(format 2;"
    ):
        check_redis(redis)
    assert redis.get("coldblitz:format") == str(REDIS_FORMAT + 1).encode()


@pytest.mark.parametrize("command", [["serve"], ["web"], ["worker"], ["models", "list", "7"]], ids=" ".join)
def test_commands_say_so(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "format.json").write_text(json.dumps({"format": DATA_FORMAT + 1}))
    (tmp_path / "projects" / "7.1769860800").mkdir(parents=True)
    settings = {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": "x", "DATA_DIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-m", "ml_backend.cli", *command],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith(f"The data folder {tmp_path} was written by a newer version")
