"""Where the objects of one video went: their paths over a picture, where they have been for how long, and the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from ml_backend.geometry.presence import presence
from ml_backend.geometry.statistics import CONTACT, Scene
from ml_backend.geometry.table import Cell, as_csv, individual_cells
from ml_backend.geometry.trajectory import Trajectory
from ml_backend.geometry.zones import Zone
from ml_backend.projects import label_report, task_view
from ml_backend.projects.task_view import ContactSheet
from ml_backend.server.dashboard import boxes, charts
from ml_backend.server.dashboard.boxes import Boxes, ShownTrack
from ml_backend.server.dashboard.charts import element, number
from ml_backend.server.dashboard.site import ProjectPage, blueprint, project_page
from ml_backend.server.label_studio_routes import backend

# Told apart by people who see fewer colors, too (Okabe and Ito); beside them stand dashes, and names at the ends.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#999999")
_DASHES = (None, "7 3", "2 2", "9 3 2 3")
_WIDTH, _MOST_POINTS = 340.0, 500
# More would take a web process too long; `coldblitz stats --tracks` takes any number.
_MOST_PATHS, _MOST_BOXES, _MOST_ROWS = 16, 400_000, 500


@dataclass(frozen=True)
class _Path:
    """One individual. `colour`, `dash`: of its line."""

    shown: ShownTrack
    way: Trajectory
    colour: str
    dash: str | None


@dataclass(frozen=True)
class _Asked:
    """What the form says."""

    zones: tuple[Zone, ...]
    written: str
    cm_per_width: float | None
    each: float | None
    contact: float
    of_people: bool | None


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/paths")
def paths_page(project_id: int, task: int) -> str:
    project = project_page(project_id)
    asked, known = _asked(), _boxes(project, task)
    of_people = _of_people(asked, known)
    paths, left_out = _paths(known, of_people)
    rows = list(_rows(paths, known, asked))
    return render_template(
        "dashboard/paths.html",
        project=project,
        task=task,
        view=task_view.load(backend().settings.data_dir, project.key, task),
        paths=paths,
        left_out=left_out,
        drawn=_drawn(project, task, known, paths, asked.zones),
        heat=_heat(paths, known),
        rows=rows[:_MOST_ROWS],
        more_rows=max(0, len(rows) - _MOST_ROWS),
        asked=asked,
        of_people=of_people,
        has_both=bool(known.trajectories(of_people=True)) and bool(known.trajectories(of_people=False)),
        query=request.query_string.decode(),
        swatch=_swatch,
    )


@blueprint.get("/dashboard/projects/<int:project_id>/videos/<int:task>/paths.csv")
def paths_table(project_id: int, task: int) -> Response:
    """The numbers of the page as a file."""
    project = project_page(project_id)
    asked, known = _asked(), _boxes(project, task)
    paths, _ = _paths(known, _of_people(asked, known))
    head: dict[str, Cell] = {"task": task}
    table = as_csv([head | row for row in _rows(paths, known, asked)])
    name = f"project-{project_id}-task-{task}-tracks.csv"
    return Response(table, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _boxes(project: ProjectPage, task: int) -> Boxes:
    report = label_report.load(backend().settings.data_dir, project.key)
    names: dict[int | None, str] = {each.author: each.called for each in report.authors} if report else {}
    return boxes.load(project, task, names)


def _asked() -> _Asked:
    """Raises SettingsError for what is none."""
    written = request.args.get("zones", "")[:4000]
    zones = Zone.parse_all(line for line in written.splitlines() if line.strip())
    said = request.args.get("whose")
    return _Asked(
        zones,
        written,
        _positive("cm"),
        _positive("bin"),
        _positive("contact") or CONTACT,
        {"people": True, "model": False}.get(said or ""),
    )


def _positive(name: str) -> float | None:
    value = request.args.get(name, None, float)
    return value if value is not None and 0 < value < 1e9 else None


def _of_people(asked: _Asked, known: Boxes) -> bool:
    """People's tracks count first."""
    return asked.of_people if asked.of_people is not None else bool(known.trajectories(of_people=True))


