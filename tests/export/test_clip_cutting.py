"""A clip begins and ends with the very frames of its run."""

from __future__ import annotations

from pathlib import Path

from numbered import numbered_video, numbers_in_video, video

from ml_backend.export.choose import Choice
from ml_backend.export.clips import write_clips
from ml_backend.export.project import Run


def test_every_run_is_a_clip_of_exactly_its_frames(tmp_path: Path) -> None:
    source = numbered_video(tmp_path / "film.mp4", 60)
    runs = [Run(0, 12, "cat", 1.0, "human"), Run(8, 30, "dog", 0.9, "model"), Run(59, 60, "cat", 0.4, "model")]
    out = tmp_path / "out"
    assert write_clips(out, ("cat", "dog"), [video(1, runs, source)], Choice(), lambda _: source) == 3
    assert {str(path.relative_to(out)): numbers_in_video(path) for path in out.rglob("*.mp4")} == {
        "cat/film_1_task1_frames000000-000011.mp4": list(range(12)),
        "dog/film_1_task1_frames000008-000029.mp4": list(range(8, 30)),
        "cat/film_1_task1_frames000059-000059.mp4": [59],
    }


def test_only_what_was_asked_for_is_cut(tmp_path: Path) -> None:
    source = numbered_video(tmp_path / "film.mp4", 40)
    runs = [Run(0, 12, "cat", 1.0, "human"), Run(20, 30, "dog", 0.4, "model")]
    choice = Choice(min_confidence=0.5)
    write_clips(tmp_path / "out", ("cat", "dog"), [video(1, runs, source)], choice, lambda _: source)
    assert [path.parent.name for path in (tmp_path / "out").rglob("*.mp4")] == ["cat"]
