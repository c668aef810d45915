"""Which formats there are, how their files are read and written, and what each can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_backend.formats import boris, edl, elan, event_tables, fiftyone, frame_tables, subtitles
from ml_backend.formats.events import Asked, VideoEvents, checked, joined, refused
from ml_backend.formats.text import read_text

Reader = Callable[[Path, Asked], list[VideoEvents]]
Writer = Callable[[Sequence[VideoEvents], Path], None]


@dataclass(frozen=True)
class Format:
    """`endings`: of its files; the first one is written, none is a folder. `each`: whether each video has a file of its own. What of
    an event it can hold: who, comments, the control of its label, a score; and whether its time is that of the very frame. `overlaps`:
    whether events of one label may touch. `nests`: whether those of one individual may share frames. `one_group`: whether all events of a
    label have the same control."""

    endings: tuple[str, ...]
    write: Writer
    each: bool = True
    who: bool = True
    comments: bool = True
    groups: bool = False
    scores: bool = False
    overlaps: bool = True
    nests: bool = True
    one_group: bool = False

    def lost(self, videos: Sequence[VideoEvents]) -> list[str]:
        """A sentence for each thing that the events have and this format cannot hold."""
        events = [event for video in videos for event in video.events]
        controls, labels = {event.group for event in events}, {event.label for event in events}
        apart = len({(event.label, event.group) for event in events}) > len(labels)
        found = {
            "whom they are about": not self.who and any(event.who for event in events),
            "their comments": not self.comments and any(event.comment for event in events),
            "their controls": not self.groups and len(controls) > 1,
            "which control a label is of that several have": self.one_group and apart,
            "how sure the model is": not self.scores and any(event.score is not None for event in events),
            "where one of a label begins before another of it and the same individual ends": not self.nests
            and any(len(joined(video.events)) < len(video.events) for video in videos),
            "where one begins as the other of the same label ends": not self.overlaps and any(map(_touch, videos)),
        }
        return [f"This format cannot hold {what}." for what, is_lost in found.items() if is_lost]


def _touch(video: VideoEvents) -> bool:
    """Whether two events of one label are in the same frame, or in one and the next."""
    last: dict[str, int] = {}
    for event in sorted(video.events, key=lambda each: each.span):
        start, stop = event.span
        if start <= last.get(event.label, -2) + 1:
            return True
        last[event.label] = max(stop, last.get(event.label, -2))
    return False


FORMATS: dict[str, Format] = {
    "boris": Format((".boris",), boris.write_boris, each=False, groups=True, nests=False, one_group=True),
    "boris-tabular": Format((".csv", ".tsv"), event_tables.write_boris_tabular, each=False, groups=True, nests=False),
    "boris-aggregated": Format(
        (".csv", ".tsv"), event_tables.write_boris_aggregated, each=False, groups=True, scores=True
    ),
    "noldus": Format((".csv", ".txt"), event_tables.write_noldus, each=False, groups=True, nests=False),
    "elan": Format((".eaf",), elan.write_elan, groups=True),
    "simba": Format((".csv",), frame_tables.write_frame_table, who=False, comments=False, overlaps=False),
    "vtt": Format((".vtt",), subtitles.write_vtt),
    "srt": Format((".srt",), subtitles.write_srt),
    "edl": Format((".edl",), edl.write_edl),
    "markers": Format((".csv", ".txt"), event_tables.write_markers),
    "fiftyone": Format((), fiftyone.write_fiftyone, each=False, groups=True, scores=True),
}
_BY_ENDING: dict[str, Reader] = {
    ".boris": boris.read_boris,
    ".eaf": elan.read_elan,
    ".vtt": subtitles.read_subtitles,
    ".srt": subtitles.read_subtitles,
    ".edl": edl.read_edl,
}
_TABLES = (".csv", ".tsv", ".txt")
ENDINGS = (*_BY_ENDING, *_TABLES, ".json")


def read_events(path: Path, asked: Asked) -> list[VideoEvents]:
    """The videos of a file of any of the formats, which its ending and its contents tell, or of all such files in a folder. Raises
    SettingsError."""
    name, ending = str(path), path.suffix.lower()
    if path.is_dir():
        return _in_folder(path, asked)
    if reader := _BY_ENDING.get(ending):
        return checked(reader(path, asked))
    if ending in _TABLES:
        is_events = event_tables.is_event_table(read_text(path))
        return checked((event_tables.read_event_table if is_events else frame_tables.read_frame_table)(path, asked))
    if ending == ".json":
        # A project of BORIS that was renamed says so itself.
        return checked(
            (boris.read_boris if '"observations"' in read_text(path)[:5_000_000] else fiftyone.read_fiftyone)(
                path, asked
            )
        )
    raise refused(name, "its kind is unknown", f"Give a file of one of these kinds: {', '.join(ENDINGS)}.")


def _in_folder(path: Path, asked: Asked) -> list[VideoEvents]:
    if (path / fiftyone.LABELS).is_file():
        return checked(fiftyone.read_fiftyone(path, asked))
    files = sorted(each for each in path.iterdir() if each.suffix.lower() in ENDINGS and not each.name.startswith("."))
    if not files:
        raise refused(
            str(path), "it has no file with labels", f"Give one with files of these kinds: {', '.join(ENDINGS)}."
        )
    return [video for each in files for video in read_events(each, asked)]
