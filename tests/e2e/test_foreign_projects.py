"""The loop in projects that were not made for us: other frame rates, labels and controls, and what others left in them.

Every answer is learnt from, timelines are right at the picture that a browser shows, and other people's annotations and
predictions stay as they are, byte for byte.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
import requests

from ml_backend.demo.clips import Clip, Script, make_clips
from ml_backend.demo.loop import SUGGESTIONS, Loop, labels_at
from ml_backend.demo.process import Backend
from ml_backend.demo.studio import Studio

pytestmark = pytest.mark.e2e

Item = dict[str, Any]
# What a clip shows, in the words of somebody else's label config.
Words = Mapping[str, str]

WHAT = {
    "clear": 'nothing "to see"  here',
    "ball": "⚽ a ball & <round> things",
    "car": "vehicles/cars/car.v2: " + " ".join(["anything on four wheels"] * 12),
}
ROAD = {"clear": 'nothing "to see"  here', "ball": "it's used 🚶", "car": "it's used 🚶"}
YOLO = "yolo 🚀/v8 (final)"

SLOW = (
    Script("slow-1.mp4", 10, (("clear", 25), ("ball", 30), ("car", 40), ("ball", 20)), 21),
    Script("slow-2.mp4", 10, (("car", 30), ("clear", 30), ("ball", 40)), 22),
    Script("slow-3.mp4", 10, (("ball", 30), ("car", 40), ("clear", 30)), 23),
)
QUICK = (
    Script("quick-1.mp4", 25, (("clear", 50), ("ball", 75), ("car", 75)), 24),
    Script("quick-2.mp4", 25, (("car", 60), ("clear", 60), ("ball", 60)), 25),
)
ONE_CLASS = (
    Script("only-cars.mp4", 30, (("car", 120),), 31),
    Script("only-clear.mp4", 30, (("clear", 120),), 32),
    Script("mixed.mp4", 30, (("ball", 60), ("car", 60), ("clear", 60)), 33),
)


def labels(name: str, words: Words) -> str:
    answers = "".join(f"<Label value={quoteattr(word)}/>" for word in dict.fromkeys(words.values()))
    return f'<TimelineLabels name="{name}" toName="video">{answers}</TimelineLabels>'


def picture(clip: Clip, frame: int, framerate: float) -> int:
    """The frame index that a browser shows at a Label Studio frame: a seek is rounded to 2 ms, and goes 2 ms further."""
    seconds = math.floor((frame - 1) / framerate / 0.002 + 0.5) * 0.002 + 0.002
    return min(int(seconds * clip.fps + 1e-9), len(clip.labels) - 1)


def length(clip: Clip, framerate: float) -> int:
    """How many frames Label Studio counts in a clip."""
    return round(len(clip.labels) / float(clip.fps) * framerate)


def item(control: str, frames: tuple[int, int], label: str, **more: Any) -> Item:
    """A timeline region as others write them: without an id or an origin."""
    value = {"ranges": [{"start": frames[0], "end": frames[1]}], "timelinelabels": [label]}
    return {"from_name": control, "to_name": "video", "type": "timelinelabels", "value": value, **more}


def whole_timeline(clip: Clip, framerate: float, control: str, words: Words) -> list[Item]:
    """The truth about a clip, as somebody draws it."""
    shown = (clip.labels[picture(clip, frame, framerate)] for frame in range(1, length(clip, framerate) + 1))
    result, start = [], 1
    for label, run in groupby(shown):
        stop = start + len(list(run))
        result.append(item(control, (start, stop - 1), words[label]))
        start = stop
    return result


def import_task(studio: Studio, project: int, data: Item, **more: Sequence[Item]) -> int:
    """A task with the annotations and predictions that it brings along."""
    path = f"/api/projects/{project}/import?return_task_ids=true"
    [task] = studio.post(path, [{"data": data, **more}])["task_ids"]
    return int(task)


def answer(
    loop: Loop,
    task: int,
    clip: Clip,
    framerate: float,
    asked: Mapping[str, Words],
    beside: Iterable[Item] = (),
    version: str = SUGGESTIONS,
) -> set[int]:
    """Opens a task, answers each frame that `version` asks about to every control of `asked`, and submits.

    Returns the frames. What a model drew is left as it is. Where a person answers one region to two controls, Label
    Studio's editor keeps two items with the same id.
    """
    opened = loop.studio.get(f"/api/tasks/{task}")
    prediction = [each for each in opened["predictions"] if each["model_version"] == version][-1]
    result, frames = [], set()
    for region in prediction["result"]:
        if region["value"].get("timelinelabels") != []:
            result.append({**region, "origin": "prediction"})
            continue
        [span] = region["value"]["ranges"]
        frames.add(int(span["start"]))
        label = clip.labels[picture(clip, span["start"], framerate)]
        for control, words in asked.items():
            value = {**region["value"], "timelinelabels": [words[label]]}
            result.append({**region, "from_name": control, "value": value, "origin": "prediction-changed"})
    body = {"result": [*result, *beside], "parent_prediction": prediction["id"], "lead_time": 20.0}
    loop.studio.post(f"/api/tasks/{task}/annotations/", body)
    assert frames
    return frames


def right_share(regions: Sequence[Item], clip: Clip, framerate: float, control: str, words: Words) -> float:
    """Of the frames that Label Studio counts, how many a timeline gives the truth of their picture and nothing else."""
    own = [each for each in regions if each["from_name"] == control]
    frames = range(1, length(clip, framerate) + 1)
    right = sum(labels_at(own, frame) == {words[clip.labels[picture(clip, frame, framerate)]]} for frame in frames)
    return right / len(frames)


def account(loop: Loop) -> Item:
    """What the last training read and what that taught, by the command line."""
    environment = {**os.environ, "DATA_DIR": str(loop.backend.data)}
    command = [sys.executable, "-m", "ml_backend.cli", "labels", str(loop.project), "--url", loop.backend.url, "--json"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def taught(found: Item, control: str) -> int:
    """How many regions of a control taught something."""
    return sum(row["regions"] for row in found["rows"] if (row["control"], row["reason"]) == (control, "taught"))


def work_of_others(studio: Studio, project: int) -> dict[str, str]:
    """All annotations and predictions that a project holds, as Label Studio gives them, by where it does."""
    kept = [
        f"/api/{kind}/{each['id']}/"
        for task in studio.tasks(project)
        for kind in ("annotations", "predictions")
        for each in task[kind]
    ]
    assert kept
    return as_it_is(studio, kept)


def as_it_is(studio: Studio, paths: Iterable[str]) -> dict[str, str]:
    headers = {"Authorization": f"Token {studio.legacy_token}"}
    found = {}
    for path in paths:
        answer = requests.get(studio.url + path, headers=headers, timeout=30)
        answer.raise_for_status()
        # All but the age, which grows by itself.
        found[path] = re.sub(r'"created_ago":"[^"]*",?', "", answer.text)
    return found


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Videos of 10 pictures a second."""
    return make_clips(tmp_path_factory.mktemp("slow"), SLOW)