def _paths(known: Boxes, of_people: bool) -> tuple[list[_Path], int]:
    """Those that are seen longest, and how many are left out."""
    found = known.trajectories(of_people=of_people)
    most = min(_MOST_PATHS, max(1, _MOST_BOXES // max(1, known.last)))
    longest = sorted(range(len(found)), key=lambda at: -len(found[at][1]))[:most]
    return [
        _Path(*found[at], _COLOURS[place % len(_COLOURS)], _DASHES[place % len(_DASHES)])
        for place, at in enumerate(sorted(longest))
    ], len(found) - len(longest)


def _rows(paths: Sequence[_Path], known: Boxes, asked: _Asked) -> Iterator[dict[str, Cell]]:
    ways = [path.way for path in paths]
    who = {path.way.name: path.shown.who for path in paths}
    each = max(asked.each, known.last / known.framerate / _MOST_ROWS) if asked.each else None
    scene = Scene(ways, known.last / known.framerate, known.aspect, asked.zones, asked.contact)
    for row in scene.rows(each):
        yield {"track": row.name, "whose": who[row.name], **individual_cells(row, asked.cm_per_width)}


def _drawn(project: ProjectPage, task: int, known: Boxes, paths: Sequence[_Path], zones: Sequence[Zone]) -> Markup:
    """The paths over a picture of the middle of the video, where there is one."""
    height = _WIDTH / known.aspect
    sheet = task_view.load_sheet(backend().settings.data_dir, project.key, task)
    behind = [element("rect", x=0, y=0, width=_WIDTH, height=height, class_="floor")]
    if sheet is not None:
        address = url_for("dashboard.sheet_picture", project_id=project.id, task=task)
        behind.append(_picture(sheet, address, known.last / 2, height))
    drawn = [*behind, *(_zone(zone, height) for zone in zones)]
    drawn += [part for path in paths for part in _lines(path)]
    # Names last, so that no line crosses them.
    drawn += [_name(path, height) for path in paths]
    words = "; ".join(f"{path.way.name} went {path.way.traveled[-1]:.2f} picture widths" for path in paths)
    return charts.picture(_WIDTH, height, "Paths", words or "nobody is tracked", *drawn, class_="paths")


def _picture(sheet: ContactSheet, address: str, frame: float, height: float) -> Markup:
    """The picture of a contact sheet that is nearest to a frame."""
    at = min(range(len(sheet.frames)), key=lambda place: abs(sheet.frames[place] - frame))
    rows = -(-len(sheet.frames) // sheet.columns)
    image = element("image", href=address, width=sheet.columns * sheet.width, height=rows * sheet.height)
    left, top = at % sheet.columns * sheet.width, at // sheet.columns * sheet.height
    view = f"{left} {top} {sheet.width} {sheet.height}"
    return element("svg", image, x=0, y=0, width=_WIDTH, height=height, viewBox=view, preserveAspectRatio="none")


def _lines(path: _Path) -> Iterator[Markup]:
    """Each piece, with a circle where it begins and a square where it ends."""
    step = -(-len(path.way) // _MOST_POINTS)
    for piece in path.way.pieces():
        points = path.way.smooth[piece] * _WIDTH
        kept = [*points[::step].tolist(), points[-1].tolist()]
        line = " ".join(f"{number(x)},{number(y)}" for x, y in kept)
        yield element("polyline", points=line, class_="path under")
        yield element("polyline", points=line, class_="path", stroke=path.colour, stroke_dasharray=path.dash)
        (x0, y0), (x1, y1) = kept[0], kept[-1]
        yield element("circle", cx=x0, cy=y0, r=3, fill=path.colour, class_="end")
        yield element("rect", x=x1 - 2.5, y=y1 - 2.5, width=5, height=5, fill=path.colour, class_="end")


def _name(path: _Path, height: float) -> Markup:
    x, y = (path.way.smooth[-1] * _WIDTH).tolist()
    left = x > 0.75 * _WIDTH
    return element(
        "text",
        path.way.name,
        x=x - 5 if left else x + 5,
        y=min(max(y, 10.0), height - 3),
        class_="on end" if left else "on",
    )


def _zone(zone: Zone, height: float) -> Markup:
    points = [(x / 100 * _WIDTH, y / 100 * height) for x, y in zone.corners]
    outline = element("polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in points), class_="zone")
    x, y = min(x for x, _ in points) + 3, min(y for _, y in points) + 11
    return element("g", outline, element("text", zone.name, x=x, y=y, class_="on"))


def _heat(paths: Sequence[_Path], known: Boxes) -> Markup:
    """A square in each cell, as large as the share of the time: no color says it alone."""
    seconds = presence([path.way for path in paths], known.aspect)
    rows, columns = seconds.shape
    size, most, total = _WIDTH / columns, float(seconds.max()), float(seconds.sum())
    drawn = [element("rect", x=0, y=0, width=_WIDTH, height=size * rows, class_="floor")]
    for row, column in zip(*seconds.nonzero(), strict=True):
        here = float(seconds[row, column])
        side = size * max((here / most) ** 0.5, 0.12)
        text = f"{here:.1f} seconds, {100 * here / total:.1f} % of the time"
        x, y = (column + 0.5) * size - side / 2, (row + 0.5) * size - side / 2
        drawn.append(element("rect", element("title", text), x=x, y=y, width=side, height=side, class_="here"))
    words = f"the largest square is {most:.1f} of {total:.1f} seconds" if total else "nobody is tracked"
    return charts.picture(_WIDTH, size * rows, "Presence", words, *drawn, class_="paths")


def _swatch(path: _Path) -> Markup:
    """The line of one individual beside its name."""
    line = element("line", x1=1, y1=5, x2=27, y2=5, stroke=path.colour, stroke_width=3, stroke_dasharray=path.dash)
    return element("svg", line, viewBox="0 0 28 10", class_="stroke", aria_hidden="true")
