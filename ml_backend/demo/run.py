"""`coldblitz demo`: the whole main job from nothing, on a real Label Studio.

A project, suggestions in every video, an annotator who answers them in the first two, a first model, and its timeline
for every video.
"""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import typer

from ml_backend.demo.annotator import answer_suggestions
from ml_backend.demo.backend import Backend, coldblitz
from ml_backend.demo.clips import LABELS, Clip, make_clips
from ml_backend.demo.process import DidNotStart
from ml_backend.demo.project import find_videos, label_config, local_file_tasks, upload_tasks
from ml_backend.demo.studio import REACH_LOCAL_BACKEND, Studio, label_studio
from ml_backend.errors import ColdblitzError

SUGGESTIONS = "keyframes-v1"
ENOUGH = 0.95  # share of the frames nobody labelled that the first model must get right
_ANNOTATED = 2
_Found = TypeVar("_Found")


class DidNotHappen(ColdblitzError):
    """The demo waited for something that did not come."""


@dataclass(frozen=True)
class Run:
    """A demo that is under way."""

    studio: Studio
    backend: Backend
    project: int
    tasks: list[int]
    begun: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        typer.echo(f"[{time.monotonic() - self.begun:5.1f} s] {text}")

    def wait_for(self, what: str, look: Callable[[], _Found | None], seconds: float = 240) -> _Found:
        """What `look` returns once it is not None; raises DidNotHappen with the reasons of failed jobs when it stays
        so for `seconds`."""
        limit = time.monotonic() + seconds
        while (found := look()) is None:
            if not self.backend.child.running:
                raise DidNotHappen(
                    f"Coldblitz ended while the demo waited for {what}.",
                    f"Its last lines:\n{self.backend.child.last_lines()}",
                )
            if time.monotonic() > limit:
                failed = [str(job.get("reason")) for job in self.backend.jobs()["failed"]]
                reasons = "\n".join(failed) or self.backend.child.last_lines()
                raise DidNotHappen(f"{what} did not come within {seconds:.0f} s.", f"What the backend says:\n{reasons}")
            time.sleep(0.3)
        return found


