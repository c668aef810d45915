"""Prints the frames of a video file that are worth labeling: python examples/worth_labeling.py film.mp4 10"""

import sys

import av
import cv2
import imagehash
import numpy as np
from PIL import Image

from sampling import Candidates, auto, entropy_of, good, per_shot, quality

PER_SECOND = 4.0


def looked_at(path: str) -> tuple[Candidates, list[float]]:
    """A few frames of every second, and their times in seconds: one pass, one small picture held at a time."""
    frames, times, hashes, pictures, figures = [], [], [], [], []
    with av.open(path) as container:
        for index, frame in enumerate(container.decode(video=0)):
            seconds = frame.time if frame.time is not None else float(index)
            if times and seconds < times[-1] + 1 / PER_SECOND:
                continue
            small = frame.to_ndarray(width=64, height=64, format="rgb24")
            grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
            frames.append(index)
            times.append(seconds)
            hashes.append(imagehash.phash(Image.fromarray(grey)))
            figures.append((cv2.Laplacian(grey, cv2.CV_32F).var(), grey.mean(), entropy_of(grey)))
            # Any network's embedding does better; colours that are coarsely spread over the picture do without one.
            pictures.append(cv2.resize(small, (8, 8), interpolation=cv2.INTER_AREA).ravel())
    sharpness, brightness, entropy = np.array(figures).T
    embeddings = np.array(pictures, np.float32)
    candidates = Candidates(
        np.array(frames),
        hashes=hashes,
        sharpness=sharpness,
        brightness=brightness,
        entropy=entropy,
        # What all frames have in common, the room, says nothing about how they differ.
        embeddings=embeddings - embeddings.mean(axis=0),
    )
    return candidates, times


def main(path: str, count: int) -> None:
    candidates, times = looked_at(path)
    # Filter, then spread, then pick.
    chosen = per_shot(auto)(good(candidates), count)
    seconds = dict(zip(candidates.frames.tolist(), times, strict=True))
    for frame in chosen.tolist():
        print(f"frame {frame} at {seconds[frame]:.2f} s")
    for reason, lost in quality(candidates).dropped.items():
        print(f"left out: {lost} {reason}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10)
