"""Packed models that were damaged on their way or made to do harm: each is refused with one sentence, and nothing else happens."""

from __future__ import annotations

import json
import struct
import zipfile
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from ml_backend.cards.model_card import ModelCard
from ml_backend.errors import StorageError
from ml_backend.learning.model_archive import pack_model, read_model
from ml_backend.learning.versions import load_heads, publish

KEY = b"0123456789abcdef"
CARD = ModelCard("cold-v3", "cold", ("walk", "groom"), True, "mobilenet_v2-0123abcd", "2026-01-31T12:00:00+00:00")
PARTS = ("card.json", "head.safetensors", "manifest.json", "signature.json")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compressed, as other programs would pack it."""
    folder = tmp_path_factory.mktemp("archives")
    pack_model(folder / "stored.zip", CARD, {"head.safetensors": bytes(range(256)) * 3}, {"version": "cold-v3"}, KEY)
    with zipfile.ZipFile(folder / "stored.zip") as archive, zipfile.ZipFile(folder / "model.zip", "w") as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name), zipfile.ZIP_DEFLATED)
    return folder / "model.zip"


def refusal(path: Path) -> StorageError:
    with pytest.raises(StorageError) as error:
        read_model(path, KEY)
    assert error.value.remedy
    assert error.value.message.replace("\n", " ").isprintable()
    assert len(error.value.message) < len(str(path)) + 300
    return error.value


def written(packed: Path, content: bytes) -> Path:
    path = packed.with_name("damaged.zip")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("value", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_anywhere_is_no_other_error(packed: Path, value: int) -> None:
    whole = packed.read_bytes()
    for at in range(len(whole)):
        path = written(packed, whole[:at] + bytes([whole[at] ^ value]) + whole[at + 1 :])
        try:
            # What neither a part nor its place depends on, such as a time.
            assert read_model(path, KEY).card.labels == CARD.labels
        except StorageError:
            refusal(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_was_written_over_it_is_no_other_error(packed: Path, data: st.DataObject) -> None:
    whole = bytearray(packed.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        new = data.draw(st.one_of(st.binary(max_size=9), st.sampled_from([b"\xff" * 4, b"\xff" * 8, b"\x0e", b"\x5d"])))
        whole[at : at + len(new)] = new
    path = written(packed, bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    with suppress(StorageError):
        read_model(path, KEY)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_what_we_do_not_pack_with_is_not_unpacked(packed: Path, method: int) -> None:
    path = packed.with_name("method.zip")
    with zipfile.ZipFile(packed) as archive, zipfile.ZipFile(path, "w") as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name), method)
    assert refusal(path).message == f"“card.json” in {path} is packed in a way that no model is."


def test_a_part_beyond_all_files_is_not_looked_for(packed: Path) -> None:
    """The first entry of the directory says that its part begins 16 exabytes further on."""
    whole = packed.read_bytes()
    at = whole.index(b"PK\x01\x02")
    extra = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    entry = bytearray(whole[at : at + 46])
    entry[30:32], entry[42:46] = struct.pack("<H", len(extra)), b"\xff" * 4
    name = whole[at + 46 : at + 46 + len("card.json")]
    end = bytearray(whole[-22:])
    end[12:16] = struct.pack("<I", struct.unpack("<I", end[12:16])[0] + len(extra))
    rest = whole[at + 46 + len(name) : -22]
    refusal(written(packed, whole[:at] + bytes(entry) + name + extra + rest + bytes(end)))


def test_names_and_words_are_shown_cut_and_harmless(packed: Path) -> None:
    path = packed.with_name("named.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\x1b]0;owned\x07" + "x" * 5000, b"")
    assert f"holds “?]0;owned?{'x' * 50}…”, which is not" in refusal(path).message


def with_json(packed: Path, part: str, change: dict[str, Any]) -> Path:
    """The archive with another manifest, signature or card; the hash of the card is that of the other one."""
    with zipfile.ZipFile(packed) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name != "signature.json"}
    files[part] = json.dumps({**json.loads(files.get(part, b"{}")), **change}).encode()
    if part == "card.json":
        manifest = json.loads(files["manifest.json"])
        manifest["files"][part]["sha256"] = sha256(files[part]).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()
    path = packed.with_name("rewritten.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("manifest.json", {"format_version": float("inf")}, "its manifest is missing or damaged"),
        ("manifest.json", {"files": [1]}, "its manifest is missing or damaged"),
        ("manifest.json", {"format": "\x1b[2J\ud800" + "y" * 999}, "but a “?[2J?yyy"),
        ("manifest.json", {"origin": {"project": "\ud800"}}, "The model card in FILE cannot be read"),
        ("card.json", {"labels": ["walk", "\ud800"]}, "The model card in FILE cannot be read"),
        ("card.json", {"labels": 3}, "The model card in FILE cannot be read"),
        ("signature.json", {"hmac_sha256": "\ud800"}, "signed with another key"),
    ],
)
def test_json_that_cannot_be_used_is_refused(packed: Path, part: str, change: dict[str, Any], told: str) -> None:
    path = with_json(packed, part, change)
    with pytest.raises(StorageError) as error:
        read_model(path, KEY if part == "signature.json" else None)
    assert told in error.value.message.replace(str(path), "FILE")
    assert error.value.message.isprintable()


@pytest.mark.parametrize(
    "structure",
    [
        {"questions": 3, "switch": 1},
        {"questions": [[{"family": "0", "parts": [["x"]], "weight": 1}]], "switch": 1},
        {"questions": [None], "switch": 10**400},
        {"questions": [None], "switch": 1, "doubts": [[]]},
        {"questions": [None], "switch": 1, "own_doubts": [{"confused": [1]}]},
        {"whole": 3},
        {"whole": [None], "seen": [], "videos": 10**400},
    ],
)
def test_a_card_that_does_not_fit_its_weights_is_damaged(tmp_path: Path, structure: dict[str, Any]) -> None:
    weights = save({"centre": np.zeros(3, np.float32)})
    card = replace(CARD, structure=structure, weights_sha256=sha256(weights).hexdigest())
    publish(tmp_path, card, {"head.safetensors": weights})
    with pytest.raises(StorageError, match="Model version cold-v3 is damaged"):
        load_heads(tmp_path, card.name)
