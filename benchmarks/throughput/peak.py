"""python -m benchmarks.throughput.peak VIDEO WEIGHTS CACHE: embeds one video in a process of its own; its peak memory."""

from __future__ import annotations

import json
import resource
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rss_mib": round(peak), "fps": round(len(features) / took)}))


if __name__ == "__main__":
    main()
