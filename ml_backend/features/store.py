"""Embeddings on disk: one file per video content and backbone, written whole or not at all, the oldest evicted first.

A file is in the safetensors format, so that it can be mapped instead of read, plus a checksum over the arrays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import StorageError
from ml_backend.features.blocks import Flow, Samples, VideoFeatures
from ml_backend.roi import RegionOfInterest
from ml_backend.store import files
from ml_backend.video.timeline import Timeline
from ml_backend.video.view import View, part_in

_DTYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_COPY = 1 << 20
_DAMAGED = (ValueError, KeyError, TypeError, ZeroDivisionError)
_ABANDONED_SECONDS = 24 * 3600  # nobody works on one video for so long: its process was killed


class FeatureStore:
    """Features of videos under `root`, at most about `max_bytes` of them; shared by any number of processes."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def has(self, content: str, key: str) -> bool:
        """Whether there is an entry for this video content and backbone; it may still turn out to be damaged."""
        return files.exists(self._path(content, key))

    def load(self, content: str, key: str) -> VideoFeatures | None:
        """The entry, its blocks mapped from the file; None when there is none or it is damaged."""
        path = self._path(content, key)
        if (folder := files.shared(path)) is not None and folder.fetch(path):
            self._evict(keep=path)
        try:
            features = _read(path)
            os.utime(path)  # for the eviction's order; access times are often switched off
        except FileNotFoundError:
            return None
        except (OSError, *_DAMAGED):
            path.unlink(missing_ok=True)
            return None
        return features

    def any_of(self, content: str, roi: RegionOfInterest | None = None) -> VideoFeatures | None:
        """An entry of this video content and region of interest of whatever backbone, for what does not depend on it."""
        part = View().at(roi).part
        name = self._path(content, "").name.removesuffix(".safetensors")
        for found in files.names(self.root, name):
            # One that nobody can tell is of the whole picture.
            if found.endswith(".safetensors") and part_in(found) == part:
                with contextlib.suppress(OSError, *_DAMAGED):
                    return _read(files.current(self.root / found))
        return None

    def require(self, content: str, key: str) -> VideoFeatures:
        """An entry that was written just now. Raises StorageError when the disk lost it."""
        if (features := self.load(content, key)) is None:
            raise StorageError(
                f"The embeddings of {content} were written under {self.root} but cannot be read back.",
                "Check the disk.",
            )
        return features

    def save(self, content: str, key: str, features: VideoFeatures) -> None:
        """Raises StorageError when the disk is full or cannot be written; the store stays as it was."""
        with self.writer(content, key) as writer:
            writer.append(features.frames, features.blocks)
            if features.flow is not None:
                writer.append_flow(features.flow.frames, features.flow.rows)
            writer.commit(features.timeline, features.promised, features.samples)

    def drop(self, content: str, key: str) -> None:
        """Removes an entry, if there is one."""
        files.remove(self._path(content, key))

    @contextlib.contextmanager
    def writer(self, content: str, key: str) -> Iterator[EntryWriter]:
        """For an entry that is made piece by piece; without a `commit` nothing of it stays. Raises StorageError."""
        folder = self.root / f".{uuid.uuid4().hex}.part"
        with _reported(self.root):
            # Also before: on a full disk a lower bound makes room for it.
            self._evict(keep=self._path(content, key))
            folder.mkdir(parents=True)
        writer = EntryWriter(folder, self._path(content, key))
        try:
            yield writer
        finally:
            writer.close()
        self._evict(keep=self._path(content, key))

    def _path(self, content: str, key: str) -> Path:
        safe = [re.sub(r"[^\w.+-]", "_", part) for part in (content, key)]
        if [content, key] != safe:
            safe.append(hashlib.sha256(f"{content}\n{key}".encode()).hexdigest()[:12])
        return self.root / f"{'.'.join(safe)}.safetensors"

    def _evict(self, keep: Path) -> None:
        for left in self.root.glob(".*.part"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    # A folder is of who made an entry, a file of who brought one.
                    if left.is_dir():
                        shutil.rmtree(left)
                    else:
                        left.unlink()
        entries = []
        for path in self.root.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # another process evicts too
                status = path.stat()
                entries.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.max_bytes:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size


@contextlib.contextmanager
def _reported(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"Embeddings cannot be written under {root}: {error.strerror or error}.",
            "Free up disk space, set CACHE_MAX_BYTES lower, or set DATA_DIR to a disk with more space.",
        ) from error


class EntryWriter:
    """Collects the rows of an entry on disk, so that memory does not grow with the length of a video."""

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder = folder
        self._target = target
        self._parts: dict[str, Any] = {}
        self._widths: dict[str, int] = {}
        self._frames: list[NDArray[np.int64]] = []
        self._flow_frames: list[NDArray[np.int64]] = []

    def append(self, frames: NDArray[np.int64], blocks: Mapping[str, NDArray[np.floating]]) -> None:
        """Adds embedded frames, ascending and after those added before: (k,) indices and per block (k, d) rows.

        Raises StorageError.
        """
        self._frames.append(frames)
        with _reported(self._target.parent):
            for name, rows in blocks.items():
                self._put(f"block.{name}", rows)

    def append_flow(self, frames: NDArray[np.int64], rows: NDArray[np.floating]) -> None:
        """Adds how things move at frame indices (k,), after those added before: (k, d) rows. Raises StorageError."""
        if len(frames):
            self._flow_frames.append(frames)
            with _reported(self._target.parent):
                self._put("flow.rows", rows)

    def _put(self, name: str, rows: NDArray[np.floating]) -> None:
        if name not in self._parts:
            self._parts[name] = (self._folder / name).open("wb+")
            self._widths[name] = rows.shape[1]
        self._parts[name].write(np.ascontiguousarray(rows, dtype="<f2"))

    def commit(self, timeline: Timeline, promised: int, samples: Samples) -> None:
        """Writes the entry: from here on `load` finds it. Raises StorageError."""
        frames = np.concatenate(self._frames)
        times: dict[str, NDArray[Any]] = {"pts": timeline.pts, "early": timeline.early.ravel()}
        sampled = {f"samples.{name}": array for name, array in vars(samples).items() if array is not None}
        moved = {"flow.frames": np.concatenate(self._flow_frames)} if self._flow_frames else {}
        arrays = {**times, "frames": frames, **sampled, **moved}
        header: dict[str, Any] = {}
        offset = 0
        for name, array in arrays.items():
            header[name] = _entry(_NAMES[array.dtype.newbyteorder("<")], list(array.shape), offset)
            offset = header[name]["data_offsets"][1]
        for name, width in self._widths.items():
            count = len(moved["flow.frames"]) if name == "flow.rows" else len(frames)
            header[name] = _entry("F16", [count, width], offset)
            offset = header[name]["data_offsets"][1]
        with _reported(self._target.parent):
            scratch = self._folder / "entry"
            with scratch.open("wb+") as file:
                checksum = 0
                header["__metadata__"] = _metadata(timeline, promised, checksum)
                _write_header(file, header)
                for array in arrays.values():
                    data = np.ascontiguousarray(array).tobytes()
                    checksum = zlib.crc32(data, checksum)
                    file.write(data)
                for part in self._parts.values():
                    part.seek(0)
                    while data := part.read(_COPY):
                        checksum = zlib.crc32(data, checksum)
                        file.write(data)
                header["__metadata__"] = _metadata(timeline, promised, checksum)
                file.seek(0)
                _write_header(file, header)
                file.flush()
                os.fsync(file.fileno())
            files.put(scratch, self._target)

    def close(self) -> None:
        for name, part in self._parts.items():
            with contextlib.suppress(OSError):  # what is still buffered does not fit on a full disk
                part.close()
            (self._folder / name).unlink(missing_ok=True)
        (self._folder / "entry").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def _entry(dtype: str, shape: list[int], offset: int) -> dict[str, Any]:
    size = int(np.prod(shape)) * _DTYPES[dtype].itemsize
    return {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}


def _metadata(timeline: Timeline, promised: int, checksum: int) -> dict[str, str]:
    return {
        "time_base": str(timeline.time_base),
        "duration": str(timeline.duration),
        "promised": str(promised),
        "crc32": f"{checksum:08x}",  # always as long, so that the header can be written twice
    }


def _write_header(file: Any, header: Mapping[str, Any]) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)


