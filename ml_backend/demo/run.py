"""`coldblitz demo`: the whole main job from nothing, on a real Label Studio.

A project, suggestions in every video, an annotator who answers them in the first two, a first model, and its timeline
for every video: what a mouse does, and whether it was filmed by day or at night.
"""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import typer

from ml_backend.demo.animals import PenClip, make_pens
from ml_backend.demo.cages import CONFIG as TIMELINE
from ml_backend.demo.cages import SCRIPTS, make_cages
from ml_backend.demo.clips import Clip
from ml_backend.demo.loop import (
    DidNotHappen,
    Loop,
    find_videos,
    label_config,
    local_file_tasks,
    right_frames,
    upload_tasks,
)
from ml_backend.demo.objects import CONFIG as BOXES
from ml_backend.demo.objects import found_tracks, overlaps
from ml_backend.demo.process import Backend, DidNotStart, coldblitz, stop_all
from ml_backend.demo.studio import REACH_LOCAL_BACKEND, Studio, label_studio
from ml_backend.errors import ColdblitzError, SettingsError

ENOUGH = 0.95  # share of the frames nobody labelled that the first model must get right
ENOUGH_UNTAUGHT = 0.9  # the same in the videos that taught it nothing
ON_IT = 0.7  # mean IoU that a track must have with each animal, over all of its frames
_ANNOTATED = 2
# A busy machine needs as long again to end what has not ended by then, and the demo itself.
_STOP_SECONDS = 5.0
_BEGUN = time.monotonic()  # this module is loaded when the demo begins


