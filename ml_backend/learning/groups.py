"""Which videos belong together when some are held out: near-duplicates always, and videos that look alike.

Leaving out videos that look like others that stay in measures memory, not generalisation. Nobody has to say who or what
is in a video for that: videos are grouped by the mean of their embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.hashing import copies, signature_of_features
from ml_backend.learning.examples import LabelledVideo, classes_of, rows_at
from ml_backend.learning.families import Family, Part, Views
from sampling.candidates import unit

Groups = NDArray[np.intp]

# Two files of the same length whose frames differ by less than this cosine distance hold the same recording.
DUPLICATE = 0.02
_SAME_LENGTH = 0.02
_SAMPLES = 24
_AS_SEEN = Family("as seen", (Part(("appearance",), "raw"),))


def duplicates(videos: Sequence[VideoFeatures]) -> Groups:
    """(v,) a group number for each video, the same for near-duplicates: the same pictures at the same share of time.

    Embeddings tell those of about the same quality. A copy of half the size has others, but nearly the same hashes.
    """
    if len(videos) < 2:
        return np.zeros(len(videos), np.intp)
    rows = np.stack([_sampled(video) for video in videos])
    alike = np.einsum("asd,bsd->ab", rows, rows) / _SAMPLES
    seconds = np.array([float(video.timeline.duration) for video in videos])
    longer = np.maximum(seconds[:, None], seconds)
    alike[np.abs(seconds[:, None] - seconds) > _SAME_LENGTH * longer] = 0
    first_of = copies([signature_of_features(video) for video in videos])
    alike[first_of, np.arange(len(videos))] = alike[np.arange(len(videos)), first_of] = 1
    upper = np.triu_indices(len(videos), 1)
    return np.asarray(fcluster(linkage(np.maximum(1 - alike[upper], 0), "single"), DUPLICATE, "distance") - 1, np.intp)


def clusters(videos: Sequence[VideoFeatures], most: int = 5) -> list[Groups]:
    """Sets of videos (positions) that look alike: every branch at the top of a tree of their mean appearance.

    First come the two that differ most, then finer ones, up to `most` at a level; near-duplicates are never apart.
    """
    same = duplicates(videos)
    if same.max(initial=0) < 1:
        return []
    means = np.stack([unit(video.blocks["appearance"].astype(np.float32)).mean(axis=0) for video in videos])
    centres = np.stack([means[same == group].mean(axis=0) for group in range(same.max() + 1)])
    tree = linkage(unit(centres), "average")
    branches: dict[tuple[int, ...], Groups] = {}
    for level in range(2, most + 1):
        cut = fcluster(tree, level, "maxclust")[same]
        for one in np.unique(cut):
            branch = np.flatnonzero(cut == one)
            branches[tuple(branch.tolist())] = branch
    return list(branches.values())


def deal(groups: Groups, most: int, seed: int) -> Groups:
    """(v,) at most `most` folds of about equal size, no group cut apart."""
    numbers, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load = np.zeros(min(most, len(numbers)))
    fold_of = np.zeros(len(numbers), np.intp)
    for position in order:
        fold_of[position] = load.argmin()
        load[load.argmin()] += sizes[position]
    return np.asarray(fold_of[np.searchsorted(numbers, groups)], np.intp)


def spared(fold: Groups, classes: Sequence[NDArray[np.intp]]) -> bool:
    """Whether every class keeps an example when the videos at `fold` are left out; `classes` are those of each video."""
    left = [own for position, own in enumerate(classes) if position not in set(fold.tolist())]
    return bool(left) and set(np.concatenate(left).tolist()) == set(np.concatenate(list(classes)).tolist())


def _sampled(video: VideoFeatures) -> NDArray[np.float32]:
    """(samples, d) unit rows at evenly spread times, whichever frames happen to be embedded."""
    return rows_at(Views(video), _AS_SEEN, np.linspace(0, len(video) - 1, _SAMPLES))


def held_out_share(
    videos: Sequence[LabelledVideo], labels: Sequence[str], exclusive: bool, share: float, seed: int
) -> frozenset[int] | None:
    """Tasks to hold out: about `share` of the recordings, of those whose whole timelines people have judged.

    Near-duplicates are held out together, and every class that was seen keeps an example. None when that cannot be.
    """
    same = duplicates([video.features for video in videos])
    numbers = np.unique([group for group, video in zip(same, videos, strict=True) if video.labels.judged])
    order = np.random.default_rng(seed).permutation(numbers)
    classes = [_classes(video, tuple(labels), exclusive) for video in videos]
    wanted = max(round(share * len(np.unique(same))), 1)
    held: list[int] = []
    for number in order:
        if len(held) == wanted:
            break
        if spared(np.flatnonzero(np.isin(same, [*held, number])), classes):
            held.append(int(number))
    tasks = frozenset(video.task for video, group in zip(videos, same, strict=True) if int(group) in held)
    return tasks or None


def _classes(video: LabelledVideo, labels: tuple[str, ...], exclusive: bool) -> NDArray[np.intp]:
    """The classes that a video shows; of several questions each has two of its own."""
    values = video.labels.select(labels).values
    found = [classes_of(values, exclusive, column) for column in range(1 if exclusive else len(labels))]
    return np.concatenate([np.unique(one[one >= 0]) + 2 * position for position, one in enumerate(found)])
