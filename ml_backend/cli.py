"""The command `coldblitz`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ml_backend import __version__, logs
from ml_backend.commands.backbones import app as backbones
from ml_backend.commands.backend import Url, backend
from ml_backend.commands.bouts import bouts
from ml_backend.commands.compose import app as compose
from ml_backend.commands.export import export
from ml_backend.commands.import_boxes import import_boxes
from ml_backend.commands.import_labels import import_labels
from ml_backend.commands.import_videos import import_videos
from ml_backend.commands.jobs import predict, suggest, train
from ml_backend.commands.labels import stats
from ml_backend.commands.model_files import pack, unpack
from ml_backend.commands.models import app as models
from ml_backend.commands.models import custom_app as custom
from ml_backend.commands.pseudo_label import pseudo_label
from ml_backend.commands.terminal import terminal
from ml_backend.errors import ColdblitzError, SettingsError
from ml_backend.settings import Settings, notes

app = typer.Typer(
    name="coldblitz",
    help="A Label Studio ML backend for video: label a few frames, and get labels for every frame of every video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        terminal().print(f"coldblitz {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs a command; an error that a person can mend is one line and exit code 1."""
    try:
        logs.set_up()
        app(_arguments(sys.argv[1:]))
    except ColdblitzError as error:
        told = Text.assemble((" ".join(error.message.split()), "red"), " ", " ".join(error.remedy.split()))
        terminal(stderr=True).print(told, soft_wrap=True)
        raise SystemExit(1) from None


def _arguments(given: list[str]) -> list[str]:
    """What is written in two words by those who know the kind of what they ask for: `import labels`, `import boxes`, `stats bouts`."""
    more = given[2:3] and not given[2].startswith("-")  # else a folder of videos may be called so
    if given[:1] == ["import"] and given[1:2] in (["labels"], ["boxes"]) and (more or not Path(given[1]).is_dir()):
        return [f"import-{given[1]}", *given[2:]]
    return given[1:] if given[:2] == ["stats", "bouts"] else given


@app.command()
def serve() -> None:
    """Web process, workers and, unless REDIS_URL is set, Redis. Example: LABEL_STUDIO_URL=… LABEL_STUDIO_API_KEY=… coldblitz serve"""
    from ml_backend.serve import serve

    settings = Settings.from_environment()
    told = Text.assemble(
        "Coldblitz at ", (f"http://{settings.host}:{settings.port}", "bold"), f" for {settings.label_studio_url}"
    )
    terminal(stderr=True).print(told, soft_wrap=True)
    terminal(stderr=True).print("Paste this address in Label Studio: project, Settings, Model, Connect Model.")
    serve(settings)


@app.command()
def web() -> None:
    """The web process alone, for containers. Example: REDIS_URL=redis://redis:6379/0 coldblitz web"""
    import os

    from ml_backend.projects.storage import check_folder
    from ml_backend.serve import check_login, gunicorn
    from ml_backend.store.connect import begin

    settings = Settings.from_environment()
    for note in notes():
        logging.getLogger(__name__).info("%s", note)
    check_folder(settings.data_dir)
    check_login(settings)
    begin(settings)
    command = gunicorn(settings)
    os.execv(command[0], command)


@app.command()
def worker(
    workers: Annotated[int | None, typer.Option(min=1, help="Number of workers; the default is WORKERS, or 1.")] = None,
) -> None:
    """Workers alone, on as many machines as you like. Example: REDIS_URL=redis://redis:6379/0 coldblitz worker --workers 2"""
    from ml_backend.serve import serve

    serve(Settings.from_environment(), web=False, workers=workers)


@app.command(name="run-worker", hidden=True)
def run_worker() -> None:
    """One worker process; `serve` and `worker` start these."""
    from ml_backend.jobs.worker import work

    work()


@app.command()
def status(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar="COLDBLITZ_URL",
            help="Address of the backend; the default is this machine at HOST and PORT.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the status once and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON of /jobs once and exit.")] = False,
) -> None:
    """What the backend is doing, live. Example: coldblitz status --once"""
    from ml_backend.commands.jobs import follow
    from ml_backend.settings import own_address

    follow(url or own_address(), once=once, as_json=as_json)