def test_two_controls_and_another_models_pin_above_the_rate_of_files_from_everywhere(
    studio: Studio, backend: Backend, clips: list[Clip], slow: list[Clip], served_elsewhere: str
) -> None:
    framerate, asked = 30.0, {"what is there/π": WHAT, "road": ROAD}
    project = studio.create_project("Every storage", "<View/>")
    folder = studio.files / "somebody's videos"
    folder.mkdir()
    shutil.copy(slow[1].path, folder)
    storage = {"project": project, "path": str(folder), "use_blob_urls": True, "title": "videos"}
    studio.post("/api/storages/localfiles/", storage)
    shutil.copy(slow[2].path, clips[0].path.parent)
    where = [
        studio.upload(project, slow[0].path),
        f"/data/local-files/?d={folder.name}/{slow[1].path.name}",
        f"{served_elsewhere}/{slow[2].path.name}",
    ]
    tasks = []
    for clip, address in zip(slow, where, strict=True):
        theirs = whole_timeline(clip, framerate, "road", {**ROAD, "car": "boat"})
        box = {"frame": 1, "x": 1, "y": 2, "width": 3, "height": 4, "time": 0, "enabled": True, "rotation": 0}
        track = {"id": "t1", "from_name": "box", "to_name": "video", "type": "videorectangle"}
        value = {"sequence": [box], "labels": ["thing"], "framesCount": 9, "duration": 1}
        result = [{**each, "id": f"y{at}", "score": 0.4} for at, each in enumerate(theirs)]
        yolo = {"model_version": YOLO, "score": 0.4, "result": [*result, {**track, "value": value}]}
        tasks.append(import_task(studio, project, {"movie": address}, predictions=[yolo]))
    # A task of which there is no video.
    empty = import_task(studio, project, {"movie": "", "note": "the camera was off"})
    config = f"""<View><Header value="Watch &amp; mark"/>
        <View style="display: flex"><Labels name="kind" toName="video"><Label value="thing"/></Labels>
        <VideoRectangle name="box" toName="video"/></View>
        {labels("what is there/π", WHAT)}{labels("road", ROAD)}
        <Video name="video" value="$movie" frameRate="30"/>
        <TextArea name="note" toName="video"/></View>"""
    studio.patch(f"/api/projects/{project}/", {"label_config": config})
    assert studio.get(f"/api/projects/{project}/")["model_version"] == YOLO
    before = work_of_others(studio, project)
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, tuple(tasks))

    loop.suggestions()
    loop.wait_for("end of all jobs", lambda: backend.idle)
    assert loop.shown_version() == YOLO, "suggestions push no other model aside"
    frames = {task: answer(loop, task, clip, framerate, asked) for task, clip in zip(tasks, slow, strict=True)}
    _, timelines = loop.timelines()
    found = account(loop)
    answers = sum(map(len, frames.values()))
    assert {control: taught(found, control) for control in asked} == dict.fromkeys(asked, answers)
    # The tracks of what moves were submitted with the answers, as they were predicted.
    [boxes] = [row for row in found["rows"] if row["control"] == "box"]
    assert boxes["reason"] == "boxes"
    assert found["regions"] - boxes["regions"] == found["taught"] == 2 * answers
    for task, clip in zip(tasks, slow, strict=True):
        for control, words in asked.items():
            assert right_share(timelines[task], clip, framerate, control, words) >= 0.9, control
            own = [each for each in timelines[task] if each["from_name"] == control]
            for frame in frames[task]:
                assert labels_at(own, frame) == {words[clip.labels[picture(clip, frame, framerate)]]}
    assert studio.predictions(empty) == []
    assert as_it_is(studio, before) == before


