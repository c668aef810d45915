"""The check for machines with a GPU, run for real on the processor: each part tells figures, and one that fails does not end the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import PARTS, check
from benchmarks.gpu.budget import PROCESSES, Note, Report, Setup, measured
from benchmarks.gpu.table import table
from benchmarks.gpu.watch import Watch

# What Python 3.12 says of a fork beside threads; those of ours never hold a lock when it is done.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

# Those that take a second or two each; the larger networks take the same ways.
# So much time that a busy machine ends none of them; half a minute is what they take.
ALLOWED = 150
QUICK = ("embedding mobilenet_v2", "workers", "halving", "finetuning", "decoders")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("check") / "report.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu",
        "--device",
        "cpu",
        "--seconds",
        str(ALLOWED),
        "--data",
        "nowhere",
    ]
    only = [word for name in QUICK for word in ("--only", name)]
    done = subprocess.run([*command, *only, "--json", str(path)], capture_output=True, text=True, check=True)
    written: Report = json.loads(path.read_text())
    assert json.loads(done.stdout) == written
    return written


def test_it_ends_in_its_time_and_every_part_has_figures(report: Report) -> None:
    assert report["seconds"] < ALLOWED
    assert list(report["parts"]) == ["about", "clips", *QUICK]
    assert [name for name, part in report["parts"].items() if "error" in part] == []
    assert report["parts"]["about"]["device"] == "cpu"


def test_embedding_is_told_as_a_share_of_decoding_in_the_same_run(report: Report) -> None:
    part = report["parts"]["embedding mobilenet_v2"]
    assert part["key"].startswith("mobilenet_v2-")
    assert "untrained" not in part["key"]  # its random weights were read from a state dict, as real ones are
    ratio = part["clip_frames_per_second"] / part["clip_decode_limit"]
    assert part["clip_share_of_decode_limit"] == pytest.approx(ratio, abs=0.002)
    assert part["short_frames_done"] == part["short_clips"] * report["parts"]["clips"]["short_frames"]
    assert 0 < part["clip_network_busy_share"] <= 1


def test_two_workers_are_measured_beside_one(report: Report) -> None:
    part = report["parts"]["workers"]
    assert part["embedding_two_by_one"] == pytest.approx(part["embedding_two"] / part["embedding_one"], abs=0.01)
    assert len(part["workers_2"]["held_by_each_when_idle"]) == 2


def test_a_batch_that_does_not_fit_is_halved_and_one_picture_too_many_is_said(report: Report) -> None:
    part = report["parts"]["halving"]
    assert part["whole_batches"] == [8, 8]
    assert part["tight"]["batches"][:4] == [8, 4, 2, 2]
    assert part["tight"]["worst_cosine_to_whole"] > 0.99
    assert part["none"]["batches"] == [8, 4, 2, 1]
    assert "memory of cpu is full" in part["none"]["said"]


def test_fine_tuning_runs_two_epochs_after_the_last_layer_alone(report: Report) -> None:
    part = report["parts"]["finetuning"]
    assert (part["epochs"], len(part["epoch_seconds"])) == (2, 3)
    assert part["pictures_per_second"] > 0


def test_what_is_not_there_is_said(report: Report) -> None:
    part = report["parts"]["decoders"]
    assert part["ours"] > 0
    assert part["nvdec_by_pyav"].startswith("not there (")


def test_the_table_has_what_was_measured(report: Report) -> None:
    text = table(report)
    assert "| mobilenet_v2 |" in text
    assert "no GPU" in text
    assert "| two workers, times one |" in text


def breaks(setup: Setup, note: Note) -> None:
    note(before=1)
    raise ValueError("nothing here\nbut this")


def hangs(setup: Setup, note: Note) -> None:
    child = PROCESSES.Process(target=time.sleep, args=(600,))
    child.start()
    note(child=child.pid)
    time.sleep(600)


def dies(setup: Setup, note: Note) -> None:
    note(before=1)
    os._exit(7)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, "cpu", 10)


def test_a_part_that_raises_is_one_line_beside_what_it_had(setup: Setup) -> None:
    told = measured(breaks, setup, 20)
    assert (told["before"], told["error"]) == (1, "ValueError: nothing here")


def test_a_part_that_hangs_ends_in_its_time_with_all_that_it_started(setup: Setup) -> None:
    told = measured(hangs, setup, 1.5)
    assert told["error"] == "Not done within 2 s; what is here was measured before."
    assert told["seconds"] < 10
    # One that has ended but is still to be reaped by whoever adopted it, has no command line.
    command = Path(f"/proc/{told['child']}/cmdline")
    ended = time.monotonic() + 5
    while command.exists() and command.read_bytes() and time.monotonic() < ended:
        time.sleep(0.05)
    assert not command.exists() or not command.read_bytes()


def test_a_part_whose_process_is_killed_is_one_line(setup: Setup) -> None:
    told = measured(dies, setup, 20)
    assert (told["before"], told["error"]) == (1, "Its process ended with 7.")


def test_a_device_that_is_not_there_ends_it_with_a_sentence(tmp_path: Path) -> None:
    report = check(tmp_path, "tpu", 60, tmp_path, ["decoders"])
    assert "Set it to auto, cpu or cuda" in report["error"]
    assert list(report["parts"]) == ["about"]


def test_every_part_can_be_asked_for_alone() -> None:
    assert set(QUICK) < set(PARTS)


def test_how_busy_the_gpu_is_comes_from_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a program that prints what nvidia-smi prints, since there may be no GPU here."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nwhile :; do echo '40, 1500'; echo '60, 2500'; sleep .05; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("benchmarks.gpu.watch._source", lambda: "nvidia-smi")
    with Watch() as watch:
        time.sleep(0.5)
    assert watch.report["gpu_busy_share"] == pytest.approx(0.5, abs=0.1)
    assert watch.report["gpu_used_mib"] == 2500


def test_without_a_driver_nobody_says_how_busy_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu.watch._source", lambda: None)
    with Watch() as watch:
        pass
    assert watch.report["gpu_busy_share"] is None
    assert "neither pynvml nor nvidia-smi" in watch.report["gpu_busy_source"]