def main(videos: Path | None, check: bool, objects: bool = False) -> int:
    """Runs the demo; returns the exit status.

    `videos` is a folder with one's own videos, which the person then labels; without it clips of mice with known
    labels are made, or, with `objects`, clips of mice whose boxes are known. With `check` everything is stopped at
    the end and the last line printed is JSON; the status is 0 only when the first model is right on at least 95 % of the
    frames that nobody labelled, and 90 % of those of videos that taught nothing, and knows by which light these were filmed; or
    when each animal has a track that lies on it. Otherwise it goes on until Ctrl+C, and a later run continues where it was.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack, _stopping_together():
            if check and videos:
                raise SettingsError("The labels of your own videos are not known.", "Leave VIDEOS or CHECK=1 out.")
            if objects and videos:
                raise SettingsError("OBJECTS=1 brings videos of its own.", "Leave VIDEOS or OBJECTS=1 out.")
            if check:
                home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coldblitz-demo-")))
            else:
                home = Path.cwd() / ".demo" / (videos.resolve().name if videos else "pens" if objects else "mice")
            if objects:
                loop, pens = _open_pens(stack, home)
                report = _track(loop, pens) if pens else {}
            else:
                loop, clips = _open(stack, home, videos.resolve() if videos else None)
                report = _measure(loop, clips) if clips else {}
            if check:
                typer.echo(json.dumps(report))
                return 0 if (_on_them(report) if objects else _learned(report)) else 1
            _explain(loop, _BOXED if objects else _BY_HAND if videos else _LABELED)
            _wait_for_ever(loop)
    except ColdblitzError as error:
        typer.echo(f"\n{error.message}\n{error.remedy}", err=True)
        return 1
    except KeyboardInterrupt:
        typer.echo("\nStopped.")
        return 130 if check else 0


def _learned(report: Mapping[str, Any]) -> bool:
    enough = report["frame_accuracy"] >= ENOUGH and report["untaught_accuracy"] >= ENOUGH_UNTAUGHT
    return bool(enough and report["lights_right"] == report["lights"])


def _on_them(report: Mapping[str, Any]) -> bool:
    return bool(report["worst_iou"] >= ON_IT)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _stopping_together() -> Iterator[None]:
    """Whoever stops us waits ten seconds, which on a busy machine is too short for one server after the other."""
    try:
        yield
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop_all(_STOP_SECONDS)
        raise


def _say(text: str) -> None:
    typer.echo(f"[{time.monotonic() - _BEGUN:5.1f} s] {text}")


def _open(stack: ExitStack, home: Path, videos: Path | None) -> tuple[Loop, list[Clip]]:
    """Boots both servers and opens the project, a new one or that of an earlier run in the same folder.

    The clips are those whose labels are known and that nobody has labelled yet.
    """
    earlier = _earlier(home)
    clips = make_cages(home / "clips") if not videos and not earlier else []
    own = find_videos(videos) if videos and not earlier else []
    root = {"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(videos.parent)} if videos else {}
    studio, backend = _boot(stack, home, earlier, root)
    if earlier:
        return Loop(studio, backend, earlier["project"], tuple(earlier["tasks"])), []
    if videos:
        project = studio.create_project(f"Coldblitz demo: {videos.name}", label_config(("A", "B", "C")))
        tasks = local_file_tasks(studio, project, videos, own)
    else:
        project = studio.create_project("Coldblitz demo: mice", TIMELINE)
        tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
    return _connected(home, studio, backend, project, tasks), clips


def _open_pens(stack: ExitStack, home: Path) -> tuple[Loop, list[PenClip]]:
    """The same with videos of animals; those whose tracks were not looked at yet."""
    earlier = _earlier(home)
    clips = make_pens(home / "clips") if not earlier else []
    studio, backend = _boot(stack, home, earlier, {})
    if earlier:
        return Loop(studio, backend, earlier["project"], tuple(earlier["tasks"])), []
    project = studio.create_project("Coldblitz demo: boxes", BOXES)
    tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
    return _connected(home, studio, backend, project, tasks), clips


def _boot(
    stack: ExitStack, home: Path, earlier: Mapping[str, Any], settings: Mapping[str, str]
) -> tuple[Studio, Backend]:
    """Both servers, where an earlier run had them. Raises DidNotStart."""
    port = earlier.get("studio_port", 8080)
    studio = stack.enter_context(label_studio(home / "studio", port=port, settings=settings))
    _say(f"Label Studio runs at {studio.url}")
    port = earlier.get("backend_port", 9090)
    backend = stack.enter_context(coldblitz(studio.url, studio.token, home / "data", port=port))
    _say(f"Coldblitz runs at {backend.url}")
    if earlier:
        _same_addresses(earlier, studio, backend)
    return studio, backend


def _connected(home: Path, studio: Studio, backend: Backend, project: int, tasks: Sequence[int]) -> Loop:
    """The new project, connected, and noted for later runs."""
    studio.connect(project, backend.url)
    state = {
        "project": project,
        "tasks": list(tasks),
        "studio_port": _port(studio.url),
        "backend_port": _port(backend.url),
    }
    (home / "demo.json").write_text(json.dumps(state))
    _say(f"A project with {len(tasks)} videos is connected.")
    return Loop(studio, backend, project, tuple(tasks))


def _earlier(home: Path) -> dict[str, Any]:
    state = home / "demo.json"
    found: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {}
    return found


def _same_addresses(earlier: Mapping[str, Any], studio: Studio, backend: Backend) -> None:
    # The project's webhook and the browser's bookmarks point there.
    for name, url in (("studio_port", studio.url), ("backend_port", backend.url)):
        if _port(url) != earlier[name]:
            raise DidNotStart(
                f"Port {earlier[name]}, which the earlier run of this demo used, is taken.",
                "Stop what listens there, or start over with `make clean-demo`.",
            )


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _measure(loop: Loop, clips: Sequence[Clip]) -> dict[str, Any]:
    """Suggest, label, train, predict; returns what was measured."""
    suggestions = loop.suggestions()
    count = sum(len(regions) for regions in suggestions.values())
    _say(f"{count} frames are suggested for labeling in {len(suggestions)} videos.")
    clip_of = dict(zip(loop.tasks, clips, strict=True))
    light_of = {task: script.light for task, script in zip(loop.tasks, SCRIPTS, strict=True)}
    taught, untaught = loop.tasks[:_ANNOTATED], loop.tasks[_ANNOTATED:]
    labelled = {task: loop.answer(task, clip_of[task], {"light": light_of[task]}).frames for task in taught}
    _say(f"An annotator answered {sum(map(len, labelled.values()))} of them, in {_ANNOTATED} videos.")
    version, timelines = loop.timelines()
    segments = sum(map(len, timelines.values()))
    _say(f"{version} is trained; {segments} segments are predicted in {len(timelines)} videos.")
    counts = {task: right_frames(timelines[task], clip_of[task], labelled.get(task, ())) for task in loop.tasks}
    right, asked = _sum(counts.values())
    untaught_right, untaught_asked = _sum(counts[task] for task in untaught)
    _say(f"{right} of the {asked} frames that nobody labeled are right.")
    _say(f"{untaught_right} of {untaught_asked} are right in the {len(untaught)} videos that taught nothing.")
    lights = loop.chosen(version, "light")
    lights_right = sum(lights.get(task) == light_of[task] for task in untaught)
    _say(f"Day or night is right for {lights_right} of these {len(untaught)} videos.")
    return {
        "tasks": len(loop.tasks),
        "suggestions": count,
        "version": version,
        "predicted": len(timelines),
        "frame_accuracy": round(right / asked, 4),
        "untaught_accuracy": round(untaught_right / untaught_asked, 4),
        "lights": len(untaught),
        "lights_right": lights_right,
        "seconds": round(time.monotonic() - _BEGUN, 1),
    }


def _sum(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    right, asked = (sum(column) for column in zip(*counts, strict=True))
    return right, asked


def _track(loop: Loop, clips: Sequence[PenClip]) -> dict[str, Any]:
    """Waits for the tracks; returns how well they lie on the animals."""
    found = found_tracks(loop)
    count = sum(map(len, found.values()))
    _say(f"{count} objects are tracked in {len(found)} videos.")
    best = [each for task, clip in zip(loop.tasks, clips, strict=True) for each in overlaps(found[task], clip)]
    _say(
        f"The boxes of the {len(best)} animals overlap with the true ones by an IoU of {sum(best) / len(best):.2f} on average."
    )
    return {
        "tasks": len(loop.tasks),
        "animals": len(best),
        "tracks": count,
        "mean_iou": round(sum(best) / len(best), 4),
        "worst_iou": round(min(best), 4),
        "seconds": round(time.monotonic() - _BEGUN, 1),
    }


_BY_HAND = """Open a task, answer the gray one-frame regions with a digit, and submit with Ctrl+Enter: the other tasks then
open with their timeline. The labels are changed under Settings, Labeling Interface."""
_LABELED = """A simulated annotator labeled ten frames of each of the first two videos, and said whether it was day or night. Open any
other task: its timeline and its choice are the model's. The labels differ by nothing but movement."""
_BOXED = """Open any task: each animal has its box, found without labels or weights. Drag one where it is wrong, and submit.
The dashboard shows the paths, speeds and contacts: Videos, a task, Paths and numbers."""


def _explain(loop: Loop, todo: str) -> None:
    url = loop.studio.url
    switches = " ".join(f"{name}={value}" for name, value in REACH_LOCAL_BACKEND.items())
    typer.echo(f"""
  Label Studio   {url}/projects/{loop.project}/data
                 user {loop.studio.user}, password {loop.studio.password}
  Coldblitz      {loop.backend.url}/

{todo}

By hand, an admin does this once:
  1. Start Label Studio with {switches}
     when the backend is on the same machine or in a private network.
  2. Take a token from {url}/user/account/personal-access-token
  3. LABEL_STUDIO_URL={url} LABEL_STUDIO_API_KEY=<the token> make serve
  4. In the project's Settings, Model, Connect Model: paste {loop.backend.url}

Ctrl+C stops both; the next `make demo` goes on from here.""")


def _wait_for_ever(loop: Loop) -> NoReturn:
    children = (loop.studio.child, loop.backend.child)
    while all(child.running for child in children):
        time.sleep(1)
    [ended, *_] = [child for child in children if not child.running]
    raise DidNotHappen(f"{ended.name} ended.", f"Its last lines:\n{ended.last_lines()}")
