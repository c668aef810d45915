"""What is kept of the errors that a model leaves: written, read, and used to put videos in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml_backend.projects import reports
from ml_backend.projects.reports import VIDEO, Agreed, StoppingReport, TaskErrors

P = "7.1769860800"
REPORT = StoppingReport(
    made="2026-01-03T12:00:00+00:00",
    version="cold-v3",
    verdict="go on",
    why="“Größe” has no example.",
    tasks=3,
    frames=34_000,
    errors=123.4,
    correction=1.2,
    held_out=60,
    worst=(TaskErrors(12, 80.0, 900), TaskErrors(3, 40.0, 30_000)),
    kappa=0.98,
    agreed=(Agreed("cold-v2", "cold-v3", 0.98, 34_000),),
)
VIDEOS = np.array([(3, 40.0, 30_000, 0.9), (12, 80.0, 900, 0.95), (17, 3.4, 3_100, 0.4)], VIDEO)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    reports.save_stopping(tmp_path, P, REPORT, VIDEOS)
    assert reports.load_stopping(tmp_path, P, "cold-v3") == REPORT
    assert (reports.videos_with_errors(tmp_path, P) == VIDEOS).all()


def test_a_report_on_another_version_says_nothing_of_this_one(tmp_path: Path) -> None:
    reports.save_stopping(tmp_path, P, REPORT, VIDEOS)
    assert reports.load_stopping(tmp_path, P, "cold-v4") is None
    assert reports.load_stopping(tmp_path, P, None) == REPORT


def test_without_files_or_with_damaged_ones_nothing_is_known(tmp_path: Path) -> None:
    assert reports.load_stopping(tmp_path, P, None) is None
    assert len(reports.videos_with_errors(tmp_path, P)) == 0
    reports.save_stopping(tmp_path, P, REPORT, VIDEOS)
    for path in tmp_path.rglob("*.*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-20])
    assert reports.load_stopping(tmp_path, P, None) is None
    assert len(reports.videos_with_errors(tmp_path, P)) == 0


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (0.2, "Hardly an error is left in 34,000 frames"),
        (1.1, "About 1 error is left in 34,000 frames"),
        (7.4, "About 7 errors are left in 34,000 frames"),
        (123.4, "About 120 errors are left in 34,000 frames"),
        (98_765, "About 99,000 errors are left in 34,000 frames"),
    ],
)
def test_errors_are_told_to_two_digits(errors: float, said: str) -> None:
    assert replace(REPORT, errors=errors).left == said


def test_when_every_video_is_reviewed_none_is_counted() -> None:
    assert replace(REPORT, errors=0.0, frames=0).left == "No predicted video is left to review"


def test_videos_come_in_order_and_those_that_were_not_counted_last() -> None:
    tasks = {3, 5, 12, 17, 1}
    assert reports.in_order_of(VIDEOS, "errors", tasks) == [12, 3, 17, 1, 5]
    assert reports.in_order_of(VIDEOS, "certainty", tasks) == [17, 3, 12, 1, 5]
    assert reports.in_order_of(VIDEOS, "errors", {17, 5}) == [17, 5]
    assert reports.in_order_of(VIDEOS[:0], "errors", tasks) == [1, 3, 5, 12, 17]


def test_the_errors_of_one_video() -> None:
    assert reports.errors_of(VIDEOS, 12) == 80.0
    assert reports.errors_of(VIDEOS, 4) is None
    assert reports.errors_of(VIDEOS, 99) is None
