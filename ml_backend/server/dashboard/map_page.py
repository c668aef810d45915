"""Where a project's videos were taken, by the latitude and longitude in their tasks' data: plain coordinates, nothing is fetched."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import render_template, url_for
from markupsafe import Markup

from ml_backend.projects import label_report, playback, task_view
from ml_backend.server.dashboard.charts import element, number
from ml_backend.server.dashboard.formatting import count
from ml_backend.server.dashboard.site import blueprint, project_page
from ml_backend.server.label_studio_routes import backend

# As wide as a phone's screen, so that its text is as large there as it is elsewhere.
_WIDTH, _HIGHEST, _LOWEST = 340.0, 260.0, 130.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 6.0, 6.0, 18.0
# Dots nearer to each other than this are one.
_CELL = 8.0
_ROWS = 200
_STEPS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
# A single place is shown with this much around it, in degrees.
_LEAST = 0.002


@dataclass(frozen=True)
class Place:
    """Where a task's video was taken, in degrees; `longitude` may be above 180, where videos lie on both sides of the date line."""

    task: int
    latitude: float
    longitude: float
    labeled: bool


@blueprint.get("/dashboard/projects/<int:project_id>/map")
def map_page(project_id: int) -> str:
    project, data_dir = project_page(project_id), backend().settings.data_dir
    report = label_report.load(data_dir, project.key)
    labeled = set(report.tasks) if report else set[int]()
    places = [
        Place(int(row["task"]), float(row["latitude"]), float(row["longitude"]), int(row["task"]) in labeled)
        for row in playback.places(data_dir, project.key)
    ]
    places.sort(key=lambda place: place.task)
    rows = [(place, task_view.load(data_dir, project.key, place.task)) for place in places[:_ROWS]]
    drawn = drawing(places, project_id) if places else None
    return render_template(
        "dashboard/map.html", project=project, number=len(places), rows=rows, drawn=drawn, degrees=degrees
    )


def drawing(places: Sequence[Place], project_id: int) -> Markup:
    """The places on a grid of degrees, east and north as long as each other in the middle."""
    places = _across_the_date_line(places)
    south, north = _range([place.latitude for place in places])
    west, east = _range([place.longitude for place in places])
    narrow = max(0.05, math.cos(math.radians((south + north) / 2)))
    across, down = _WIDTH - _LEFT - _RIGHT, _HIGHEST - _TOP - _BOTTOM
    scale = min(across / ((east - west) * narrow), down / (north - south))
    height = max(_LOWEST, (north - south) * scale + _TOP + _BOTTOM)
    middle = (west + east) / 2, (south + north) / 2

    def at(latitude: float, longitude: float) -> tuple[float, float]:
        x = _LEFT + across / 2 + (longitude - middle[0]) * narrow * scale
        return x, _TOP + (height - _TOP - _BOTTOM) / 2 - (latitude - middle[1]) * scale

    half_across, half_down = across / 2 / (narrow * scale), (height - _TOP - _BOTTOM) / 2 / scale
    drawn = [element("rect", x=_LEFT, y=_TOP, width=across, height=height - _TOP - _BOTTOM, class_="sea")]
    step = next((each for each in _STEPS if each >= half_down / 3), 30.0)
    for latitude in _multiples(middle[1] - half_down, middle[1] + half_down, step):
        y = at(latitude, 0)[1]
        drawn.append(element("line", x1=_LEFT, y1=y, x2=_WIDTH - _RIGHT, y2=y, class_="grid"))
        drawn.append(element("text", degrees(latitude, "NS", step), x=_LEFT - 5, y=y + 4, class_="tick end"))
    step = next((each for each in _STEPS if each >= half_across / 3), 30.0)
    for longitude in _multiples(middle[0] - half_across, middle[0] + half_across, step):
        x = at(0, longitude)[0]
        drawn.append(element("line", x1=x, y1=_TOP, x2=x, y2=height - _BOTTOM, class_="grid"))
        text = degrees((longitude + 180) % 360 - 180, "EW", step)
        drawn.append(element("text", text, x=x, y=height - 6, class_="tick middle"))
    drawn += _dots([(place, *at(place.latitude, place.longitude)) for place in places], project_id)
    words = f"{count(len(places), 'video', 'videos')} between {degrees(south, 'NS', 0.001)} and {degrees(north, 'NS', 0.001)}"
    return element(
        "svg",
        *drawn,
        class_="chart map",
        viewBox=f"0 0 {number(_WIDTH)} {number(height)}",
        role="group",
        aria_label=f"Where videos were taken. {words}; the table below has each.",
    )


def degrees(value: float, sides: str, step: float = 0.0001) -> str:
    """`48.1° N`, in as many digits as tell neighbors apart."""
    digits = max(0, math.ceil(-math.log10(step) - 1e-9))
    return f"{abs(value):.{digits}f}° {sides[0] if value >= 0 else sides[1]}"


def _across_the_date_line(places: Sequence[Place]) -> list[Place]:
    longitudes = [place.longitude for place in places]
    turned = [each % 360 for each in longitudes]
    if max(longitudes) - min(longitudes) <= max(turned) - min(turned):
        return list(places)
    return [Place(each.task, each.latitude, each.longitude % 360, each.labeled) for each in places]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    more = max(0.08 * (high - low), _LEAST)
    return low - more, high + more


def _multiples(low: float, high: float, step: float) -> Iterator[float]:
    for n in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield n * step


def _dots(places: Sequence[tuple[Place, float, float]], project_id: int) -> Iterator[Markup]:
    """One a place, or for several that lie on each other: larger, with their number."""
    cells: dict[tuple[int, int], list[tuple[Place, float, float]]] = defaultdict(list)
    for place in places:
        cells[int(place[1] // _CELL), int(place[2] // _CELL)].append(place)
    for found in cells.values():
        x, y = sum(each[1] for each in found) / len(found), sum(each[2] for each in found) / len(found)
        tasks = [place.task for place, _, _ in found]
        labeled = sum(place.labeled for place, _, _ in found)
        many = f" and {len(tasks) - 6} more" if len(tasks) > 6 else ""
        text = f"Task {', '.join(map(str, tasks[:6]))}{many}: {labeled} of {len(tasks)} labeled"
        radius = min(3.5 + 1.2 * math.log2(len(tasks)), 10.0)
        dot = element(
            "circle", element("title", text), cx=x, cy=y, r=radius, class_="taken" + (" labeled" if labeled else "")
        )
        inside = [dot]
        if len(tasks) > 1:
            inside.append(element("text", str(len(tasks)), x=x + radius + 2, y=y + 3.5, class_="tick"))
        address = url_for("dashboard.video_page", project_id=project_id, task=tasks[0])
        yield element("a", *inside, href=address, aria_label=text)
