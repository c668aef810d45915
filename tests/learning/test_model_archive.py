"""A packed model: the same bytes each time, and a clear word about whatever is not what was packed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ml_backend.cards.measurements import Measurements, Metrics
from ml_backend.cards.model_card import ModelCard
from ml_backend.errors import SettingsError, StorageError
from ml_backend.learning import model_archive
from ml_backend.learning.model_archive import pack_model, read_key, read_model
from ml_backend.learning.relabel import relabeled

WEIGHTS = {"head.safetensors": b"weights"}
ORIGIN = {"version": "cold-v3", "project": "Mice"}
KEY = b"0123456789abcdef"
CARD = ModelCard(
    "cold-v3",
    "cold",
    ("walk", "groom"),
    True,
    "mobilenet_v2-0123abcd",
    "2026-01-31T12:00:00+00:00",
    lacking=("groom",),
    annotations={"12": "2026-01-31T12:00:00+00:00"},
    account={"rows": [{"detail": "anna@example.org"}]},
    metrics=Measurements(full=Metrics("Measured.", macro_f1=0.9)),
    settings={"backbone_source": "/home/anna/nets/ours.pth", "mode": "cold"},
)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "model.zip"
    pack_model(path, CARD, WEIGHTS, ORIGIN, None)
    return path


def changed(path: Path, change: Callable[[dict[str, bytes]], Mapping[str, bytes]]) -> Path:
    """Another archive, with what `change` makes of the parts."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    other = path.with_name("changed.zip")
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in change(files).items():
            archive.writestr(name, content)
    return other


def refusal(path: Path, key: bytes | None = None) -> str:
    with pytest.raises(StorageError) as error:
        read_model(path, key)
    assert error.value.remedy
    return error.value.message.replace(str(path), "FILE")


def test_it_comes_back_as_it_was_without_what_it_says_of_people(packed: Path) -> None:
    found = read_model(packed, None)
    assert (found.weights, found.origin, found.signed) == (WEIGHTS, ORIGIN, False)
    assert found.card.labels == CARD.labels
    assert found.card.annotations == {}
    assert found.card.settings == {"backbone_source": "ours.pth", "mode": "cold"}
    assert b"anna" not in packed.read_bytes()


def test_the_same_version_has_the_same_bytes(packed: Path) -> None:
    again = packed.with_name("again.zip")
    pack_model(again, CARD, WEIGHTS, ORIGIN, None)
    assert again.read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("name", ["../../evil.py", "/etc/passwd", "head.safetensors/../x", "C:\\x", "notes.txt"])
def test_nothing_but_the_parts_of_a_model_is_taken(packed: Path, name: str) -> None:
    assert "which is not a part of a model" in refusal(changed(packed, lambda files: {**files, name: b"x"}))


def test_a_bomb_is_not_unpacked(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_archive, "_MOST_BYTES", 1024 * 1024)
    bomb = changed(packed, lambda files: {**files, "head.safetensors": bytes(50_000_000)})
    assert bomb.stat().st_size < 100_000
    assert refusal(bomb) == "FILE unpacks to more than 1 MB, which no model has."


@pytest.mark.parametrize(
    ("change", "which"),
    [
        (lambda files: {**files, "head.safetensors": b"others"}, "head.safetensors"),
        (lambda files: {**files, "card.json": files["card.json"] + b" "}, "card.json"),
        (lambda files: {name: each for name, each in files.items() if name != "card.json"}, "card.json"),
        (lambda files: {**files, "head-0123456789abcdef.safetensors": b"x"}, "head-0123456789abcdef.safetensors"),
    ],
)
def test_what_was_changed_added_or_lost_is_named(
    packed: Path, change: Callable[[dict[str, bytes]], Mapping[str, bytes]], which: str
) -> None:
    told = refusal(changed(packed, change))
    assert told == f"“{which}” in FILE is not what was packed: it was changed, added, or lost."


def manifest(files: dict[str, bytes], **more: object) -> dict[str, bytes]:
    return {**files, "manifest.json": json.dumps({**json.loads(files["manifest.json"]), **more}).encode()}


def test_a_newer_format_is_said_to_be_one(packed: Path) -> None:
    told = refusal(changed(packed, lambda files: manifest(files, format_version=2)))
    assert told == "FILE was packed by a newer release (format 2; this one reads 1)."


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    assert refusal(path).startswith("FILE is not a packed model, or it is damaged")
    assert refusal(tmp_path / "missing.zip").startswith("There is no file")


def test_another_zip_is_said_to_be_none(packed: Path) -> None:
    assert "its manifest is missing" in refusal(changed(packed, lambda _: {"card.json": b"{}"}))
    assert "not a packed model, but a “x”" in refusal(changed(packed, lambda files: manifest(files, format="x")))


class TestSigning:
    @pytest.fixture
    def signed(self, tmp_path: Path) -> Path:
        path = tmp_path / "signed.zip"
        pack_model(path, CARD, WEIGHTS, ORIGIN, KEY)
        return path

    def test_the_key_says_that_it_is_what_was_signed(self, signed: Path) -> None:
        assert read_model(signed, KEY).signed is True
        assert read_model(signed, None).signed is None

    def test_another_key_or_a_changed_manifest_is_refused(self, signed: Path) -> None:
        assert "signed with another key" in refusal(signed, b"another-key-of-16")
        other = changed(signed, lambda files: manifest(files, origin={"version": "cold-v9"}))
        assert "signed with another key, or changed" in refusal(other, KEY)

    def test_with_a_key_an_unsigned_one_is_refused(self, packed: Path) -> None:
        assert refusal(packed, KEY) == "FILE is not signed."

    def test_a_short_key_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("short\n")
        with pytest.raises(SettingsError, match="shorter than 16"):
            read_key(tmp_path / "key")


class TestNames:
    def test_labels_get_the_names_they_have_here(self) -> None:
        found = relabeled(CARD, {"walk": "runs"}, ["groom", "runs", "rests"], "acts")
        assert (found.labels, found.lacking) == (("runs", "groom"), ("groom",))
        assert found.metrics == Measurements(), "what was measured elsewhere says nothing here"

    @pytest.mark.parametrize(
        ("names", "told"),
        [
            ({}, "The model knows “walk”, which “acts” of this project does not have."),
            ({"walk": "groom"}, "Two labels of the model would become “groom”."),
        ],
    )
    def test_what_does_not_fit_is_refused(self, names: dict[str, str], told: str) -> None:
        with pytest.raises(SettingsError) as error:
            relabeled(CARD, names, ["groom", "runs"], "acts")
        assert error.value.message == told
