"""`coldblitz backbones`: which networks there are, and which one serves a project best on this machine."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from ml_backend.commands.terminal import terminal

app = typer.Typer(help="The networks that turn frames into embeddings.", no_args_is_help=True)

# Without the network only those are compared whose weights are at hand.
_COMPARED = (
    "mobilenet_v2",
    "resnet50",
    "timm/mobilenetv4_conv_medium.e500_r256_in1k",
    "timm/vit_small_patch14_dinov2.lvd142m",
)


@app.command(name="list")
def list_(
    word: Annotated[str, typer.Argument(help="Show only names that contain this text.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The names that BACKBONE may have: torchvision's, and timm's where it is installed. Example: coldblitz backbones list vit"""
    from ml_backend.jobs.training.backbone_comparison import backbone_names

    names, lacking = backbone_names()
    if lacking:
        typer.echo(lacking, err=True)
    found = [name for name in names if word.lower() in name.lower()]
    typer.echo(json.dumps(found) if as_json else "\n".join(found))


@app.command()
def bench(
    project: Annotated[int, typer.Option(help="Number of the project in Label Studio.")],
    backbone: Annotated[
        list[str] | None, typer.Option(help="A name, or NAME=PATH with its weights; can be repeated.")
    ] = None,
    frames: Annotated[int, typer.Option(min=10, max=20_000, help="Maximum number of labeled frames to use.")] = 600,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Embeds some labeled frames of a project with several backbones, and prints how well each tells the labels apart on
    held-out frames, and how fast it is here. Example: coldblitz backbones bench --project 1"""
    from ml_backend.jobs.context import worker_context
    from ml_backend.jobs.project import open_project
    from ml_backend.jobs.training.backbone_comparison import bench_sample, compared

    def told(text: str) -> None:
        typer.echo(text, err=True)

    context = worker_context()
    settings = context.settings
    work = open_project(context, str(context.studio.projects.get(project).key))
    sample = bench_sample(work, frames, told)
    own = (
        settings.backbone
        if settings.backbone_weights == "default"
        else f"{settings.backbone}={settings.backbone_weights}"
    )
    rows = []
    for name in dict.fromkeys(backbone or (own, *_COMPARED)):
        told(f"embedding {len(sample)} frames with {name}")
        rows.append(compared(settings, name, sample))
    if as_json:
        typer.echo(
            json.dumps(
                {"project": project, "frames": len(sample), "videos": len(set(sample.video.tolist())), "rows": rows}
            )
        )
        return
    title = f"{len(sample)} labeled frames of {len(set(sample.video.tolist()))} videos of project {project}"
    table = Table("backbone", "macro-F1 on held-out frames", "frames per second", "dimensions", "license", title=title)
    for row in sorted(rows, key=lambda row: -(row["macro_f1"] or 0)):
        if row["problem"]:
            table.add_row(row["backbone"], row["problem"], "", "", "")
            continue
        f1 = "no label occurs" if row["macro_f1"] is None else f"{row['macro_f1']:.3f}"
        table.add_row(
            row["backbone"],
            f1,
            f"{row['frames_per_second']:.0f}",
            str(row["dimensions"]),
            row["license"] or "not noted",
        )
    terminal().print(table)
