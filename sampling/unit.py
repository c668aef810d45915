"""Embeddings as directions: what a cosine compares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, d) float32: each of the (n, d) `rows` divided by its Euclidean length; rows of zeros stay."""
    given = np.asarray(rows, np.float32)
    length = np.sqrt(np.einsum("nd,nd->n", given, given))
    return np.asarray(given / np.maximum(length, 1e-9)[:, None], np.float32)
