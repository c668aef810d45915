"""A model card as a researcher would print it: everything by name, and what could not be measured said to be so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ml_backend.cards.measurements import Calibration, EvaluationScheme, Measurements
from ml_backend.cli import app
from ml_backend.learning.calibration import Held
from ml_backend.learning.evaluation import summary
from ml_backend.learning.versions import ModelCard, annotations_hash, publish

P = "7.1769860800"
ANNOTATIONS = {"12": "2026-01-31T12:00:00+00:00", "9": "2026-01-31T12:05:00+00:00"}


def held(task: int, wrong: int) -> Held:
    """Forty frames, cat then dog, of which the last `wrong` are taken for a cat."""
    values = np.zeros((40, 2), np.int8)
    values[:20, 0] = values[20:, 1] = 1
    said = values.copy()
    said[40 - wrong :] = [1, 0]
    probabilities = np.where(said == 1, 0.9, 0.05).astype(np.float32)
    return Held(task, probabilities, values, True)


def card(name: str, created: str, **more: object) -> ModelCard:
    common = {
        "kind": "blitz",
        "labels": ("cat", "dog"),
        "exclusive": True,
        "backbone": "mobilenet_v2-0123abcd",
        "settings": {"mode": "auto", "default_label": None, "fingerprint": "f", "backbone_trained": True},
        "annotations": ANNOTATIONS,
        "annotations_hash": annotations_hash(ANNOTATIONS),
        "videos": 4,
        "labelled_frames": 160,
        "decision": f"{name} is rolled out: there is no other version to compare it with.",
        "calibration": Calibration(1.25),
        "weights_sha256": "feed" * 16,
        "train_seconds": 0.25,
        "file_bytes": 1_500_000,
    }
    return ModelCard(name=name, created=created, **{**common, **more})  # type: ignore[arg-type]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A version measured on four videos after one that was only checked quickly."""
    root = tmp_path / "projects" / P / "models"
    root.mkdir(parents=True)
    quick = summary([held(1, 12), held(2, 12)], ("cat", "dog"), True, EvaluationScheme.LEAVE_ONE_OUT, {1: 0, 2: 1})
    publish(root, card("blitz-v1", "2026-01-30T12:00:00+00:00", metrics=Measurements(quick=quick), videos=2), {})
    four = {task: task for task in range(4)}
    metrics = summary(
        [held(task, 2 * task) for task in four], ("cat", "dog"), True, EvaluationScheme.LEAVE_ONE_OUT, four
    )
    publish(root, card("blitz-v2", "2026-01-31T12:00:00+00:00", metrics=Measurements(metrics)), {})
    return {
        "LABEL_STUDIO_URL": "http://x",
        "LABEL_STUDIO_API_KEY": "x",
        "DATA_DIR": str(tmp_path),
        "COLUMNS": "160",
    }


def shown(environment: dict[str, str], *arguments: str) -> str:
    told = CliRunner().invoke(app, ["models", "show", "7", *arguments], env=environment)
    assert told.exit_code == 0, told.output
    return told.stdout


def row(text: str, name: str) -> list[str]:
    """The cells of the first row of any table that begins with `name`."""
    lines = ([cell.strip() for cell in line.split("│")[1:-1]] for line in text.replace("┃", "│").splitlines())
    return next(cells[1:] for cells in lines if cells and cells[0] == name)


def test_it_says_what_was_learnt_from_what(environment: dict[str, str]) -> None:
    text = shown(environment, "blitz-v2")
    assert row(text, "labels") == ["cat, dog (one per frame)"]
    assert row(text, "learned from") == ["160 frames of 4 videos"]
    assert row(text, "annotations") == [f"2, hash {annotations_hash(ANNOTATIONS)}: 9, 12"]
    assert row(text, "backbone") == ["mobilenet_v2-0123abcd"]
    assert row(text, "settings") == ["mode auto"]
    assert row(text, "seed") == ["0"]
    assert row(text, "decision") == ["blitz-v2 is rolled out: there is no other version to compare it with."]
    assert row(text, "training") == ["0.25 s"]
    assert row(text, "file") == [f"1.50 MB, sha256 {'feed' * 16}"]


def test_scores_have_their_support_and_interval(environment: dict[str, str]) -> None:
    text = shown(environment, "blitz-v2")
    precision, recall, f1, interval, frames = row(text, "dog")
    assert (precision, recall, frames) == ("1.000", "0.850", "80")
    low, high = map(float, interval.split(" to "))
    assert low < float(f1) < high
    assert "(95 %: " in row(text, "macro-F1")[0]
    assert "8 of 8 found" in row(text, "segment F1 at IoU 0.5")[0]
    assert row(text, "boundary error")[0].endswith("frames")
    assert row(text, "temperature") == ["1.250"]


def test_confusion_calibration_and_learning_curve_are_tables(environment: dict[str, str]) -> None:
    text = shown(environment, "blitz-v2")
    assert [name in text for name in ("Confusion, in frames", "Calibration", "Learning curve")] == [True] * 3
    assert row(text, "true \\ predicted") == ["cat", "dog", "none of the labels"]
    confusion = text[text.index("Confusion") :]
    assert row(confusion, "cat") == ["80", "0", "0"]
    assert row(confusion, "dog") == ["12", "68", "0"]
    assert row(confusion, "0.87 to 0.93") == ["160", "0.900", "0.925"]
    curve = text[text.index("Learning curve") :]
    assert row(curve, "blitz-v1")[:2] == ["2", "160"]
    assert float(row(curve, "blitz-v1")[2]) < float(row(curve, "blitz-v2")[2])


def test_too_few_videos_are_said_to_be_too_few(environment: dict[str, str]) -> None:
    text = shown(environment, "blitz-v1")
    assert "Not enough videos to judge" in text
    assert "quick check" in text
    assert row(text, "cat")[3] == "too few videos"


def test_json_holds_the_same(environment: dict[str, str]) -> None:
    found = json.loads(shown(environment, "blitz-v2", "--json"))
    assert found["annotations"] == ANNOTATIONS
    assert found["metrics"]["confusion"]["labels"] == ["cat", "dog", "none of the labels"]
    assert found["metrics"]["labels"]["dog"]["f1_interval"]
    assert [one["name"] for one in found["learning_curve"]] == ["blitz-v1", "blitz-v2"]
