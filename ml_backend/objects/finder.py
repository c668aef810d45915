"""Finds the tracks of a video: every so many-th frame is scaled, shown to a detector, and what it finds is followed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from ml_backend.objects.boxes import Track
from ml_backend.objects.crops import CROPS_PER_SECOND, SIDE
from ml_backend.objects.custom_detector import CustomDetector
from ml_backend.objects.detector import Detector, Limits, Picture, detect
from ml_backend.objects.finishing import finish, linked
from ml_backend.objects.tracker import Tracker
from ml_backend.video.color_conversion import matrix
from ml_backend.video.scaling import turned
from ml_backend.video.timeline import FrameIndex, Timeline
from ml_backend.video.whole_frames import decode_whole

EVERYTHING = Limits()


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
    with TrackFinder(timeline, detector, limits, pictured=pictured) as finder:
        for index, coded in decode_whole(path, timeline):
            finder.see(index, coded.frame)
            if progress is not None and index % 100 == 0:
                progress(index / len(timeline))
        return finder.finish()


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
        self._pictures: list[_Seen] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._at_work: Future[None] | None = None

    def __enter__(self) -> TrackFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def see(self, index: FrameIndex, frame: VideoFrame) -> None:
        """Looks at the frame if its turn has come. Raises what the detector has raised on earlier ones."""
        if index % self.every:
            return
        large = self._cut(frame) if self._cut is not None and index % self._cut_every == 0 else None
        self._pictures.append(_Seen(index, self._scale(frame), large))
        if len(self._pictures) >= self._detector.batch:
            self._hand_over()

    def finish(self) -> list[Track]:
        """The tracks of the whole video, when it has been seen. Raises what the detector raises."""
        self._hand_over()
        self._wait()
        return finish(linked(self._tracker.finish(), self._fps), self._fps, self._limits.most_tracks)

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

    def _follow(self, pictures: list[_Seen]) -> None:
        found = detect(self._detector, [each.picture for each in pictures], self._limits)
        for seen, each in zip(pictures, found, strict=True):
            alone = self._tracker.update(seen.frame, each)
            if self._cut is None:
                continue
            for piece in alone:
                piece.crops.offer(
                    seen.picture if seen.large is None else seen.large, piece.boxes[-1], coarse=seen.large is None
                )


class _Seen(NamedTuple):
    """A frame that is looked at, as the detector sees it, and `large` where objects are to be cut out of it."""

    frame: FrameIndex
    picture: Picture
    large: Picture | None


class Scaled:
    """Decoded frames as RGB pictures whose longer side has at most `side` pixels, turned the way a browser shows them."""

    def __init__(self, side: int) -> None:
        self._side, self._reformatter = side, VideoReformatter()

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
        return turned(np.asarray(small.to_ndarray(), np.uint8), frame)


def frame_rate(timeline: Timeline) -> float:
    """Frames a second, on average; 1 where the video does not say."""
    seconds = float(timeline.duration)
    return len(timeline) / seconds if seconds > 0 else 1.0
