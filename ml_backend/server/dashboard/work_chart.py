"""Work per annotator and day, as stacked columns and as rows of a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from markupsafe import Markup

from ml_backend.projects.label_report import WorkDay
from ml_backend.server.dashboard.charts import element, picture
from ml_backend.server.dashboard.formatting import count

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 340.0, 130.0, 34.0, 8.0, 24.0
_MOST_DAYS, _MOST_PEOPLE = 60, 7
# Told apart by people who see fewer colors, too (Okabe and Ito).
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_OTHERS = "#999999"


@dataclass(frozen=True)
class Work:
    """`people`: (name, color, annotations in all). `days`: (day, annotations of each of `people`, seconds), the newest first."""

    drawn: Markup
    people: tuple[tuple[str, str, int], ...]
    days: tuple[tuple[str, tuple[int, ...], float], ...]


def work(days: Sequence[WorkDay], names: Mapping[int | None, str]) -> Work | None:
    """Of the last 60 days up to the last one with an annotation; None where there is none. The busiest seven have a color of their own."""
    known = [each for each in days if _day(each) is not None]
    if not known:
        return None
    last = max(date.fromisoformat(each.day) for each in known)
    first = max(min(date.fromisoformat(each.day) for each in known), last - timedelta(days=_MOST_DAYS - 1))
    recent = [each for each in known if date.fromisoformat(each.day) >= first]
    total: dict[str, int] = defaultdict(int)
    for each in recent:
        total[_name(each, names)] += each.annotations
    order = sorted(total, key=lambda name: (-total[name], name))
    columns = [(name, _COLOURS[at]) for at, name in enumerate(order[:_MOST_PEOPLE])]
    if len(order) > _MOST_PEOPLE:
        columns.append((f"{len(order) - _MOST_PEOPLE} others", _OTHERS))
    done: dict[str, list[int]] = defaultdict(lambda: [0] * len(columns))
    seconds: dict[str, float] = defaultdict(float)
    for each in recent:
        done[each.day][min(order.index(_name(each, names)), _MOST_PEOPLE)] += each.annotations
        seconds[each.day] += each.seconds or 0.0
    people = tuple((name, colour, sum(row[at] for row in done.values())) for at, (name, colour) in enumerate(columns))
    rows = tuple((day, tuple(done[day]), seconds[day]) for day in sorted(done, reverse=True))
    return Work(_columns(first, last, done, people), people, rows)


def _day(each: WorkDay) -> date | None:
    try:
        return date.fromisoformat(each.day)
    except ValueError:
        return None


def _name(each: WorkDay, names: Mapping[int | None, str]) -> str:
    return names.get(each.author, f"user {each.author}" if each.author is not None else "unknown")


def _columns(
    first: date, last: date, done: Mapping[str, Sequence[int]], people: Sequence[tuple[str, str, int]]
) -> Markup:
    number = (last - first).days + 1
    highest = max(sum(row) for row in done.values())
    step, floor = (_WIDTH - _LEFT) / number, _HEIGHT - _BOTTOM
    width = min(0.8 * step, 28.0)
    drawn = [element("line", x1=_LEFT, y1=y, x2=_WIDTH, y2=y, class_="grid") for y in (_TOP, (_TOP + floor) / 2, floor)]
    drawn += [
        element("text", str(highest), x=_LEFT - 5, y=_TOP + 8, class_="tick end"),
        element("text", "0", x=_LEFT - 5, y=floor, class_="tick end"),
        element("text", first.isoformat(), x=_LEFT, y=_HEIGHT - 8, class_="tick"),
        element("text", last.isoformat(), x=_WIDTH, y=_HEIGHT - 8, class_="tick end"),
    ]
    for day, row in done.items():
        x = _LEFT + step * ((date.fromisoformat(day) - first).days + 0.5) - width / 2
        top = floor
        for (name, colour, _), made in zip(people, row, strict=True):
            if made:
                height = (floor - _TOP) * made / highest
                top -= height
                text = f"{name}, {day}: {count(made, 'annotation', 'annotations')}"
                drawn.append(
                    element(
                        "rect",
                        element("title", text),
                        x=x,
                        y=top,
                        width=width,
                        height=height,
                        fill=colour,
                        class_="part",
                    )
                )
    words = ", ".join(f"{name} {count(total)}" for name, _, total in people)
    title = "Annotations per day"
    return picture(
        _WIDTH, _HEIGHT, title, f"from {first} to {last}, at most {highest} a day: {words}", *drawn, class_="plot work"
    )