def main(videos: Path | None, check: bool) -> int:
    """Runs the demo; returns the exit status.

    `videos` is a folder with one's own videos, which the person then labels; without it street clips with known
    labels are made. With `check` everything is stopped at the end and the last line printed is JSON; the status is 0
    only when the first model is right on at least 95 % of the frames that nobody labelled. Otherwise it goes on until
    Ctrl+C, and a later run continues where it was.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()
    try:
        with ExitStack() as stack:
            if check:
                home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coldblitz-demo-")))
            else:
                home = Path.cwd() / ".demo" / (videos.resolve().name if videos else "street")
            run, clips = _open(stack, home, videos.resolve() if videos else None, begun)
            report = _loop(run, clips) if clips else None
            if check:
                return _verdict(report)
            _explain(run, by_hand=clips is None)
            _wait_for_ever(run)
    except ColdblitzError as error:
        typer.echo(f"\n{error.message}\n{error.remedy}", err=True)
        return 1
    except KeyboardInterrupt:
        typer.echo("\nStopped.")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _open(stack: ExitStack, home: Path, videos: Path | None, begun: float) -> tuple[Run, list[Clip] | None]:
    """Boots both servers and opens the project, a new one or that of an earlier run in the same folder.

    The clips are those of which the truth is known and nothing has been labelled yet, else None.
    """
    earlier = _earlier(home)
    clips = make_clips(home / "clips") if videos is None and not earlier else None
    own = find_videos(videos) if videos and not earlier else []
    root = {"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(videos.parent)} if videos else {}
    studio = stack.enter_context(label_studio(home / "studio", port=earlier.get("studio_port", 8080), settings=root))
    backend = stack.enter_context(
        coldblitz(studio.url, studio.token, home / "data", port=earlier.get("backend_port", 9090))
    )
    if earlier:
        _same_addresses(earlier, studio, backend)
        return Run(studio, backend, earlier["project"], earlier["tasks"], begun), None
    if clips:
        project = studio.create_project("Coldblitz demo: street", label_config(LABELS))
        tasks = upload_tasks(studio, project, [(clip.path, clip.fps) for clip in clips])
    else:
        assert videos
        project = studio.create_project(f"Coldblitz demo: {videos.name}", label_config(("A", "B", "C")))
        tasks = local_file_tasks(studio, project, videos, own)
    studio.connect(project, backend.url)
    state = {"project": project, "tasks": tasks, "studio_port": _port(studio.url), "backend_port": _port(backend.url)}
    (home / "demo.json").write_text(json.dumps(state))
    return Run(studio, backend, project, tasks, begun), clips


def _earlier(home: Path) -> dict[str, Any]:
    state = home / "demo.json"
    found: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {}
    return found


def _same_addresses(earlier: Mapping[str, Any], studio: Studio, backend: Backend) -> None:
    for name, url in (("studio_port", studio.url), ("backend_port", backend.url)):
        if _port(url) != earlier[name]:
            raise DidNotStart(
                f"Port {earlier[name]}, which the earlier run of this demo used, is taken.",
                "Stop what listens there, or begin anew with `make clean-demo`.",
            )


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _loop(run: Run, clips: Sequence[Clip]) -> dict[str, Any]:
    """Suggest, label, train, predict; returns what was measured."""
    run.say(f"Label Studio and Coldblitz run; a project with {len(run.tasks)} videos is connected.")
    suggestions = run.wait_for("a suggestion in every video", lambda: _regions(run, SUGGESTIONS))
    count = sum(len(regions) for regions in suggestions.values())
    run.say(f"{count} frames are suggested for labelling in {len(suggestions)} videos.")
    labelled: dict[int, frozenset[int]] = {}
    for task, clip in list(zip(run.tasks, clips, strict=True))[:_ANNOTATED]:
        labelled[task] = answer_suggestions(run.studio, task, SUGGESTIONS, partial(_truth, clip)).frames
    run.say(f"An annotator answered {sum(map(len, labelled.values()))} of them, in {_ANNOTATED} videos.")
    version = run.wait_for("the first model's predictions", lambda: _trained_version(run))
    regions = run.wait_for(f"a timeline of {version} in every video", lambda: _regions(run, version))
    run.say(
        f"{version} is trained, and {sum(map(len, regions.values()))} segments are predicted in {len(regions)} videos."
    )
    right = wrong = 0
    for task, clip in zip(run.tasks, clips, strict=True):
        for frame, truth in enumerate(clip.labels, start=1):
            if frame not in labelled.get(task, ()):
                found = _labels_at(regions[task], frame)
                right, wrong = right + (found == {truth}), wrong + (found != {truth})
    accuracy = right / (right + wrong)
    run.say(f"{accuracy:.1%} of the {right + wrong} frames that nobody labelled are right.")
    return {
        "tasks": len(run.tasks),
        "suggestions": count,
        "version": version,
        "predicted": len(regions),
        "frame_accuracy": round(accuracy, 4),
        "seconds": round(time.monotonic() - run.begun, 1),
    }


def _truth(clip: Clip, frame: int) -> str:
    # The clips have a constant rate and the grid is that rate, so Label Studio frame n shows frame index n - 1.
    return clip.labels[frame - 1]


def _regions(run: Run, version: str) -> dict[int, list[dict[str, Any]]] | None:
    """Per task the timeline regions of its newest prediction of `version`; None while a task has none."""
    found = {}
    for task in run.tasks:
        predictions = [each for each in run.studio.predictions(task) if each["model_version"] == version]
        if not predictions:
            return None
        found[task] = [region for region in predictions[-1]["result"] if region["type"] == "timelinelabels"]
    return found


def _trained_version(run: Run) -> str | None:
    """The version that the label stream shows, once it is a trained one and nothing newer is on its way."""
    if not run.backend.idle:
        return None
    version = run.studio.get(f"/api/projects/{run.project}/")["model_version"] or ""
    return version if version.startswith(("cold-v", "blitz-v")) else None


def _labels_at(regions: Sequence[Mapping[str, Any]], frame: int) -> set[str]:
    found: set[str] = set()
    for region in regions:
        if any(span["start"] <= frame <= span["end"] for span in region["value"]["ranges"]):
            found.update(region["value"]["timelinelabels"])
    return found


def _verdict(report: Mapping[str, Any] | None) -> int:
    if report is None:
        typer.echo("CHECK=1 needs the demo's own clips, whose labels are known: leave VIDEOS out.", err=True)
        return 2
    typer.echo(json.dumps(report))
    return 0 if report["frame_accuracy"] >= ENOUGH else 1


def _explain(run: Run, *, by_hand: bool) -> None:
    url = run.studio.url
    switches = " ".join(f"{name}={value}" for name, value in REACH_LOCAL_BACKEND.items())
    todo = (
        """Open a task, answer the grey one-frame regions with a digit, and submit with Ctrl+Enter; after a few the other
tasks open with their timeline. The labels are changed under Settings, Labeling Interface."""
        if by_hand
        else "A simulated annotator labelled the first two videos. Open any task: its timeline is the first model's."
    )
    typer.echo(f"""
  Label Studio   {url}/projects/{run.project}/data
                 user {run.studio.user}, password {run.studio.password}
  Coldblitz      {run.backend.url}/

{todo}

By hand, an admin does this once:
  1. Start Label Studio with {switches}
     when the backend is on the same machine or in a private network.
  2. Take a token from {url}/user/account/personal-access-token
  3. LABEL_STUDIO_URL={url} LABEL_STUDIO_API_KEY=<the token> make serve
  4. In the project's Settings, Model, Connect Model: paste {run.backend.url}

Ctrl+C stops both; the next `make demo` goes on from here.""")


def _wait_for_ever(run: Run) -> None:
    while run.studio.child.running and run.backend.child.running:
        time.sleep(1)
    ended = run.backend.child if run.studio.child.running else run.studio.child
    raise DidNotHappen(f"{ended.name} ended.", f"Its last lines:\n{ended.last_lines()}")
