"""Boxes around whatever is red."""

import cv2
import numpy as np

labels = ["red thing"]
input_size = 640  # the longer side of the frames
rate = 5  # frames per second that are looked at

SMALLEST = 0.001  # of the frame's area


def detect(frames: np.ndarray) -> list[list[tuple]]:
    """(n, height, width, 3) uint8 RGB to a list for each frame: (label, score, left, top, width, height), in 0..1."""
    return [in_frame(frame.astype(np.int16)) for frame in frames]


def in_frame(frame: np.ndarray) -> list[tuple]:
    height, width = frame.shape[:2]
    red = frame[..., 0] - np.maximum(frame[..., 1], frame[..., 2])
    _, _, patches, _ = cv2.connectedComponentsWithStats((red > 60).astype(np.uint8))
    found = []
    for left, top, wide, high, area in patches[1:].tolist():
        if area >= SMALLEST * height * width:
            score = area / (wide * high)  # how much of its box it fills
            found.append(("red thing", score, left / width, top / height, wide / width, high / height))
    return found
