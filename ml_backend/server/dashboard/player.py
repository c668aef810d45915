"""The player of a task's video: whether it can be played and if not, why, what its keys jump to, and two words beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from markupsafe import Markup
from rq.job import JobStatus

from ml_backend.projects import playback
from ml_backend.projects.playback import Playback
from ml_backend.projects.task_view import TaskView
from ml_backend.queueing.queue import existing, slots
from ml_backend.queueing.waiting import Wait, wait_of
from ml_backend.server.dashboard import charts, jumps
from ml_backend.server.dashboard.formatting import clock, count
from ml_backend.server.dashboard.jumps import Difference, Doubt
from ml_backend.server.dashboard.shown import Word
from ml_backend.server.dashboard.site import ProjectPage
from ml_backend.server.dashboard.strips import Clock
from ml_backend.server.label_studio_routes import backend
from ml_backend.wording import counted, listed

# As people know them, by FFmpeg's names.
_CODECS = {
    "h264": "H.264",
    "hevc": "H.265 (HEVC)",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg4": "MPEG-4 Part 2",
    "prores": "ProRes",
    "mjpeg": "Motion JPEG",
    "mpeg2video": "MPEG-2",
    "mpeg1video": "MPEG-1",
    "dnxhd": "DNxHD",
}
# By the MIME types of `media_kind`; a container that no browser knows and of which nothing else is known is named by none.
_CONTAINERS = {
    "video/mp4": "an MP4 file",
    "video/webm": "a WebM or Matroska file",
    "video/mp2t": "an MPEG transport stream",
    "video/x-msvideo": "an AVI file",
    "video/ogg": "an Ogg file",
}
_PENDING = (JobStatus.QUEUED, JobStatus.STARTED, JobStatus.SCHEDULED, JobStatus.DEFERRED)
_MOST_REGIONS = 1000
_DIFFERENT, _UNSURE = "#D55E00", "#E69F00"


@dataclass(frozen=True)
class Player:
    """`found`: what a job has noted of the video. `is_here`: whether its file is kept. `pending`: whether it is being
    fetched, `wait`: or for what that waits; `failed`: why that did not work."""

    found: Playback | None
    is_here: bool
    pending: bool
    failed: str | None
    project: int
    wait: Wait | None = None

    @property
    def plays(self) -> bool:
        """Whether a page can try: with H.265, some browsers can."""
        return self.is_here and self.found is not None and self.found.plays

    @property
    def unplayable(self) -> str:
        """What to say where a browser does not play it, with the command that makes a copy that plays."""
        if self.found is None:
            return ""
        codec = _CODECS.get(self.found.codec, self.found.codec)
        container = _CONTAINERS.get(self.found.mime, "a file of this kind")
        return (
            f"This browser cannot play {codec} video in {container}. "
            f"To label it, import a copy that every browser plays: `coldblitz import FILE --project {self.project} --fix`"
        )


def player_of(project: ProjectPage, task: int) -> Player:
    data_dir, redis = backend().settings.data_dir, backend().redis
    found = playback.load(data_dir, project.key, task)
    if found is not None and playback.video_file(data_dir, found) is not None:
        return Player(found, True, False, None, project.id)
    jobs = existing(redis, slots("fetch", project.key, task))
    states = [job.get_status(refresh=False) for job in jobs]
    reasons = [str(job.meta["reason"]) for job in jobs if job.meta.get("reason")]
    pending = any(state in _PENDING for state in states)
    wait = wait_of(redis, "fetch", project.key, task) if pending else None
    return Player(found, False, pending, reasons[-1] if reasons else None, project.id, wait)


@dataclass(frozen=True)
class Beside:
    """Two words about a video, a bar each, and where they differ."""

    words: tuple[Word, ...]
    one: Word
    other: Word
    rows: tuple[tuple[str, Markup], ...]
    found: tuple[Difference, ...]
    share: float


def beside(project: ProjectPage, words: Sequence[Word], at: Clock, frames: int) -> Beside | None:
    """Those that the address asks for with `one` and `other`; else the first version, and a person, or the next version.
    None where there is only one."""
    if len(words) < 2:
        return None
    by_key = {word.key: word for word in words}
    one = by_key.get(request.args.get("one", ""), words[0])
    rest = [word for word in words if word is not one]
    other = by_key.get(request.args.get("other", ""), next((word for word in rest if word.is_person), rest[0]))
    partial = one.is_partial or other.is_partial
    found = jumps.differences(one.regions, other.regions, frames, partial=partial)
    differing = sum(each.end - each.start + 1 for each in found)
    rows = [*(_bar(project, word, at, frames) for word in (one, other)), _differences(one, other, found, at, frames)]
    return Beside(tuple(words), one, other, tuple(rows), tuple(found), differing / frames if frames else 0.0)


def _bar(project: ProjectPage, word: Word, at: Clock, frames: int) -> tuple[str, Markup]:
    spans = [at.span(region, project.colours, word.name) for region in word.regions[:_MOST_REGIONS]]
    return word.name, charts.timeline(
        float(frames), spans, word.name, f"{counted(len(word.regions), 'region')} in {frames} frames"
    )


def _differences(one: Word, other: Word, found: Sequence[Difference], at: Clock, frames: int) -> tuple[str, Markup]:
    spans = [
        charts.Span(each.start - 1, each.end, _DIFFERENT, _difference(one, other, each, at))
        for each in found[:_MOST_REGIONS]
    ]
    longest = sorted(found, key=lambda each: each.start - each.end)[:5]
    words = "; ".join(_difference(one, other, each, at) for each in longest) or "none"
    title = f"Where {one.name} and {other.name} differ"
    return "Differences", charts.timeline(float(frames), spans, title, words)


def _difference(one: Word, other: Word, found: Difference, at: Clock) -> str:
    said = f"{one.name} {listed(found.one) or 'nothing'}, {other.name} {listed(found.other) or 'nothing'}"
    return f"frames {found.start} to {found.end} at {clock((found.start - 1) / at.framerate)}: {said}"


def certainty_line(view: TaskView | None, frames: int, framerate: float) -> Markup | None:
    """How sure the model is over time: dark where it is not. None while no model says anything."""
    sure = jumps.certainty(view.percent) if view is not None and view.percent else []
    if not sure:
        return None
    spans, begin = [], 0
    levels = [min(4, max(0, (100 - each) // 8)) for each in sure]
    for at in range(1, len(levels) + 1):
        if at == len(levels) or levels[at] != levels[begin]:
            if levels[begin]:
                first, last = frames * begin / len(levels), frames * at / len(levels)
                text = f"about {sum(sure[begin:at]) // (at - begin)} % sure from frame {first:.0f} to {last:.0f}"
                spans.append(charts.Span(first, last, _UNSURE, text, levels[begin] / 4))
            begin = at
    found = jumps.doubts(sure, frames)
    least = ", ".join(_doubt(each, framerate) for each in found[:5])
    words = f"on average {sum(sure) // len(sure)} %" + (f"; least sure {least}" if least else "")
    return charts.timeline(float(frames), spans, "How sure the model is", words)


def _doubt(found: Doubt, framerate: float) -> str:
    return f"at {clock((found.worst - 1) / framerate)} with {found.percent} %"


def facts(
    words: Sequence[Word], view: TaskView | None, pair: Beside | None, frames: int, framerate: float
) -> dict[str, Any]:
    """What the page's script knows: whose regions are where, and what its keys jump to."""
    sure = jumps.certainty(view.percent) if view is not None and view.percent else []
    return {
        "frames": frames,
        "framerate": framerate,
        "words": [{"name": word.name, "person": word.is_person, "regions": list(_rows(word))} for word in words],
        "sure": sure,
        "jumps": {
            "change": jumps.changes(words[0].regions, frames) if words else [],
            "unsure": [each.worst for each in jumps.doubts(sure, frames)],
            "difference": [each.start for each in pair.found] if pair else [],
        },
    }


def _rows(word: Word) -> Iterable[list[Any]]:
    for region in word.regions[:_MOST_REGIONS]:
        yield [int(region.start), int(region.end), list(region.labels), getattr(region, "score", None)]


def described(found: Playback) -> str:
    """What a file is, in a line."""
    codec = _CODECS.get(found.codec, found.codec)
    return f"{codec}, {found.width} × {found.height}, {count(found.pictures, 'picture', 'pictures')}"
