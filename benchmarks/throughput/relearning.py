"""python -m benchmarks.throughput.relearning [--data DIR]

Seconds to fit the head on 1,000 labeled frames and to predict an hour from the cache, by the clock and in processor time, with all that
this processor can do and, in a process of its own, as on one with AVX2 alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measured import table, when_and_where
from benchmarks.throughput.accuracy import truths
from benchmarks.throughput.measuring import retraining
from ml_backend.features.backbones import load_backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.store import FeatureStore

# What limits OpenBLAS and torch to what every processor of the last ten years has. numpy's own loops choose for themselves.
_AVX2 = {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
_NUMPY = {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"}
_REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with videos/ and weights/")
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.store is not None:
        print(json.dumps(measured(options.data, options.store)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for name, limits in (("this processor", {}), ("AVX2 alone", _AVX2 | _NUMPY)):
            command = [sys.executable, "-m", __spec__.name, "--data", str(options.data), "--store", scratch]
            done = subprocess.run(command, env=os.environ | limits, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.strip().splitlines()[-1])
            rows.append([name, *(f"{value:.2f}" for value in found.values())])
        head = ["with", *(title.replace("_", " ") for title in found)]
    print("\n".join([f"{when_and_where()}; medians of {_REPEATS}, in seconds.", "", *table(head, rows)]))


def measured(data: Path, folder: Path) -> dict[str, float]:
    """Seconds of each, by the clock and of processor time."""
    weights = str(next((data / "weights").glob("mobilenet_v2*.pth"), "none"))
    backbone = load_backbone(weights=weights, device="cpu", cache_dir=folder / "weights", runtime="f32")
    name, truth = next((name, truth) for name, truth in truths(data).items() if name.startswith("scene/"))
    features = video_features(data / "videos" / name, backbone, FeatureStore(folder / "features", 10**10), "clip")
    return retraining(features, truth, folder, backbone, _REPEATS)


if __name__ == "__main__":
    main()
