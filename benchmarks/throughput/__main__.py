"""python -m benchmarks.throughput [--data DIR] [--json FILE] [--markdown FILE] [--repeats N] [--minutes N]

How fast video becomes features, side by side with the dissertation's loop and with what decoding alone allows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import av
import cv2
import torch

from benchmarks.measured import machine, write_into
from benchmarks.throughput import footage
from benchmarks.throughput.accuracy import loss_points, short_events_found, truths
from benchmarks.throughput.limits import inference_limit
from benchmarks.throughput.loops import aigva_loop, at_its_best, plain_loop
from benchmarks.throughput.measuring import Clip, Report, peak, retraining, speed, suggestion
from benchmarks.throughput.submitting import submit_to_timelines
from benchmarks.throughput.table import table
from ml_backend.features.backbones import load_backbone
from ml_backend.features.embedding import video_features
from ml_backend.features.store import FeatureStore

# Short clips are repeated to so many frames. The worst is taken of clips that have at least `_STEADY_FRAMES` of them, since
# in a shorter one starting threads is most of what is measured.
_ENOUGH_FRAMES, _STEADY_FRAMES = 3000, 1000
_SD_HEIGHT = 432
_PER_CLIP = ("aigva_loop_fps", "plain_fps", "pipeline_fps", "warm_fps", "decode_limit_fps", "inference_limit_fps")
_EVENT_VARIANTS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with videos/ and weights/")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--markdown", type=Path, help="put the table between the marks in this file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=int, default=10, help="length of the long 720p clip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(options.data.resolve(), Path(scratch), options.repeats, options.minutes)
    text = table(report)
    print(text)
    if options.markdown:
        write_into(options.markdown, text)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(data: Path, folder: Path, repeats: int, minutes: int) -> Report:
    weights = str(next((data / "weights").glob("mobilenet_v2*.pth"), "none"))
    cache = folder / "weights"
    backbone = load_backbone(weights=weights, cache_dir=cache)
    store = FeatureStore(folder / "features", 10**10)
    report: Report = {"machine": _machine(), "backbone": backbone.key, "repeats": repeats, "clips": {}}

    print("drawing and encoding a minute of 720p …", flush=True)
    minute = footage.encode(footage.street(60 * footage.RATE), folder / "street-720p.mp4")
    long = footage.repeated(minute, minutes, folder / "street-720p-long.mp4")
    report["rss_1min_mib"] = peak(minute, weights, cache)["rss_mib"]
    in_ten = peak(long, weights, cache)
    report["rss_10min_mib"], report["long_clip_fps"] = in_ten["rss_mib"], in_ten["fps"]

    limit = inference_limit(backbone)
    aigva, plain = at_its_best(aigva_loop(folder)), at_its_best(plain_loop())
    labels = truths(data) if (data / "videos" / "labels.json").exists() else {}
    real = {name: data / "videos" / name for name in labels if name.startswith("scene/")}
    if (av1 := data / "videos" / "codec" / "av1_video.mkv").exists():
        real["codec/av1_video.mkv"] = av1
    clips = [_long_enough(name, path, folder) for name, path in real.items()]
    for clip in [*clips, Clip("street-720p", minute, 720)]:
        print(f"{clip.name} …", flush=True)
        row = speed(clip, backbone, store, aigva, plain, repeats)
        row["inference_limit_fps"] = limit
        row["accuracy_loss_points"] = None
        if clip.name in labels:
            loss, best = loss_points(real[clip.name], labels[clip.name], backbone, store)
            row["accuracy_loss_points"], row["accuracy_embedding_all"] = loss, best
        report["clips"][clip.name] = row
    report["hd"] = report["clips"]["street-720p"]
    report |= _worst(
        [row for row in report["clips"].values() if row["height"] <= _SD_HEIGHT and row["frames"] >= _STEADY_FRAMES]
    )

    print("short events, suggestion, retraining …", flush=True)
    counts = [short_events_found(real[n], labels[n], backbone, folder, _EVENT_VARIANTS) for n in real if n in labels]
    if counts:
        report["short_events_found_2_frames"] = sum(found for found, _ in counts) / sum(total for _, total in counts)
        report["short_events_pasted"] = sum(total for _, total in counts)
    report |= _suggestions(clips, minute, folder, repeats)
    name = next((name for name in real if name in labels), None)
    if name is not None:
        features = video_features(real[name], backbone, store, "retraining")
        report |= retraining(features, labels[name], folder, backbone, repeats)
    if torch.cuda.is_available():
        report["gpu_peak_mib"] = torch.cuda.max_memory_reserved() / 2**20
    print("submitting to a real Label Studio …", flush=True)
    return report | submit_to_timelines(folder, weights)


def _long_enough(name: str, path: Path, folder: Path) -> Clip:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        height, frames = stream.height, sum(1 for packet in container.demux(stream) if packet.size)
    readable, _ = cv2.VideoCapture(str(path)).read()
    times = -(-_ENOUGH_FRAMES // frames)
    path = footage.repeated(path, times, folder / f"{Path(name).stem}-x{times}{path.suffix}")
    return Clip(name, path, height, readable)


def _worst(rows: list[Report]) -> Report:
    """The worst of each figure among some clips; what a clip does not have is left out."""

    def values(key: str) -> list[float]:
        return [row[key] for row in rows if row.get(key) is not None]

    largest = ("embedded_fraction", "accuracy_loss_points")
    smallest = (*_PER_CLIP, "ratio_vs_aigva", "fraction_of_decode_limit")
    return {
        "height": max((row["height"] for row in rows), default=None),
        **{key: min(values(key), default=None) for key in smallest},
        **{key: max(values(key), default=None) for key in largest},
    }


def _suggestions(clips: list[Clip], minute: Path, folder: Path, repeats: int) -> Report:
    close = footage.encode(footage.street(60 * footage.RATE, 768, 432), folder / "street-432p.mp4", gop=footage.RATE)
    seen = [suggestion(clip.path, repeats) for clip in clips if clip.readable_by_opencv] or [
        suggestion(minute, repeats)
    ]
    return {
        "suggest_ratio_vs_seek": min(ratio for ratio, _ in seen),
        "suggest_x_realtime": min(times for _, times in seen),
        "suggest_ratio_vs_seek_720p": suggestion(minute, repeats)[0],
        "suggest_ratio_vs_seek_key_frames": suggestion(close, repeats)[0],
    }


def _machine() -> str:
    return f"{torch.cuda.get_device_name()} and {machine()}" if torch.cuda.is_available() else machine()


if __name__ == "__main__":
    main()
