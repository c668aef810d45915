"""Writes `6b706ed.tar.gz`: a data folder with its Redis, as the commit 6b706ed left it. To be run in a checkout of that commit:

    PYTHONPATH=.:tests python write_old_data.py TARGET

Four short clips of the demo in the tests' small Label Studio: suggestions are answered in three of them (Cold), then two timelines are
reviewed (Blitz), and every job that this queues is done by a real worker. Videos, pictures, embeddings and networks are left out.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from embedded import do_jobs, settings_for
from loopback import serving
from redis import Redis
from studio import KEY, Studio

from ml_backend.demo.clips import Script, make_clips
from ml_backend.queueing.embedded_redis import redis_url, running_redis
from ml_backend.queueing.queue import enqueue, listing

CONFIG = (
    '<View><TimelineLabels name="events" toName="film"><Label value="clear"/><Label value="ball"/><Label value="car"/></TimelineLabels>'
    '<Choices name="review" toName="film"><Choice value="reviewed"/></Choices><Video name="film" value="$video" framerate="25"/></View>'
)
PARTS = (
    (("clear", 9), ("ball", 9), ("car", 9)),
    (("ball", 9), ("clear", 9), ("car", 9)),
    (("car", 12), ("ball", 12), ("clear", 12)),
    (("clear", 12), ("car", 12), ("ball", 12)),
)


def drawn(number: str, start: int, end: int, label: str) -> dict:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": number, "type": "timelinelabels", "from_name": "events", "to_name": "film", "value": value}


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder, data = Path(scratch), Path(scratch) / "data"
        scripts = [Script(f"clip-{n}.mp4", 25, parts, n) for n, parts in enumerate(PARTS, 1)]
        clips = make_clips(folder, scripts)
        studio = Studio()
        studio.project["label_config"] = CONFIG
        for number, clip in enumerate(clips, 1):
            studio.add_task(number, clip.path)
        settings = settings_for(data)
        with running_redis(settings), serving(studio) as url:
            redis = Redis.from_url(redis_url(settings))
            os.environ |= {"LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": "the-token", "DATA_DIR": str(data)}
            os.environ |= {"BACKBONE_WEIGHTS": "none", "DEVICE": "cpu"}
            from ml_backend.server.app import create_app

            web = create_app().test_client()
            assert (
                web.post(
                    "/setup",
                    json={
                        "project": KEY,
                        "schema": CONFIG,
                        "hostname": "",
                        "access_token": "",
                        "extra_params": {"frames_per_video": 6},
                    },
                ).status_code
                == 200
            )
            done(redis)

            def submit(task: int, result: list, hour: int) -> None:
                when = f"2026-02-01T{hour:02}:00:00Z"
                made = {
                    "id": 100 + 10 * task + hour,
                    "result": result,
                    "created_at": when,
                    "updated_at": when,
                    "completed_by": 1,
                    "was_cancelled": False,
                    "lead_time": 20.0,
                    "ground_truth": False,
                    "parent_prediction": None,
                }
                studio.tasks[task]["annotations"] = [made]
                studio.tasks[task]["updated_at"] = when
                event = {
                    "action": "ANNOTATION_CREATED",
                    "project": studio.project,
                    "task": {"id": task},
                    "annotation": made,
                }
                assert web.post("/webhook", json=event).status_code < 300

            for task in (1, 2, 3):
                shown = [p for p in studio.predictions if p["task"] == task and p["model_version"] == "keyframes-v1"][
                    -1
                ]
                result = []
                for region in shown["result"]:
                    [span] = region["value"]["ranges"]
                    label = clips[task - 1].labels[span["start"] - 1]
                    result.append(
                        {
                            **region,
                            "value": {**region["value"], "timelinelabels": [label]},
                            "origin": "prediction-changed",
                        }
                    )
                submit(task, result, task)
            done(redis)
            for task in (1, 2):
                start, regions = 1, []
                for n, (label, frames) in enumerate(PARTS[task - 1]):
                    regions.append(drawn(f"r{task}{n}", start, start + frames - 1, label))
                    start += frames
                regions.append(
                    {
                        "id": f"c{task}",
                        "type": "choices",
                        "from_name": "review",
                        "to_name": "film",
                        "value": {"choices": ["reviewed"]},
                    }
                )
                submit(task, regions, 10 + task)
            done(redis)
            for kind in ("quality", "stopping"):
                enqueue(redis, kind, KEY, again=True)
            for task in (1, 4):
                web.get(f"/projects/{KEY}/tasks/{task}")
                enqueue(redis, "sheet", KEY, task, again=True)
            done(redis)
            # One that waits, as after an event just before the stop.
            enqueue(redis, "train", KEY, again=True)
            (data / "studio.json").write_text(
                json.dumps(
                    {
                        "project": studio.project,
                        "tasks": studio.tasks,
                        "predictions": studio.predictions,
                        "webhooks": studio.webhooks,
                    }
                )
            )
            redis.bgrewriteaof()
            while (said := redis.info("persistence"))["aof_rewrite_in_progress"] or said["aof_rewrite_scheduled"]:
                time.sleep(0.1)
        with tarfile.open(target, "w:gz", compresslevel=9) as archive:
            archive.add(data, "data", filter=small)


def done(redis: Redis) -> None:
    while listing(redis)["queued"]:
        do_jobs(redis)
    assert not listing(redis)["failed"]


def small(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts[1:]
    if member.name.endswith(".jpg") or (parts and parts[0] in ("videos", "features", "weights") and len(parts) > 1):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(Path(sys.argv[1]))
