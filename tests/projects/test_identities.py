"""Which task and which video is meant by a task's number."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from ml_backend.errors import StorageError
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.task_data import lasting
from ml_backend.projects import reconcile_state
from ml_backend.projects.reconcile_state import Identity

P = "7.1769860800"
MADE = "2026-01-31T12:00:00.123456Z"


def of(video: str = "/data/upload/1/a.mp4", rate: float = 25, created: str = MADE) -> Identity:
    return Identity.of(created, [(video, rate)])


def note_some(data_dir: Path, first: int) -> None:
    for task in range(first, first + 50):
        reconcile_state.note_identities(data_dir, P, {task: of(f"{task}.mp4")})


class TestIdentities:
    def test_they_differ_by_creation_by_video_and_by_frame_rate(self) -> None:
        assert of() == of()
        assert len({of(), of("b.mp4"), of(rate=24), of(created=MADE.replace("6Z", "7Z"))}) == 4
        assert of().created == of("b.mp4").created
        assert of().video == of(created="").video

    def test_are_kept_by_task(self, tmp_path: Path) -> None:
        reconcile_state.note_identities(tmp_path, P, {task: of(f"{task}.mp4") for task in (1, 2, 900)})
        reconcile_state.note_identities(tmp_path, P, {2: of("other.mp4")})
        known = reconcile_state.recall_identities(tmp_path, P, [1, 2, 3])
        assert known == {1: of("1.mp4"), 2: of("other.mp4")}
        assert reconcile_state.highest_task(tmp_path, P) == 900

    def test_are_forgotten_with_their_tasks(self, tmp_path: Path) -> None:
        reconcile_state.drop_identities(tmp_path, P, [1])
        reconcile_state.note_identities(tmp_path, P, {1: of(), 2: of()})
        reconcile_state.drop_identities(tmp_path, P, [2])
        assert reconcile_state.recall_identities(tmp_path, P, [1, 2]) == {1: of()}
        assert reconcile_state.highest_task(tmp_path, P) == 1

    def test_without_any_there_is_none(self, tmp_path: Path) -> None:
        assert reconcile_state.recall_identities(tmp_path, P, [1]) == {}
        assert reconcile_state.recall_identities(tmp_path, P, []) == {}
        assert reconcile_state.highest_task(tmp_path, P) == 0

    def test_several_workers_may_note_them(self, tmp_path: Path) -> None:
        with multiprocessing.get_context("spawn").Pool(3) as workers:
            workers.starmap(note_some, [(tmp_path, first) for first in (1, 51, 101)])
        tasks = range(1, 151)
        assert reconcile_state.recall_identities(tmp_path, P, tasks) == {task: of(f"{task}.mp4") for task in tasks}

    def test_a_folder_that_cannot_be_written_is_a_storage_error(self, tmp_path: Path) -> None:
        (tmp_path / "projects").write_text("in the way")
        with pytest.raises(StorageError, match="DATA_DIR"):
            reconcile_state.note_identities(tmp_path, P, {1: of()})


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ("s3://bucket/a.mp4", "/tasks/3/resolve/?fileuri=czM6Ly9idWNrZXQvYS5tcDQ="),
        ("https://b.s3.amazonaws.com/a.mp4?X-Amz-Signature=1&X-Amz-Expires=9", "https://b.s3.amazonaws.com/a.mp4"),
        ("https://x.blob.core.windows.net/c/a.mp4?sv=1&sig=2&se=3", "https://x.blob.core.windows.net/c/a.mp4?sig=9"),
        ("https://host/a.mp4?Expires=1&Signature=2&Key-Pair-Id=3", "https://host/a.mp4"),
    ],
)
def test_a_signature_makes_no_other_video(value: str, same: str) -> None:
    assert lasting(value) == lasting(same)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("/data/local-files/?d=vids/a.mp4", "/data/local-files/?d=vids/b.mp4"),
        ("http://host/a.mp4", "http://host/b.mp4"),
        ("http://host/watch?v=1", "http://host/watch?v=2"),
        ("s3://bucket/a.mp4", "s3://other/a.mp4"),
        ("http://[broken", "http://[broken too"),
    ],
)
def test_another_address_does(value: str, other: str) -> None:
    assert lasting(value) != lasting(other)


def test_each_video_of_a_synchronised_set_counts() -> None:
    config = parse_label_config(
        '<View><TimelineLabels name="t" toName="a"><Label value="A"/></TimelineLabels><Choices name="c" toName="b">'
        '<Choice value="x"/><Choice value="y"/></Choices><Video name="a" value="$left" framerate="$fps"/>'
        '<Video name="b" value="$right"/></View>'
    )
    data = {"left": "l.mp4", "right": "r.mp4", "fps": 30}
    assert config.shown(data) == [("l.mp4", 30.0), ("r.mp4", 24.0)]
    assert Identity.of("", config.shown(data)) != Identity.of("", config.shown({**data, "right": "other.mp4"}))
