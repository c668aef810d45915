"""What is unusual about a video, told before anybody labels it. Nothing here keeps work from being done.

What a browser does with a file was tried in Chromium 156 and Label Studio 1.23 (`docs/frames.md`).
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from ml_backend.checks import Finding, Severity
from ml_backend.errors import VideoUnreadable
from ml_backend.video.color_conversion import transfer
from ml_backend.video.container import PLAYABLE, open_video, pixel_aspect
from ml_backend.video.demux import Demuxed, RawStream, demux
from ml_backend.video.timeline import (
    MOST_STUDIO_FRAMES,
    StudioFrame,
    Timeline,
    constant_rate,
    natural_framerate,
    same,
    studio_grid,
    unreachable,
    usual_lasting,
)
from ml_backend.wording import rounded

# What all browsers' H.264 decoders take: 8 bits, colours at half resolution.
_H264_PIXELS = ("yuv420p", "yuvj420p", None)
_CONTAINERS = {"mov", "mp4", "webm", "matroska"}
_SOUND_OFFSET = 0.05  # seconds; less is not heard
# A browser decodes all that lies between key frames for one step of the annotator. So few frames take it no time.
_KEY_FRAME_GAP, _FEW_FRAMES = 10.0, 60
_LONG = 2 * 3600.0
_AS_MP4 = "ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p -c:a aac OUTPUT.mp4"


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
                *_shown(stream),
                *_beginning(timeline, video, natural),
                *_rate(timeline, natural, framerate),
                *_ending(path, container, stream, timeline, video, natural),
                *_sound(container, timeline),
                *_moving_about(timeline, video),
            ]
        if thorough:
            findings += _decoded(path, timeline)
    except RawStream as error:
        return (Finding("raw", error.message, error.remedy, "error"),)
    except VideoUnreadable as error:
        return (Finding("unreadable", error.message, error.remedy, "error"),)
    if any(finding.kind == "not-playable" for finding in playing):
        findings = [finding for finding in findings if finding.kind != "early-key-frames"]
    order: tuple[Severity, ...] = ("error", "warning", "note")
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _playing(path: Path, container: InputContainer, stream: VideoStream, video: Demuxed) -> list[Finding]:
    codec, names = stream.codec_context.codec.canonical_name, set(container.format.name.split(","))
    encode = f"Encode it as H.264 in MP4: {_AS_MP4}"
    if codec == "hevc":
        message = (
            "The video is H.265 (HEVC), which many browsers cannot play: those show Label Studio without a picture."
        )
        return [Finding("not-playable", message, encode, "error")]
    if codec not in PLAYABLE:
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
            "Chrome may stop with a decoding error when someone jumps to another time."
        )
        findings.append(Finding("open-gop", message, encode, "warning"))
    if path.suffix.lower() == ".mkv":
        message = "Label Studio does not take .mkv files as uploads, and Firefox does not play them."
        remedy = f"Import it by its URL or from a storage, or put it into an MP4 file: ffmpeg -i {path.name} -c copy OUTPUT.mp4"
        findings.append(Finding("matroska", message, remedy, "note"))
    return findings


def _shown(stream: VideoStream) -> list[Finding]:
    """What players do to the pictures."""
    findings = []
    kind, aspect = transfer(stream.codec_context.color_trc), pixel_aspect(stream)
    if kind is not None:
        message = f"The video is HDR ({kind}): browsers show its colors differently from one screen to the next."
        remedy = "This does not affect labels. To get standard colors, import it with --fix."
        findings.append(Finding("hdr", message, remedy, "note"))
    if aspect != 1:
        width, height = stream.codec_context.width, stream.codec_context.height
        message = (
            f"The pixels are not square: {width} x {height} of them are shown as {round(width * aspect)} x {height}."
        )
        remedy = "No action is needed: browsers, exports, and --fix show it correctly."
        findings.append(Finding("pixel-aspect", message, remedy, "note"))
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
            "If there should be more, upload it again; a picture is labeled more easily with Label Studio's Image tag."
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
        frames, they = ("1 frame has", "it is") if twice == 1 else (f"{twice} frames have", "they are")
        before = "it" if twice == 1 else "them"
        message = f"{frames} the same time as the one before {before}, so {they} never seen."
        findings.append(
            Finding("same-time", message, f"Encode it again at a constant rate: {_constant(timeline)[0]}", "note")
        )
    return findings


def _constant(timeline: Timeline) -> tuple[str, Fraction, int]:
    """The command, its rate, and how many frames even that does not reach."""
    rate, missed = constant_rate(timeline)
    return f"ffmpeg -i INPUT -vf fps={rate} -c:v libx264 OUTPUT.mp4", rate, missed


def _rate(timeline: Timeline, natural: float | None, framerate: float | None) -> list[Finding]:
    if natural is None:
        return []
    findings = []
    gaps = np.diff(timeline.microseconds)
    usual = float(np.median(gaps))
    uneven = int((np.abs(gaps - usual) > np.maximum(0.1 * usual, 1500)).sum())
    least = unreachable(timeline, natural)
    lost = unreachable(timeline, framerate) if framerate is not None else least
    counted, missed = (framerate, lost) if framerate is not None and lost < least else (natural, least)
    lasting = usual_lasting(timeline)
    if lasting > 1 and (framerate is None or same(framerate, natural)):
        # At another rate there is something to do, which is said below.
        message = (
            f"A frame lasts {_number(round(lasting, 2))} s, and Label Studio counts at least one frame per second."
        )
        remedy = f"Nothing to do here: at 1 frame per second each picture is counted about {round(lasting)} times."
        findings.append(Finding("time-lapse", message, remedy, "note"))
    best, encode, left = Fraction(natural), "", 0
    if missed:
        encode, best, left = _constant(timeline)
    if uneven:
        shortest, longest = gaps.min() / 1000, gaps.max() / 1000
        message = f"The frame rate varies: frames last from {shortest:.0f} to {longest:.0f} ms."
        remedy = "Labels stay on the frames that were seen"
        if missed:
            message += f" Even at {rounded(counted)} frames per second, {missed} of {len(timeline)} cannot be gone to in Label Studio."
            most = "every frame" if not left else f"all frames but {left}"
            remedy += f"; to reach {most}, count {_number(float(best))} frames per second in the <Video> tag (framerate) before "
            remedy += f"labeling begins, or encode it at that rate: {encode}"
        else:
            remedy += "."
        findings.append(Finding("variable-rate", message, remedy, "warning" if missed > len(timeline) / 50 else "note"))
    if framerate is None or same(framerate, natural):
        return findings
    beyond = float(timeline.duration) * framerate > MOST_STUDIO_FRAMES
    if uneven and least and lost <= least and not beyond:
        # At the usual rate no more of an uneven video's frames could be gone to.
        return findings
    own = natural if lasting <= 1 else 1 / lasting
    if framerate < own and lost <= missed and not beyond:
        # So short a video that even a lower rate shows all of it.
        return findings
    say = rounded if rounded(framerate) != rounded(own) else _number
    message = f"Label Studio counts {say(framerate)} frames per second, the video has {say(own)}: "
    if lost > missed:
        message += f"{lost} of its {len(timeline)} frames cannot be labeled."
    else:
        message += "it counts the same picture as several frames."
    remedy = (
        f'Put framerate="{_number(float(best))}" (or "$fps" with that number in each task\'s data) into the <Video> tag before '
        "labeling begins; a later change moves the labels that exist."
    )
    if lasting > 1:
        remedy += " Label Studio takes a framerate below 1 for seconds per frame."
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
    # The header of an AVI file says how many ticks of its clock there are.
    if announced > held and container.format.name != "avi":
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
    counted = max(1, round(usual_lasting(timeline) * natural))
    ghosts = len(grid) - (last or len(grid)) + 1 - counted
    if ghosts < 1:
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
    keys = np.sort(video.packets.pts[video.packets.key])
    edges = np.append(keys if len(keys) else video.pts[:1], video.pts[-1])
    gap = float(np.diff(edges).max()) * float(video.time_base)
    frames = int(np.diff(np.searchsorted(video.pts, edges)).max())
    if gap > _KEY_FRAME_GAP and frames > _FEW_FRAMES:
        message = f"There are up to {gap:.0f} s between key frames, all of which a browser decodes to go to one frame: it is slow to label."
        remedy = "Encode it with more key frames: ffmpeg -i INPUT -c:v libx264 -g 50 OUTPUT.mp4"
        findings.append(Finding("few-key-frames", message, remedy, "warning"))
    rows = timeline.early
    ahead = timeline.microseconds[rows[:, 1]] - rows[:, 0]
    if len(ahead) and ahead.max() > 2000:
        message = f"A jump to up to {ahead.max() / 1000:.0f} ms before a key frame lands on it: browsers look it up by another time."
        remedy = "Nothing to do here: labels are put where the annotator saw them. Writing the file again without fragments fixes it."
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
    """Decodes everything and tells where it stops, what is left out and whether the pictures change their size."""
    frames, last, sizes = 0, Fraction(0), dict[str, None]()
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        try:
            for packet in container.demux(stream):
                try:
                    for frame in packet.decode():
                        frames += 1
                        sizes[f"{frame.width} x {frame.height}"] = None
                        last = max(last, (frame.pts or 0) * timeline.time_base)
                except av.error.FFmpegError:
                    continue
        except av.error.FFmpegError:
            pass
    missing = len(timeline) - frames
    findings = [damaged(path.name, missing, len(timeline), float(last))] if missing > 0 else []
    if len(sizes) > 1:
        message = f"The pictures change their size: {', '.join(sizes)}."
        remedy = (
            "Nothing to do for a timeline; with --fix, all get the largest size, and the rest is filled with black."
        )
        findings.append(Finding("sizes", message, remedy, "note"))
    return findings


def _number(rate: float) -> str:
    return f"{rate:.5f}".rstrip("0").rstrip(".")
