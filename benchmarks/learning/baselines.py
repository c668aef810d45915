"""What others would do with the same embeddings: a plain logistic regression, and the nearest peer's network."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from benchmarks.learning.data import Track

Frames = NDArray[np.int64] | NDArray[np.bool_]
_CHUNK, _BATCH, _ENOUGH, _EPOCHS, _SECONDS = 16, 16, 0.95, 1000, 15.0


def embeddings(track: Track) -> NDArray[np.float32]:
    """(n, d) the appearance of every frame."""
    return track.features.interpolate(track.features.blocks["appearance"].astype(np.float32))


def plain(taught: Sequence[tuple[Track, Frames]], asked: Sequence[Track]) -> list[NDArray[np.intp]]:
    """scikit-learn's logistic regression with its defaults; the class of every frame of the asked videos."""
    rows = np.concatenate([embeddings(track)[frames] for track, frames in taught])
    truth = np.concatenate([track.truth[frames] for track, frames in taught])
    if len(np.unique(truth)) < 2:
        return [np.full(len(track.truth), truth[0], np.intp) for track in asked]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=300).fit(rows, truth)
    return [np.asarray(model.predict(embeddings(track)), np.intp) for track in asked]


class _Peer(nn.Module):
    """A fully connected layer of 128, a bidirectional LSTM of 32, one output per label."""

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 128)
        self.lstm = nn.LSTM(128, 32, batch_first=True, bidirectional=True)
        self.out = nn.Linear(64, labels)

    def forward(self, chunks: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(torch.relu(self.fc(chunks)))
        scores: torch.Tensor = self.out(hidden)
        return scores


def lstm(taught: Sequence[tuple[Track, Frames]], asked: Sequence[Track], seed: int = 0) -> list[NDArray[np.intp]]:
    """Chunks of 16 frames, binary cross-entropy on the labelled frames, Adam 1e-4, until training F1 reaches 0.95.

    At most 1,000 epochs and 15 seconds of processor time; the class of every frame of the asked videos.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    labels = len(taught[0][0].classes)
    chunks, targets, masks = [], [], []
    for track, frames in taught:
        mask = np.zeros(len(track.truth), np.float32)
        mask[frames] = 1
        cut, known = _chunks(embeddings(track)), _chunks(mask[:, None])[:, :, 0]
        kept = known.sum(dim=1) > 0
        chunks.append(cut[kept])
        targets.append(_chunks(np.eye(labels, dtype=np.float32)[track.truth])[kept])
        masks.append(known[kept])
    x, y, m = torch.cat(chunks), torch.cat(targets), torch.cat(masks)
    model = _Peer(x.shape[2], labels)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    start = time.process_time()
    for _ in range(_EPOCHS):
        order = torch.randperm(len(x))
        for batch in torch.tensor_split(order, tuple(range(_BATCH, len(order), _BATCH))):
            loss = nn.functional.binary_cross_entropy_with_logits(model(x[batch]), y[batch], reduction="none")
            optimiser.zero_grad()
            ((loss.mean(dim=2) * m[batch]).sum() / m[batch].sum()).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if _training_f1(model, x, y, m) >= _ENOUGH or time.process_time() - start > _SECONDS:
            break
    with torch.inference_mode():
        return [
            model(_chunks(embeddings(track))).flatten(0, 1)[: len(track.truth)].argmax(dim=1).numpy().astype(np.intp)
            for track in asked
        ]


def _training_f1(model: _Peer, x: torch.Tensor, y: torch.Tensor, m: torch.Tensor) -> float:
    with torch.inference_mode():
        said, known = model(x)[m > 0] > 0, y[m > 0] > 0
    both, either = (said & known).sum(dim=0), said.sum(dim=0) + known.sum(dim=0)
    return float((2 * both / either.clamp(min=1))[known.any(dim=0)].mean())


def _chunks(rows: NDArray[np.float32]) -> torch.Tensor:
    """(n, d) to (chunks, 16, d), zeros at the end."""
    missing = -len(rows) % _CHUNK
    padded = np.concatenate([rows, np.zeros((missing, rows.shape[1]), np.float32)])
    return torch.from_numpy(padded.reshape(-1, _CHUNK, rows.shape[1]))
