"""Charts as inline SVG: numbers in, picture out. Every one says in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from ml_backend.projects.model_versions import ReliabilityBin


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """`<name …>children</name>`; in attribute names an underscore is a dash, and `class_` is `class`. None is left out."""
    # A page has thousands of these: put together as text, they take a tenth of what templates of Markup take.
    written = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(number(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    if not children:
        return Markup(f"<{name}{''.join(written)}/>")
    return Markup(f"<{name}{''.join(written)}>{''.join(map(escape, children))}</{name}>")


def picture(
    width: float, height: float, title: str, desc: str, *children: Markup, class_: str = "", stretch: bool = False
) -> Markup:
    """An `<svg>` that a screen reader reads as one picture: its title, then what it shows in words.

    With `stretch` it fills whatever room it has, and had better have no text in it.
    """
    return element(
        "svg",
        element("title", title),
        *([element("desc", desc)] if desc else []),
        *children,
        class_=f"chart {class_}".strip(),
        viewBox=f"0 0 {number(width)} {number(height)}",
        preserveAspectRatio="none" if stretch else None,
        role="img",
        aria_label=f"{title}. {desc}" if desc else title,
    )


def number(value: object) -> object:
    """Coordinates in few digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


# A plot is as wide as a phone's screen, so that its text is as large there as it is elsewhere.
_WIDTH, _HEIGHT = 340.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 8.0, 8.0, 24.0
_MOST_MARKERS = 40


@dataclass(frozen=True)
class Span:
    """`start`..`end` of a timeline's `length`, in any unit; `text` is shown on hover, `strength` in 0..1 is its opacity."""

    start: float
    end: float
    colour: str
    text: str
    strength: float = 1.0


def shares(parts: Sequence[tuple[str, float, str]], title: str) -> Markup:
    """One bar cut into (name, amount, colour)."""
    total = sum(amount for _, amount, _ in parts)
    drawn, at = [], 0.0
    for name, amount, colour in parts:
        width = 100 * amount / total if total else 0.0
        text = f"{name}: {width:.0f} %"
        drawn.append(element("rect", element("title", text), x=at, y=0, width=width, height=10, fill=colour))
        at += width
    words = ", ".join(f"{name} {100 * amount / total:.0f} %" for name, amount, _ in parts) if total else "nothing yet"
    return picture(100, 10, title, words, *drawn, class_="shares", stretch=True)


def timeline(length: float, spans: Sequence[Span], title: str, desc: str) -> Markup:
    """A bar over time. Spans narrower than a pixel or two are widened, so that single frames can be seen."""
    least = 2.0
    drawn = []
    for span in spans:
        x = 1000 * span.start / length if length else 0.0
        width = max(least, 1000 * (span.end - span.start) / length) if length else least
        drawn.append(
            element(
                "rect",
                element("title", span.text),
                x=min(x, 1000 - least),
                y=0,
                width=width,
                height=10,
                fill=span.colour,
                fill_opacity=None if span.strength >= 1 else round(span.strength, 2),
            )
        )
    return picture(1000, 10, title, desc, *drawn, class_="timeline", stretch=True)


def heat(percent: Sequence[int], length: float, colour: str, label: str, unit: str) -> Markup:
    """How probable a label is over time, 0 to 100 in equally long stretches; equal neighbours are drawn as one."""
    spans, begin = [], 0
    rounded = [5 * round(value / 5) for value in percent]
    for at in range(1, len(rounded) + 1):
        if at == len(rounded) or rounded[at] != rounded[begin]:
            first, last = length * begin / len(rounded), length * at / len(rounded)
            text = f"{label} about {rounded[begin]} % from {first:.0f} to {last:.0f} {unit}"
            if rounded[begin]:
                spans.append(Span(first, last, colour, text, rounded[begin] / 100))
            begin = at
    mean = sum(percent) / len(percent) if percent else 0
    return timeline(length, spans, f"Confidence in {label}", f"on average {mean:.0f} %")


def sparkline(values: Sequence[float | None], title: str) -> Markup:
    """A trend without axes, of values in 0..1."""
    known = [(position, value) for position, value in enumerate(values) if value is not None]
    if not known:
        return Markup("")
    step = 94 / max(1, len(values) - 1)
    low = min(0.9 * min(value for _, value in known), 0.9)
    points = [(3 + step * position, 25 - 22 * (value - low) / (1 - low)) for position, value in known]
    words = ", ".join(f"{value:.2f}" for _, value in known[-12:])
    line = element("polyline", points=_points(points), class_="line accent")
    return picture(100, 28, title, words, line, _dot(*points[-1], "accent"), class_="sparkline")


@dataclass(frozen=True)
class Series:
    """`points`: (x, y). `band`: lower and upper end for each of them. `tone`: `accent`, `second` or `quiet`."""

    name: str
    points: Sequence[tuple[float, float]]
    tone: str = "accent"
    band: Sequence[tuple[float, float] | None] = ()


