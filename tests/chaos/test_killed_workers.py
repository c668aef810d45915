"""Nothing is lost: whatever the worker was doing when it was killed, annotators are shown the same in the end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from conftest import Serve

from benchmarks.service.kills import MOMENTS, killed
from benchmarks.service.scene import Outcome
from ml_backend.demo.clips import Clip
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("seed", [1, 2])
def test_a_worker_killed_while_it_embeds_trains_and_rolls_out_is_not_noticed(
    seed: int, studio: Studio, serve: Serve, clips: list[Clip], calm: Outcome, tmp_path: Path
) -> None:
    with serve(tmp_path) as backend:
        found = killed(studio, backend, clips, len(MOMENTS), random.Random(seed))
        failed = backend.jobs()["failed"]
    assert any(found.moments), "no kill has hit anything"
    assert found.outcome.differences(calm) == 0
    assert found.twice == 0
    assert failed == []
