"""Labels of tracks that nobody has called anything, learned from those that people have: what is learned for whom, what it is
learned from, and when anew."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from ml_backend.errors import WeightsError
from ml_backend.jobs.box_tracks import are_wanted
from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.label_config import Question
from ml_backend.projects import reconcile_state, track_rows
from ml_backend.projects.track_rows import TrackRows
from ml_backend.projects.tracks import StoredTrack, StoredTracks
from ml_backend.queueing.queue import enqueue

if TYPE_CHECKING:
    from ml_backend.objects.descriptions import Embed

# By how much a label has to become more or less probable for that to be shown.
_NOTICED = 0.05
# The same of how much its label would teach.
_WORTH_NOTICED = 0.1


def taught_about(work: ProjectWork) -> list[Question]:
    """The questions about boxes that have several labels; one label alone needs no learning."""
    return [each for each in work.config.tracks if len(each.labels) > 1] if are_wanted(work) else []


@dataclass(frozen=True, eq=False)
class Describer:
    """How the tracks of a project are described. `embed`: a network that takes pictures of `side` pixels, None without
    weights. `made_by`: the same for as long as rows may be compared."""

    made_by: str
    embed: Embed | None
    side: int


def describer_of(work: ProjectWork) -> Describer:
    """By the project's backbone; without weights, by what needs none. What is wrong with weights the admin is told by whoever
    loads them."""
    from ml_backend.objects.descriptions import VERSION
    from ml_backend.video.view import PICTURE

    backbone = None
    if work.context.settings.backbone_weights != "none":
        with contextlib.suppress(WeightsError):
            backbone = work.context.backbone_for(work.settings).at(None)
    if backbone is None or not backbone.trained:
        return Describer(json.dumps([VERSION]), None, PICTURE)
    return Describer(json.dumps([VERSION, backbone.network]), backbone.embed, backbone.view.side)


def is_open(track: StoredTrack, question: Question) -> bool:
    """Whether neither a person nor the detector has called a track that is shown by a label of the config."""
    named = track.label in question.labels or track.detected in question.labels
    return track.control == question.from_name and not track.replaced and not named


def recognized(work: ProjectWork, stored: StoredTracks, rows: TrackRows | None) -> StoredTracks:
    """A task's tracks with the label that those have by what was learned which nobody has called anything, and with how much a person's
    word on them would teach.

    To be called within `pushing`, so that nothing else is learned meanwhile. A head that is damaged, or that knows rows made
    otherwise, says nothing.
    """
    from ml_backend.learning.track_labels import TrackHead, Tracks
    from ml_backend.learning.track_worth import LabeledTracks, worth

    data_dir = work.context.settings.data_dir
    found = {track: _called(track, None, 0.0, 0.0) for track in stored.tracks}
    if rows is None:
        return replace(stored, tracks=tuple(found[track] for track in stored.tracks))
    for question in taught_about(work):
        head = _read(TrackHead, track_rows.load_head(data_dir, work.key, question.tag), rows)
        labeled = _read(LabeledTracks, track_rows.load_labeled(data_dir, work.key, question.tag), rows)
        known = [(track, row) for track in stored.tracks if is_open(track, question) and (row := rows.of(track))]
        described = Tracks.of([row for _, row in known], [0] * len(known))
        named = head.named(described) if head is not None else [(None, 0.0)] * len(known)
        told = zip(known, named, worth(described, labeled, head).tolist(), strict=True)
        for (track, _), (label, sure), value in told:
            found[track] = _called(track, label, sure if label else 0.0, value)
    return replace(stored, tracks=tuple(found[track] for track in stored.tracks))


class _Learned(Protocol):
    @property
    def made_by(self) -> str: ...

    @classmethod
    def from_bytes(cls, content: bytes) -> Self: ...


_Kind = TypeVar("_Kind", bound=_Learned)


def _read(kind: type[_Kind], content: bytes | None, rows: TrackRows) -> _Kind | None:
    """None where there is none, or none that can be read or that knows rows made as these are."""
    try:
        found = kind.from_bytes(content) if content is not None else None
    except ValueError:
        return None
    return found if found is not None and found.made_by == rows.made_by else None


def _called(track: StoredTrack, label: str | None, sure: float, worth: float) -> StoredTrack:
    # Every prediction would be pushed anew for what nobody notices.
    same = label == track.predicted and abs(sure - track.sure) < _NOTICED and abs(worth - track.worth) < _WORTH_NOTICED
    if same and bool(worth) == bool(track.worth):
        return track
    return replace(track, predicted=label, sure=sure, worth=round(worth, 3))


def recognition_state(work: ProjectWork) -> list[object]:
    """The same for as long as the same would be learned."""
    settings = work.context.settings
    labels = [[each.from_name, *each.labels] for each in taught_about(work)]
    said = reconcile_state.get(work.context.redis, work.key, "taught")
    return [labels, settings.backbone, settings.backbone_weights, work.settings.resolution, said]


def learn_anew(work: ProjectWork) -> None:
    """To be called when people call tracks something else than before."""
    reconcile_state.put(work.context.redis, work.key, "taught", uuid.uuid4().hex)
    enqueue(work.context.redis, "recognize", work.key)


def queue_recognition(work: ProjectWork) -> str | None:
    """Queues the learning of labels unless the last one knew all there is; returns what was done, if anything."""
    redis = work.context.redis
    if not taught_about(work) and not track_rows.load_taught(work.context.settings.data_dir, work.key):
        return None
    if reconcile_state.get(redis, work.key, "recognized") == recognition_state(work):
        return None
    return "labels of tracks to learn" if enqueue(redis, "recognize", work.key) else None
