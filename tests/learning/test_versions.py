"""Model versions: immutable, numbered once, and never half written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import labelled, video

from ml_backend.cards.measurements import Calibration, Metrics
from ml_backend.errors import StorageError
from ml_backend.learning.cold import Head, LabelledVideo, fit_cold
from ml_backend.learning.versions import (
    add_measurements,
    annotations_hash,
    delete_version,
    list_versions,
    load_card,
    load_version,
    save_version,
)

TRUTH = np.repeat([0, 1, 2, 0], 30)


@pytest.fixture(scope="module")
def head() -> Head:
    return fit_cold([LabelledVideo(1, video(TRUTH), labelled(TRUTH, [5, 40, 70], ("cat", "dog")))], ("cat", "dog"))


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_loaded_head_answers_like_the_one_that_was_saved(tmp_path: Path, exclusive: bool) -> None:
    known = labelled(TRUTH, [5, 40, 70], ("cat", "dog"))
    saved = fit_cold([LabelledVideo(1, video(TRUTH), known)], ("cat", "dog"), exclusive=exclusive).calibrated(1.3)
    card = save_version(tmp_path, saved, backbone="mobilenet_v2-abc", annotations={"12": "2026-01-01T00:00:00"})
    loaded, read = load_version(tmp_path, card.name)
    assert read == card
    assert loaded.temperature == 1.3
    assert np.array_equal(loaded.probabilities(video(TRUTH), known), saved.probabilities(video(TRUTH), known))


def test_numbers_run_on_over_kinds_and_are_never_used_twice(tmp_path: Path, head: Head) -> None:
    names = [save_version(tmp_path, kind, backbone="b").name for kind in (head, head, replace(head, kind="blitz"))]
    assert names == ["cold-v1", "cold-v2", "blitz-v3"]
    delete_version(tmp_path, "blitz-v3")
    assert save_version(tmp_path, head, backbone="b").name == "cold-v4"
    assert [card.name for card in list_versions(tmp_path)] == ["cold-v1", "cold-v2", "cold-v4"]


def test_after_a_loss_of_the_disk_numbers_go_on_from_those_label_studio_shows(tmp_path: Path, head: Head) -> None:
    assert save_version(tmp_path, head, backbone="b", taken=["keyframes-v1", "cold-v7"]).name == "cold-v8"


def test_measurements_are_added_to_the_card_and_calibration_is_used(tmp_path: Path, head: Head) -> None:
    name = save_version(tmp_path, head, backbone="b").name
    add_measurements(tmp_path, name, metrics=Metrics(macro_f1=0.9), calibration=Calibration(2.0))
    loaded, card = load_version(tmp_path, name)
    assert card.metrics.as_json() == {"macro_f1": 0.9}
    assert loaded.temperature == 2.0


@pytest.mark.parametrize("file", ["head.safetensors", "card.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_version_is_said_to_be_damaged(tmp_path: Path, head: Head, file: str, damage: str) -> None:
    path = tmp_path / save_version(tmp_path, head, backbone="b").name / file
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\x00" + content[1:])
    with pytest.raises(StorageError, match="cold-v1"):
        load_version(tmp_path, "cold-v1")


def test_a_damaged_version_does_not_hide_the_others(tmp_path: Path, head: Head) -> None:
    for _ in range(2):
        save_version(tmp_path, head, backbone="b")
    (tmp_path / "cold-v1" / "card.json").write_text("{")
    assert [card.name for card in list_versions(tmp_path)] == ["cold-v2"]


def test_a_card_of_another_version_is_not_believed(tmp_path: Path, head: Head) -> None:
    save_version(tmp_path, head, backbone="b")
    (tmp_path / "cold-v1").rename(tmp_path / "cold-v9")
    with pytest.raises(StorageError, match="cold-v9 is damaged"):
        load_card(tmp_path, "cold-v9")


@pytest.mark.parametrize("name", ["../cold-v1", "cold-v0", "cold", "", "cold-v1/.."])
def test_names_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError):
        load_version(tmp_path, name)
    with pytest.raises(StorageError):
        delete_version(tmp_path, name)


def test_nothing_half_written_is_left_behind(tmp_path: Path, head: Head) -> None:
    save_version(tmp_path, head, backbone="b")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cold-v1", "numbers.json"]


def test_an_unwritable_place_is_named(tmp_path: Path, head: Head) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="taken"):
        save_version(tmp_path / "taken", head, backbone="b")


def test_the_card_is_json(tmp_path: Path, head: Head) -> None:
    card = save_version(tmp_path, head, backbone="b", settings={"mode": "auto"}, videos=1, labelled_frames=3)
    assert json.loads(json.dumps(card.as_json()))["labels"] == ["cat", "dog"]


def test_the_hash_tells_annotations_apart_and_not_their_order() -> None:
    assert annotations_hash({"1": "a", "2": "b"}) == annotations_hash({"2": "b", "1": "a"})
    assert annotations_hash({"1": "a"}) != annotations_hash({"1": "b"})
