"""How well each individual's behavior is learned from a few of them: on individuals in videos that taught nothing, beside a classifier that
sees whole frames and can only say the same of everybody."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import share, table
from benchmarks.objects.acts import ACTS, FilmedActs, film_acts
from benchmarks.objects.scenes import HEIGHT, RATE, WIDTH
from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.moving import joined, moving_features
from ml_backend.features.store import FeatureStore
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.cold import fit_cold
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.frame_labels import UNKNOWN, FrameLabels
from ml_backend.learning.head import Head
from ml_backend.learning.probabilities import decided
from ml_backend.objects.boxes import Track, iou
from ml_backend.objects.finder import find_tracks
from ml_backend.objects.motion import MotionDetector
from ml_backend.video.moving_view import moving_view
from ml_backend.video.timeline import read_timeline

Report = dict[str, Any]
VIDEOS = 12
# Labeled individuals, of as many videos as it takes; and of how many other videos the answers are scored.
EXAMPLES = (2, 6)
_TEST = 6
_DRAWS = 2
# A found track is of the animal that it overlaps with by so much on average.
_SAME = 0.4


class _Seen:
    """One drawn video: what is seen of each found track, whose it is, and what is seen of whole frames."""

    def __init__(self, film: FilmedActs, backbone: Backbone, store: FeatureStore) -> None:
        timeline = read_timeline(film.path)
        found = find_tracks(film.path, timeline, MotionDetector())
        pairs = [(each, of) for each in found if (of := _whose(each, film)) is not None]
        self.animals = len(film.tracks)
        self.whose = [of for _, of in pairs]
        self.acts = film.acts
        self.views = [moving_view(each.frames, each.boxes, WIDTH / HEIGHT, RATE) for each, _ in pairs]
        content = film.path.stem
        parts = moving_features(film.path, self.views, backbone, store, content)
        self.each = [joined([part], [view]) for part, view in zip(parts, self.views, strict=True)]
        self.whole = video_features(film.path, backbone, store, content)

    def of_individual(self, task: int, number: int) -> LabelledVideo:
        view = self.views[number]
        return LabelledVideo(task, self.each[number], _labels(self.acts[self.whose[number]][view.frames]))

    def of_whole(self, task: int, number: int) -> LabelledVideo:
        """What a person labels who means one animal, and has a timeline for the video alone."""
        known = np.full(len(self.whole), -1, np.intp)
        known[self.views[number].frames] = self.acts[self.whose[number]][self.views[number].frames]
        return LabelledVideo(task, self.whole, _labels(known))


def measure_individuals(folder: Path, weights: Path | None, videos: int = VIDEOS) -> Report:
    """`macro_f1`: of frames of found individuals in videos that taught nothing, from the most labeled individuals; by kind of head
    and number of them under `k2` and `k6`, with `whole_frames` beside each."""
    backbone = load_backbone("mobilenet_v2", str(weights) if weights is not None else "none", "cpu", folder)
    store = FeatureStore(folder / "features", 10**10)
    seen: list[_Seen] = []
    missed = lost = 0
    for video in range(videos):
        print(f"individuals, video {video + 1} of {videos} …", flush=True)
        film = film_acts(2 + video % 3, folder / f"acts-{video}.mp4", 300 + video)
        seen.append(_Seen(film, backbone, store))
        missed += seen[-1].animals - len(set(seen[-1].whose))
        lost += seen[-1].animals
    report: Report = {"with_network": weights is not None, "found": 1 - missed / lost}
    for examples in EXAMPLES:
        rounds = [_round(seen, examples, draw) for draw in range(_DRAWS)]
        report[f"k{examples}"] = {name: mean(one[name] for one in rounds) for name in rounds[0]} | {
            "worst": min(one["macro_f1"] for one in rounds)
        }
    best = report[f"k{EXAMPLES[-1]}"]
    return {"macro_f1": best["macro_f1"], "whole_frames": best["whole_frames"], **report}


def _whose(track: Track, film: FilmedActs) -> int | None:
    for number, truth in enumerate(film.tracks):
        shared, mine, its = np.intersect1d(track.frames, truth.frames, assume_unique=True, return_indices=True)
        if len(shared) and float(iou(track.boxes[mine], truth.boxes[its]).mean()) >= _SAME:
            return number
    return None


def _labels(acts: NDArray[np.intp]) -> FrameLabels:
    values = (acts[:, None] == np.arange(len(ACTS))).astype(np.int8)
    values[acts < 0] = UNKNOWN
    return FrameLabels(ACTS, values, (acts >= 0).astype(np.float32), dense=True, judged=True)


def _round(seen: Sequence[_Seen], examples: int, draw: int) -> dict[str, float]:
    rng = np.random.default_rng(draw)
    order = rng.permutation(len(seen))
    teaching, asked = order[: len(seen) - _TEST], order[-_TEST:]
    # One of each video first.
    queues = [
        [(task, number) for number in rng.permutation(len(seen[task].each)).tolist()] for task in teaching.tolist()
    ]
    chosen = [pair for several in zip_longest(*queues) for pair in several if pair is not None][:examples]
    scores: dict[str, float] = {}
    for name, kind in (("macro_f1", fit_blitz), ("cold", fit_cold)):
        head = kind([seen[task].of_individual(task, number) for task, number in chosen], ACTS, exclusive=True)
        scores[name] = _score(head, seen, asked, whole=False)
    head = fit_blitz([seen[task].of_whole(task, number) for task, number in chosen], ACTS, exclusive=True)
    scores["whole_frames"] = _score(head, seen, asked, whole=True)
    return scores


def _score(head: Head, seen: Sequence[_Seen], asked: NDArray[np.intp], *, whole: bool) -> float:
    answers, truths = [], []
    for task in asked.tolist():
        video = seen[task]
        everybody = decided(head.probabilities(video.whole), True) if whole else None
        for number, view in enumerate(video.views):
            said = (
                everybody[view.frames]
                if everybody is not None
                else decided(head.probabilities(video.each[number]), True)
            )
            answers.append(np.where(said.any(axis=1), said.argmax(axis=1), -1))
            truths.append(video.acts[video.whose[number]][view.frames])
    answer, truth = np.concatenate(answers), np.concatenate(truths)
    found = []
    for act in range(len(ACTS)):
        both = int(((answer == act) & (truth == act)).sum())
        found.append(2 * both / max(int((answer == act).sum() + (truth == act).sum()), 1))
    return mean(found)


def individuals_as_text(report: Report) -> str:
    rows = [
        [str(k), *(share(report[f"k{k}"][name]) for name in ("macro_f1", "worst", "cold", "whole_frames"))]
        for k in EXAMPLES
    ]
    head = ["labeled individuals", "macro-F1", "worst draw", "Cold", "whole frames"]
    return "\n".join(table(head, rows))
