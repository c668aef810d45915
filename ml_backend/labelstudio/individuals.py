"""Who is in a video, where each individual has a timeline of its own, and whose a region of the timeline is.

An individual is a track of boxes. Its region is the parent of those that say what it does, so that Label Studio lists them below it,
and the remark of each says who it is: `who: mouse-2`. People may say it in either way.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml_backend.annotation import Region
from ml_backend.labelstudio.box_track import Track, meant_boxes
from ml_backend.labelstudio.tracks import checksum
from ml_backend.prediction_item import ResultItem
from ml_backend.provenance import RegionId
from ml_backend.video.timeline import StudioFrame

# Each costs about as much as a video does: of more, those who are seen longest.
MOST = 16
_NAMELESS = "track"
# Of a question, at the end of an id.
_TAG = r"_[0-9a-f]{8}$"
_WHO = re.compile(r"\bwho\s*[:=]\s*(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class Individual:
    """`number`: of its track within the video. `label`: what the track is called, None for nothing. `last`: the last Label Studio frame of
    the video, `aspect`: width / height of its picture. `also`: ids of other regions that stand for it, such as the box that it follows.
    `shown`: whether its track is in what is predicted."""

    number: int
    track: Track
    last: int
    aspect: float
    label: str | None = None
    also: tuple[str, ...] = ()
    shown: bool = True

    @property
    def name(self) -> str:
        """What people call it."""
        return _name(self.number, self.label)

    @property
    def remark(self) -> str:
        """What the remark of its regions says."""
        return f"who: {self.name}"

    def names(self) -> tuple[str, ...]:
        return self.name, _name(self.number, None)

    def numbers(self) -> tuple[str, ...]:
        return (str(self.number),)

    def labels(self) -> tuple[str, ...]:
        return (self.label,) if self.label else ()

    @cached_property
    def frames(self) -> NDArray[np.int64]:
        """(k,) the Label Studio frames in which it is in the picture, ascending."""
        frames, boxes = meant_boxes(self.track, self.last, self.aspect)
        return np.asarray(np.unique(frames[~np.isnan(boxes[:, 0])]), np.int64)


@dataclass(frozen=True)
class Cast:
    """The individuals of one video; each is in the picture at some time. `left_out`: how many more there are."""

    individuals: tuple[Individual, ...] = ()
    left_out: int = 0

    @classmethod
    def of(cls, found: Iterable[Individual], most: int = MOST) -> Cast:
        """Of the individuals that are found the `most` who are seen longest, in the order of their numbers."""
        there = [each for each in found if len(each.frames)]
        kept = sorted(sorted(there, key=lambda each: -len(each.frames))[:most], key=lambda each: each.number)
        return cls(tuple(kept), len(there) - len(kept))

    @property
    def mark(self) -> str:
        """The same for as long as the same individuals go the same ways and are called the same."""
        ways = [[each.name, checksum(replace(each.track, labels=()))] for each in self.individuals]
        return f"{zlib.crc32(json.dumps(ways).encode()):08x}"

    def until(self, last: int) -> Cast:
        """The same in a video that has so many Label Studio frames."""
        if all(each.frames[-1] <= last for each in self.individuals):
            return self
        return Cast.of((replace(each, last=min(each.last, last)) for each in self.individuals), len(self.individuals))

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(k + 1,) where each of the k begins when the frames in which each is there are put behind each other, and where the last one
        ends: 0 to begin with."""
        return np.cumsum([0, *(len(each.frames) for each in self.individuals)])

    def whose(self, region: Region) -> Individual | None:
        """Whom a region of the timeline is about; None where nobody can tell.

        A parent among the tracks says it, and so does a remark; of a predicted region, whichever of them is not as it was predicted,
        else whom it was predicted for. Else it is the only one who is in the picture, unless a person names somebody else.
        """
        ours = RegionId.parse(region.id)
        drawn = self._numbered(ours.whose) if ours is not None and ours.whose is not None else None
        said = [each for each in (self._below(region.parent), self._named(region.remark)) if each is not None]
        changed = [each for each in said if each is not drawn]
        if changed or said:
            return (changed or said)[0]
        if drawn is not None:
            return drawn
        if ours is None and _WHO.search(region.remark):
            return None
        there = [each for each in self.individuals if _meets(each, region)]
        return there[0] if len(there) == 1 else None

    def placed(self, region: Region, individual: Individual) -> Region:
        """The region on the frames of all individuals behind each other, counted from 1; behind their end where this one is not in the
        picture at all."""
        at = self.individuals.index(individual)
        first = int(np.searchsorted(individual.frames, region.start))
        stop = int(np.searchsorted(individual.frames, region.end, side="right"))
        start = int(self.starts[at])
        if first >= stop:
            first = stop = int(self.starts[-1]) + 1 - start
            return replace(region, start=StudioFrame(start + first), end=StudioFrame(start + stop))
        return replace(region, start=StudioFrame(start + first + 1), end=StudioFrame(start + stop))

    def taken_apart(self, first: int, last: int) -> list[tuple[Individual, StudioFrame, StudioFrame]]:
        """The inverse, for the frames `first`..`last` behind each other: who it is, and from when until when, both included."""
        found = []
        for each, start in zip(self.individuals, self.starts.tolist(), strict=False):
            mine = each.frames[max(first - 1 - start, 0) : max(last - start, 0)]
            if len(mine):
                found.append((each, StudioFrame(int(mine[0])), StudioFrame(int(mine[-1]))))
        return found

    def _numbered(self, number: int) -> Individual | None:
        return next((each for each in self.individuals if each.number == number), None)

    def _below(self, parent: str) -> Individual | None:
        if not parent:
            return None
        # With the tag of its question, where a config has boxes twice.
        ids = {parent, re.sub(_TAG, "", parent)}
        return next((each for each in self.individuals if ids & {each.track.id, *each.also}), None)

    def _named(self, remark: str) -> Individual | None:
        said = [found[1] for found in map(_WHO.search, remark.splitlines()) if found]
        return next((each for text in said or [remark] if (each := self._called(text)) is not None), None)

    def _called(self, text: str) -> Individual | None:
        """By its name, its number, or its label where nobody else has the same; however it is written, if not as it stands."""
        for form in (_spoken, _plain):
            said = form(text)
            for names in (Individual.names, Individual.numbers, Individual.labels):
                found = [each for each in self.individuals if said and said in map(form, names(each))]
                if len(found) == 1:
                    return found[0]
        return None


