"""Running a file that a researcher has written: what it raises is told with file and line, and what it lacks is named.

Running such a file is running its author's code: only files that the administrator has put there are ever loaded.
"""

from __future__ import annotations

import importlib.util
import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import CustomModelError
from ml_backend.wording import quoted

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]


def import_file(file: Path) -> ModuleType:
    """The Python file as a module of its own. Raises CustomModelError with file and line."""
    spec = importlib.util.spec_from_file_location(f"coldblitz_custom_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise CustomModelError(f"{file.name} cannot be imported.", "Give it a name that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    with blamed(file):
        spec.loader.exec_module(module)
    return module


@contextmanager
def blamed(file: Path) -> Iterator[None]:
    """Turns whatever a model file raises, `sys.exit` included, into a CustomModelError with file and line."""
    try:
        yield
    except CustomModelError:
        raise
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        if isinstance(error, SyntaxError) and error.filename == str(file):
            lines.append(error.lineno)
        place = f"{file.name}, line {lines[-1]}" if lines else file.name
        raise CustomModelError(
            f"{place}: {type(error).__name__}: {error}.", "Correct the file; it is loaded again next time."
        ) from error


def described(file: Path, example: str) -> Mapping[str, Any]:
    """The JSON beside a network, which names its labels at least. `example`: one as it should be, for who lacks it."""
    beside = file.with_suffix(".json")
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    except (OSError, ValueError) as error:
        raise CustomModelError(f"{beside.name} is not JSON: {error}.", "Correct it.") from error
    if not isinstance(found, dict) or not isinstance(found.get("labels"), list):
        raise CustomModelError(
            f"{file.name} comes without {beside.name}, or that names no labels.",
            f"Write {beside.name}: {example}.",
        )
    return found


def normalized(pictures: Pictures, about: Mapping[str, Any]) -> Floats:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32, scaled to 0..1, then (x - mean) / std."""
    mean = np.asarray(about.get("mean", [0.0] * 3), np.float32)
    std = np.asarray(about.get("std", [1.0] * 3), np.float32)
    return np.ascontiguousarray(((pictures.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2))


def checked_labels(labels: Sequence[Any], file: Path) -> tuple[str, ...]:
    """The same, if they are distinct strings. Raises CustomModelError."""
    if not labels or not all(isinstance(label, str) and label for label in labels) or len(set(labels)) < len(labels):
        raise CustomModelError(
            f"The labels of {file.name} are {quoted(list(labels))}.", "Give distinct, non-empty strings."
        )
    return tuple(labels)
