"""What tracks are like is kept beside them, and read only if it is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_backend.projects import track_rows, tracks
from ml_backend.projects.track_rows import TaughtTracks, TrackRows, key_of
from ml_backend.projects.tracks import StoredTrack, StoredTracks

KEY = "7.1"
FOUND = StoredTrack(3, "box", ((1, 0.0, 0.0, 10.0, 10.0, True),), 0.9)
FOLLOWED = StoredTrack(3, "box", ((1, 0.0, 0.0, 10.0, 10.0, True),), 0.9, "mouse", "box by-hand 1234")


def test_rows_are_found_again_by_their_track(tmp_path: Path) -> None:
    row = {"form": np.arange(4, dtype=np.float32), "looks": np.ones(2, np.float32)}
    kept = TrackRows("so", {key_of(FOUND): row, key_of(FOLLOWED): {"form": np.zeros(4, np.float32)}})
    track_rows.save(tmp_path, KEY, 5, kept)
    found = track_rows.load(tmp_path, KEY, 5)
    assert found is not None
    assert found.made_by == "so"
    known = found.of(FOUND)
    assert known is not None
    assert known.keys() == row.keys()
    assert np.array_equal(known["form"], row["form"])
    other = found.of(FOLLOWED)
    assert other is not None
    assert other["form"].tolist() == [0, 0, 0, 0]
    assert found.of(StoredTrack(4, "box", (), 0.5)) is None


def test_they_go_with_their_tracks(tmp_path: Path) -> None:
    tracks.save(tmp_path, KEY, 5, StoredTracks(tracks=(FOUND,)))
    track_rows.save(tmp_path, KEY, 5, TrackRows("so"))
    track_rows.save_head(tmp_path, KEY, "0badcafe", b"head")
    track_rows.save_taught(tmp_path, KEY, [TaughtTracks("box")])
    assert tracks.tasks(tmp_path, KEY) == {5}
    tracks.delete(tmp_path, KEY, 5)
    assert track_rows.load(tmp_path, KEY, 5) is None
    assert tracks.tasks(tmp_path, KEY) == set()


def test_damaged_files_are_none(tmp_path: Path) -> None:
    assert track_rows.load(tmp_path, KEY, 5) is None
    assert track_rows.load_taught(tmp_path, KEY) == []
    track_rows.save(tmp_path, KEY, 5, TrackRows("so", {key_of(FOUND): {"form": np.zeros(4, np.float32)}}))
    track_rows.save_taught(tmp_path, KEY, [TaughtTracks("box", {"mouse": 2})])
    folder = tmp_path / "projects" / KEY / "tracks"
    whole = (folder / "5.npz").read_bytes()
    for content in (b"", b"no zip", whole[:-30], whole[:60]):
        (folder / "5.npz").write_bytes(content)
        assert track_rows.load(tmp_path, KEY, 5) is None
    for text in ("", "[", "[1]", '[{"later": 1}]', "{}"):
        (folder / "taught.json").write_text(text)
        assert track_rows.load_taught(tmp_path, KEY) == []


def test_what_was_learned_is_said_in_one_or_two_sentences() -> None:
    told = TaughtTracks(
        "box",
        {"vole": 3, "mouse": 4},
        3,
        labeled=20,
        left_open=2,
        accuracy=0.857,
        macro_f1=0.85,
        held_out=7,
        strays=("rat",),
        unseen=1,
    )
    assert told.sentence == (
        "7 tracks of 3 videos taught labels (4 mouse, 3 vole); 20 others got theirs, 2 were left open. In videos that taught "
        "nothing, 86% of 7 tracks were right. Not in the label config any more, so unused: “rat”. Nothing is known yet of 1 labeled "
        "track; their videos are looked at again."
    )
