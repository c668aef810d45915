"""python -m benchmarks.throughput.peak VIDEO WEIGHTS CACHE: embeds one video in a process of its own; its peak memory."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from ml_backend.features.backbones import load_backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.store import FeatureStore


def main() -> None:
    video, weights, cache = sys.argv[1:]
    backbone = load_backbone(weights=weights, cache_dir=Path(cache))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        features = video_features(Path(video), backbone, FeatureStore(Path(folder), 10**10), "video")
        took = time.perf_counter() - began
    print(json.dumps({"rss_mib": _peak_mib(), "fps": round(len(features) / took)}))


def _peak_mib() -> int:
    """Of this program alone; `getrusage` would count what the process was before it became this program."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