def _read(path: Path) -> VideoFeatures:
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    start = 8 + int.from_bytes(raw[:8].tobytes(), "little")
    header = json.loads(raw[8:start].tobytes())
    meta = header.pop("__metadata__")
    data = raw[start:]
    if len(data) != max(entry["data_offsets"][1] for entry in header.values()):
        raise ValueError(f"{path.name} is cut off")
    if zlib.crc32(data.data) != int(meta["crc32"], 16):
        raise ValueError(f"{path.name} is damaged")
    arrays = {
        name: data[slice(*entry["data_offsets"])].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
    }
    early = np.array(arrays["early"]).reshape(-1, 2)
    timeline = Timeline(np.array(arrays["pts"]), Fraction(meta["time_base"]), Fraction(meta["duration"]), early)
    flow = Flow(np.array(arrays["flow.frames"]), arrays["flow.rows"]) if "flow.rows" in arrays else None
    blocks = {name.removeprefix("block."): array for name, array in arrays.items() if name.startswith("block.")}
    return VideoFeatures(
        timeline,
        np.array(arrays["frames"]),
        blocks,
        int(meta["promised"]),
        Samples(
            **{
                name.removeprefix("samples."): np.array(array)
                for name, array in arrays.items()
                if name.startswith("samples.")
            }
        ),
        flow=flow,
    )
