"""python -m benchmarks.behaviour.whole_clips [--data DIR] [--json FILE] [--cache DIR] [--seeds N]: of whole clips that differ in
movement, how many are answered right after a few of each class, how sure that is, and what is kept back when answers are given by lot."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.learning.data import BACKBONE
from ml_backend.demo.signing import SIGNS, SignScript, make_signs
from ml_backend.demo.traffic import RoadScript, Vehicle, make_roads
from ml_backend.features.backbones import load_backbone
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.embedding import video_features
from ml_backend.features.store import FeatureStore
from ml_backend.learning.clip_families import looks
from ml_backend.learning.frame_labels import NO, YES
from ml_backend.learning.linear import fit_softmax
from ml_backend.learning.whole_video import LabelledWhole, fit_whole
from sampling.candidates import unit

_WAYS = ("right", "left", "both")
_TAUGHT = (2, 5, 10)
_SIGNERS, _EACH = 4, 6
_CARS = 48


@dataclass(frozen=True)
class Filmed:
    """A clip, its class, and whose it is: others are asked about than those that teach, where there are several."""

    path: Path
    kind: int
    who: int = 0


@dataclass(frozen=True, eq=False)
class Asked:
    name: str
    classes: tuple[str, ...]
    clips: Sequence[Filmed]


def situations(folder: Path) -> Iterator[Asked]:
    """Clips that are drawn on the spot, or were."""
    yield Asked("signs, one signer", SIGNS, _signs(folder / "one-signer", [0], 18))
    yield Asked("signs, another signer", SIGNS, _signs(folder / "signers", list(range(_SIGNERS)), _EACH))
    yield Asked("traffic", _WAYS, _traffic(folder / "traffic"))


def _signs(folder: Path, signers: Sequence[int], each: int) -> list[Filmed]:
    rng = np.random.default_rng(len(signers))
    made = [
        (
            SignScript(
                f"{who}-{kind}-{n}.mp4", sign, who, rng.uniform(0.35, 0.9), rng.uniform(1.1, 1.7), 100 * who + n
            ),
            kind,
        )
        for who in signers
        for kind, sign in enumerate(SIGNS)
        for n in range(each)
    ]
    clips = make_signs(folder, [script for script, _ in made])
    return [Filmed(clip.path, kind, script.signer) for clip, (script, kind) in zip(clips, made, strict=True)]


def _traffic(folder: Path) -> list[Filmed]:
    scripts = []
    for number in range(_CARS):
        rng = np.random.default_rng(number)
        lanes = ((0, 0), (1, 1), (0, 1))[number % len(_WAYS)]
        vehicles = [
            Vehicle("car", float(rng.uniform(0.2, 0.8) + 1.1 * place), lane, float(rng.uniform(120, 190)))
            for place, lane in enumerate(lanes)
        ]
        scripts.append(RoadScript(f"{number}.mp4", 3.5, tuple(vehicles), 900 + number))
    return [Filmed(clip.path, number % len(_WAYS)) for number, clip in enumerate(make_roads(folder, scripts))]


def split(asked: Asked, each: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The clips that teach, so many of each class, and those that are asked about."""
    rng = np.random.default_rng([seed, each])
    kinds, who = (np.array([getattr(clip, name) for clip in asked.clips]) for name in ("kind", "who"))
    unseen = who == rng.choice(np.unique(who)) if len(np.unique(who)) > 1 else rng.permutation(len(kinds)) % 3 == 0
    order = rng.permutation(np.flatnonzero(~unseen))
    taught = np.concatenate([order[kinds[order] == kind][:each] for kind in range(len(asked.classes))])
    return taught, np.flatnonzero(unseen)


def measure(asked: Asked, features: Sequence[VideoFeatures], each: int, seeds: int) -> dict[str, float]:
    """Shares 0..1: right, and by looks alone; how sure; and kept back when the same answers are dealt to the clips by lot."""
    kinds = np.array([clip.kind for clip in asked.clips])
    count, found = len(asked.classes), []
    for seed in range(seeds):
        taught, others = split(asked, each, seed)
        head = fit_whole(_labelled(features, taught, kinds[taught], count), asked.classes, True)
        shown = np.stack([head.probabilities(features[at]) for at in others])
        dealt = np.random.default_rng(seed).permutation(kinds[taught])
        guessing = fit_whole(_labelled(features, taught, dealt, count), asked.classes, True)
        rows = np.stack([looks(each) for each in features])
        rows = unit(rows - rows[taught].mean(axis=0))
        plain = fit_softmax(rows[taught], kinds[taught], count, None, 10.0).log_probabilities(rows[others])
        right = [float((p.argmax(axis=1) == kinds[others]).mean()) for p in (shown, plain)]
        found.append((*right, float(shown.max(axis=1).mean()), float(not guessing.told_apart)))
    names = ("right", "by looks", "sure", "guesses kept back")
    return dict(zip(names, np.mean(found, axis=0).round(3).tolist(), strict=True))


def _labelled(
    features: Sequence[VideoFeatures], taught: NDArray[np.intp], kinds: NDArray[np.intp], count: int
) -> list[LabelledWhole]:
    values = np.where(np.eye(count, dtype=bool)[kinds], YES, NO).astype(np.int8)
    return [LabelledWhole(int(at), features[at], own, 1.0, True) for at, own in zip(taught, values, strict=True)]


def run(data: Path, cache: Path, seeds: int) -> dict[str, Any]:
    """By weights, situation and clips of each class what `measure` finds."""
    there = next(iter(sorted((data / "weights").glob(f"{BACKBONE}*"))), None)
    report: dict[str, Any] = {}
    for name, weights in (("no weights", "none"), *(((BACKBONE, str(there)),) if there else ())):
        backbone = load_backbone(BACKBONE, weights, "cpu", cache / "weights")
        store = FeatureStore(cache / "features", 2**35)
        for asked in situations(cache / "drawn"):
            seen = [
                video_features(clip.path, backbone, store, f"{clip.path.parent.name}-{clip.path.name}")
                for clip in asked.clips
            ]
            for each in _TAUGHT:
                own = report.setdefault(name, {}).setdefault(asked.name, {})
                own[str(each)] = measure(asked, seen, each, seeds)
                print(f"{name}, {asked.name}, {each} of each class: {own[str(each)]}", flush=True)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with weights/, where there are any"
    )
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--cache", type=Path, help="keep clips and features there")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(1):
        report = run(options.data, options.cache or Path(scratch), options.seeds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