@app.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Video files.")] = None,
    project: Annotated[int | None, typer.Option(help="Check all videos of a Label Studio project.")] = None,
    task: Annotated[int | None, typer.Option(help="With --project: check the video of one task only.")] = None,
    framerate: Annotated[
        float | None,
        typer.Option(help="For files: the framerate of the <Video> tag; values below 1 are seconds per frame."),
    ] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Decode every frame to find damage.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What is unusual about videos; exit code 1 when one cannot be used. Example: coldblitz check video.mp4 --framerate 25"""
    from ml_backend.commands.check import check_files, check_tasks, report

    if bool(files) == (project is not None):
        raise SettingsError(
            "There is nothing to check, or more than one thing.",
            "Give video files, or --project (and optionally --task).",
        )
    if project is None:
        checked = check_files(files or [], framerate, thorough)
    else:
        checked = check_tasks(Settings.from_environment(), project, task, thorough)
    raise SystemExit(0 if report(checked, as_json) else 1)


@app.command()
def doctor(
    project: Annotated[
        int | None, typer.Option(help="Check one Label Studio project instead of all connected ones.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Is everything set up right? Exit code 0 without a fault, else 1. Example: coldblitz doctor --project 1"""
    import os

    from ml_backend.commands.doctor import examine, report

    raise SystemExit(0 if report(examine(os.environ, project), as_json) else 1)


@app.command()
def reconcile(
    project: Annotated[
        str | None, typer.Argument(help="Number of the project in Label Studio; the default is all projects.")
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Compare everything, even if nothing seems to have changed.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0, help="How long to wait for the workers, in seconds.")] = 60,
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compares the backend with Label Studio now instead of within five minutes. Exit code 1 when some project was not
    reconciled. Example: coldblitz reconcile 1"""
    from ml_backend.commands.jobs import reconcile as run
    from ml_backend.commands.jobs import report

    rows = run(backend(url), project, thorough=thorough, seconds=seconds)
    raise SystemExit(0 if report(rows, as_json) else 1)


models.command()(pack)
models.command()(unpack)
app.add_typer(models, name="models")
for _command in (suggest, train, predict, export, stats):
    app.command()(_command)
app.command(name="import")(import_videos)
app.command()(bouts)
app.command(name="import-boxes")(import_boxes)
app.command(name="import-labels")(import_labels)
app.command(name="pseudo-label")(pseudo_label)
app.add_typer(custom, name="custom")
app.add_typer(backbones, name="backbones")
app.add_typer(compose, name="compose", hidden=True)


@app.command()
def quality(
    project: Annotated[str, typer.Argument(help="Number of the project in Label Studio.")],
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Labels that are probably wrong, worst first, and agreement between annotators. Example: coldblitz quality 1"""
    from ml_backend.commands.labels import print_report

    print_report(backend(url), project, as_json)


@app.command()
def labels(
    project: Annotated[str, typer.Argument(help="Number of the project in Label Studio.")],
    task: Annotated[int | None, typer.Argument(help="One of its tasks; the default is all tasks.")] = None,
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What the last training read, what it taught, and why the rest taught nothing. Example: coldblitz labels 1"""
    from ml_backend.commands.labels import print_account

    print_account(backend(url), project, task, as_json)


@app.command()
def demo(
    videos: Annotated[
        Path | None, typer.Option(help="Use the videos in this folder instead of generated ones.")
    ] = None,
    objects: Annotated[
        bool, typer.Option("--objects", help="Boxes of moving animals instead of labels of frames.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the result, print one line of JSON, and exit.")] = False,
) -> None:
    """The whole loop on a real Label Studio, from nothing. Example: coldblitz demo --check"""
    from ml_backend.demo.run import main as run

    raise SystemExit(run(videos, check, objects))


if __name__ == "__main__":
    main()
