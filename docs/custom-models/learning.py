"""Learns from the project's annotations: logistic regression on the colours of a coarse picture, in numpy alone."""

from pathlib import Path

import numpy as np

labels = ["day", "night"]
input_size = 64

STEPS, RATE, PENALTY = 300, 0.5, 0.01

# What was learnt: mean and spread of the features, and a column of weights for each label.
learnt: dict[str, np.ndarray] = {}


def features(frames: np.ndarray) -> np.ndarray:
    """(N, 64, 64, 3) uint8 RGB to (N, 48): the mean colour of each of 4 x 4 fields, 0..1."""
    fields = frames.reshape(len(frames), 4, 16, 4, 16, 3).mean(axis=(2, 4)) / 255
    return fields.reshape(len(frames), -1)


def rows(frames: np.ndarray) -> np.ndarray:
    """(N, 49) standardised features, and a column of ones."""
    seen = (features(frames) - learnt["mean"]) / learnt["spread"]
    return np.column_stack([seen, np.ones(len(seen))])


def fit(frames: np.ndarray, answers: np.ndarray) -> None:
    """(N, 64, 64, 3) uint8 RGB, and (N, 2) with 1 for yes, 0 for no and NaN for unknown."""
    seen = features(frames)
    learnt["mean"], learnt["spread"] = seen.mean(axis=0), seen.std(axis=0) + 0.01
    x, weights = rows(frames), np.zeros((seen.shape[1] + 1, len(labels)))
    known = ~np.isnan(answers)
    for _ in range(STEPS):
        off = np.where(known, 1 / (1 + np.exp(-x @ weights)) - np.nan_to_num(answers), 0)
        weights -= RATE * (x.T @ off / np.maximum(known.sum(axis=0), 1) + PENALTY * weights)
    learnt["weights"] = weights


def save(folder: str) -> None:
    np.savez(Path(folder) / "learnt.npz", **learnt)


def load(folder: str) -> None:
    with np.load(Path(folder) / "learnt.npz") as kept:
        learnt.update(kept)


def predict(frames: np.ndarray) -> np.ndarray:
    """(N, 64, 64, 3) uint8 RGB to (N, 2) floats in 0..1."""
    return 1 / (1 + np.exp(-rows(frames) @ learnt["weights"]))
