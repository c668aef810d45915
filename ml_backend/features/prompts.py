"""Labels as words that a text model understands, and how well embedded frames fit them.

A label's embedding is the mean over a few sentences about it (Radford et al., *Learning transferable visual models from
natural language supervision*, 2021, section 3.1.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ml_backend.features.text import TextModel
from sampling.unit import unit

Floats = NDArray[np.float32]

TEMPLATES = ("{}", "a photo of {}", "a video frame that shows {}", "a picture of a scene with {}")
# What stands for "none of them": it fits every picture a little.
NEUTRAL = ("a photo", "a video frame", "a picture of a scene")


@dataclass(frozen=True, eq=False)
class Prompts:
    """`labels` as the text model `model` (its key) embeds them.

    `rows`: (L + 1, d) float32 of unit length, the last for none of the labels. `scale`: what cosines are multiplied by.
    """

    model: str
    labels: tuple[str, ...]
    rows: Floats
    scale: float

    def log_scores(self, rows: NDArray[np.floating]) -> Floats:
        """(m, d) embedded frames to (m, L + 1): the logarithm of how probable each label and none of them is."""
        return np.asarray(log_softmax(self.scale * (rows.astype(np.float32) @ self.rows.T), axis=1), np.float32)

    def scores(self, rows: NDArray[np.floating]) -> Floats:
        """(m, d) embedded frames to (m, L) in 0..1: how probable each label is, among all and none of them."""
        return np.exp(self.log_scores(rows)[:, :-1])


def prompts_of(model: TextModel, labels: Sequence[str], wording: Mapping[str, Sequence[str]]) -> Prompts:
    """`wording`: what people read of a label, where that is more than its name. Raises DeviceFull."""
    sentences = [sentences_for(wording.get(label) or (label,)) for label in labels] + [NEUTRAL]
    embedded = model.words([sentence for some in sentences for sentence in some])
    ends = np.cumsum([len(some) for some in sentences])
    rows = np.stack([part.mean(axis=0) for part in np.split(embedded, ends[:-1])])
    return Prompts(model.key, tuple(labels), unit(rows), model.scale)


def sentences_for(wording: Sequence[str]) -> tuple[str, ...]:
    """`left_turn` is read as "left turn"; a hint that is a sentence is taken without its full stop."""
    plain = [re.sub(r"(?<![\W_])[\W_]++$", "", re.sub(r"[\s_]+", " ", text)).strip() or text for text in wording]
    return tuple(template.format(text) for text in plain for template in TEMPLATES)
