"""The researcher's own model, as a file: a Python module, TorchScript, `torch.export`, or ONNX with a JSON file beside it.

A Python file defines `labels: list[str]` and `predict(frames)`: (N, H, W, 3) uint8 RGB to (N, L) floats in 0..1. It may
define `input_size` (one number or height and width; 224 by default), and `fit(frames, labels)` with `save(folder)` and
`load(folder)` (see `customfit`). The form of the dissertation works unchanged too: `custom_model_predict(img_path) ->
(label, confidence)`.

Running such a file is running its author's code: only files that the administrator has put there are ever loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from ml_backend.errors import CustomModelError
from ml_backend.learning.custom.loader import (
    Floats,
    Learning,
    Pictures,
    Predict,
    answers,
    checked,
    listed,
    loaded,
)
from ml_backend.project_settings import SUFFIXES
from ml_backend.researcher_files import blamed
from ml_backend.video.timeline import Timeline
from ml_backend.video.whole_frames import decode_sized
from ml_backend.wording import cut

BATCH = 32


@dataclass(frozen=True, eq=False)
class CustomModel:
    """A loaded and checked model file.

    `labels`: its own, in the order of its outputs. `columns`: per project label, which outputs stand for it (none: the
    model does not know the label). `ignored`: outputs that stand for no label of the project. `size`: (height, width).
    `learning`: of a file that learns. `unfit`: why the `fit` of a file is not called, where it has one.
    """

    name: str
    file: Path
    digest: str
    labels: tuple[str, ...]
    project_labels: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    ignored: tuple[str, ...]
    size: tuple[int, int]
    predict: Predict
    learning: Learning | None = None
    unfit: str = ""

    def probabilities(self, pictures: Pictures) -> Floats:
        """(N, H, W, 3) uint8 to (N, L) float32 in 0..1 for the project's labels.

        Several outputs of one label count by the surest of them. Raises CustomModelError with file and line.
        """
        with blamed(self.file):
            given = self.predict(pictures)
        scores = checked(given, len(pictures), len(self.labels), self.file)
        found = np.zeros((len(pictures), len(self.project_labels)), np.float32)
        for column, outputs in enumerate(self.columns):
            if outputs:
                found[:, column] = scores[:, list(outputs)].max(axis=1)
        return found


def custom_file(folder: Path, name: str) -> Path:
    """The model file `name` inside `folder`; raises CustomModelError when it is not there or lies elsewhere."""
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents or path.suffix not in SUFFIXES or not path.is_file():
        raise CustomModelError(
            f"There is no custom model “{cut(name)}”.",
            f"Put a {', '.join(SUFFIXES)} file with that name into {folder}.",
        )
    return path


def load_custom(
    file: Path,
    project_labels: Sequence[str],
    predicted_values: Mapping[str, str] | None = None,
    *,
    learnt: Path | None = None,
    tried: bool = True,
) -> CustomModel:
    """Load a model file and try it on two pictures.

    `predicted_values` maps the model's words to labels of the project (Label Studio's attribute of that name, a comma
    between several); equal words need no mapping. `learnt`: the folder that a file that learns has saved in. Not `tried`
    is one that has to learn before it can predict. Raises CustomModelError saying what to mend, with file and line.
    """
    project = tuple(project_labels)
    mapping = {word.strip(): label for words, label in (predicted_values or {}).items() for word in words.split(",")}
    parts = loaded(file, tuple(dict.fromkeys((*project, *mapping))))
    labels = parts.labels
    meant = [mapping.get(label, label) for label in labels]
    columns = tuple(tuple(at for at, label in enumerate(meant) if label == wanted) for wanted in project)
    if not any(columns):
        raise CustomModelError(
            f"{file.name} predicts {listed(labels)}, none of which is a label of the project ({listed(project)}).",
            "Rename them, or map them with predicted_values in the label config.",
        )
    ignored = tuple(label for label, means in zip(labels, meant, strict=True) if means not in project)
    digest = sha256(b"".join(path.read_bytes() for path in files_of(file))).hexdigest()[:16]
    model = CustomModel(
        file.stem,
        file,
        digest,
        labels,
        project,
        columns,
        ignored,
        parts.size,
        parts.predict,
        parts.learning,
        parts.unfit,
    )
    if learnt is not None and parts.learning is not None:
        with blamed(file):
            parts.learning.load(str(learnt))
    if tried:
        model.probabilities(np.zeros((2, *parts.size, 3), np.uint8))
    return model


def words_of(file: Path, pictures: Callable[[tuple[int, int]], Pictures]) -> tuple[str, ...]:
    """The labels that a model file names, or, where it names none, those that it answers for some `pictures`.

    `pictures` gives (N, H, W, 3) uint8 RGB for a height and width. Raises CustomModelError.
    """
    parts = loaded(file, ())
    if parts.labels or parts.one is None:
        return parts.labels
    shown = pictures(parts.size)
    with blamed(file):
        return tuple(dict.fromkeys(label for label, _ in answers(parts.one, shown, file.name)))


def files_of(file: Path) -> tuple[Path, ...]:
    """The model file and, where there is one, the JSON file beside it."""
    beside = file.with_suffix(".json")
    return (file, beside) if beside.is_file() and beside != file else (file,)


def video_probabilities(
    model: CustomModel,
    path: Path,
    timeline: Timeline,
    *,
    exclusive: bool,
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """(n, L) for every frame of a video, in batches of 32; frames that do not decode repeat the one before them.

    With `exclusive` labels, rows that sum to more than 1 are scaled down to it.
    """
    found = np.full((len(timeline), len(model.project_labels)), np.nan, np.float32)
    indices: list[int] = []
    pictures: list[Pictures] = []

    def flush() -> None:
        if indices:
            found[indices] = model.probabilities(np.stack(pictures))
            if progress is not None:
                progress((indices[-1] + 1) / len(timeline))
            indices.clear()
            pictures.clear()

    for index, picture in decode_sized(path, timeline, model.size):
        indices.append(index)
        pictures.append(picture)
        if len(indices) == BATCH:
            flush()
    flush()
    seen = np.maximum.accumulate(np.where(np.isnan(found[:, 0]), -1, np.arange(len(found))))
    whole = np.where((seen >= 0)[:, None], found[np.maximum(seen, 0)], 0)
    if exclusive:
        whole = whole / np.maximum(whole.sum(axis=1, keepdims=True), 1)
    return np.asarray(whole, np.float32)
