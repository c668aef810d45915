"""Which task's video a file is about: the one whose number an export of ours wrote, else the one that is called so."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from ml_backend.importing.folder_watch import ENDINGS
from ml_backend.importing.found_boxes import refused
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.videos import video_name
from ml_backend.labelstudio.tasks import LARGE_PAGE, Task

# A file's name with its ending, and the seconds of a part.
_FILE = re.compile(r"(.+)(\.\w{1,5})(?: ([\d.]+-[\d.]+) s)?", re.DOTALL)
# As an export of ours calls folders and pictures, and observations.
_OF_TASK = re.compile(r"(.+)(?:_task(\d{1,12})| \(task (\d{1,12})\))", re.DOTALL)


class Named(Protocol):
    """What a file says of one video. `names`: how its file may be called, the likeliest first. `task`: as an export of ours says."""

    @property
    def file(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def task(self) -> int | None: ...


Found = TypeVar("Found", bound=Named)


class _Names:
    """A project's tasks by what their videos are called: exactly, without the ending, or as it may be written on another disk."""

    def __init__(self, work: ProjectWork) -> None:
        self._by_id: dict[int, tuple[Task, str]] = {}
        exact, stems, folded = (defaultdict[str, list[Task]](list) for _ in range(3))
        for task in work.context.studio.tasks.all(work.id, page=LARGE_PAGE):
            name = unicodedata.normalize("NFC", video_name(task, work.question))
            self._by_id[task.id] = task, name
            exact[name].append(task)
            stems[_stem(name)].append(task)
            folded[_folded(_stem(name))].append(task)
        self._exact, self._stems, self._folded = exact, stems, folded

    def best(self, own: str) -> list[Task]:
        """The tasks whose videos are called so, as exactly as there are any."""
        own = unicodedata.normalize("NFC", own)
        both = dict.fromkeys((own, _stem(own)))
        return (
            self._exact.get(own)
            or [task for each in both for task in self._stems.get(each, ())]
            or [task for each in filter(None, dict.fromkeys(map(_folded, both))) for task in self._folded.get(each, ())]
        )

    def numbered(self, number: int | None, names: Iterable[str] | None = None) -> list[Task]:
        """The task of this number, and only if its video may be called one of the `names`, where those are given."""
        if number is None or number not in self._by_id:
            return []
        task, called = self._by_id[number]
        return [task] if names is None or any(_fits(own, called) for own in names) else []


def tasks_of(
    work: ProjectWork, found: Sequence[Found], task: int | None
) -> tuple[list[tuple[Found, Task]], list[Found]]:
    """The task of each video, and those that have none; `task`: that of all of them. Raises SettingsError where it is not clear
    which."""
    names = _Names(work)
    matched, unmatched = [], []
    for video in found:
        own = _called(video, names) if task is None else names.numbered(task)
        if len(own) > 1:
            numbers = ", ".join(str(each.id) for each in own)
            raise refused(video.file, f"tasks {numbers} all show {video.names[0]}", "Say which with --task.")
        if own:
            matched.append((video, own[0]))
        else:
            unmatched.append(video)
    count = Counter(each.id for _, each in matched)
    for video, each in matched:
        if count[each.id] > 1:
            raise refused(video.file, f"several of these are about task {each.id}", "Import them one by one.")
    return matched, unmatched


def _called(video: Named, names: _Names) -> list[Task]:
    """The tasks that a video may be of: of the number that the file says where the name fits, else of the likeliest name."""
    if said := names.numbered(video.task, video.names):
        return said
    cut = [(match[1], int(match[2] or match[3])) for own in video.names if (match := _OF_TASK.fullmatch(own))]
    numbered = [task for own, number in cut for task in names.numbered(number, [own])]
    plain = next(filter(None, map(names.best, video.names)), [])
    if numbered and {task.id for task in numbered} <= {task.id for task in plain}:
        return list({task.id: task for task in numbered}.values())
    if both := {task.id: task for task in (*numbered, *plain)}:
        return list(both.values())
    return next(filter(None, (names.best(own) for own, _ in cut)), [])


def _fits(own: str, name: str) -> bool:
    """Whether a video that is called `name` may be what an export calls `own`: it cuts whatever looks like an ending."""
    match = _FILE.fullmatch(name)
    loose = " ".join(filter(None, (match[1], match[3]))) if match else name
    return not {_folded(own), _folded(_stem(own))}.isdisjoint({_folded(name), _folded(_stem(name)), _folded(loose)})


def _stem(name: str) -> str:
    """Without the ending, where it is that of a video; what else follows a dot belongs to the name."""
    match = _FILE.fullmatch(name)
    if match is None or match[2].lower() not in ENDINGS:
        return name
    return " ".join(filter(None, (match[1], match[3])))


def _folded(name: str) -> str:
    """The same for names that are written differently on disk, by case and special characters."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", name).casefold()).strip("_")
