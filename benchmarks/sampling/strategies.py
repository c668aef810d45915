"""What each strategy shows of a video at the same cost, and how well a Cold model does that learns from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.cold import ours, suggested, uniform
from benchmarks.learning.data import BACKBONE, Track, answers, f1
from ml_backend.features.hashing import Sampling, stored_samples
from ml_backend.jobs.suggestions.deduplication import Asked, not_asked_yet
from ml_backend.jobs.suggestions.suggest import judged, suggestible
from ml_backend.labelstudio.label_config import DEFAULT_FRAMERATE
from ml_backend.learning.families import scene_rows
from ml_backend.project_settings import ProjectSettings
from ml_backend.video.decode import decode
from ml_backend.video.timeline import read_timeline, studio_grid
from sampling.auto import auto
from sampling.candidates import Candidates
from sampling.diverse import diverse, principal
from sampling.k_centre import k_centre, radius
from sampling.shots import per_shot
from sampling.uncertain import boundary, rare, uncertain
from sampling.uniform import at_random, thin
from sampling.unique import unique

COUNTS = (5, 10, 20)
# A model's questions come in batches of at most this many, and it learns from each batch before the next.
BATCH = 5

Frames = NDArray[np.int64]
# A track, how many frames, which repetition of how many.
Strategy = Callable[[Track, int, int, int], Frames]
# A track, the probabilities of its frames, the frames labelled so far, how many more, the seed.
Question = Callable[[Track, NDArray[np.float32], Frames, int, int], Frames]


def hashed(track: Track, count: int, seed: int, seeds: int) -> Frames:
    """The product's `unique`, the first sample at another share of a sample's distance for every seed."""
    defaults = ProjectSettings()
    samples = stored_samples(track.features, defaults.sample_fps)
    assert samples is not None
    later = samples.at(np.arange(seed * len(samples.frames) // (4 * seeds), len(samples.frames)))
    return thin(unique(later.frames, later.hashes, defaults.hash_threshold), count)


def after_suggested(ask: Question) -> Strategy:
    """Half of the frames are suggested ones; the rest is asked for by a model that learnt from those before, batch by batch."""

    def choose(track: Track, count: int, seed: int, seeds: int) -> Frames:
        frames = suggested(track, count - count // 2, seed)
        while len(frames) < count:
            probabilities = ours([(track, frames)], track, known=True)
            asked = ask(track, probabilities, frames, min(BATCH, count - len(frames)), seed)
            more = np.setdiff1d(asked, frames)
            if not len(more):
                break
            frames = np.union1d(frames, more)
        return frames

    return choose


def appearance(track: Track) -> NDArray[np.float32]:
    """(n, d) what to tell the frames of a video apart by."""
    return track.features.interpolate(scene_rows(track.features))


def measure(
    tracks: Mapping[str, Sequence[Track]], strategies: Mapping[str, Strategy], seeds: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Per strategy and `k<k>`: means over seeds, then over the videos of a track, then over tracks.

    `class_recall`, `segment_recall`: the shares of a video's classes and segments that are shown. `radius_ratio`: the
    distance of the frame farthest from any chosen one (k-centre radius, in a 32-d PCA of the embeddings) over that of
    random frames. `duplicate_share`: chosen frames whose perceptual hash is the same as that of another one before.
    `macro_f1`: of the frames that were not chosen, by a Cold model that learnt from the chosen.
    """
    report: dict[str, dict[str, dict[str, float]]] = {name: {} for name in strategies}
    for count in COUNTS:
        rows: dict[str, list[dict[str, float]]] = defaultdict(list)
        for videos in tracks.values():
            usable = [track for track in videos if len(track.truth) >= 2 * count]
            found = [_video(track, strategies, count, seeds) for track in usable]
            for name in strategies if found else ():
                rows[name].append({key: float(np.mean([one[name][key] for one in found])) for key in found[0][name]})
        for name, each in rows.items():
            report[name][f"k{count}"] = {key: float(np.mean([row[key] for row in each])) for key in each[0]}
    return report


def _video(track: Track, strategies: Mapping[str, Strategy], count: int, seeds: int) -> dict[str, dict[str, float]]:
    points = principal(appearance(track))
    usual = np.mean([radius(points, by_chance(track, count, seed, seeds)) for seed in range(seeds)])
    hashes = _hashes(track.source.path)
    found: dict[str, dict[str, float]] = {}
    for name, choose in strategies.items():
        scores: dict[str, list[float]] = defaultdict(list)
        for seed in range(seeds):
            frames = choose(track, count, seed, seeds)
            rest = track.scored.copy()
            rest[frames] = False
            said = answers(ours([(track, frames)], track, known=True))
            scores["class_recall"].append(len(np.unique(track.truth[frames])) / len(np.unique(track.truth)))
            scores["segment_recall"].append(_segments_shown(track.truth, frames))
            scores["radius_ratio"].append(radius(points, frames) / max(float(usual), 1e-9))
            scores["duplicate_share"].append(1 - len(np.unique(hashes[frames])) / len(frames))
            scores["macro_f1"].append(f1(track.truth, said, rest))
            scores["frames"].append(len(frames))
        found[name] = {key: float(np.mean(values)) for key, values in scores.items()}
    return found


