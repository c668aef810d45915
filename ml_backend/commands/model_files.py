"""`coldblitz models pack` and `unpack`: a model version as a file that another project can use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.commands.models import AsJson, Version
from ml_backend.commands.terminal import terminal
from ml_backend.errors import SettingsError
from ml_backend.settings import Settings
from ml_backend.wording import cut

Number = Annotated[int, typer.Argument(help="Number of the project in Label Studio.")]
KeyFile = Annotated[Path | None, typer.Option(help="File with a shared secret that signs the model.")]


def pack(
    project: Number,
    version: Version,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .zip file to write.")],
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Writes a version into a file that can be passed on. Example: coldblitz models pack 1 cold-v3 -o model.zip"""
    from ml_backend.jobs.context import JobContext
    from ml_backend.jobs.project import named_work
    from ml_backend.jobs.training.unpacked import to_pack
    from ml_backend.learning.model_archive import pack_model, read_key

    if output.suffix.lower() != ".zip":
        raise SettingsError(f"{output} does not end in .zip.", "Give a name that ends so.")
    if output.exists():
        raise SettingsError(f"{output} already exists.", "Remove it, or give another name.")
    key = read_key(key_file)
    packed = to_pack(named_work(JobContext(Settings.from_environment()), project), version)
    pack_model(output, packed.card, packed.weights, packed.origin, key)
    if as_json:
        terminal().print_json(json.dumps({"file": str(output), "origin": packed.origin}))
    else:
        terminal().print(f"{version} is in {output}" + (", signed." if key else "."), soft_wrap=True)


def unpack(
    file: Annotated[Path, typer.Argument(help="A file that `models pack` has made.")],
    project: Number,
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="What a label is called here: old=new. May be repeated.")
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="The control that it is about; the default is the main one.")
    ] = None,
    activate: Annotated[bool, typer.Option("--activate", help="Show it at once, however good it is.")] = False,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Makes a version of a project from such a file, and has it measured on what is labeled there; it is shown if it is not worse than
    what is shown now. Example: coldblitz models unpack model.zip 2 --map walk=walking"""
    from ml_backend.jobs.context import JobContext
    from ml_backend.jobs.project import named_work
    from ml_backend.jobs.training.unpacked import queue_measuring
    from ml_backend.jobs.training.unpacked import unpack as unpacked
    from ml_backend.learning.model_archive import read_key, read_model

    names = _names(map_ or [])
    archive = read_model(file, read_key(key_file))
    work = named_work(JobContext(Settings.from_environment()), project)
    card = unpacked(work, archive, names, control)
    queue_measuring(work, card, show=activate)
    if as_json:
        terminal().print_json(json.dumps({"version": card.name, "signed": archive.signed, "origin": card.origin}))
        return
    if archive.signed is None:
        terminal(stderr=True).print("It is signed, which was not checked: give --key-file.", style="yellow")
    then = "is rolled out" if activate else "is measured on what is labeled here, and rolled out unless it is worse"
    terminal().print(f"It is {card.name} now, and {then}; see `coldblitz status`.", soft_wrap=True)


def _names(given: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in given:
        old, equals, new = each.partition("=")
        if not (old and equals and new) or old in found:
            raise SettingsError(f"“{cut(each)}” is not old=new, or names a label twice.", "Write --map walk=walking.")
        found[old] = new
    return found
