"""Each run of a label as a video clip of its own, cut at exact frames."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import av
from av.video.stream import VideoStream

from ml_backend.export.choose import Choice, is_taken
from ml_backend.export.project import Run, Video
from ml_backend.export.target import folder_names, opened, stem
from ml_backend.video.whole_frames import Coded, Fitting, decode_whole, even, tag


def write_clips(
    path: Path,
    labels: Sequence[str],
    videos: Sequence[Video],
    choice: Choice,
    file_of: Callable[[Video], Path],
    progress: Callable[[float], None] = lambda share: None,
) -> int:
    """A folder per label with an H.264 file for each run of it; returns how many. Of `choice` what speaks of single pictures
    has no say. Raises SettingsError when `path` is there already, StorageError and VideoError."""
    folders = folder_names(dict.fromkeys([*labels, *([choice.none] if choice.none else [])]))
    chosen = {video.task.id: clips(video, choice) for video in videos}
    fingerprint = repr(
        sorted((task, [(run.start, run.stop, label) for run, label in mine]) for task, mine in chosen.items())
    )
    done, count = 0, sum(map(len, chosen.values()))
    with opened(path, fingerprint) as target, tempfile.TemporaryDirectory() as scratch:
        for video in videos:
            begin = f"{stem(video.name)}_task{video.task.id}_frames"
            names = {
                (run, label): f"{folders[label]}/{begin}{run.start:06d}-{run.stop - 1:06d}.mp4"
                for run, label in chosen[video.task.id]
            }
            missing = [key for key, name in names.items() if not target.has(name)]
            if missing:
                cut = _cut(file_of(video), video, [run for run, _ in missing], Path(scratch))
                for key, clip in zip(missing, cut, strict=True):
                    if clip.exists():
                        target.write(names[key], clip.read_bytes())
                        clip.unlink()
            done += len(names)
            progress(done / count if count else 0.0)
    return done


def clips(video: Video, choice: Choice) -> list[tuple[Run, str]]:
    """The runs of a video that become clips, with the label that names their folder."""
    return [
        (run, label)
        for run in video.runs
        if (label := choice.none if run.label is None else run.label) is not None and is_taken(run, choice)
    ]


def _cut(file: Path, video: Video, runs: Sequence[Run], scratch: Path) -> list[Path]:
    """One file for each run, in their order, from a single pass; none for a run behind the last good frame."""
    paths = [scratch / f"{at}.mp4" for at in range(len(runs))]
    order = sorted(range(len(runs)), key=lambda at: runs[at].start)
    writers: dict[int, _Clip] = {}
    last = max(run.stop for run in runs)
    try:
        for index, frame in decode_whole(file, video.timeline):
            while order and runs[order[0]].start <= index:
                at = order.pop(0)
                writers[at] = _Clip(paths[at], video, runs[at])
            for at in [at for at in writers if runs[at].stop <= index]:
                writers.pop(at).close()
            if index >= last:
                break
            for writer in writers.values():
                writer.add(index, frame)
    finally:
        for writer in writers.values():
            writer.close()
    return paths


class _Clip:
    """An H.264 file that begins with its first frame at 0 and keeps the times between frames. Frames of other sizes are fitted into
    that of the first."""

    def __init__(self, path: Path, video: Video, run: Run) -> None:
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        self._times = video.timeline.pts
        self._base = video.timeline.time_base
        self._start = int(self._times[run.start])
        self._stream: VideoStream | None = None

    def add(self, index: int, frame: Coded) -> None:
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", options={"crf": "18", "preset": "veryfast"})
            size = even(frame.size)
            self._fitting = Fitting(size)
            (self._stream.width, self._stream.height), self._stream.pix_fmt = size, "yuv420p"
            self._stream.codec_context.time_base = self._base
            tag(self._stream, frame)
        made = self._fitting.fit(frame)
        made.pts, made.time_base = int(self._times[index]) - self._start, self._base
        self._container.mux(self._stream.encode(made))

    def close(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            self._fitting.close()
        self._container.close()
