"""What is unusual about a video, told before anybody labels it. Nothing here keeps work from being done.

What a browser does with a file was tried in Chromium 156 and Label Studio 1.23 (`docs/frames.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from ml_backend.errors import VideoUnreadable
from ml_backend.video.container import open_video
from ml_backend.video.demux import Demuxed, demux
from ml_backend.video.timeline import MOST_STUDIO_FRAMES, StudioFrame, Timeline, studio_grid

Severity = Literal["note", "warning", "error"]

_PLAYS = {"h264", "vp8", "vp9", "av1"}
# What all browsers' H.264 decoders take: 8 bits, colours at half resolution.
_H264_PIXELS = ("yuv420p", "yuvj420p", None)
_CONTAINERS = {"mov", "mp4", "webm", "matroska"}
_SOUND_OFFSET = 0.05  # seconds; less is not heard
_KEY_FRAME_GAP = 10.0  # seconds; a browser decodes all of it for one step of the annotator
_LONG = 2 * 3600.0
_AS_MP4 = "ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p -c:a aac OUTPUT.mp4"


@dataclass(frozen=True)
class Finding:
    """One thing about a video. `error`: it cannot be used, or not labelled in a browser; `warning`: labelling it goes wrong
    or slowly unless something is done; `note`: good to know."""

    kind: str
    message: str
    remedy: str
    severity: Severity


def inspect(path: Path, framerate: float | None = None, *, thorough: bool = False) -> tuple[Finding, ...]:
    """What is unusual about `path`, the worst first; nothing when all is well.

    `framerate`: the `<Video>` tag's, as resolved by Label Studio; None leaves it out. Reads the file once without decoding;
    `thorough` decodes it, too, to find damage. Never raises for what is wrong with the video.
    """
    try:
        video = demux(path)
        timeline = Timeline(video.pts, video.time_base, video.duration, video.early)
        natural = natural_framerate(timeline)
        with open_video(path) as (container, stream):
            playing = _playing(path, container, stream, video)
            findings = [
                *playing,
                *_beginning(timeline, video, natural),
                *_rate(timeline, natural, framerate),
                *_ending(path, container, stream, timeline, video, natural),
                *_sound(container, timeline),
                *_moving_about(timeline, video),
            ]
        if thorough:
            findings += _decoded(path, timeline)
    except VideoUnreadable as error:
        return (Finding("unreadable", error.message, error.remedy, "error"),)
    if any(finding.kind == "not-playable" for finding in playing):
        findings = [finding for finding in findings if finding.kind != "early-key-frames"]
    order: tuple[Severity, ...] = ("error", "warning", "note")
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def natural_framerate(timeline: Timeline) -> float | None:
    """The `framerate` to put into the `<Video>` tag: of the video's average rate, its usual rate and the common rates near
    them, the one at which most frames can be gone to, in as few digits as do it; None for a single frame."""
    times = timeline.microseconds / 1e6
    gaps = np.diff(times)
    if not len(gaps) or not (gaps > 0).any():
        return None
    usual = float(np.median(gaps[gaps > 0]))
    # Without the gaps where a frame was left out; between two kinds of gaps the median may be like none of them.
    near = gaps[np.abs(gaps - usual) < usual / 2]
    measured = (len(gaps) / float(gaps.sum()), 1 / (float(near.mean()) if len(near) else usual))
    candidates = [
        (rate, rough) for rough in measured for rate in (_common(rough), rough) if rate is not None and rate >= 1
    ]
    if not candidates:
        return None
    # Among equals a common rate is likelier to be meant.
    fewest, _, best = min((_unreachable(timeline, rate), rate == rough, rate) for rate, rough in candidates)
    short = (round(best, digits) for digits in range(6))
    return next((rate for rate in short if _same(rate, best) and _unreachable(timeline, rate) <= fewest), best)


def _common(rate: float) -> float | None:
    near = [candidate for whole in (round(rate), round(rate * 1.001)) for candidate in (float(whole), whole / 1.001)]
    near += [round(rate * 2) / 2] if rate < 20 else []
    close = [candidate for candidate in near if abs(candidate / rate - 1) < 0.001]
    return min(close, key=lambda candidate: abs(candidate - rate), default=None)


def _same(rate: float, other: float) -> bool:
    return abs(rate / other - 1) < 1e-4


def _unreachable(timeline: Timeline, framerate: float) -> int:
    """How many frames no Label Studio frame shows."""
    return len(timeline) - len(np.unique(studio_grid(timeline, framerate).shown))


def _playing(path: Path, container: InputContainer, stream: VideoStream, video: Demuxed) -> list[Finding]:
    codec, names = stream.codec_context.codec.canonical_name, set(container.format.name.split(","))
    encode = f"Encode it as H.264 in MP4: {_AS_MP4}"
    if codec == "hevc":
        message = (
            "The video is H.265 (HEVC), which many browsers cannot play: those show Label Studio without a picture."
        )
        return [Finding("not-playable", message, encode, "error")]
    if codec not in _PLAYS:
        return [
            Finding(
                "not-playable", f"Browsers cannot play {codec} video: Label Studio shows no picture.", encode, "error"
            )
        ]
    if not names & _CONTAINERS:
        message = f"Browsers cannot play {container.format.name} files: Label Studio shows no picture."
        return [
            Finding(
                "not-playable", message, f"Put it into an MP4 file: ffmpeg -i {path.name} -c copy OUTPUT.mp4", "error"
            )
        ]
    findings = []
    if codec == "h264" and (pixels := stream.codec_context.pix_fmt) not in _H264_PIXELS:
        message = f"The video is H.264 with {pixels} pixels, which Chrome plays and many other browsers do not."
        findings.append(Finding("pixels", message, encode, "warning"))
    if codec == "h264" and _leads(video) > 0:
        message = (
            f"{_leads(video)} key frames of the video are followed by frames that need pictures from before them (an open GOP): "
            "Chrome may stop with a decoding error when somebody jumps to a time."
        )
        findings.append(Finding("open-gop", message, encode, "warning"))
    if path.suffix.lower() == ".mkv":
        message = "Label Studio does not take .mkv files as uploads, and Firefox does not play them."
        remedy = f"Bring it in by its address or from a storage, or put it into an MP4 file: ffmpeg -i {path.name} -c copy OUTPUT.mp4"
        findings.append(Finding("matroska", message, remedy, "note"))
    return findings


def _leads(video: Demuxed) -> int:
    """How many key frames but the first have frames soon after them, in decode order, that are shown before them."""
    pts, keys = video.packets.pts, np.flatnonzero(video.packets.key)[1:]
    following = keys[:, None] + np.arange(1, 4)
    earlier = pts[np.minimum(following, len(pts) - 1)] < pts[keys][:, None]
    return int(earlier.any(axis=1).sum())


def _beginning(timeline: Timeline, video: Demuxed, natural: float | None) -> list[Finding]:
    findings = []
    if len(timeline) == 1:
        remedy = (
            "If there should be more, upload it again; a picture is labelled more easily with Label Studio's Image tag."
        )
        findings.append(Finding("single-frame", "The video holds a single frame.", remedy, "warning"))
    start = float(timeline.pts[0] * timeline.time_base)
    if start > 0.0005:
        message = (
            f"The pictures begin {start:.3f} s after the video's start; until then a browser shows the first frame."
        )
        remedy = (
            "Nothing to do here: labels are put where the annotator saw them. Tools that count frames from 0 differ."
        )
        findings.append(Finding("late-start", message, remedy, "note"))
    hidden = len(video.packets.every) - len(timeline)
    if hidden:
        what = "1 frame" if hidden == 1 else f"{hidden} frames"
        message = f"{what} in the file cannot be seen (cut away without encoding again, or not decodable on their own)."
        remedy = "Nothing to do here: they are not counted. Tools that count them are off by as many."
        findings.append(Finding("hidden-frames", message, remedy, "note"))
    twice = int((np.diff(timeline.microseconds) == 0).sum())
    if twice:
        message = f"{twice} frames have the same time as the one before them, so that nobody sees them."
        findings.append(
            Finding("same-time", message, f"Encode it again at a constant rate: {_constant(natural)}", "note")
        )
    return findings


def _constant(natural: float | None) -> str:
    rate = next((common for common in (24, 25, 30, 50, 60) if natural and common >= 0.98 * natural), 60)
    return f"ffmpeg -i INPUT -vf fps={rate} -c:v libx264 OUTPUT.mp4"


def _rate(timeline: Timeline, natural: float | None, framerate: float | None) -> list[Finding]:
    if natural is None:
        return []
    findings = []
    gaps = np.diff(timeline.microseconds)
    usual = float(np.median(gaps))
    uneven = int((np.abs(gaps - usual) > np.maximum(0.1 * usual, 1500)).sum())
    missed = _unreachable(timeline, natural)
    if uneven:
        shortest, longest = gaps.min() / 1000, gaps.max() / 1000
        message = f"The frame rate varies: frames last from {shortest:.0f} to {longest:.0f} ms."
        if missed:
            message += f" Even at {_number(natural)} frames a second, {missed} of {len(timeline)} cannot be gone to in Label Studio."
        remedy = f"Labels stay on the frames that were seen; to reach every frame, encode it at a constant rate: {_constant(natural)}"
        findings.append(Finding("variable-rate", message, remedy, "warning" if missed > len(timeline) / 50 else "note"))
    if framerate is None or _same(framerate, natural):
        return findings
    lost = _unreachable(timeline, framerate)
    beyond = float(timeline.duration) * framerate > MOST_STUDIO_FRAMES
    message = f"Label Studio counts {_number(framerate)} frames a second, the video has {_number(natural)}: "
    if lost > missed:
        message += f"{lost} of its {len(timeline)} frames cannot be labelled."
    else:
        message += "it counts the same picture as several frames."
    remedy = (
        f'Put framerate="{_number(natural)}" (or "$fps" with that number in each task\'s data) into the <Video> tag before '
        "labelling begins; a later change moves the labels that exist."
    )
    severity: Severity = "error" if beyond else "warning" if lost > missed else "note"
    findings.append(Finding("framerate", message, remedy, severity))
    return findings


def _ending(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    timeline: Timeline,
    video: Demuxed,
    natural: float | None,
) -> list[Finding]:
    again = (
        "Upload it again; until then the frames that are there are used, of which browsers may not show the last ones."
    )
    announced, held = stream.frames, len(video.packets.every)
    if announced > held:
        message = f"The end of {path.name} is missing: it announces {announced} frames and holds {held}."
        return [Finding("broken-tail", message, again, "warning")]
    if container.duration is None:
        message = "The file does not say how long it is (as a recording from a browser does), so Label Studio counts no last frame."
        remedy = f"Write it once more: ffmpeg -i {path.name} -c copy OUTPUT{path.suffix}"
        return [Finding("no-duration", message, remedy, "warning")]
    seconds = container.duration / 1e6
    ends = float((int(timeline.pts[-1]) + video.packets.last_lasts) * timeline.time_base)
    if not container.streams.audio and seconds - ends > 1:
        message = (
            f"The end of {path.name} is missing: it announces {seconds:.1f} s and its pictures end at {ends:.1f} s."
        )
        return [Finding("broken-tail", message, again, "warning")]
    if natural is None:
        return []
    grid = studio_grid(timeline, natural)
    last = grid.frame(grid.index(StudioFrame(len(grid))))
    ghosts = len(grid) - (last or len(grid))
    if not ghosts:
        return []
    frames = "1 frame" if ghosts == 1 else f"{ghosts} frames"
    message = (
        f"The file is longer than its pictures: Label Studio counts {frames} after the last one, which show it again."
    )
    remedy = "Nothing to do here: labels on them are labels on the last frame."
    return [Finding("ghost-frames", message, remedy, "note")]


def _sound(container: InputContainer, timeline: Timeline) -> list[Finding]:
    if not container.streams.audio:
        return []
    sound = container.streams.audio[0]
    if sound.start_time is None or sound.time_base is None:
        return []
    offset = float(sound.start_time * sound.time_base - int(timeline.pts[0]) * timeline.time_base)
    if abs(offset) < _SOUND_OFFSET:
        return []
    when = "before" if offset < 0 else "after"
    message = f"The sound begins {abs(offset):.2f} s {when} the pictures."
    return [
        Finding("sound-offset", message, "Nothing to do here: frames are counted by the pictures' own times.", "note")
    ]


def _moving_about(timeline: Timeline, video: Demuxed) -> list[Finding]:
    findings = []
    times = timeline.microseconds / 1e6
    keys = np.sort(video.packets.pts[video.packets.key]) * float(video.time_base)
    gap = float(np.diff([*keys, times[-1]]).max()) if len(keys) else float(times[-1] - times[0])
    if gap > _KEY_FRAME_GAP:
        message = f"There are up to {gap:.0f} s between key frames, all of which a browser decodes to go to one frame: it is slow to label."
        remedy = "Encode it with more key frames: ffmpeg -i INPUT -c:v libx264 -g 50 OUTPUT.mp4"
        findings.append(Finding("few-key-frames", message, remedy, "warning"))
    rows = timeline.early
    ahead = timeline.microseconds[rows[:, 1]] - rows[:, 0]
    if len(ahead) and ahead.max() > 2000:
        message = f"A jump to up to {ahead.max() / 1000:.0f} ms before a key frame lands on it: browsers look it up by another time."
        remedy = "Nothing to do here: labels are put where the annotator saw them. Writing the file once more without fragments mends it."
        findings.append(Finding("early-key-frames", message, remedy, "note"))
    length = float(times[-1] - times[0])
    if length > _LONG:
        message = f"The video lasts {length / 3600:.1f} hours, which makes Label Studio's timeline hard to use."
        remedy = (
            "Cut it into parts: ffmpeg -i INPUT -c copy -f segment -segment_time 1800 -reset_timestamps 1 PART%03d.mp4"
        )
        findings.append(Finding("long", message, remedy, "note"))
    return findings


def damaged(name: str, missing: int, frames: int, last: float) -> Finding:
    """What to say of a video `missing` of whose `frames` do not decode, the last one that does being at `last` seconds."""
    message = f"{missing} of {frames} frames of {name} are damaged; the last good one is at {last:.2f} s."
    remedy = "Upload it again; until then its good frames are used, and browsers may not show those near the damage."
    return Finding("damaged", message, remedy, "warning")


def _decoded(path: Path, timeline: Timeline) -> list[Finding]:
    """Decodes everything and tells where it stops or what is left out."""
    frames, last = 0, Fraction(0)
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        try:
            for packet in container.demux(stream):
                try:
                    for frame in packet.decode():
                        frames += 1
                        last = max(last, (frame.pts or 0) * timeline.time_base)
                except av.error.FFmpegError:
                    continue
        except av.error.FFmpegError:
            pass
    missing = len(timeline) - frames
    return [damaged(path.name, missing, len(timeline), float(last))] if missing > 0 else []


def _number(rate: float) -> str:
    return f"{rate:.5f}".rstrip("0").rstrip(".")
