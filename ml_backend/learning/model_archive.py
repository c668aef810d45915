"""A model version as one file that can be passed on: the same bytes for the same version, and nothing in it is run or trusted when it is
read."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_backend.cards.json_object import Json
from ml_backend.cards.model_card import ModelCard
from ml_backend.errors import SettingsError, StorageError
from ml_backend.wording import cut

_FORMAT, _VERSION = "coldblitz-model", 1
_MANIFEST, _SIGNATURE, _CARD = "manifest.json", "signature.json", "card.json"
_WEIGHTS = re.compile(r"head(?:-[0-9a-f]{16})?\.safetensors")
# Heads have a few megabytes, cards some hundred kilobytes.
_MOST_FILES, _MOST_BYTES = 66, 256 * 1024 * 1024
_SHORTEST_KEY = 16
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises for files that are no archive, or no longer the one that was written.
_NO_ARCHIVE = (
    *(OSError, zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, LookupError, ArithmeticError),
)
# What JSON raises that is none, or is not what it should be.
_NO_JSON = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
AGAIN = "Ask for the file again, or pack it anew."


@dataclass(frozen=True)
class Archive:
    """`card`: of the version where it was trained. `weights`: file name to bytes. `origin`: where it comes from, as `pack_model` was
    told. `signed`: whether it was signed with the key that was given; None where it is signed and no key was given."""

    card: ModelCard
    weights: Mapping[str, bytes]
    origin: Json = field(default_factory=dict)
    signed: bool | None = False


def read_key(path: Path | None) -> bytes | None:
    """The shared secret in a file, None without one. Raises SettingsError."""
    if path is None:
        return None
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}).", "Name a file with the shared key.") from error
    if len(key) < _SHORTEST_KEY:
        raise SettingsError(
            f"The key in {path} is shorter than {_SHORTEST_KEY} characters.",
            "Make one with `openssl rand -hex 32`, and give it to whoever unpacks the model.",
        )
    return key


def pack_model(
    path: Path, card: ModelCard, weights: Mapping[str, bytes], origin: Mapping[str, Any], key: bytes | None
) -> None:
    """Writes a whole file or none; what the card says of annotations stays behind. `origin`: JSON. Raises StorageError."""
    shown = card.as_json()
    # They name people and what they wrote.
    shown.update(annotations={}, account={})
    # A path tells of its machine, and often of whose it is; the digest says which weights they are.
    settings = dict(shown.get("settings") or {})
    if Path(source := str(settings.get("backbone_source") or "")).is_absolute():
        shown["settings"] = {**settings, "backbone_source": Path(source).name}
    files = {_CARD: _json(shown), **weights}
    parts = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()
    }
    manifest = _json({"format": _FORMAT, "format_version": _VERSION, "origin": dict(origin), "files": parts})
    files[_MANIFEST] = manifest
    if key is not None:
        files[_SIGNATURE] = _json({"hmac_sha256": hmac.new(key, manifest, hashlib.sha256).hexdigest()})
    part = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name)
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                archive.writestr(entry, files[name])
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error}).", "Free up disk space, or give another name."
        ) from error


def read_model(path: Path, key: bytes | None) -> Archive:
    """Raises StorageError, which says in one sentence what is wrong with the file; nothing of it is written anywhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = _contents(path, archive)
    except FileNotFoundError as error:
        raise StorageError(f"There is no file {path}.", "Name a file that `coldblitz models pack` has made.") from error
    except _NO_ARCHIVE as error:
        raise StorageError(f"{path} is not a packed model, or it is damaged ({cut(error)}).", AGAIN) from error
    manifest = _manifest(path, files)
    signed = _signed(path, files, key)
    try:
        card = ModelCard.from_json(json.loads(files[_CARD]))
        origin = dict(manifest.get("origin", {}))
        # Halves of characters can be read, and never be written again.
        _json([card.as_json(), origin])
    except _NO_JSON as error:
        raise StorageError(f"The model card in {path} cannot be read ({cut(error)}).", AGAIN) from error
    return Archive(card, {name: files[name] for name in files if _WEIGHTS.fullmatch(name)}, origin, signed)


def _contents(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """By name; never more bytes than a model has, whatever the file says of itself."""
    entries = archive.infolist()
    strange = next((each.filename for each in entries if not _is_part(each.filename)), None)
    if strange is not None:
        raise StorageError(f"{path} holds “{cut(strange)}”, which is not a part of a model.", "Do not use this file.")
    unread = next((each for each in entries if each.compress_type not in _METHODS or each.flag_bits & _ENCRYPTED), None)
    if unread is not None:
        raise StorageError(f"“{unread.filename}” in {path} is packed in a way that no model is.", AGAIN)
    names = [each.filename for each in entries]
    if len(set(names)) < len(names) or len(names) > _MOST_FILES:
        raise StorageError(f"{path} holds the same part twice, or too many parts.", "Do not use this file.")
    files, left = dict[str, bytes](), _MOST_BYTES
    for each in entries:
        with archive.open(each) as part:
            content = part.read(left + 1)
        left -= len(content)
        if left < 0:
            raise StorageError(
                f"{path} unpacks to more than {_MOST_BYTES // 1024**2} MB, which no model has.", "Do not use this file."
            )
        files[each.filename] = content
    return files


def _is_part(name: str) -> bool:
    return name in (_MANIFEST, _SIGNATURE, _CARD) or bool(_WEIGHTS.fullmatch(name))


def _manifest(path: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """What it says, once each part was found to be as it says."""
    try:
        manifest = json.loads(files[_MANIFEST])
        kind, version = manifest["format"], int(manifest["format_version"])
        listed = {name: str(part["sha256"]) for name, part in manifest["files"].items()}
    except _NO_JSON as error:
        raise StorageError(f"{path} is not a packed model: its manifest is missing or damaged.", AGAIN) from error
    if kind != _FORMAT:
        raise StorageError(f"{path} is not a packed model, but a “{cut(kind)}”.", AGAIN)
    if version > _VERSION:
        raise StorageError(
            f"{path} was packed by a newer release (format {version}; this one reads {_VERSION}).", "Update Coldblitz."
        )
    held = files.keys() - {_MANIFEST, _SIGNATURE}
    changed = [name for name in held & listed.keys() if hashlib.sha256(files[name]).hexdigest() != listed[name]]
    if changed or held != listed.keys():
        which = sorted({*changed, *(held ^ listed.keys())})[0]
        raise StorageError(f"“{which}” in {path} is not what was packed: it was changed, added, or lost.", AGAIN)
    if _CARD not in held or "head.safetensors" not in held:
        raise StorageError(f"{path} lacks the model card or the weights.", AGAIN)
    return dict(manifest)


def _signed(path: Path, files: Mapping[str, bytes], key: bytes | None) -> bool | None:
    if _SIGNATURE not in files:
        if key is not None:
            raise StorageError(f"{path} is not signed.", "Ask for one that is packed with --key-file, or omit it here.")
        return False
    if key is None:
        return None
    try:
        told = str(json.loads(files[_SIGNATURE])["hmac_sha256"])
    except _NO_JSON:
        told = ""
    if not hmac.compare_digest(
        told.encode(errors="replace"), hmac.new(key, files[_MANIFEST], hashlib.sha256).hexdigest().encode()
    ):
        raise StorageError(f"{path} was signed with another key, or changed since.", "Do not use it, or check the key.")
    return True


def _json(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, indent=1).encode()
