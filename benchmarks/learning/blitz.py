"""Blitz: whole timelines of some videos, tested on others; and the later half of one video from its first half."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.baselines import Frames, lstm, plain
from benchmarks.learning.data import Data, Track, answers, balanced, grouping
from ml_backend.learning.blitz import fit_blitz
from ml_backend.learning.evaluation import cross_validated
from ml_backend.learning.metrics import calibration_error
from ml_backend.learning.refinement import refined_probabilities

Baseline = Callable[[Sequence[tuple[Track, Frames]], Sequence[Track]], list[NDArray[np.intp]]]


def blitz(data: Data, with_lstm: bool) -> dict[str, Any]:
    """`blitz`, `ece.blitz` and the training time of the report."""
    report: dict[str, Any] = {}
    errors, raw_errors, seconds = [], [], []
    for name, tracks in data.tracks.items():
        groups = grouping(tracks, data.marks)
        if len(set(groups)) >= 3:
            found = _leave_out(tracks, groups, with_lstm)
            report[name] = found["table"]
            errors += found["ece"]
            raw_errors += found["ece_raw"]
            seconds += found["seconds"]
        elif len(tracks) == 1:
            report[f"{name}_later_half"] = _later_half(tracks[0], with_lstm)
    for key in sorted({key for marks in data.marks.values() for key in marks}):
        clips = _clip_tracks(data, key)
        if clips:
            report[key] = _leave_out(clips, [clip.video for clip in clips], with_lstm=False)["table"]
    return {
        "blitz": report,
        "ece_blitz": float(np.mean(errors)) if errors else None,
        "ece_blitz_untempered": float(np.mean(raw_errors)) if raw_errors else None,
        "blitz_fit_seconds": float(np.mean(seconds)) if seconds else None,
    }


def _leave_out(tracks: Sequence[Track], groups: Sequence[str], with_lstm: bool) -> dict[str, Any]:
    """Leave one group out: balanced accuracy per group, averaged, and calibration with a temperature from the others."""
    scores: dict[str, list[float]] = {"balanced_accuracy": [], "unsmoothed": [], "plain": []}
    if with_lstm:
        scores["lstm"] = []
    ece, raw, seconds = [], [], []
    for group in sorted(set(groups)):
        taught = [track for track, own in zip(tracks, groups, strict=True) if own != group]
        asked = [track for track, own in zip(tracks, groups, strict=True) if own == group]
        classes = asked[0].classes
        videos = [track.labelled() for track in taught]
        start = time.perf_counter()
        head = fit_blitz(videos, classes, exclusive=True)
        seconds.append(time.perf_counter() - start)
        truth = np.concatenate([track.truth[track.scored] for track in asked])
        smoothed = [head.probabilities(track.features)[track.scored] for track in asked]
        unsmoothed = [head.probabilities(track.features, smoothed=False)[track.scored] for track in asked]
        scores["balanced_accuracy"].append(balanced(truth, answers(np.concatenate(smoothed))))
        scores["unsmoothed"].append(balanced(truth, answers(np.concatenate(unsmoothed))))
        whole: list[tuple[Track, Frames]] = [(track, np.ones(len(track.truth), bool)) for track in taught]
        baselines: dict[str, Baseline] = {"plain": plain, **({"lstm": lstm} if with_lstm else {})}
        for name, baseline in baselines.items():
            said = baseline(whole, asked)
            answer = np.concatenate([one[track.scored] for one, track in zip(said, asked, strict=True)])
            scores[name].append(balanced(truth, answer))
        if len(asked) > 1:
            values = np.eye(len(classes), dtype=np.int8)[truth]
            measured = cross_validated(
                videos, classes, partial(fit_blitz, labels=classes, exclusive=True), exclusive=True
            ).metrics()
            tempered = head.calibrated(measured.temperature or 1.0)
            p = np.concatenate([tempered.probabilities(track.features)[track.scored] for track in asked])
            ece.append(calibration_error(p, values, True) or 0.0)
            raw.append(calibration_error(np.concatenate(smoothed), values, True) or 0.0)
    table = {key: float(np.mean(values)) for key, values in scores.items()}
    return {"table": {**table, "groups": len(set(groups))}, "ece": ece, "ece_raw": raw, "seconds": seconds}


def _later_half(track: Track, with_lstm: bool) -> dict[str, Any]:
    first = np.arange(len(track.truth)) < len(track.truth) // 2
    rest = track.scored & ~first
    own = track.labelled(first)
    head = fit_blitz([own], track.classes, exclusive=True)
    # As in the product: what was answered is held, and label changes are looked at more closely.
    probabilities = refined_probabilities(head, track.features, own.labels, track.source.with_frames)
    said = {"balanced_accuracy": answers(probabilities), "plain": plain([(track, first)], [track])[0]}
    if with_lstm:
        said["lstm"] = lstm([(track, first)], [track])[0]
    return {key: balanced(track.truth[rest], answer[rest]) for key, answer in said.items()}


def _clip_tracks(data: Data, key: str) -> list[Track]:
    """A mark of whole clips as a track that is constant in each; none when a value has too few clips to leave one out."""
    one_each = {
        track.video: track for tracks in data.tracks.values() for track in tracks if key in data.marks[track.video]
    }
    values = [data.marks[video][key] for video in one_each]
    classes = tuple(sorted(set(values)))
    if len(classes) < 2 or any(values.count(value) < 2 for value in classes):
        return []
    return [
        Track(
            video,
            key,
            classes,
            np.full(len(track.truth), classes.index(value)),
            np.ones(len(track.truth), bool),
            0,
            track.features,
            track.source,
        )
        for (video, track), value in zip(one_each.items(), values, strict=True)
    ]
