"""Is every label about the frame the person saw? `python -m benchmarks.alignment [--data DIR] [--json FILE] [--clips N]`.

Makes clips with the frame number drawn in, opens them in a real Label Studio in headless Chromium, goes to Label Studio
frames, reads the number on the picture and compares it with our mapping; then the way back: regions as we would predict
them are clicked, and their first and last frame looked at. Clips that Chromium cannot play are decoded, and the number
on each frame is compared with its frame index. Real videos (`--data`) have no number; there the picture shown must be
the most similar of all the video's frames.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Error as BrowserError

from benchmarks.alignment.check import Sight, Sitting, label_config, sit_down
from benchmarks.alignment.clips import CLIPS, Clip
from benchmarks.alignment.hosting import hosted
from benchmarks.alignment.looking import decoded_numbers, look_for_number, look_for_picture, real_videos
from benchmarks.alignment.player import browser_page
from ml_backend.demo.studio import Studio, label_studio
from ml_backend.labelstudio.label_config import parse_label_config

FPS = 29.97  # the task data's `fps`


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.alignment", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a folder with real videos in videos/*/")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--clips", type=int, default=len(CLIPS), help="how many of the made clips to check, spread over all kinds"
    )
    options = parser.parse_args(arguments)
    step = max(1, len(CLIPS) // max(1, options.clips))
    with label_studio() as studio:
        figures = check(studio, CLIPS[::step][: options.clips], real_videos(options.data) if options.data else [])
    text = json.dumps(figures, indent=1)
    if options.json:
        options.json.write_text(text + "\n")
    print({key: value for key, value in figures.items() if key != "by_clip"})
    return 1 if figures["frames_off"] or figures["lengths_off"] else 0


def check(studio: Studio, clips: Sequence[Clip], videos: Sequence[Path] = ()) -> dict[str, object]:
    """Checks all and prints a line for each; returns the figures."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    looks: dict[str, list[Sight]] = defaultdict(list)
    lengths_off: list[str] = []
    with tempfile.TemporaryDirectory(prefix="coldblitz-alignment-") as temporary:
        folder = Path(temporary)
        for clip in clips:
            clip.make(folder / clip.name)
        for video in videos:
            (folder / video.name).symlink_to(video.resolve())
        for clip in clips:
            if not clip.plays:
                looks[clip.name] += _decoded(clip, folder / clip.name)
                _print_line(clip.name, "decoded", looks[clip.name])
        with browser_page(studio) as page, hosted(folder) as address:
            projects: dict[str | None, int] = {}
            todo = [
                (clip.name, text, look_for_number(clip)) for clip in clips if clip.plays for text in clip.framerates
            ]
            todo += [(video.name, None, look_for_picture(video)) for video in videos]
            for name, framerate, look in todo:
                config = label_config(framerate)
                if framerate not in projects:
                    projects[framerate] = studio.create_project(f"framerate {framerate}", config)
                data = {"video": f"{address}/{name}", "fps": FPS}
                try:
                    sitting = sit_down(
                        page, studio, projects[framerate], parse_label_config(config).main, data, folder / name, look
                    )
                except BrowserError as error:
                    print(f"{name} could not be opened: {str(error).splitlines()[0]}")
                    sitting = Sitting((Sight(name, framerate, "open", 1, 0, None),), 0, 0)
                looks[name] += sitting.looks
                note = ""
                if sitting.studio_length != sitting.our_length:
                    note = f"Label Studio counts {sitting.studio_length} frames, we {sitting.our_length}"
                    lengths_off.append(f"{name} at {framerate}: {note}")
                _print_line(name, framerate or "default", sitting.looks, note)
    every = [look for group in looks.values() for look in group]
    return {
        "clips": len(looks),
        "frames_checked": len(every),
        "frames_off": sum(look.off > 0 for look in every),
        "worst": max((look.off for look in every), default=0),
        "lengths_off": lengths_off,
        "by_clip": {
            name: {"frames_checked": len(group), "frames_off": sum(look.off > 0 for look in group)}
            for name, group in looks.items()
        },
        "date": time.strftime("%Y-%m-%d"),
    }


def _decoded(clip: Clip, path: Path) -> list[Sight]:
    numbers = decoded_numbers(path).items()
    return [
        Sight(clip.name, None, "decode", i + 1, i, None if number is None else number - clip.first)
        for i, number in numbers
    ]


def _print_line(name: str, framerate: str, looks: Sequence[Sight], note: str = "") -> None:
    off = [look for look in looks if look.off]
    print(f"{name:28} {framerate:>9} {len(looks):5} frames {len(off):4} off  {note}", flush=True)
    for look in off[:5]:
        print(f"    {look.how} {look.frame}: expected {look.expected}, shown {look.shown}")


if __name__ == "__main__":
    raise SystemExit(main())
