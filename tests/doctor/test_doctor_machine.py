"""`coldblitz doctor` names what is broken on this machine; what is broken in Label Studio is in `tests/e2e`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from embedded import redis, redis_settings
from loopback import closed_port, silent_port
from redis import Redis
from tinyclip import tiny_clip
from typer.testing import CliRunner

from ml_backend.cli import app
from ml_backend.doctor import machine_checks
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.queueing.liveness import living, signs_of_life, worker_name
from ml_backend.settings import Settings
from ml_backend.video import container

__all__ = ["redis", "redis_settings"]

Checks = dict[str, dict[str, str]]


@pytest.fixture
def environment(redis: Redis, redis_settings: Settings) -> Iterator[dict[str, str]]:
    """Of an installation with Redis and a worker, for a Label Studio that does not run."""
    with signs_of_life(redis_url(redis_settings), worker_name(os.getpid(), "abc")):
        while not living(redis):
            pass
        yield {
            "LABEL_STUDIO_URL": f"http://127.0.0.1:{closed_port()}",
            "LABEL_STUDIO_API_KEY": "a-token-of-ours",
            "DATA_DIR": str(redis_settings.data_dir),
            "REDIS_URL": redis_url(redis_settings),
            "PORT": str(closed_port()),
            "BACKBONE_WEIGHTS": "none",
        }


def doctor(environment: Mapping[str, str]) -> Checks:
    told = CliRunner().invoke(app, ["doctor", "--json"], env=dict(environment))
    checks: list[dict[str, str]] = json.loads(told.stdout)
    assert told.exit_code == int(any(check["state"] == "fault" for check in checks))
    assert all(bool(check["remedy"]) == (check["state"] != "ok") for check in checks)
    assert "a-token-of-ours" not in told.output
    return {check["name"]: check for check in checks}


def faults(checks: Checks) -> set[str]:
    return {name for name, check in checks.items() if check["state"] == "fault"}


def test_label_studio_alone_is_missing(environment: dict[str, str]) -> None:
    checks = doctor(environment)
    assert faults(checks) == {"label studio"}
    for name in ("environment", "redis", "workers", "jobs", "disk", "device", "numbers", "codecs"):
        assert checks[name]["state"] == "ok", checks[name]
    assert "The processor calculates in " in checks["numbers"]["message"]
    assert checks["weights"]["state"] == "warning", "an untrained backbone is good for a demonstration only"


@pytest.mark.parametrize("missing", ["LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"])
def test_a_variable_is_missing(environment: dict[str, str], missing: str) -> None:
    checks = doctor({**environment, missing: ""})
    assert faults(checks) == {"environment"}
    assert missing in checks["environment"]["message"]


def test_no_worker_lives(environment: dict[str, str], redis: Redis) -> None:
    redis.delete("coldblitz:alive")
    checks = doctor(environment)
    assert "workers" in faults(checks)
    assert "coldblitz worker" in checks["workers"]["remedy"]


@pytest.mark.parametrize("hangs", [False, True], ids=["down", "hangs"])
def test_redis_does_not_answer(environment: dict[str, str], hangs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with silent_port() as port:
        checks = doctor({**environment, "REDIS_URL": f"redis://127.0.0.1:{port if hangs else closed_port()}"})
    assert {"redis", "workers"} <= faults(checks)
    assert "REDIS_URL" in checks["redis"]["remedy"]


def test_redis_forgets_what_it_is_told(environment: dict[str, str], redis: Redis) -> None:
    redis.config_set("appendonly", "no")
    try:
        assert doctor(environment)["redis"]["state"] == "warning"
    finally:
        redis.config_set("appendonly", "yes")


def test_redis_throws_jobs_away_when_it_is_full(environment: dict[str, str], redis: Redis) -> None:
    redis.config_set("maxmemory", 10**9)
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        checks = doctor(environment)
    finally:
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", 0)
    assert "redis" in faults(checks)
    assert "noeviction" in checks["redis"]["remedy"]


@pytest.mark.parametrize(
    "broken", [b"", b"no state dict at all", b"PK\x03\x04 cut off"], ids=["empty", "text", "cut off"]
)
def test_the_weights_file_is_broken(environment: dict[str, str], tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(broken)
    checks = doctor({**environment, "BACKBONE_WEIGHTS": str(file)})
    assert "weights" in faults(checks)
    assert "weights.pth" in checks["weights"]["message"]


def test_the_weights_file_is_not_there(environment: dict[str, str]) -> None:
    checks = doctor({**environment, "BACKBONE_WEIGHTS": "/nowhere/weights.pth"})
    assert "weights" in faults(checks)
    assert "/nowhere/weights.pth" in checks["weights"]["message"]


def test_a_gpu_is_asked_for_where_there_is_none(environment: dict[str, str]) -> None:
    checks = doctor({**environment, "DEVICE": "abacus"})
    assert "weights" in faults(checks)
    assert "DEVICE" in checks["weights"]["message"]


def test_the_data_folder_cannot_be_written(environment: dict[str, str]) -> None:
    # Nobody can make a folder there, not even root.
    checks = doctor({**environment, "DATA_DIR": "/proc/coldblitz"})
    assert "disk" in faults(checks)
    assert "DATA_DIR" in checks["disk"]["remedy"]


def test_the_custom_model_is_not_there(environment: dict[str, str]) -> None:
    checks = doctor({**environment, "CUSTOM_MODEL": "/nowhere/model.py"})
    assert "custom model" in faults(checks)


def test_a_decoder_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_DECODERS", {"H.264": {"h264"}, "HAL9": {"hal9"}})
    check = machine_checks.check_codecs()
    assert (check.state, "cannot decode HAL9" in check.message) == ("fault", True)


def test_it_is_readable_too(environment: dict[str, str]) -> None:
    told = CliRunner().invoke(app, ["doctor"], env=environment)
    assert told.exit_code == 1
    assert "fault   label studio: Label Studio at" in told.stdout
    assert "ok      redis: Redis" in told.stdout


class TestTheTextModel:
    def test_it_is_off(self, environment: dict[str, str]) -> None:
        assert doctor(environment)["text"]["message"] == "Off: TEXT_MODEL is not set."

    def test_it_cannot_be_read(self, environment: dict[str, str], tmp_path: Path) -> None:
        checks = doctor({**environment, "TEXT_MODEL": str(tmp_path)})
        assert checks["text"]["state"] == "warning", "all but the words works"
        assert "config.json cannot be read" in checks["text"]["message"]
        assert "text" not in faults(checks)

    def test_it_reads(self, environment: dict[str, str], tmp_path: Path) -> None:
        folder = str(tiny_clip(tmp_path))
        checks = doctor({**environment, "TEXT_MODEL": folder})
        assert checks["text"] == {"name": "text", "state": "ok", "message": f"{folder} reads the labels.", "remedy": ""}
