"""One situation through the product's own functions, and the baselines on the same labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.behaviour import scores
from benchmarks.behaviour.baselines import appearance, everything, optical_flow, regression
from benchmarks.behaviour.clips import Filmed, Studio
from benchmarks.learning.baselines import lstm
from benchmarks.learning.cold import uniform
from benchmarks.learning.data import Track, answers
from ml_backend.errors import NotEnoughLabels
from ml_backend.features.blocks import VideoFeatures
from ml_backend.jobs.suggestions.suggest import judged, suggestible
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.families import scene_rows
from ml_backend.learning.frame_labels import FrameLabels
from ml_backend.learning.head import Head
from ml_backend.learning.refinement import refined_probabilities
from sampling.auto import auto

Frames = NDArray[np.int64]
COUNTS = (5, 10, 20, 50)
# With this many labels in each clip, others are asked about.
_EACH = 5
# Clips of a situation that are asked about within themselves.
WITHIN = 4
# The network is slow to train: with the first seed, and so many labels in each of so many clips.
_LSTM_COUNTS, _LSTM_CLIPS = (10, 20), 2


@dataclass(frozen=True)
class Asked:
    """A situation, drawn or filmed, as it is measured."""

    name: str
    classes: tuple[str, ...]
    clips: Sequence[Filmed]
    taught: int
    others: bool = False
    exclusive: bool = True


@dataclass
class _Found:
    """Figures of all runs by name, and what was shown, for calibration."""

    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    shown: dict[str, list[tuple[NDArray[np.float32], NDArray[np.int8]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def report(self, exclusive: bool) -> dict[str, float]:
        row = {name: float(np.mean(values)) for name, values in self.figures.items()}
        for name, parts in self.shown.items():
            error = scores.calibration(parts, exclusive)
            if error is not None:
                row[f"ece_{name}"] = error
        return row


def suggested(
    features: VideoFeatures,
    count: int,
    seed: int = 0,
    allowed: NDArray[np.bool_] | None = None,
    labeled: Frames | None = None,
) -> Frames:
    """The frames that the product asks about first: good ones, the most telling of each stretch of time.

    Only those that are `allowed` (n,), and none of the frame indices `labeled` (k,).
    """
    good = suggestible(scene_rows(features), features.frames, features.samples, judged(features.samples))
    if allowed is not None:
        good = good.only(allowed[good.frames])
    return auto(good, count, labelled=labeled, seed=seed)


def measure(
    studio: Studio, asked: Asked, seeds: int, counts: Sequence[int] = COUNTS, with_lstm: bool = True
) -> dict[str, Any]:
    """The figures of one situation: `cold_k10` and so on are macro-F1, `ece_k10` the error of what is shown.

    `lstm_k10`, `lstm_k20`: of the first two clips, with the first seed.
    """
    tracks = [studio.track(asked.name, asked.classes, clip) for clip in asked.clips]
    found = _Found()
    flow = _flow_rows(studio, asked, tracks)
    if asked.others:
        _others(asked, tracks, flow, seeds, found)
    else:
        for count in counts:
            for place, track in enumerate(tracks[:WITHIN]):
                for seed in range(seeds):
                    if len(track.truth) >= 3 * count:
                        trained = with_lstm and seed == 0 and place < _LSTM_CLIPS and count in _LSTM_COUNTS
                        _within(asked, track, flow(place), count, seed, seeds, found, trained)
    _blitz(asked, tracks, flow, found, with_lstm)
    return found.report(asked.exclusive)


def _flow_rows(studio: Studio, asked: Asked, tracks: Sequence[Track]) -> Callable[[int], NDArray[np.float32]]:
    def rows(place: int) -> NDArray[np.float32]:
        found = optical_flow(asked.clips[place].path, studio.folder / "flow")
        return found[: len(tracks[place].truth)]

    return rows


def labelled(track: Track, frames: Frames | None, exclusive: bool) -> LabelledVideo:
    """What somebody said who answered these frames, or reviewed the whole timeline."""
    if exclusive:
        return track.labelled(frames)
    at = np.arange(len(track.truth)) if frames is None else frames
    values = np.full(track.truth.shape, -1, np.int8)
    values[at] = track.truth[at]
    weight = np.zeros(len(track.truth), np.float32)
    weight[at] = 1
    return LabelledVideo(0, track.features, FrameLabels(track.classes, values, weight, frames is None, frames is None))


def _within(
    asked: Asked,
    track: Track,
    flow: NDArray[np.float32],
    count: int,
    seed: int,
    seeds: int,
    found: _Found,
    with_lstm: bool,
) -> None:
    rest = track.scored.copy()
    frames = suggested(track.features, count, seed)
    even = uniform(track, count, seed, seeds)
    rest[frames] = rest[even] = False
    key = f"k{count}"
    for how, chosen in (("cold", frames), ("even", even)):
        p = cold(track, chosen, asked.exclusive)
        # While one class was seen nothing is predicted.
        shown = key if how == "cold" and len(np.unique(track.truth[chosen], axis=0)) > 1 else None
        _score(asked, track, p, rest, f"{how}_{key}", shown, found, whole=count == 10)
    found.figures[f"classes_{key}"].append(_shown_classes(track.truth, frames))
    found.figures[f"even_classes_{key}"].append(_shown_classes(track.truth, even))
    for name, rows, scaled in (
        ("plain", appearance(track), False),
        ("all", everything(track), True),
        ("flow", flow, True),
    ):
        _baseline(asked, [(rows, track, frames)], [(rows, track, rest)], f"{name}_{key}", scaled, found)
    if with_lstm:
        _lstm(asked, [(track, frames)], [(track, rest)], f"lstm_{key}", found)


def cold(track: Track, frames: Frames, exclusive: bool) -> NDArray[np.float32]:
    """What the product shows of a video in which these frames were answered."""
    answered = track.with_frames(frames)
    video = labelled(answered, frames, exclusive)
    try:
        head = fit_cold([video], track.classes, exclusive=exclusive)
    except NotEnoughLabels:
        return only_class(track, frames, exclusive)
    return refined_probabilities(head, answered.features, video.labels, track.source.with_frames)


def only_class(track: Track, frames: Frames, exclusive: bool) -> NDArray[np.float32]:
    """While one class was seen nothing is predicted; it counts as saying that one, as sure as its classes are many."""
    count = len(track.classes)
    if not exclusive:
        return np.full((len(track.truth), count), 0.5, np.float32)
    shown = np.full((len(track.truth), count), 0.9 / count, np.float32)
    shown[:, track.truth[frames[0]]] += 0.1
    return shown


def _others(
    asked: Asked,
    tracks: Sequence[Track],
    flow: Callable[[int], NDArray[np.float32]],
    seeds: int,
    found: _Found,
) -> None:
    """Five labels in each of the first clips, the others asked; dealt otherwise for each seed."""
    for seed in range(max(seeds, 2)):
        order = np.random.default_rng(seed).permutation(len(tracks))
        taught, rest = order[: asked.taught], order[asked.taught :]
        chosen = [(int(at), suggested(tracks[at].features, _EACH, seed)) for at in taught]
        videos = [labelled(tracks[at].with_frames(f), f, asked.exclusive) for at, f in chosen]
        head = fit_cold(videos, asked.classes, exclusive=asked.exclusive)
        _answers(asked, head, [tracks[at] for at in rest], "cold_k10", "k10", found)
        for name in ("plain", "all", "flow"):
            rows = {int(at): _rows(name, tracks[at], flow, int(at)) for at in order}
            _baseline(
                asked,
                [(rows[at], tracks[at], f) for at, f in chosen],
                [(rows[int(at)], tracks[at], tracks[at].scored) for at in rest],
                f"{name}_k10",
                name != "plain",
                found,
            )


def _rows(name: str, track: Track, flow: Callable[[int], NDArray[np.float32]], place: int) -> NDArray[np.float32]:
    return flow(place) if name == "flow" else appearance(track) if name == "plain" else everything(track)


def _blitz(
    asked: Asked,
    tracks: Sequence[Track],
    flow: Callable[[int], NDArray[np.float32]],
    found: _Found,
    with_lstm: bool,
) -> None:
    """Whole timelines of the first clips, the others never seen."""
    taught, rest = range(asked.taught), range(asked.taught, len(tracks))
    if not rest:
        return
    videos = [labelled(tracks[at], None, asked.exclusive) for at in taught]
    try:
        head = fit_blitz(videos, asked.classes, exclusive=asked.exclusive)
    except NotEnoughLabels:
        return
    _answers(asked, head, [tracks[at] for at in rest], "blitz", "blitz", found)
    for name in ("plain", "all", "flow"):
        every = np.arange(len(tracks[0].truth))
        _baseline(
            asked,
            [(_rows(name, tracks[at], flow, at), tracks[at], every[: len(tracks[at].truth)]) for at in taught],
            [(_rows(name, tracks[at], flow, at), tracks[at], tracks[at].scored) for at in rest],
            f"{name}_blitz",
            name != "plain",
            found,
        )
    if with_lstm:
        whole = [(tracks[at], np.arange(len(tracks[at].truth))) for at in taught]
        _lstm(asked, whole, [(tracks[at], tracks[at].scored) for at in rest], "lstm_blitz", found)


def _answers(asked: Asked, head: Head, tracks: Sequence[Track], name: str, shown: str, found: _Found) -> None:
    """One score over all of the videos together: a clip of one class has no macro-F1 of its own."""
    joined = _joined(tracks)
    p = np.concatenate([head.probabilities(track.features) for track in tracks])
    _score(asked, joined, p, joined.scored, name, shown, found, whole=True)


def _joined(tracks: Sequence[Track]) -> Track:
    truth = np.concatenate([track.truth for track in tracks])
    return replace(tracks[0], truth=truth, scored=np.concatenate([track.scored for track in tracks]))


def _score(
    asked: Asked,
    track: Track,
    p: NDArray[np.float32],
    rest: NDArray[np.bool_],
    name: str,
    shown: str | None,
    found: _Found,
    whole: bool,
) -> None:
    if not asked.exclusive:
        said = (p >= 0.5).astype(np.intp)
        each = [scores.frames(track.truth[:, c], said[:, c], rest) for c in range(p.shape[1])]
        found.figures[name].append(float(np.mean([one["macro_f1"] for one in each])))
        found.figures[f"{name}_balanced"].append(float(np.mean([one["balanced"] for one in each])))
        values = track.truth.astype(np.int8)
    else:
        answer = answers(p)
        figures = scores.frames(track.truth, answer, rest)
        found.figures[name].append(figures["macro_f1"])
        found.figures[f"{name}_balanced"].append(figures["balanced"])
        if whole:
            for key, value in scores.segments(track.truth, answer).items():
                found.figures[f"{name}_{key}"].append(value)
        values = np.eye(len(track.classes), dtype=np.int8)[track.truth]
    if shown is not None:
        found.shown[shown].append((p[rest], values[rest]))


def _baseline(
    asked: Asked,
    taught: Sequence[tuple[NDArray[np.float32], Track, Frames]],
    rest: Sequence[tuple[NDArray[np.float32], Track, NDArray[np.bool_]]],
    name: str,
    scaled: bool,
    found: _Found,
) -> None:
    columns: list[int | None] = [None] if asked.exclusive else list(range(len(asked.classes)))
    got = []
    for column in columns:
        truths = [track.truth if column is None else track.truth[:, column] for _, track, _ in rest]
        own = [
            (rows[frames], (track.truth if column is None else track.truth[:, column])[frames])
            for rows, track, frames in taught
        ]
        said = regression(own, [rows for rows, _, _ in rest], scaled)
        scored = np.concatenate([mask for _, _, mask in rest])
        got.append(scores.frames(np.concatenate(truths), np.concatenate(said), scored)["macro_f1"])
    found.figures[name].append(float(np.mean(got)))


def _lstm(
    asked: Asked,
    taught: Sequence[tuple[Track, Frames]],
    rest: Sequence[tuple[Track, NDArray[np.bool_]]],
    name: str,
    found: _Found,
) -> None:
    """The bidirectional network on the same labels and embeddings; of labels that may hold together one for each."""
    columns: list[int | None] = [None] if asked.exclusive else list(range(len(asked.classes)))
    got = []
    for column in columns:
        about = [_about(track, column) for track, _ in rest]
        said = lstm([(_about(track, column), frames) for track, frames in taught], about)
        scored = np.concatenate([mask for _, mask in rest])
        truth = np.concatenate([track.truth for track in about])
        got.append(scores.frames(truth, np.concatenate(said), scored)["macro_f1"])
    found.figures[name].append(float(np.mean(got)))


def _about(track: Track, column: int | None) -> Track:
    """The question whether one label holds; of None the track as it is."""
    return track if column is None else replace(track, classes=("no", "yes"), truth=track.truth[:, column])


def _shown_classes(truth: NDArray[np.intp], frames: Frames) -> float:
    """The share of the classes that these frames show."""
    rows = truth.reshape(len(truth), -1)
    return len(np.unique(rows[frames], axis=0)) / len(np.unique(rows, axis=0))
