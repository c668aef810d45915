"""python -m benchmarks.objects [--json FILE] [--markdown FILE] [--repeats N] [--scenes NAME …] [--other N] [--weights FILE] [--…-only]

How well objects are found and followed on drawn scenes whose every box is known, what that costs beside decoding alone, and how
far one drawn box leads, how much work is left to people, how far the labels of a few tracks lead, and how well the behavior of each
individual is learned from that of a few; and how well a detector learns from boxes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.measured import machine, share, table, when_and_where, write_into
from benchmarks.objects.asking import doubtful_places
from benchmarks.objects.detector_train import detector_as_text, measure_detector
from benchmarks.objects.effort import RIGHT, effort
from benchmarks.objects.individuals import individuals_as_text, measure_individuals
from benchmarks.objects.labels import labels_as_text, measure_labels
from benchmarks.objects.real_clips import beside_hand, hand_boxes
from benchmarks.objects.scenes import HEIGHT, SCENES, Filmed, film
from benchmarks.objects.scores import keyframe_costs, tracking_scores
from ml_backend.objects.boxes import Track
from ml_backend.objects.finder import TrackFinder, find_tracks
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.onebox import followed, track_from_box
from ml_backend.video.decode import decode
from ml_backend.video.timeline import read_timeline

Report = dict[str, Any]
_FEW = 4
# The overlap by which tracks are matched elsewhere.
_COARSE = 0.5
_PLACES = ("asked", "right", "switches", "seen")
_COLUMNS = ("hota", "deta", "assa", "idf1", "mota")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with the clips in which boxes were drawn by hand")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--markdown", type=Path, help="put the table between the marks in this file")
    parser.add_argument("--repeats", type=int, default=3, help="how often speed is measured")
    names = [scene.name for scene in SCENES]
    parser.add_argument("--scenes", nargs="+", choices=names, help="only these, and no labels")
    parser.add_argument(
        "--other", type=int, default=0, help="added to the seed of each scene: other ways on other floors"
    )
    told = "state dict of mobilenet_v2: labels are learned with a network, too"
    parser.add_argument("--weights", type=Path, help=told)
    parser.add_argument("--labels-only", action="store_true", help="only how labels are learned")
    parser.add_argument(
        "--individuals-only", action="store_true", help="only how each individual's behavior is learned"
    )
    parser.add_argument("--detector-only", action="store_true", help="only how well a detector learns from boxes")
    options = parser.parse_args()
    only = {name for name in ("labels", "individuals", "detector") if getattr(options, f"{name}_only")}
    report: Report = {}
    texts = []
    with tempfile.TemporaryDirectory() as folder:
        if not only:
            report = measure(Path(folder), options.scenes or names, options.repeats, options.other)
            report["clips"] = real_clips(options.data) if options.data and not options.scenes else {}
            texts.append(as_text(report))
        if not options.scenes and only <= {"labels"}:
            report["boxes_cold"] = measure_labels(Path(folder), options.weights)
            texts.append(labels_as_text(report["boxes_cold"]))
        if not options.scenes and only <= {"individuals"}:
            report["per_individual"] = measure_individuals(Path(folder), options.weights)
            texts.append(individuals_as_text(report["per_individual"]))
        if not options.scenes and only <= {"detector"}:
            report["detector_train"] = measure_detector(Path(folder), options.weights)
            texts.append(detector_as_text(report["detector_train"]))
    text = "\n\n".join([*texts, f"{when_and_where()}."])
    print(text)
    if options.markdown:
        write_into(options.markdown, text)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(folder: Path, names: list[str], repeats: int, other: int = 0) -> Report:
    scenes: dict[str, Report] = {}
    one_box: list[Report] = []
    work: list[tuple[int, int]] = []
    coarse: list[tuple[int, int]] = []
    for scene in SCENES:
        if scene.name not in names:
            continue
        print(f"{scene.name} …", flush=True)
        filmed = film(replace(scene, seed=scene.seed + other), folder)
        timeline = read_timeline(filmed.path)
        found = find_tracks(filmed.path, timeline, MotionDetector())
        actions, by_hand = effort(filmed.truth, found, filmed.frames)
        work.append((actions, by_hand))
        coarse.append(effort(filmed.truth, found, filmed.frames, _COARSE))
        scenes[scene.name] = {
            "subjects": scene.subjects,
            **tracking_scores(filmed.truth, found, filmed.frames),
            **keyframe_costs(found, filmed.frames - 1),
            "keyframes_per_100_frames_of_truth": keyframe_costs(filmed.truth, 0)["keyframes_per_100_frames"],
            "effort_ratio": actions / by_hand,
            "doubtful_places": doubtful_places(filmed.truth, found, filmed.frames),
            **speed(filmed, repeats),
        }
        one_box.append(from_one_box(filmed))
    few = [row for row in scenes.values() if row["subjects"] <= _FEW]
    return {
        "machine": machine(),
        "scenes": scenes,
        "up_to_4": {
            key: {"mean": mean(row[key] for row in few), "worst": min(row[key] for row in few)}
            for key in (*_COLUMNS, "fps_share")
        }
        if few
        else None,
        "track_from_one_box": {
            key: mean(row[key] for row in one_box)
            for key in ("hota", "by_looks_hota", "seconds_per_minute_of_video", "by_looks_seconds_per_minute_of_video")
        }
        | {"worst_hota": min(row["hota"] for row in one_box)},
        "effort_ratio": _ratio(work),
        "effort_ratio_coarse": _ratio(coarse),
    }


def real_clips(folder: Path) -> dict[str, Report]:
    """Of the clips with boxes drawn by hand that are in the folder."""
    rows = {}
    for clip, drawn in hand_boxes().items():
        path = folder / "videos" / clip
        if path.is_file():
            rows[clip] = beside_hand(drawn, find_tracks(path, read_timeline(path), MotionDetector()))
    return rows


def _ratio(work: list[tuple[int, int]]) -> float:
    return sum(actions for actions, _ in work) / sum(by_hand for _, by_hand in work)


def speed(filmed: Filmed, repeats: int) -> Report:
    """Of one decode that scales each frame for a network, alone and with motion and tracker beside it; ratios are of
    neighboring runs, since other work on the machine moves all else."""
    timeline = read_timeline(filmed.path)

    def alone() -> None:
        for picture in decode(filmed.path, timeline):
            picture.shrink()

    def beside() -> None:
        with TrackFinder(timeline, MotionDetector()) as finder:
            for picture in decode(filmed.path, timeline, beside=finder.see):
                picture.shrink()
            finder.finish()

    alone()
    rounds = [(_seconds(alone), _seconds(beside)) for _ in range(repeats)]
    return {
        "fps": filmed.frames / median(both[1][0] for both in rounds),
        "fps_share": median(one[0] / other[0] for one, other in rounds),
        "cpu_share": median(one[1] / other[1] for one, other in rounds),
    }


def from_one_box(filmed: Filmed) -> Report:
    """From the true box in the middle of each subject's time."""
    timeline = read_timeline(filmed.path)
    rows = []
    for truth in filmed.truth:
        frame = int(truth.frames[len(truth) // 2])
        box = truth.boxes[len(truth) // 2]
        began = time.perf_counter()
        track = track_from_box(filmed.path, timeline, frame, box)
        took = time.perf_counter() - began
        began = time.perf_counter()
        by_looks = followed(filmed.path, timeline, frame, box)
        looked = time.perf_counter() - began
        minutes = float(timeline.duration) / 60
        rows.append((_one(truth, track, filmed), took / minutes, _one(truth, by_looks, filmed), looked / minutes))
    names = ("hota", "seconds_per_minute_of_video", "by_looks_hota", "by_looks_seconds_per_minute_of_video")
    return {name: mean(row[at] for row in rows) for at, name in enumerate(names)}


def _one(truth: Track, found: Track, filmed: Filmed) -> float:
    return float(tracking_scores([truth], [found], filmed.frames)["hota"])


def _seconds(run: Any) -> tuple[float, float]:
    """Of the clock, and of all cores."""
    began, worked = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - began, time.process_time() - worked


def as_text(report: Report) -> str:
    rows = [
        [
            name,
            *(share(row[key]) for key in _COLUMNS),
            f"{row['id_switches']}",
            f"{row['keyframes_per_100_frames']:.1f}",
            share(row["worst_iou"]),
            share(row["effort_ratio"]),
            f"{100 * row['fps_share']:.0f} %",
        ]
        for name, row in report["scenes"].items()
    ]
    head = ["scene", "HOTA", "DetA", "AssA", "IDF1", "MOTA", "switches", "key frames", "worst IoU", "effort", "speed"]
    one = report["track_from_one_box"]
    from_one = f"From one box: HOTA {share(one['hota'])} ({share(one['by_looks_hota'])} by looks alone), "
    from_one += f"{one['seconds_per_minute_of_video']:.1f} s a minute of video."
    left = f"Effort: actions until all tracks are right (IoU of {RIGHT:g}), of those that drawing them takes: "
    left += f"{share(report['effort_ratio'])} in all scenes; until {_COARSE:g}, {share(report['effort_ratio_coarse'])}."
    places = {key: sum(row["doubtful_places"][key] for row in report["scenes"].values()) for key in _PLACES}
    doubtful = (
        f"Doubtful places: {places['right']} of {places['asked']} asked are where a track goes over to another object; "
    )
    doubtful += f"of {places['switches']} times that one does, {places['seen']} are asked about."
    clips = [
        f"{clip}: {row['drawn']} boxes drawn, recall {share(row['recall'])}, precision {share(row['precision'])}."
        for clip, row in report.get("clips", {}).items()
    ]
    return "\n".join(
        [
            *table(head, rows),
            "",
            f"Key frames: per 100 frames of a track. Speed: of decoding and scaling alone, at {HEIGHT} lines.",
            from_one,
            left,
            doubtful,
            *clips,
        ]
    )


if __name__ == "__main__":
    main()
