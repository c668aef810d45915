"""The colour of each label: the label config's own, else one of a palette that everybody can tell apart."""

from __future__ import annotations

import re

from ml_backend.labelstudio.label_config import Question

# Okabe and Ito, "Color universal design", 2008; without black, which a dark page swallows.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#999999")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,30}|rgba?\([0-9., %]{1,40}\)")


def colours_of(question: Question) -> dict[str, str]:
    """A colour for each label, by position where the config names none or none that is a colour."""
    found = {}
    for position, label in enumerate(question.labels):
        written = question.colours.get(label, "").strip()
        found[label] = written if _COLOUR.fullmatch(written) else PALETTE[position % len(PALETTE)]
    return found
