"""Which frames of a video are worth a person's time: arrays in, sorted frame indices out.

A library of its own that needs NumPy, SciPy and ImageHash only. What is named in `__all__` may be used from outside;
everything else may change.
"""

from sampling.auto import auto
from sampling.candidates import Candidates, Strategy
from sampling.diverse import diverse
from sampling.duplicates import groups, hash_pairs
from sampling.k_centre import instead, k_centre
from sampling.prompted import prompted
from sampling.quality import Quality, entropy_of, good, quality
from sampling.shots import embedding_differences, grey_differences, hash_differences, per_shot, shots
from sampling.task_order import least_certain_first, score_among
from sampling.telling import telling
from sampling.uncertain import boundary, disagreement, entropy, margin, rare, uncertain
from sampling.uniform import at_random, thin, uniform
from sampling.unique import hash_numbers, image_hashes, unique, unique_stream

__all__ = [
    "Candidates",
    "Quality",
    "Strategy",
    "at_random",
    "auto",
    "boundary",
    "disagreement",
    "diverse",
    "embedding_differences",
    "entropy",
    "entropy_of",
    "good",
    "grey_differences",
    "groups",
    "hash_differences",
    "hash_numbers",
    "hash_pairs",
    "image_hashes",
    "instead",
    "k_centre",
    "least_certain_first",
    "margin",
    "per_shot",
    "prompted",
    "quality",
    "rare",
    "score_among",
    "shots",
    "telling",
    "thin",
    "uncertain",
    "uniform",
    "unique",
    "unique_stream",
]
