"""What a plain method makes of the same labels: logistic regression on raw embeddings, on everything stored, on optical flow."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.learning.baselines import embeddings
from benchmarks.learning.data import Track
from ml_backend.learning.ensemble import between
from ml_backend.learning.families import moves

Floats = NDArray[np.float32]
Taught = Sequence[tuple[Floats, NDArray[np.intp]]]

_SMALL = 96
_WINDOW = 9


def everything(track: Track) -> Floats:
    """(n, d) all that the product stores of every frame, as it is stored."""
    features = track.features
    rows = [features.interpolate(block.astype(np.float32)) for block in features.blocks.values()]
    if features.flow is not None:
        rows.append(between(features.flow.frames, moves(features.flow), len(features)))
    return np.concatenate(rows, axis=1)


def appearance(track: Track) -> Floats:
    return embeddings(track)


def optical_flow(path: Path, folder: Path) -> Floats:
    """(n, 26) dense optical flow between neighbouring frames: on the whole, of the part that moves most and of quarters.

    Averaged over nine frames. DIS of pictures 96 high; kept in `folder`.
    """
    kept = folder / f"{path.stem}.npy"
    if kept.exists():
        return np.asarray(np.load(kept), np.float32)
    rows, before = [], None
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            width = max(_SMALL, round(frame.width * _SMALL / frame.height))
            grey = cv2.resize(frame.to_ndarray(format="gray"), (width, _SMALL), interpolation=cv2.INTER_AREA)
            if before is not None:
                rows.append(_figures(np.asarray(method.calc(before, grey, np.zeros((*grey.shape, 2), np.float32)))))
            before = grey
    figures = np.stack([rows[0], *rows]) if rows else np.zeros((1, 26), np.float32)
    kernel = np.ones(_WINDOW) / _WINDOW
    padded = np.pad(figures, ((_WINDOW // 2, _WINDOW // 2), (0, 0)), "edge")
    smooth = np.stack([np.convolve(column, kernel, "valid") for column in padded.T], axis=1).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(kept, smooth)
    return smooth


def _figures(field: NDArray[np.float32]) -> Floats:
    field = field - np.median(field.reshape(-1, 2), axis=0)
    size = np.linalg.norm(field, axis=2)
    most = size >= np.quantile(size, 0.97)
    whole = [*field.mean(axis=(0, 1)), *field.std(axis=(0, 1)), size.mean(), size.max(), size.std()]
    moving = [*field[most].mean(axis=0), size[most].mean()]
    high, wide = field.shape[0] // 2, field.shape[1] // 2
    quarters = [
        figure
        for rows in (slice(None, high), slice(high, None))
        for columns in (slice(None, wide), slice(wide, None))
        for figure in (*field[rows, columns].mean(axis=(0, 1)), size[rows, columns].mean(), size[rows, columns].max())
    ]
    return np.array([*whole, *moving, *quarters], np.float32)


def regression(taught: Taught, asked: Sequence[Floats], scaled: bool) -> list[NDArray[np.intp]]:
    """scikit-learn's logistic regression, its defaults; with `scaled` rows are standardised by the taught ones."""
    rows = np.concatenate([one for one, _ in taught])
    truth = np.concatenate([own for _, own in taught])
    if len(np.unique(truth)) < 2:
        return [np.full(len(one), truth[0], np.intp) for one in asked]
    plain = LogisticRegression(max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = (make_pipeline(StandardScaler(), plain) if scaled else plain).fit(rows, truth)
    return [np.asarray(model.predict(one), np.intp) for one in asked]
