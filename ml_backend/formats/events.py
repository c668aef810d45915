"""What happens in a video, as files have it: events with a label, a beginning and an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ml_backend.errors import SettingsError
from ml_backend.wording import cut

# More than anybody looks at; a table of frames that flickers has as many.
MOST_EVENTS = 20_000


@dataclass(frozen=True)
class Event:
    """Something that happens once.

    `seconds`: beginning and end, the latter not included; both are the same for a moment. `frames`: first and last frame index, both
    included. `timecodes`: the same as `seconds`, as an editor counts frames, of which `VideoEvents.rate` go into a second; an end
    of `+24` is so many frames later. What is read has one of the three, what is written has `seconds` and `frames`.
    `who`: whose behavior it is. `group`: the control, category or tier that the label belongs to. `score`: 0..1 of a prediction.
    """

    label: str
    seconds: tuple[float, float] | None = None
    frames: tuple[int, int] | None = None
    timecodes: tuple[str, str] | None = None
    who: str = ""
    comment: str = ""
    group: str = ""
    score: float | None = None

    @property
    def times(self) -> tuple[float, float]:
        """Of an event that is to be written."""
        assert self.seconds is not None
        return self.seconds

    @property
    def span(self) -> tuple[int, int]:
        """Of an event that is to be written."""
        assert self.frames is not None
        return self.frames

    @property
    def codes(self) -> tuple[str, str]:
        """Of an event that is to be written."""
        assert self.timecodes is not None
        return self.timecodes

    @property
    def is_moment(self) -> bool:
        """Whether it is about a single frame."""
        return self.span[0] == self.span[1]


@dataclass(frozen=True)
class VideoEvents:
    """What a file says of one video. `file`: as messages name it. `names`: how the video may be called, the likeliest first. `task`:
    whose video it is, as an export of ours says. `rate`: frames a second of its timecode, None where the file does not say.
    `frames`, `duration`: how long the video is, of what is written. `is_studio`: whether the frames of its events are those of Label
    Studio, from 1, which it counts at a rate of its own."""

    file: str
    names: tuple[str, ...]
    events: tuple[Event, ...]
    task: int | None = None
    rate: Fraction | None = None
    frames: int = 0
    duration: float = 0.0
    is_studio: bool = False

    @property
    def name(self) -> str:
        return self.names[0]


@dataclass(frozen=True)
class Asked:
    """What somebody wants of a file. `labels`: what the project and the file call what is read; a table of frames has other columns,
    too. `tiers`: of ELAN, the tiers that count, None for all. `only`: the observations or videos that count, None for all: what is wrong
    with the events of others is no matter."""

    labels: Collection[str] = ()
    tiers: Collection[str] | None = None
    only: Collection[str] | None = None

    def omits(self, names: Collection[str]) -> bool:
        """Whether what is called so does not count."""
        return self.only is not None and set(self.only).isdisjoint(names)


@dataclass(frozen=True)
class Mark:
    """A beginning, an end or a moment, as a file lists them one by one. `kind`: "start", "stop", "point", or "toggle" of a state
    that begins at one and ends at the next. `at`: as messages say where it stands. `modifiers`: a state holds once with each of them."""

    kind: str
    seconds: float
    label: str
    who: str = ""
    comment: str = ""
    group: str = ""
    at: str = ""
    modifiers: str = ""


def names_apart(videos: Sequence[VideoEvents]) -> list[str]:
    """What each is called in a file with all of them: its name, with its task's number where others have that name as well."""
    count = Counter(video.name for video in videos)
    return [f"{video.name} (task {video.task})" if count[video.name] > 1 else video.name for video in videos]


def refused(file: str, why: str, what: str) -> SettingsError:
    """What to raise about a file that cannot be imported, with what to do."""
    return SettingsError(f"{file} is not imported: {why}.", what)


def paired(file: str, marks: Iterable[Mark]) -> tuple[Event, ...]:
    """Events of `marks` in the order of time. Raises SettingsError for a state that does not end, or ends before it begins."""
    found: list[Event] = []
    begun: dict[tuple[str, str, str, str], Mark] = {}
    # At one time a state ends before the next one of its kind begins.
    order = {"stop": 0, "toggle": 0, "point": 1, "start": 2}
    for mark in sorted(marks, key=lambda each: (each.seconds, order.get(each.kind, 1))):
        key, kind = (mark.label, mark.who, mark.group, mark.modifiers), mark.kind
        if kind == "toggle":
            kind = "stop" if key in begun else "start"
        if kind == "point":
            found.append(_event(mark, mark))
        elif kind == "start":
            if key in begun:
                raise refused(
                    file,
                    f"{_called(mark)} begins at {_said(begun[key])} and again at {_said(mark)}",
                    "Add the end between them.",
                )
            begun[key] = mark
        elif (open_one := key if key in begun else next((each for each in begun if each[:3] == key[:3]), None)) is None:
            # Some programs say with what a state began, and not again where it ends.
            raise refused(
                file, f"{_called(mark)} ends at {_said(mark)} and has not begun", "Add its beginning, or remove it."
            )
        else:
            found.append(_event(begun.pop(open_one), mark))
    for mark in begun.values():
        raise refused(
            file,
            f"{_called(mark)} begins at {_said(mark)} and never ends",
            "Add its end in the program that wrote the file.",
        )
    return tuple(sorted(found, key=lambda each: each.times))


def joined(events: Iterable[Event]) -> list[Event]:
    """For files that list beginnings and ends: of events of one label and individual that share a frame one from the first to the last,
    since nothing says there which end is whose."""
    found: list[Event] = []
    last: dict[tuple[str, str, str], int] = {}
    for event in sorted(events, key=lambda each: each.span):
        key = (event.label, event.who, event.group)
        if key in last and event.span[0] <= found[last[key]].span[1]:
            before = found[last[key]]
            comments = dict.fromkeys(filter(None, (before.comment, event.comment)))
            found[last[key]] = replace(
                before,
                seconds=(before.times[0], max(before.times[1], event.times[1])),
                frames=(before.span[0], max(before.span[1], event.span[1])),
                comment="\n".join(comments),
            )
        else:
            last[key] = len(found)
            found.append(event)
    return found


def _event(start: Mark, stop: Mark) -> Event:
    comments = dict.fromkeys(filter(None, (start.comment, stop.comment)))
    return Event(
        start.label, (start.seconds, stop.seconds), who=start.who, comment="\n".join(comments), group=start.group
    )


def _called(mark: Mark) -> str:
    return f"“{cut(mark.label)}” of {mark.who}" if mark.who else f"“{cut(mark.label)}”"


def _said(mark: Mark) -> str:
    return f"{mark.seconds:g} s{f' ({mark.at})' if mark.at else ''}"


def checked(found: Sequence[VideoEvents]) -> list[VideoEvents]:
    """Those of a file, if each can be one. Raises SettingsError."""
    for video in found:
        if len(video.events) > MOST_EVENTS:
            raise refused(
                video.file,
                f"it has {len(video.events):,} events of {video.name}, and at most {MOST_EVENTS:,} are shown",
                "Smooth them, or import fewer labels.",
            )
        for event in video.events:
            span = event.seconds or event.frames
            if span is None:
                continue
            if span[0] < 0:
                raise refused(
                    video.file,
                    f"“{cut(event.label)}” begins before the video, at {span[0]:g}",
                    "Count from the video's first moment.",
                )
            if span[1] < span[0]:
                raise refused(
                    video.file,
                    f"“{cut(event.label)}” ends at {span[1]:g}, before it begins at {span[0]:g}",
                    "Exchange them.",
                )
    return list(found)
