"""The benchmark of scale, at a size that takes seconds: it measures what it says, and a small project does not wait for a large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale.answering import page_figures
from benchmarks.scale.fairness import TASKS_EACH, fairness_figures
from benchmarks.scale.overhead import overhead_figures
from benchmarks.scale.table import table


@pytest.fixture(scope="module")
def overhead(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return overhead_figures(tmp_path_factory.mktemp("scale") / "overhead", projects=3, workers=1, jobs=20)


def test_a_job_in_line_is_a_few_kilobytes_and_some_dozens_of_commands(overhead: dict[str, float]) -> None:
    assert 500 < overhead["bytes_in_line"] < 10_000
    assert 5 < overhead["enqueue_commands"] < 60
    assert 20 < overhead["one_worker_commands"] < 200


def test_small_projects_go_on_while_a_large_one_waits(tmp_path: Path) -> None:
    found = fairness_figures(tmp_path / "fairness", tasks=500, projects=2, workers=2, seconds=0.05, ahead=0.5)
    assert found["not_done"] == 0
    jobs = found["large_jobs_meanwhile"]
    # Were it not their turn, four hundred of the large project would end before the first of theirs.
    assert jobs is not None
    assert jobs < 10 * TASKS_EACH


def test_each_page_is_measured_and_a_table_made(tmp_path: Path, overhead: dict[str, float]) -> None:
    pages = page_figures(tmp_path / "pages", tasks=30, projects=2, times=1)
    report = {"tasks": 30, "projects": 2, "workers": 1, "overhead": overhead, "pages": pages}
    text = table(report)
    assert "| label quality |" in text
    assert "one worker takes and ends a job" in text
