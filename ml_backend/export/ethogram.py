"""The picture of an ethogram as papers print it: a lane for each label of each individual, and time to the right. SVG, which any program
for papers takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from xml.sax.saxutils import escape, quoteattr

from ml_backend.export.bouts import BoutVideo

# Told apart by people who see few colors (Okabe and Ito, 2008).
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
_WIDTH, _LANE, _BAR, _MARGIN, _LETTER = 720.0, 18, 12, 12, 6.6
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_TICKS = 10


# By control and label, as CSS writes them.
Colors = Mapping[tuple[str, str], str]


def ethogram(videos: Sequence[BoutVideo], named: Colors = MappingProxyType({})) -> str:
    """All videos below each other, each in its own time. A moment is as wide as can be seen. `named`: the colors of labels; others
    get one of eight that everybody can tell apart."""
    seen = dict.fromkeys((event.group, event.label) for each in videos for event in each.video.events)
    others = [key for key in seen if key not in named]
    colors = {**named, **{key: _COLORS[at % len(_COLORS)] for at, key in enumerate(others)}}
    lanes = {position: _lanes(each) for position, each in enumerate(videos)}
    longest = max((len(name) for own in lanes.values() for name, *_ in own), default=0)
    left = _MARGIN + min(longest, 40) * _LETTER + 8
    drawn: list[str] = []
    top = float(_MARGIN)
    for position, each in enumerate(videos):
        drawn += _video(each, lanes[position], colors, left, top)
        top += 20 + _LANE * len(lanes[position]) + 34
    size = f'width="{left + _WIDTH + 3 * _MARGIN:g}" height="{top:g}"'
    box = f'viewBox="0 0 {left + _WIDTH + 3 * _MARGIN:g} {top:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} font-family="Helvetica, Arial, sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *drawn, "</svg>", ""])


def _lanes(each: BoutVideo) -> list[tuple[str, str, str, str]]:
    """What a lane is called, and the control, individual and label that it shows."""
    found = []
    for control, labels in each.labels.items():
        for who in each.individuals(control):
            seen = {event.label for event in each.of(control, who)}
            named = [*(label for label in labels if label in seen), *sorted(seen - set(labels))]
            found += [(f"{who}: {label}" if who else label, control, who, label) for label in named]
    return found


def _video(
    each: BoutVideo, lanes: Sequence[tuple[str, str, str, str]], colors: Colors, left: float, top: float
) -> Iterator[str]:
    length = max(each.video.duration, 1e-6)
    yield f'<text x="{_MARGIN}" y="{top + 10:g}" font-weight="bold">{escape(each.video.name)}</text>'
    bottom = top + 20 + _LANE * len(lanes)
    for row, (name, control, who, label) in enumerate(lanes):
        y = top + 20 + _LANE * row
        shown = name if len(name) <= 40 else f"{name[:39]}…"
        yield f'<text x="{left - 8:g}" y="{y + _BAR:g}" text-anchor="end">{escape(shown)}</text>'
        yield f'<rect x="{left:g}" y="{y + 2:g}" width="{_WIDTH:g}" height="{_BAR}" fill="#f0f0f0"/>'
        for event in each.of(control, who):
            if event.label == label:
                start, end = event.times
                x, width = left + _WIDTH * start / length, max(_WIDTH * (end - start) / length, 1.0)
                color = quoteattr(colors[control, label])
                said = quoteattr(f"{name}, {start:.2f} to {end:.2f} s")
                yield (
                    f'<rect x="{x:.2f}" y="{y + 2:g}" width="{width:.2f}" height="{_BAR}" fill={color} aria-label={said}>'
                    f"<title>{escape(said[1:-1])}</title></rect>"
                )
    step = next((each_step for each_step in _STEPS if length / each_step <= _TICKS), _STEPS[-1])
    for tick in range(int(length / step + 1e-9) + 1):
        x = left + _WIDTH * tick * step / length
        yield f'<line x1="{x:.2f}" y1="{bottom:g}" x2="{x:.2f}" y2="{bottom + 4:g}" stroke="#555"/>'
        yield f'<text x="{x:.2f}" y="{bottom + 16:g}" text-anchor="middle" fill="#333">{_time(tick * step, step)}</text>'


def _time(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
