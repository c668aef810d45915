"""Finds the tracks of a video: every so many-th frame is scaled, shown to a detector, and what it finds is followed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from ml_backend.objects.boxes import Track
from ml_backend.objects.crops import CROPS_PER_SECOND, SIDE
from ml_backend.objects.custom_detector import CustomDetector
from ml_backend.objects.detector import Detector, Limits, Picture, Previewing, detect
from ml_backend.objects.finishing import finish
from ml_backend.objects.hindsight import MOST_FRAMES, Seen, with_hindsight
from ml_backend.objects.linking import linked
from ml_backend.objects.motion import MotionDetector
from ml_backend.objects.tracker import Tracker
from ml_backend.video.color_conversion import matrix
from ml_backend.video.demux import demux
from ml_backend.video.scaling import turned
from ml_backend.video.timeline import FrameIndex, Timeline
from ml_backend.video.whole_frames import decode_exactly, decode_whole

EVERYTHING = Limits()
# So many key frames tell what a video shows; of fewer nothing is learned.
_PREVIEWED, _FEWEST_KEYS = 24, 3


def find_tracks(
    path: Path,
    timeline: Timeline,
    detector: Detector,
    limits: Limits = EVERYTHING,
    progress: Callable[[float], None] | None = None,
    *,
    pictured: bool = False,
) -> list[Track]:
    """The tracks of all objects that `detector` sees in the video at `path`, in one decode of it.

    They are numbered in the order in which they appear; a video in which nothing moves has none. `progress` is called with the
    share of frames done, 0..1. `pictured`: whether tracks come with pictures. Raises VideoUnreadable, and CustomModelError when the
    detector answers nonsense.
    """
    preview(path, timeline, detector)
    with TrackFinder(timeline, detector, limits, pictured=pictured) as finder:
        for index, coded in decode_whole(path, timeline):
            finder.see(index, coded.frame)
            if progress is not None and index % 100 == 0:
                progress(index / len(timeline))
        return finder.finish()


def preview(path: Path, timeline: Timeline, detector: Detector) -> None:
    """Shows some of the video's key frames, from all over it, to a detector that wants to see it before. To be called before it
    is given its first picture. Raises VideoUnreadable."""
    if not isinstance(detector, Previewing):
        return
    read = demux(path)
    keys = np.sort(read.packets.pts[read.packets.key])
    if len(keys) < _FEWEST_KEYS:
        return
    some = np.unique(keys[np.linspace(0, len(keys) - 1, min(len(keys), _PREVIEWED)).round().astype(int)])
    frames = np.unique(np.searchsorted(timeline.pts, some).clip(0, len(timeline) - 1)).tolist()
    scale = Scaled(detector.side)
    detector.preview([scale(coded.frame) for _, coded in decode_exactly(path, timeline, frames, keys)])


class TrackFinder:
    """The same for a decode that has other consumers too, which hands it each frame in the order shown.

    The detector works in a thread of its own while the next frames are decoded; one batch waits at most.
    """

    def __init__(
        self, timeline: Timeline, detector: Detector, limits: Limits = EVERYTHING, *, pictured: bool = False
    ) -> None:
        self._fps = frame_rate(timeline)
        self.every = max(1, round(self._fps / detector.rate))
        self._detector, self._limits = detector, limits
        self._tracker = Tracker(self._fps / self.every)
        self._scale = Scaled(detector.side)
        # About one picture a second is held at a better resolution: a batch may last half a minute.
        self._cut = Scaled(max(SIDE, detector.side)) if pictured else None
        self._cut_every = self.every * max(1, round(self._fps / self.every / CROPS_PER_SECOND))
        self._last = len(timeline) - 1
        self._moving = isinstance(detector, MotionDetector)
        self._pictures: list[_Looked] = []
        self._seen: list[Seen] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._at_work: Future[None] | None = None

    def __enter__(self) -> TrackFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def see(self, index: FrameIndex, frame: VideoFrame) -> None:
        """Looks at the frame if its turn has come. Raises what the detector has raised on earlier ones."""
        # An object that is there to the end is not seen to leave before it.
        if index % self.every and index != self._last:
            return
        large = self._cut(frame) if self._cut is not None and index % self._cut_every == 0 else None
        self._pictures.append(_Looked(index, self._scale(frame), large))
        if len(self._pictures) >= self._detector.batch:
            self._hand_over()

    def finish(self) -> list[Track]:
        """The tracks of the whole video, when it has been seen. Raises what the detector raises."""
        self._hand_over()
        self._wait()
        pieces = with_hindsight(self._tracker.finish(), self._seen, self._fps / self.every)
        return finish(linked(pieces, self._fps), self._fps, self._limits.most_tracks, moving=self._moving)

    def _hand_over(self) -> None:
        self._wait()
        pictures, self._pictures = self._pictures, []
        if not pictures:
            return
        # A researcher's code runs here, where a time limit can end it.
        if isinstance(self._detector, CustomDetector):
            self._follow(pictures)
        else:
            self._at_work = self._pool.submit(self._follow, pictures)

    def _wait(self) -> None:
        if self._at_work is not None:
            self._at_work.result()
            self._at_work = None

    def _follow(self, pictures: list[_Looked]) -> None:
        found = detect(self._detector, [each.picture for each in pictures], self._limits)
        for seen, each in zip(pictures, found, strict=True):
            alone = self._tracker.update(seen.frame, each)
            if len(self._seen) < MOST_FRAMES:
                self._seen.append((seen.frame, each))
            if self._cut is None:
                continue
            for piece in alone:
                piece.crops.offer(
                    seen.picture if seen.large is None else seen.large, piece.boxes[-1], coarse=seen.large is None
                )


class _Looked(NamedTuple):
    """A frame that is looked at, as the detector sees it, and `large` where objects are to be cut out of it."""

    frame: FrameIndex
    picture: Picture
    large: Picture | None


class Scaled:
    """Decoded frames as RGB pictures whose longer side has at most `side` pixels, turned the way a browser shows them.

    All of a video have the size of the first: a player shows them in one frame, also where a recording changes its size or is
    turned midway.
    """

    def __init__(self, side: int) -> None:
        self._side, self._reformatter = side, VideoReformatter()
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: VideoFrame) -> Picture:
        """(height, width, 3) uint8."""
        scale = min(1.0, self._side / max(frame.width, frame.height))
        width, height = (max(2, round(each * scale / 2) * 2) for each in (frame.width, frame.height))
        small = self._reformatter.reformat(
            frame,
            width,
            height,
            "rgb24",
            src_colorspace=matrix(frame),
            interpolation=Interpolation.FAST_BILINEAR,
            threads=1,
        )
        picture = turned(np.asarray(small.to_ndarray(), np.uint8), frame)
        size = (picture.shape[1], picture.shape[0])
        if self._size is None:
            self._size = size
        if size != self._size:
            return np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        return picture


def frame_rate(timeline: Timeline) -> float:
    """Frames a second, on average; 1 where the video does not say."""
    seconds = float(timeline.duration)
    return len(timeline) / seconds if seconds > 0 else 1.0
