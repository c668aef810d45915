"""Which labelled frames a researcher's file is given to learn from, and what their labels mean to it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.features.blocks import VideoFeatures
from ml_backend.learning.custom.model import load_custom
from ml_backend.learning.custom.versions import MOST_FRAMES, digest_of, evenly, fit, targets
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import NO, UNKNOWN, UNTOUCHED_WEIGHT, YES, FrameLabels
from ml_backend.video.timeline import Timeline

LABELS = ("walk", "rest")


def video(*runs: tuple[int, int | None], weight: float = 1.0) -> LabelledVideo:
    """One of `(frames, label)` after the other; None is unknown."""
    said = np.concatenate([np.full(frames, -1 if label is None else label) for frames, label in runs])
    values = np.where(said[:, None] < 0, UNKNOWN, said[:, None] == np.arange(len(LABELS))).astype(np.int8)
    frames = len(said)
    timeline = Timeline(np.arange(frames, dtype=np.int64), Fraction(1, 25), Fraction(frames, 25))
    labels = FrameLabels(LABELS, values, np.where(said < 0, 0, weight).astype(np.float32))
    return LabelledVideo(0, VideoFeatures(timeline, np.zeros(1, np.int64), {}, frames), labels)


class TestFrames:
    def test_all_when_there_is_room(self) -> None:
        (rows,) = evenly([video((3, 0), (2, None), (4, 1))], LABELS)
        assert rows.frames.tolist() == [0, 1, 2, 5, 6, 7, 8]
        assert rows.values[:3].tolist() == [[YES, NO]] * 3

    def test_a_rare_label_keeps_all_and_the_common_one_gives_way(self) -> None:
        (rows,) = evenly([video((990, 0), (10, 1))], LABELS, 100)
        assert rows.values.sum(axis=0).tolist() == [90, 10]
        assert (np.diff(rows.frames[:90]) >= 10).all()

    def test_a_long_video_does_not_push_the_short_ones_aside(self) -> None:
        long, short = evenly([video((5000, 0), (5000, 1)), video((30, 0), (30, 1))], LABELS, 200)
        assert (len(long), len(short)) == (140, 60)

    def test_what_nobody_touched_is_left_out(self) -> None:
        blind, seen = evenly([video((9, 0), weight=UNTOUCHED_WEIGHT), video((9, 1))], LABELS)
        assert (len(blind), len(seen)) == (0, 9)

    def test_nothing_of_nothing(self) -> None:
        assert evenly([], LABELS) == []
        (rows,) = evenly([video((9, None))], LABELS)
        assert rows.values.shape == (0, 2)

    @given(
        st.lists(st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0, 1, None])), min_size=1), max_size=4),
        st.integers(1, 100),
    )
    def test_never_more_than_allowed_none_twice_and_as_many_as_there_are(
        self, films: list[list[tuple[int, int | None]]], most: int
    ) -> None:
        videos = [video(*runs) for runs in films]
        chosen = evenly(videos, LABELS, most)
        known = sum(int(each.labels.known.sum()) for each in videos)
        assert sum(map(len, chosen)) == min(most, known) <= MOST_FRAMES
        for rows, each in zip(chosen, videos, strict=True):
            assert (np.diff(rows.frames) > 0).all()
            assert (rows.values == each.labels.values[rows.frames]).all()


FILE = """
from pathlib import Path
labels = ["car", "truck", "person", "sky"]
input_size = 8
seen = []

def fit(frames, answers):
    seen.append((frames.shape, answers.dtype.name))

def save(folder):
    Path(folder, "seen.txt").write_text(str(seen))

def load(folder):
    seen.append(Path(folder, "seen.txt").read_text())

def predict(frames):
    return [[len(seen) / 2] * 4] * len(frames)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_answers_are_in_the_files_own_words(file: Path) -> None:
    model = load_custom(file, ("Vehicle", "Human"), {"car,truck": "Vehicle", "person": "Human"})
    answers = targets(model, np.array([[YES, NO], [NO, YES], [UNKNOWN, NO]], np.int8))
    unknown = float("nan")
    # Nobody said whether the vehicle is a car or a truck, and nobody was asked about the sky.
    expected = [[unknown, unknown, 0, unknown], [0, 0, 1, unknown], [unknown, unknown, 0, unknown]]
    np.testing.assert_array_equal(answers, np.array(expected, np.float32))


def test_what_is_learnt_is_saved_and_read_by_another_load(file: Path, tmp_path: Path) -> None:
    model = load_custom(file, ("car",))
    fit(model, np.zeros((3, 8, 8, 3), np.uint8), np.zeros((3, 4), np.float32), tmp_path / "learnt")
    again = load_custom(file, ("car",), learnt=tmp_path / "learnt")
    assert again.probabilities(np.zeros((1, 8, 8, 3), np.uint8)).tolist() == [[0.5]]
    assert "((3, 8, 8, 3), 'float32')" in (tmp_path / "learnt" / "seen.txt").read_text()
    before = digest_of(tmp_path / "learnt")
    (tmp_path / "learnt" / "seen.txt").write_text("other")
    assert digest_of(tmp_path / "learnt") != before


@pytest.mark.parametrize("missing", ["save", "load"])
def test_a_file_that_cannot_keep_what_it_learns_is_not_asked_to(file: Path, missing: str) -> None:
    file.write_text(FILE.replace(f"def {missing}(", f"def un{missing}("))
    model = load_custom(file, ("car",))
    assert model.learning is None
    assert model.unfit == f"Its fit is not called, since it has no {missing}(folder): what it learns could not be kept."