def _segments_shown(truth: NDArray[np.intp], frames: Frames) -> float:
    segment = np.concatenate([[0], np.cumsum(np.diff(truth) != 0)])
    return len(np.unique(segment[frames])) / (int(segment[-1]) + 1)


@cache
def _hashes(path: Path) -> NDArray[np.uint64]:
    """(n,) the perceptual hash of every frame."""
    timeline = read_timeline(path)
    every = Sampling(np.arange(len(timeline), dtype=np.int64))
    for picture in decode(path, timeline):
        every.add(picture)
    return every.finish().hashes


def by_chance(track: Track, count: int, seed: int, seeds: int) -> Frames:
    return at_random(np.arange(len(track.truth)), count, seed=seed)


def as_shipped(track: Track, count: int, seed: int, seeds: int) -> Frames:
    """What the product suggests of an embedded video, by `auto`, in a project that has asked about nothing yet."""
    good = _good(track)
    return _not_asked_yet(track, auto(good, count), good)


def dropped(track: Track, count: int, seed: int, seeds: int) -> Frames:
    """The same, but nothing comes in the place of pictures that look like others."""
    return _not_asked_yet(track, auto(_good(track), count), Candidates(np.zeros(0, np.int64)))


def _good(track: Track) -> Candidates:
    features = track.features
    return suggestible(scene_rows(features), features.frames, features.samples, judged(features.samples))


def _not_asked_yet(track: Track, chosen: Frames, others: Candidates) -> Frames:
    grid = studio_grid(track.features.timeline, DEFAULT_FRAMERATE)
    with TemporaryDirectory() as folder:
        return not_asked_yet(Asked(Path(folder), "1.1"), 1, track.features, (BACKBONE,), grid, chosen, others)


def _farthest(track: Track, count: int, seed: int, seeds: int) -> Frames:
    return k_centre(scene_rows(track.features), count, frames=track.features.frames, seed=seed)


def _in_shots(pick: Callable[..., Frames]) -> Strategy:
    """Each shot gets its share of the frames, and `pick` chooses within it."""

    def choose(track: Track, count: int, seed: int, seeds: int) -> Frames:
        within = per_shot(lambda one, own: pick(one.embeddings, own, frames=one.frames, seed=seed))
        return within(Candidates(track.features.frames, embeddings=scene_rows(track.features)), count)

    return choose


def _uncertain(track: Track, probabilities: NDArray[np.float32], labelled: Frames, count: int, seed: int) -> Frames:
    return uncertain(
        probabilities, count, exclusive=True, embeddings=appearance(track), labelled=labelled, gap=track.tolerance
    )


def _uncertain_in_time(
    track: Track, probabilities: NDArray[np.float32], labelled: Frames, count: int, seed: int
) -> Frames:
    return uncertain(probabilities, count, exclusive=True, labelled=labelled, gap=track.tolerance)


def _boundary(track: Track, probabilities: NDArray[np.float32], labelled: Frames, count: int, seed: int) -> Frames:
    return boundary(probabilities, count, exclusive=True, labelled=labelled, gap=track.tolerance)


def _rare(track: Track, probabilities: NDArray[np.float32], labelled: Frames, count: int, seed: int) -> Frames:
    examples = np.bincount(track.truth[labelled], minlength=len(track.classes))
    return rare(probabilities, count, examples=examples, exclusive=True, labelled=labelled, gap=track.tolerance)


STRATEGIES: dict[str, Strategy] = {
    "random": by_chance,
    "uniform": uniform,
    "unique": hashed,
    "k_centre": _farthest,
    "shots": _in_shots(diverse),
    "medoids": lambda track, count, seed, seeds: diverse(
        scene_rows(track.features), count, frames=track.features.frames, seed=seed
    ),
    "telling": lambda track, count, seed, seeds: suggested(track, count, seed),
    "auto, as shipped": as_shipped,
    "auto, none instead": dropped,
    "uncertain": after_suggested(_uncertain),
    "uncertain in time": after_suggested(_uncertain_in_time),
    "boundary": after_suggested(_boundary),
    "rare": after_suggested(_rare),
}
