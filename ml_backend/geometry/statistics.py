"""Numbers of tracks: of each individual in a video, and of each two, over the whole video or in equally long parts of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ml_backend.geometry.trajectory import Trajectory
from ml_backend.geometry.zones import Zone

# Seconds: who is in a zone, or in touch, for less, or leaves it for less, has only trembled at its edge.
LEAST_VISIT = 0.2
# Centers that are nearer than so many lengths of an object, the mean of both, are in contact.
CONTACT = 1.0
Span = tuple[float, float]


@dataclass(frozen=True)
class ZoneRow:
    """Of one individual and zone. `seconds`: inside. `visits`: begun. `latency`: seconds until the first begins; None without one."""

    zone: str
    seconds: float
    visits: int
    latency: float | None


@dataclass(frozen=True)
class Row:
    """Of one individual from `start` to `end`, in seconds. `seen`: seconds. `distance`: in widths of the picture; `mean_speed`, over the
    time in which it is seen, and `top_speed`: widths a second. `contacts`: begun with any other; `contact_seconds`: with at least one."""

    name: str
    start: float
    end: float
    seen: float
    distance: float
    mean_speed: float | None
    top_speed: float
    zones: tuple[ZoneRow, ...]
    contacts: int
    contact_seconds: float


@dataclass(frozen=True)
class PairRow:
    """Of two individuals from `start` to `end`, in seconds. `together`: seconds in which both are seen. `contacts`: begun.
    `distance`: mean between their centers, in widths of the picture; None where they are never seen together."""

    name: str
    other: str
    start: float
    end: float
    together: float
    contacts: int
    contact_seconds: float
    distance: float | None


@dataclass(frozen=True, eq=False)
class Scene:
    """The individuals of one video. `seconds`: its length. `aspect`: its width / height. `contact`: see `CONTACT`."""

    individuals: Sequence[Trajectory]
    seconds: float
    aspect: float
    zones: Sequence[Zone] = ()
    contact: float = CONTACT

    def rows(self, each: float | None = None) -> Iterator[Row]:
        """Of each individual in turn, and of each part of the video that is `each` seconds long."""
        touching = {number: np.zeros(len(one), bool) for number, one in enumerate(self.individuals)}
        begun: dict[int, list[float]] = {number: [] for number in touching}
        for (a, one), (b, other) in combinations(enumerate(self.individuals), 2):
            frames, where_one, where_other, near = self._contact(one, other)
            touching[a][where_one] |= near
            touching[b][where_other] |= near
            starts = _starts(frames, near, one.framerate)
            begun[a] += starts
            begun[b] += starts
        for number, one in enumerate(self.individuals):
            inside = [self._inside(one, zone) for zone in self.zones]
            for start, end in self._parts(each):
                yield self._row(one, (start, end), inside, touching[number], begun[number])

    def pairs(self, each: float | None = None) -> Iterator[PairRow]:
        """The same of each two."""
        for one, other in combinations(self.individuals, 2):
            frames, where_one, where_other, near = self._contact(one, other)
            apart = np.linalg.norm(one.smooth[where_one] - other.smooth[where_other], axis=1)
            at, starts = (frames - 1) / one.framerate, np.array(_starts(frames, near, one.framerate))
            for start, end in self._parts(each):
                here = (at >= start) & (at < end)
                yield PairRow(
                    one.name,
                    other.name,
                    start,
                    end,
                    float(here.sum() / one.framerate),
                    int(((starts >= start) & (starts < end)).sum()),
                    float((near & here).sum() / one.framerate),
                    float(apart[here].mean()) if here.any() else None,
                )

    def _row(
        self,
        one: Trajectory,
        part: Span,
        inside: Sequence[NDArray[np.bool_]],
        touching: NDArray[np.bool_],
        begun: Sequence[float],
    ) -> Row:
        start, end = part
        here = (one.seconds >= start) & (one.seconds < end)
        seen, distance = float(here.sum() / one.framerate), one.distance(start, end)
        zones = []
        for zone, mask in zip(self.zones, inside, strict=True):
            visits = [each for each in _starts(one.frames, mask, one.framerate) if start <= each < end]
            # Who is inside when a part of the video begins needs no time to get there.
            there = bool(here.any() and mask[here][0] and one.seconds[here][0] - start < 1.5 / one.framerate)
            latency = 0.0 if there else visits[0] - start if visits else None
            zones.append(ZoneRow(zone.name, float((mask & here).sum() / one.framerate), len(visits), latency))
        return Row(
            one.name,
            start,
            end,
            seen,
            distance,
            distance / seen if seen else None,
            one.top_speed(start, end),
            tuple(zones),
            sum(start <= each < end for each in begun),
            float((touching & here).sum() / one.framerate),
        )

    def _parts(self, each: float | None) -> list[Span]:
        if each is None:
            return [(0.0, self.seconds)]
        number = max(1, math.ceil(self.seconds / each - 1e-9))
        return [(at * each, min((at + 1) * each, self.seconds)) for at in range(number)]

    def _inside(self, one: Trajectory, zone: Zone) -> NDArray[np.bool_]:
        """(n,) whether it is in the zone at each of its frames."""
        return _steady(one.frames, zone.contains(one.smooth * (100, 100 * self.aspect)), one.framerate)

    def _contact(
        self, one: Trajectory, other: Trajectory
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """(k,) the frames in which both are seen, their positions in each, and whether they touch."""
        frames, where_one, where_other = np.intersect1d(one.frames, other.frames, True, True)
        apart = np.linalg.norm(one.smooth[where_one] - other.smooth[where_other], axis=1)
        near = apart < self.contact * (one.length + other.length) / 2
        return frames, where_one, where_other, _steady(frames, near, one.framerate)


def _steady(frames: NDArray[np.int64], mask: NDArray[np.bool_], framerate: float) -> NDArray[np.bool_]:
    """(n,) the mask without changes that last for less than `LEAST_VISIT`: first what leaves for a moment stays, then what comes for a
    moment does not."""
    least = LEAST_VISIT * framerate
    found = mask.copy()
    for value in (False, True):
        for start, stop in _runs(found, value):
            at_an_edge = start == 0 or stop == len(found)
            # A change that nobody has seen the end of is none; a stay that begins or ends with the track is one.
            if frames[stop - 1] - frames[start] + 1 < least and not at_an_edge:
                found[start:stop] = not value
    return found


def _runs(mask: NDArray[np.bool_], value: bool) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[not value], mask, [not value]]) == value))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _starts(frames: NDArray[np.int64], mask: NDArray[np.bool_], framerate: float) -> list[float]:
    """The seconds at which it becomes true. While an object is out of sight, nothing changes."""
    return [float((frames[start] - 1) / framerate) for start, _ in _runs(mask, True)]
