"""`coldblitz import`: videos into a project of Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ml_backend.commands.terminal import progress_bars, terminal
from ml_backend.errors import LabelConfigError, SettingsError
from ml_backend.settings import Settings

if TYPE_CHECKING:
    from ml_backend.importing.folder_watch import Arrivals
    from ml_backend.importing.import_video import Outcome
    from ml_backend.importing.origins import Bar, Importer
    from ml_backend.importing.recipe import Recipe
    from ml_backend.labelstudio.label_config import Question

_WATCH_SECONDS = 2.0
# So many files that are no videos are named.
_NAMED = 5
_ROOT = "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"
_COLOURS = {"imported": "green", "present": "dim", "duplicate": "yellow", "refused": "red"}


class Link(StrEnum):
    local_files = "local-files"


def import_videos(
    project: Annotated[int, typer.Option("--project", help="Number of the project in Label Studio.")],
    files: Annotated[list[str] | None, typer.Argument(help="Videos, folders of videos, or URLs.")] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Re-encode videos that browsers or Label Studio cannot use as H.264 at a constant frame rate."
        ),
    ] = False,
    clip: Annotated[str | None, typer.Option(help="Import only this part of each video: 00:10-00:40")] = None,
    fps: Annotated[float | None, typer.Option(min=1, max=240, help="Maximum number of frames per second.")] = None,
    raw_fps: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=240,
            help="Frame rate of raw streams (.h264, .mjpeg), which do not contain one; the default is 25.",
        ),
    ] = None,
    segment: Annotated[str | None, typer.Option(help="Cut each video into tasks of this length: 60s")] = None,
    link: Annotated[
        Link | None, typer.Option(help="Do not upload: the files are already in the folder that Label Studio serves.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(envvar=_ROOT, help="With --link: Label Studio's document root for local files.")
    ] = None,
    allow_duplicates: Annotated[
        bool,
        typer.Option(
            "--allow-duplicates", help="Also import videos that another task already shows in another encoding."
        ),
    ] = False,
    watch: Annotated[Path | None, typer.Option(help="Watch this folder and import new videos until Ctrl+C.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch, one line per video.")] = False,
) -> None:
    """Videos into a project: checked, repaired with --fix, each once. Run again after an interruption, it goes on where
    it stopped. Exit code 1 when something could not be imported, else 0, also when all was there already.
    Example: coldblitz import films/*.mp4 --project 1 --fix --segment 60s"""
    from ml_backend.importing.folder_watch import Arrivals
    from ml_backend.importing.import_video import bring, summary

    settings = Settings.from_environment()
    recipe = _recipe(clip, segment, fps, fix, raw_fps)
    given, skipped = _expanded(files or ())
    if not given and watch is None:
        none = f" {_not_videos(skipped)}" if skipped else ""
        raise SettingsError(
            f"There is nothing to import.{none}", "Give files, folders with videos, URLs, or --watch FOLDER."
        )
    arrivals = Arrivals(watch) if watch is not None else None
    if arrivals is not None:
        arrivals.poll()
    console = terminal()
    outcomes: list[Outcome] = []
    with _bars(as_json) as bar:
        importer, config = _importer(settings, project, recipe, _root(link, root), allow_duplicates, bar)
        for each in given:
            for outcome in bring(importer, each):
                outcomes.append(outcome)
                if not as_json:
                    _tell(console, outcome)
        if arrivals is not None:
            _watch(arrivals, importer, console, as_json)
            return
    advice = _advice(config)
    if as_json:
        rows = [asdict(each) for each in outcomes]
        console.print_json(
            json.dumps({"videos": rows, "counts": summary(outcomes), "advice": advice, "skipped": skipped})
        )
    else:
        if skipped:
            console.print(f"skipped   {_not_videos(skipped)}", style="yellow", markup=False)
        said = ", ".join(f"{count} {state}" for state, count in summary(outcomes).items() if count)
        console.print(f"project {project}: {said}", markup=False)
        if advice and any(each.state == "imported" for each in outcomes):
            console.print(advice, style="yellow", markup=False)
    raise SystemExit(1 if any(each.state == "refused" for each in outcomes) else 0)


def _watch(arrivals: Arrivals, importer: Importer, console: Console, as_json: bool) -> None:
    from ml_backend.importing.import_video import bring

    told: dict[str, Outcome] = {}
    try:
        for path in arrivals.forever(_WATCH_SECONDS):
            for outcome in bring(importer, str(path)):
                if outcome.passes:
                    arrivals.again(path)
                # What is tried again every two seconds is said once.
                if told.get(outcome.name) == outcome:
                    continue
                told[outcome.name] = outcome
                if as_json:
                    console.print(json.dumps(asdict(outcome)), markup=False, soft_wrap=True, highlight=False)
                else:
                    _tell(console, outcome)
    except KeyboardInterrupt:
        return


def _importer(
    settings: Settings, number: int, recipe: Recipe, root: Path | None, allow_duplicates: bool, bar: Bar
) -> tuple[Importer, Question | LabelConfigError]:
    from ml_backend.importing.existing_videos import holdings
    from ml_backend.importing.origins import Importer
    from ml_backend.jobs.context import JobContext
    from ml_backend.labelstudio.label_config import parse_label_config
    from ml_backend.labelstudio.tasks import LARGE_PAGE

    context = JobContext(settings)
    studio = context.studio
    project = studio.projects.open(number)
    video_key, fps_key = "video", "fps"
    config: Question | LabelConfigError
    try:
        config = found = parse_label_config(project.label_config).main
        video_key = found.video_key
        if found.framerate and found.framerate.startswith("$"):
            fps_key = found.framerate[1:]
    except LabelConfigError as error:
        config = error
    known = holdings(studio, studio.tasks.all(number, page=LARGE_PAGE), video_key, context.videos, context.store)
    scratch = settings.data_dir / "imports"
    importer = Importer(
        studio, number, video_key, fps_key, known, recipe, scratch, context.videos, root, allow_duplicates, bar
    )
    return importer, config


def _recipe(clip: str | None, segment: str | None, fps: float | None, fix: bool, raw_fps: float | None) -> Recipe:
    from ml_backend.importing.recipe import Recipe, parse_clip, parse_segment

    return Recipe(parse_clip(clip) if clip else None, parse_segment(segment) if segment else None, fps, fix, raw_fps)


def _expanded(given: list[str] | tuple[()]) -> tuple[list[str], list[str]]:
    """Files and addresses, folders replaced by their videos, and the names of what else is in those."""
    from ml_backend.importing.folder_watch import sorted_out
    from ml_backend.video.container import readable

    found: list[str] = []
    skipped: list[str] = []
    for each in given:
        if "://" in each or not Path(each).is_dir():
            found.append(each)
            continue
        videos, others = sorted_out(Path(each))
        found += map(str, videos)
        skipped += (readable(str(path)) for path in others)
    return found, skipped


def _not_videos(skipped: list[str]) -> str:
    names = [Path(path).name for path in skipped[:_NAMED]]
    more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return f"{', '.join(names)}{more}: no videos." if len(skipped) > 1 else f"{names[0]} is not a video."


def _root(link: Link | None, root: Path | None) -> Path | None:
    if link is None:
        return None
    if root is None:
        raise SettingsError("--link requires the folder that Label Studio serves.", f"Give --root, or set {_ROOT}.")
    return root.resolve()


def _advice(config: Question | LabelConfigError) -> str:
    """What to change in the label config, so that every frame can be labelled."""
    if isinstance(config, LabelConfigError):
        return f"{config.message} {config.remedy}"
    if config.framerate is not None and config.framerate.startswith("$"):
        return ""
    now = f'framerate="{config.framerate}"' if config.framerate is not None else "no framerate, which means 24"
    return (
        f'The label config\'s <Video> has {now}. Put framerate="$fps" there before labeling begins: each task now '
        "has its own rate, and changing it later moves existing labels."
    )


def _tell(console: Console, outcome: Outcome) -> None:
    task = f" task {outcome.task}" if outcome.state == "imported" else ""
    said = f"{outcome.name}:{task}" if outcome.state == "imported" else outcome.message
    console.print(
        f"{outcome.state}{' ' * (10 - len(outcome.state))}{said}", style=_COLOURS[outcome.state], markup=False
    )
    if outcome.state == "imported":
        for finding in outcome.findings:
            if finding.severity != "note":
                console.print(f"          {finding.message} {finding.remedy}", style="yellow", markup=False)


@contextmanager
def _bars(quiet: bool) -> Iterator[Bar]:
    with progress_bars(quiet) as progress:

        @contextmanager
        def begin(text: str) -> Iterator[Callable[[float], None]]:
            row = progress.add_task(text, total=1)
            try:
                yield lambda share: progress.update(row, completed=share)
            finally:
                progress.remove_task(row)

        yield begin
