"""python -m benchmarks.service [--json FILE] [--markdown FILE] [--seconds N] [--kills N] [--busy N] [--answers-only]

How fast Label Studio is answered while jobs run, what is lost when the worker is killed, what a reconcile of 100,000 tasks
takes, and what broken videos, fuzzed requests and addresses of our own network do. Needs `make setup`.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import tempfile
from pathlib import Path

from benchmarks.measured import write_into
from benchmarks.service.corpus import broken_files
from benchmarks.service.examining import examine_all, trap
from benchmarks.service.fuzz import fuzz, rules
from benchmarks.service.kills import MOMENTS, killed, undisturbed
from benchmarks.service.latency import measure
from benchmarks.service.reconcile import reconcile_figures
from benchmarks.service.scene import SCRIPTS
from benchmarks.service.ssrf import run_attempts
from benchmarks.service.table import Report, table
from ml_backend.demo.clips import Clip, make_clips
from ml_backend.demo.process import coldblitz
from ml_backend.demo.studio import Studio, label_studio
from ml_backend.queueing.embedded_redis import running_redis
from ml_backend.server.app import create_app
from ml_backend.settings import Settings

_SETTINGS = {"BACKBONE_WEIGHTS": "none"}
_FUZZED_A_ROUTE = 500
_SEED = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed: the videos are drawn")
    parser.add_argument("--json", type=Path, help="write the report there")
    parser.add_argument("--markdown", type=Path, help="put the table between the marks in this file")
    parser.add_argument("--seconds", type=float, default=60, help="for how long events are sent")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--busy", type=int, default=0, help="so many other processes compute while events are sent")
    parser.add_argument(
        "--answers-only", action="store_true", help="how fast Label Studio is answered, and nothing else"
    )
    options = parser.parse_args()
    report: Report = {}
    with tempfile.TemporaryDirectory(prefix="coldblitz-service-") as scratch:
        folder = Path(scratch)
        clips = make_clips(folder / "clips", SCRIPTS)
        with label_studio() as studio:
            print(f"sending events for {options.seconds:.0f} s …", flush=True)
            report |= answers(studio, clips, folder / "answers", options.seconds, options.busy)
            if options.answers_only:
                _tell(report, options)
                return
            print(f"killing the worker {options.kills} times …", flush=True)
            report |= kills(studio, clips, folder / "kills", options.kills)
        print("reconciling 100,000 tasks …", flush=True)
        figures = reconcile_figures()
        report["reconcile_100k_seconds"] = figures["reconcile_100k_seconds"]
        report["reconcile_rss_mib"] = round(figures["reconcile_rss_mib"], 1)
        print("broken videos, requests that nobody would send, addresses of our own network …", flush=True)
        sent, wrong = fuzzed(folder / "fuzzed")
        videos = broken_videos(folder / "broken")
        report["bad_inputs"] = sent + len(videos)
        report["bad_inputs_unhandled"] = wrong + sum(videos.values())
        attempts = run_attempts(folder / "ssrf")
        report["ssrf_attempts"] = len(attempts)
        report["ssrf_let_through"] = sum(attempt.let_through for attempt in attempts)
    _tell(report, options)


def _tell(report: Report, options: argparse.Namespace) -> None:
    text = table(report)
    print(text)
    if options.markdown:
        write_into(options.markdown, text)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def answers(studio: Studio, clips: list[Clip], data: Path, seconds: float, busy: int = 0) -> Report:
    """How fast each is answered under load, and whether each event has had its effect."""
    with coldblitz(studio.url, studio.token, data, settings=_SETTINGS) as backend:
        found = measure(studio, backend, clips, seconds, busy)
    return {
        "busy_processes": busy,
        "webhook_p50_ms": round(found.webhook.percentile(50), 1),
        "webhook_p99_ms": round(found.webhook.percentile(99), 1),
        "predict_p50_ms": round(found.predict.percentile(50), 1),
        "predict_p99_ms": round(found.predict.percentile(99), 1),
        "events_sent": len(found.webhook.milliseconds) + found.webhook.missed + found.annotations,
        "events_lost": found.webhook.missed + found.unlearnt,
        "events_a_second": round(found.rate, 1),
        "predicts_sent": len(found.predict.milliseconds) + found.predict.missed,
        "predicts_missed": found.predict.missed,
        "trainings_run": found.trainings,
    }


def kills(studio: Studio, clips: list[Clip], data: Path, number: int) -> Report:
    """A state is lost when a task is shown something else in the end than without the kills, or the same twice."""
    dice = random.Random(_SEED)
    moments: list[str] = []
    lost = 0
    with coldblitz(studio.url, studio.token, data, settings=_SETTINGS) as backend:
        calm = undisturbed(studio, backend, clips)
        while len(moments) < number:
            run = killed(studio, backend, clips, min(len(MOMENTS), number - len(moments)), dice)
            moments += run.moments
            lost += run.outcome.differences(calm) + run.twice
            # Else every new worker looks at all of them.
            studio.delete(f"/api/projects/{run.project}/")
    return {"kills": len(moments), "kills_in_the_middle": sum(map(bool, moments)), "states_lost": lost}


def fuzzed(folder: Path) -> tuple[int, int]:
    """How many requests were sent to all routes, and how many were answered as they must not be."""
    # The application says of each refusal why, which is of no use here.
    logging.disable(logging.WARNING)
    settings = Settings("http://127.0.0.1:9", "the-token", data_dir=folder)
    with running_redis(settings):
        app = create_app(settings)
        found = [fuzz(app, rule, _FUZZED_A_ROUTE) for rule in rules(app)]
    logging.disable(logging.NOTSET)
    return sum(sent for sent, _ in found), sum(len(wrong) for _, wrong in found)


def broken_videos(folder: Path) -> dict[str, bool]:
    """Which of the corpus was neither used nor refused with a reason, or made a worker ask for an address."""
    folder.mkdir()
    with trap() as server:
        found = {each.name: each.trouble is not None for each in examine_all(broken_files(folder, server.url))}
        return found | dict.fromkeys(server.asked, True)


if __name__ == "__main__":
    main()