def test_no_framerate_one_class_a_clip_and_an_answer_that_is_chosen_already(
    studio: Studio, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    framerate, asked = 24.0, {"labels": WHAT}
    clips = make_clips(tmp_path_factory.mktemp("one class"), ONE_CLASS)
    config = f"""<View><Video name="video" value="$video"/>{labels("labels", WHAT)}
        <Choices name="quality" toName="video" required="true"><Choice value="good" selected="true"/>
        <Choice value="bad"/></Choices></View>"""
    project = studio.create_project("One class a clip", config)
    tasks = studio.import_tasks(project, [{"video": studio.upload(project, clip.path)} for clip in clips])
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, tuple(tasks))
    good = {"id": "q", "from_name": "quality", "to_name": "video", "type": "choices", "value": {"choices": ["good"]}}
    loop.suggestions()
    of_cars = answer(loop, tasks[0], clips[0], framerate, asked, [good])
    loop.wait_for("end of all jobs", lambda: backend.idle)
    found = loop.wait_for("account", lambda: account(loop))
    assert (taught(found, "labels"), taught(found, "quality")) == (len(of_cars), 1), "though nothing is told apart yet"

    before = loop.shown_version()
    others = [answer(loop, task, clip, framerate, asked, [good]) for task, clip in zip(tasks, clips, strict=True)][1:]
    _, timelines = loop.timelines(newer_than=before)
    found = account(loop)
    assert found["regions"] == found["taught"]
    assert taught(found, "labels") == 2 * len(of_cars) + sum(map(len, others))
    for task, clip in zip(tasks, clips, strict=True):
        # Without weights, and with a third of what is to be told apart in each clip.
        assert right_share(timelines[task], clip, framerate, "labels", WHAT) >= 0.7


def test_timelines_that_were_drawn_elsewhere_are_learnt_from_below_the_files_rate(
    studio: Studio, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    framerate, asked = 12.5, {"labels": WHAT}
    drawn_on, unseen = make_clips(tmp_path_factory.mktemp("quick"), QUICK)
    config = f"""<View>{labels("labels", WHAT)}<Video name="video" value="$url" framerate="12.5"/></View>"""
    project = studio.create_project("Annotated elsewhere", config)
    drawn = whole_timeline(drawn_on, framerate, "labels", WHAT)
    skipped = {"result": drawn[:1], "was_cancelled": True}
    import_task(
        studio, project, {"url": studio.upload(project, drawn_on.path)}, annotations=[{"result": drawn}, skipped]
    )
    yolo = {"model_version": YOLO, "result": whole_timeline(drawn_on, framerate, "labels", {**WHAT, "car": "boat"})}
    new = import_task(studio, project, {"url": studio.upload(project, unseen.path)}, predictions=[yolo])
    before = work_of_others(studio, project)
    studio.connect(project, backend.url)
    loop = Loop(studio, backend, project, (new,))

    first, timelines = loop.timelines()
    assert right_share(timelines[new], unseen, framerate, "labels", WHAT) >= 0.9
    found = account(loop)
    assert (taught(found, "labels"), found["skipped"], found["regions"]) == (len(drawn), 1, len(drawn) + 1)

    frames = answer(loop, new, unseen, framerate, asked, version=first)
    _, timelines = loop.timelines(newer_than=first)
    assert taught(account(loop), "labels") == len(drawn) + len(frames)
    for frame in frames:
        assert labels_at(timelines[new], frame) == {WHAT[unseen.labels[picture(unseen, frame, framerate)]]}
    assert as_it_is(studio, before) == before