def lines(series: Sequence[Series], title: str, x_name: str, y_name: str, top: float | None = 1.0) -> Markup:
    """Curves on common axes, y from 0 to `top` or to the highest value."""
    xs = [x for each in series for x, _ in each.points]
    ys = [y for each in series for _, y in each.points]
    if not xs:
        return Markup("")
    low, high = min(xs), max(xs)
    ceiling = top if top is not None else max([*ys, 1e-9]) * 1.05
    across = (_WIDTH - _LEFT - _RIGHT) / ((high - low) or 1)

    def at(x: float, y: float) -> tuple[float, float]:
        middle = (_WIDTH - _LEFT - _RIGHT) / 2 if high == low else (x - low) * across
        return _LEFT + middle, _y(y / ceiling)

    drawn = [*_grid(ceiling), *_below(low, high, f"{y_name} by {x_name}")]
    for each in series:
        drawn += [
            _whisker(at(x, b[0]), at(x, b[1]), each.tone)
            for (x, _), b in zip(each.points, each.band, strict=False)
            if b
        ]
        drawn.append(element("polyline", points=_points([at(*p) for p in each.points]), class_=f"line {each.tone}"))
        if len(each.points) <= _MOST_MARKERS:
            drawn += [
                _dot(*at(x, y), each.tone, f"{each.name}: {y:.3g} at {number(float(x))} {x_name}")
                for x, y in each.points
            ]
    words = "; ".join(f"{each.name} {each.points[-1][1]:.3g} at the end" for each in series if each.points)
    return picture(_WIDTH, _HEIGHT, title, f"{y_name} over {x_name}: {words}", *drawn, class_="plot")


def reliability(bins: Sequence[ReliabilityBin], title: str) -> Markup:
    """How often a model is right against how sure it says it is; on the diagonal it is honest."""
    most = max((row.decisions for row in bins), default=1)
    span = _WIDTH - _LEFT - _RIGHT
    drawn = [*_grid(1.0), *_below(0.0, 1.0, "share that is right by confidence")]
    drawn.append(element("line", x1=_LEFT, y1=_y(0), x2=_LEFT + span, y2=_y(1), class_="diagonal"))
    for row in bins:
        x, y = _LEFT + span * row.confidence, _y(row.right)
        text = f"{row.decisions:.0f} decisions, {row.confidence:.0%} sure on average, {row.right:.0%} right"
        size = 2.5 + 4.5 * (row.decisions / most) ** 0.5
        drawn.append(element("circle", element("title", text), cx=x, cy=y, r=size, class_="dot accent faint"))
    words = ", ".join(f"{row.confidence:.0%} sure {row.right:.0%} right" for row in bins)
    return picture(_WIDTH, _HEIGHT, title, words, *drawn, class_="plot")


def interval(value: float, ends: Sequence[float] | None, title: str) -> Markup:
    """A number in 0..1 with its interval, small enough for a table's cell."""
    drawn = [element("line", x1=0, y1=7, x2=100, y2=7, class_="track")]
    if ends:
        drawn.append(element("line", x1=100 * ends[0], y1=7, x2=100 * ends[1], y2=7, class_="line accent thick"))
    drawn.append(_dot(100 * value, 7, "accent"))
    words = f"{value:.2f}" + (f", 95 % between {ends[0]:.2f} and {ends[1]:.2f}" if ends else "")
    return picture(106, 14, title, words, element("g", *drawn, transform="translate(3 0)"), class_="interval")


def swatch(colour: str) -> Markup:
    """A label's colour beside its name, which says the same."""
    return element(
        "svg", element("circle", cx=5, cy=5, r=5, fill=colour), viewBox="0 0 10 10", class_="swatch", aria_hidden="true"
    )


def _y(share: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - min(max(share, 0.0), 1.0))


def _grid(ceiling: float) -> list[Markup]:
    drawn = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawn.append(element("line", x1=_LEFT, y1=_y(share), x2=_WIDTH - _RIGHT, y2=_y(share), class_="grid"))
        if share in (0.0, 0.5, 1.0):
            drawn.append(element("text", f"{ceiling * share:.2g}", x=_LEFT - 5, y=_y(share) + 4, class_="tick end"))
    return drawn


def _below(low: float, high: float, name: str) -> list[Markup]:
    y = _HEIGHT - 8
    return [
        element("text", f"{low:g}", x=_LEFT, y=y, class_="tick"),
        element("text", name, x=(_LEFT + _WIDTH - _RIGHT) / 2, y=y, class_="tick middle"),
        element("text", f"{high:g}", x=_WIDTH - _RIGHT, y=y, class_="tick end"),
    ]


def _whisker(low: tuple[float, float], high: tuple[float, float], tone: str) -> Markup:
    return element("line", x1=low[0], y1=low[1], x2=high[0], y2=high[1], class_=f"whisker {tone}")


def _dot(x: float, y: float, tone: str, text: str | None = None) -> Markup:
    inside = (element("title", text),) if text else ()
    return element("circle", *inside, cx=x, cy=y, r=3, class_=f"dot {tone}")


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{number(float(x))},{number(float(y))}" for x, y in points)
