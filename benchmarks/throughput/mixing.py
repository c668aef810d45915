"""python -m benchmarks.throughput.mixing [--data DIR] [--json FILE] [--markdown FILE]

How far the embeddings of one processor in different number formats differ, and whether a head that learned from the rows of one
answers as well about the rows of the other: whether rows of both may stand in one project.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measured import table, when_and_where, write_into
from benchmarks.throughput.accuracy import LABELLED, Truth, labelled, truths
from benchmarks.throughput.limits import inference_limit
from ml_backend.features.backbones import Backbone, load_backbone
from ml_backend.features.blocks import EMBEDDED, VideoFeatures
from ml_backend.features.embedding import refine, video_features
from ml_backend.features.runtime_choice import EXACT, RUNTIMES
from ml_backend.features.store import FeatureStore
from ml_backend.learning.cold import fit_cold

Report = dict[str, Any]
_PHASES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with videos/ and weights/")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--markdown", type=Path, help="put the table between the marks `mixing` of this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(options.data, Path(scratch))
    text = told(report)
    print(text)
    if options.markdown:
        write_into(options.markdown, text, "mixing")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(data: Path, folder: Path) -> Report:
    """By number format that this processor has, other than the exact one: pictures a second, and of each clip the figures of `compared`."""
    weights = str(next((data / "weights").glob("mobilenet_v2*.pth"), "none"))
    store = FeatureStore(folder / "features", 10**10)
    found: dict[str, Backbone] = {}
    for runtime in (each for each in RUNTIMES if each != "auto"):
        backbone = load_backbone(weights=weights, device="cpu", cache_dir=folder / "weights", runtime=runtime)
        if backbone.key not in {each.key for each in found.values()}:
            found[runtime] = backbone
    exact = found.pop(EXACT)
    report: Report = {"rates": {EXACT: inference_limit(exact)}, "formats": {}}
    labels = truths(data)
    for runtime, backbone in found.items():
        report["rates"][runtime] = inference_limit(backbone)
        clips = {}
        for name, truth in labels.items():
            if (one := compared(data / "videos" / name, truth, exact, backbone, store)) is not None:
                clips[name] = one
                print(runtime, name, json.dumps(one), flush=True)
        report["formats"][runtime] = clips
    return report


def compared(path: Path, truth: Truth, exact: Backbone, other: Backbone, store: FeatureStore) -> Report | None:
    """Of one clip: `cosine`, the worst by block; `lost`, points of frame accuracy that a head loses on the rows of the other format,
    the mean of both ways, and `swapped`, the percentage of frames that it labels otherwise there. Means over several choices of twenty
    labeled frames. None where a choice has one label only.
    """
    stored = [video_features(path, each, store, path.name) for each in (exact, other)]
    report: Report = {"cosine": _cosines(*stored)}
    lost: list[float] = []
    swapped: list[float] = []
    for phase in range(_PHASES):
        at = (np.arange(LABELLED) + (phase + 0.5) / _PHASES) * len(stored[0]) / LABELLED
        frames = np.unique(at.astype(np.int64))
        classes, sure = truth.classes(len(stored[0]))
        if len(np.unique(classes[frames])) < 2:
            continue
        content = f"{path.name}-{phase}"
        both = [
            refine(path, some, frames.tolist(), each, store, content)
            for some, each in zip(stored, (exact, other), strict=True)
        ]
        for learned, shown in (both, both[::-1]):
            head = fit_cold([labelled(learned, truth, frames)], truth.labels, exclusive=True)
            answers = [head.probabilities(each, smoothed=False).argmax(1) for each in (learned, shown)]
            at_home, away = (100 * float((answer == classes)[sure].mean()) for answer in answers)
            lost.append(at_home - away)
            swapped.append(100 * float((answers[0] != answers[1]).mean()))
    return {**report, "lost": mean(lost), "swapped": mean(swapped)} if lost else None


def _cosines(one: VideoFeatures, other: VideoFeatures) -> dict[str, float]:
    """By block the worst cosine of the rows of frames that both have."""
    _, mine, theirs = np.intersect1d(one.frames, other.frames, return_indices=True)
    return {name: _worst(one.blocks[name][mine], other.blocks[name][theirs]) for name in EMBEDDED}


def _worst(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def told(report: Report) -> str:
    """Markdown."""
    lines = []
    for runtime, clips in report["formats"].items():
        for name, one in clips.items():
            figures = [f"{one['cosine'][block]:.4f}" for block in EMBEDDED]
            lines.append([runtime, name, *figures, f"{one['lost']:+.2f}", f"{one['swapped']:.2f} %"])
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in report["rates"].items())
    head = ["format", "clip", *(f"{block}, worst cosine" for block in EMBEDDED), "points lost", "labels that change"]
    return "\n".join([f"{when_and_where()}; pictures a second of the network alone: {rates}.", "", *table(head, lines)])


if __name__ == "__main__":
    main()