def _name(number: int, label: str | None) -> str:
    return f"{label or _NAMELESS}-{number}"


def below_tracks(items: Iterable[ResultItem], tracks: Mapping[int, ResultItem]) -> list[ResultItem]:
    """The items of a prediction, those of individuals with the names of today: without the ones whose track, by its number, is among
    `tracks` no more."""
    found = []
    for item in items:
        ours = RegionId.parse(re.sub(_TAG, "", str(item.get("id")))) if item["type"] == "timelinelabels" else None
        # Those of a track that a person drew have no parent in a prediction.
        if ours is None or ours.whose is None or "parentID" not in item:
            found.append(item)
        elif (track := tracks.get(ours.whose)) is not None:
            name = _name(ours.whose, next(iter(track["value"].get("labels") or ()), None))
            found.append({**item, "parentID": track["id"], "meta": {"text": [f"who: {name}"]}})
    return found


def _spoken(text: str) -> str:
    return re.sub(r"[\s_-]+", "-", unicodedata.normalize("NFKC", text).casefold().strip())


def _plain(text: str) -> str:
    return re.sub(r"[^\w]|_", "", _spoken(text))


def _meets(individual: Individual, region: Region) -> bool:
    at = int(np.searchsorted(individual.frames, region.start))
    return at < len(individual.frames) and int(individual.frames[at]) <= region.end


def named_apart(tracks: Sequence[tuple[int | None, Track]], highest: int = 0) -> list[tuple[int, Track]]:
    """Each track with its number; those without one, which people drew, get the next that are free, in their order. `highest`: up to
    which numbers are not free, since a found track has or had them."""
    highest = max([highest, *(number for number, _ in tracks if number is not None)])
    found = []
    for number, track in tracks:
        if number is None:
            highest = number = highest + 1
        found.append((number, track))
    return found
