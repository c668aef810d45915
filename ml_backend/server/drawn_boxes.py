"""What Label Studio's interactive pre-annotation gets for a box that a person has just drawn: the track that is known of that object,
under the id of the drawn region, so that it takes its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml_backend.labelstudio.box_track import Track
from ml_backend.labelstudio.label_config import LabelConfig, Question
from ml_backend.labelstudio.payloads import PredictTask
from ml_backend.labelstudio.tracks import Length, checksum, is_untouched, read_tracks, track_items
from ml_backend.prediction_item import ResultItem
from ml_backend.projects.tracks import StoredTrack, StoredTracks

# A found track is of the drawn object when its box overlaps by this much there.
_SAME = 0.5
# A person has drawn one; the others are those that have the same label.
_MOST = 100


@dataclass(frozen=True)
class Following:
    """`ready`: an item for each drawn box whose track is known. `to_follow`: Label Studio's own items of the others."""

    ready: tuple[ResultItem, ...]
    to_follow: tuple[Mapping[str, object], ...]


def following(config: LabelConfig, task: PredictTask, stored: StoredTracks | None) -> Following:
    """Of the boxes that a person has drawn in a task; `stored`: the tracks that are known of its video."""
    ready: list[ResultItem] = []
    to_follow: list[Mapping[str, object]] = []
    for item, question, drawn in _drawn(config, task.drawn or ()):
        found = _known(stored, question, drawn, question.framerate_of(task.data)) if stored else None
        made = _item(found, question, drawn, stored) if found and stored else None
        if made is None:
            to_follow.append(item)
        else:
            # In a config with several questions about boxes ours end with a tag, and a drawn region's does not.
            ready.append({**made, "id": str(item.get("id"))})
    return Following(tuple(ready), tuple(to_follow))


def _drawn(
    config: LabelConfig, items: Sequence[Mapping[str, object]]
) -> Iterator[tuple[Mapping[str, object], Question, Track]]:
    for item in items[:_MOST]:
        for question in config.tracks:
            for track in read_tracks([item], question).tracks:
                if track.is_one_box and not is_untouched(track):
                    yield item, question, track


def _known(stored: StoredTracks, question: Question, drawn: Track, framerate: float) -> StoredTrack | None:
    """The track that follows this very box, else the one that lies on it most."""
    length = stored.lengths.get(question.from_name)
    if length is None or length[2] != framerate:
        return None
    own = [each for each in stored.tracks if each.control == question.from_name]
    mark = f"{question.from_name} {drawn.id} {checksum(drawn)}"
    if followed := next((each for each in own if each.drawn == mark), None):
        return followed
    shown = [(_overlap(each, drawn), each) for each in own if not each.replaced]
    overlap, best = max(shown, key=lambda pair: pair[0], default=(0.0, None))
    return best if overlap >= _SAME else None


def _overlap(stored: StoredTrack, drawn: Track) -> float:
    """IoU of the two boxes at the frame of the drawn one, 0 where the other is away."""
    frame = np.array([drawn.keys[0].frame])
    ours, theirs = (
        Track.placed("", [(*key[:5], 0.0, key[5]) for key in stored.keys]).boxes(frame)[0],
        drawn.boxes(frame)[0],
    )
    if np.isnan(ours).any():
        return 0.0
    top_left, bottom_right = (
        np.maximum(ours[:2], theirs[:2]),
        np.minimum(ours[:2] + ours[2:4], theirs[:2] + theirs[2:4]),
    )
    both = float(np.prod(np.maximum(bottom_right - top_left, 0)))
    either = float(np.prod(ours[2:4]) + np.prod(theirs[2:4])) - both
    return both / either if either > 0 else 0.0


def _item(found: StoredTrack, question: Question, drawn: Track, stored: StoredTracks) -> ResultItem | None:
    """The track as Label Studio draws it, with the label that the person gave; None where it cannot be drawn."""
    keys = Track.placed(drawn.id, [(*key[:5], 0.0, key[5]) for key in found.keys]).keys
    track = replace(drawn, keys=keys, score=found.score, pushed=None)
    try:
        [item] = track_items([track], question, Length(*stored.lengths[question.from_name]))
    except ValueError:
        return None
    return item
