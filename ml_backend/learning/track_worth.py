"""How much a person's word on a track would teach: most where labels are nearly equally probable and nothing like it has been labeled."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.learning.track_labels import Floats, TrackHead, Tracks, references, viewed
from sampling.candidates import unit

# Of the tracks of a project that knows no two labels yet, the one that is like none is worth so much.
FIRST = 0.5


@dataclass(frozen=True, eq=False)
class LabeledTracks:
    """What the tracks that have a label are like. `reference`: by block the mean and the spread (d,) of the project's tracks. `rows`: by
    block (n, d) unit rows of the labeled ones, zeros where nothing is known. `made_by`: as in `TrackHead`."""

    reference: Mapping[str, tuple[Floats, Floats]]
    rows: Mapping[str, Floats]
    made_by: str = ""

    @classmethod
    def of(cls, every: Tracks, labeled: NDArray[np.intp], made_by: str = "") -> LabeledTracks:
        """`labeled`: (n,) which of all known tracks have a label."""
        found = references(every)
        return cls(found, {name: _seen(every.at(labeled), name, one) for name, one in found.items()}, made_by)

    def unlike(self, tracks: Tracks) -> Floats:
        """(n,) float32 in 0..1: how far each is from the nearest labeled one by the angle between them, 0.5 at a right angle; on average
        over the blocks."""
        apart = [
            (1 - (_seen(tracks, name, one) @ self.rows[name].T).max(axis=1, initial=-1.0)) / 2
            for name, one in self.reference.items()
            if name in tracks.blocks and tracks.blocks[name].shape[1] == len(one[0])
        ]
        return np.asarray(np.mean(apart, axis=0).clip(0, 1) if apart else np.ones(len(tracks)), np.float32)

    def as_bytes(self) -> bytes:
        """As `from_bytes` reads it."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, (mean, spread) in self.reference.items():
            arrays |= {
                f"{name}.mean": mean,
                f"{name}.spread": spread,
                f"{name}.rows": self.rows[name].astype(np.float16),
            }
        file = io.BytesIO()
        about = json.dumps({"made_by": self.made_by, "blocks": list(self.reference)})
        np.savez(file, about=np.array(about), **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> LabeledTracks:
        """Raises ValueError for what is none."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                about = json.loads(str(found["about"]))
                reference = {name: (found[f"{name}.mean"], found[f"{name}.spread"]) for name in about["blocks"]}
                rows = {name: found[f"{name}.rows"].astype(np.float32) for name in about["blocks"]}
                if any(each.shape[1:] != reference[name][0].shape for name, each in rows.items()):
                    raise ValueError("rows of another length")
                return cls(reference, rows, about["made_by"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError("these are no labeled tracks") from error


def worth(tracks: Tracks, labeled: LabeledTracks | None = None, head: TrackHead | None = None) -> Floats:
    """(n,) float32 in 0..1, of the tracks of one video: how near the two most probable labels are to each other, times how unlike all
    labeled tracks it is, and all tracks of the video that are worth more.

    The first is margin sampling (Scheffer et al., "Active hidden Markov models for information extraction", 2001), the second
    farthest-first traversal (Gonzalez, 1985). Without a `head` it is `FIRST` times the latter alone.
    """
    count = len(tracks)
    if not count:
        return np.zeros(0, np.float32)
    gain: NDArray[np.floating] = np.full(count, FIRST)
    if head is not None:
        p = np.sort(head.probabilities(tracks), axis=1)
        gain = 1 - (p[:, -1] - p[:, -2])
    if labeled is not None:
        gain = gain * labeled.unlike(tracks)
    reference = labeled.reference if labeled is not None else references(tracks)
    rows = [_seen(tracks, name, one) for name, one in reference.items() if name in tracks.blocks]
    found, left, whole = np.zeros(count, np.float32), np.ones(count, bool), gain
    for _ in range(count):
        best = int(np.where(left, gain, -1.0).argmax())
        found[best], left[best] = gain[best], False
        if rows:
            apart = np.mean([(1 - each @ each[best]) / 2 for each in rows], axis=0)
            gain = np.minimum(gain, whole * apart.clip(0, 1))
    return np.asarray(found.clip(0, 1), np.float32)


def _seen(tracks: Tracks, name: str, reference: tuple[Floats, Floats]) -> Floats:
    rows = tracks.blocks.get(name)
    if rows is None or rows.shape[1] != len(reference[0]):
        return np.zeros((len(tracks), len(reference[0])), np.float32)
    return unit(viewed(rows, name, reference))
