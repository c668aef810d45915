"""Fine-tuning a network on real encoded videos: what it learns, when it stops, and that it can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stripes import STRIPED_FRAMES, STRIPES, striped_film
from torch import nn

from ml_backend.cards.model_card import Network
from ml_backend.errors import StorageError
from ml_backend.features.backbones import load_backbone
from ml_backend.features.blocks import VideoFeatures
from ml_backend.features.networks import build
from ml_backend.features.trunks import Taps
from ml_backend.features.weights import find_weights
from ml_backend.learning.examples import LabelledVideo
from ml_backend.learning.finetune import Tuned, augmented, finetune
from ml_backend.learning.frame_labels import UNKNOWN, FrameLabels
from ml_backend.learning.networks import keep_networks, network_weights, newest_network, save_network
from ml_backend.learning.pictures import Pictures, pictures_of
from ml_backend.project_settings import BlitzSettings
from ml_backend.video.timeline import read_timeline

NAME, LABELS, SIDE = "mobilenet_v2", STRIPES, 64
SETTINGS = BlitzSettings("finetune", cycles=2, early_stopping=2, image_size=SIDE, frame_step=2)


def film(path: Path, seed: int) -> FrameLabels:
    """Encodes a video and returns the truth about it."""
    truth = np.array(striped_film(path, seed))[:, None] == LABELS
    return FrameLabels(LABELS, truth.astype(np.int8), np.ones(len(truth), np.float32), dense=True, judged=True)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pictures, Pictures]:
    """The pictures of four videos to learn from, and of two to judge by."""
    folder = tmp_path_factory.mktemp("films")
    videos = []
    for number in range(6):
        labels = film(folder / f"{number}.mp4", number)
        timeline = read_timeline(folder / f"{number}.mp4")
        videos.append(LabelledVideo(number, VideoFeatures(timeline, np.zeros(1, np.int64), {}, STRIPED_FRAMES), labels))

    def path_of(video: LabelledVideo) -> Path:
        return folder / f"{video.task}.mp4"

    def of(some: list[LabelledVideo]) -> Pictures:
        return pictures_of(some, LABELS, path_of, size=(SIDE, SIDE), step=2, most=500, folder=folder)

    return of(videos[:4]), of(videos[4:])


def untrained() -> nn.Module:
    return build(NAME, find_weights(NAME, "none", None))


Tune = Callable[..., Tuned]


@pytest.fixture
def tune(parts: tuple[Pictures, Pictures]) -> Tune:
    def run(
        settings: BlitzSettings = SETTINGS, exclusive: bool = True, model: nn.Module | None = None, **more
    ) -> Tuned:  # type: ignore[no-untyped-def]
        training, validation = parts
        return finetune(NAME, model or untrained(), training, validation, LABELS, settings, exclusive=exclusive, **more)

    return run


def nearest_mean_accuracy(model: nn.Module, training: Pictures, held: Pictures) -> float:
    """How often a held-out frame's embedding lies nearer to the mean of its own label's than to the other's."""
    taps = Taps.of(NAME, model)

    def embedded(pictures: Pictures) -> NDArray[np.float32]:
        with torch.no_grad():
            return np.asarray(taps(torch.from_numpy(np.array(pictures.pixels)))[0].numpy())

    rows, truth = embedded(training), training.values.argmax(axis=1)
    means = np.stack([rows[truth == label].mean(axis=0) for label in (0, 1)])
    distance = np.linalg.norm(embedded(held)[:, None] - means, axis=2)
    return float((distance.argmin(axis=1) == held.values.argmax(axis=1)).mean())


def test_embeddings_tell_labels_apart_that_those_of_the_untrained_network_do_not(
    tune: Tune, parts: tuple[Pictures, Pictures]
) -> None:
    tuned = tune(replace(SETTINGS, cycles=6, early_stopping=6))
    model = untrained()
    before = nearest_mean_accuracy(model, *parts)
    model.load_state_dict(dict(tuned.state))
    after = nearest_mean_accuracy(model, *parts)
    assert before < 0.7
    assert after > 0.85


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tune: Tune) -> None:
    short = replace(SETTINGS, cycles=1)
    first, again, other = tune(short).state, tune(short).state, tune(short, seed=1).state
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("exclusive", [True, False])
def test_every_epoch_is_on_the_curve_while_it_trains_and_at_the_end(tune: Tune, exclusive: bool) -> None:
    told: list[tuple[float, int]] = []
    seen: list[dict[str, float]] = []
    tuned = tune(exclusive=exclusive, progress=lambda share: told.append((share, len(seen))), on_epoch=seen.append)
    assert [point["epoch"] for point in tuned.curve] == [0, 1, 2]
    for point in tuned.curve:
        assert point.keys() == {"epoch", "train_loss", "validation_loss", "validation_macro_f1"}
        assert all(np.isfinite(value) for value in point.values())
    best = max(tuned.curve[1:], key=lambda point: (point["validation_macro_f1"], -point["validation_loss"]))
    assert tuned.best == best["epoch"]
    assert told == sorted(told)
    assert {points for _, points in told} == {0, 1, 2, 3}
    assert told[-1][0] == 1


def test_it_stops_when_held_out_videos_are_predicted_no_better(parts: tuple[Pictures, Pictures]) -> None:
    """Labels dealt at random cannot be learnt for other videos."""
    training, validation = parts
    dealt = np.random.default_rng(0).permutation(validation.values)
    tuned = finetune(
        NAME,
        untrained(),
        training,
        replace(validation, values=dealt),
        LABELS,
        replace(SETTINGS, cycles=40, early_stopping=2),
        exclusive=True,
    )
    last = int(tuned.curve[-1]["epoch"])
    assert last < 40
    assert last - tuned.best == 2


def test_unknown_labels_and_those_without_examples_teach_nothing_and_break_nothing(
    parts: tuple[Pictures, Pictures],
) -> None:
    training, validation = parts
    values = training.values.copy()
    values[::2, 0] = UNKNOWN
    values[:, 1] = UNKNOWN
    tuned = finetune(
        NAME,
        untrained(),
        replace(training, values=values),
        validation,
        LABELS,
        replace(SETTINGS, cycles=1),
        exclusive=False,
    )
    assert all(torch.isfinite(tensor.float()).all() for tensor in tuned.state.values())


def test_augmented_pictures_keep_their_hue_and_their_sides() -> None:
    picture = torch.zeros(64, 32, 32, 3, dtype=torch.uint8)
    picture[:, :, :8, 0] = 200  # a red bar at the left
    plain = augmented(picture, torch.Generator().manual_seed(0))
    assert plain.shape == picture.shape
    assert plain[..., 0].max() <= 255
    assert torch.allclose(plain[..., 1], plain[..., 2])
    left, right = plain[:, :, :16, 0].mean((1, 2)), plain[:, :, 16:, 0].mean((1, 2))
    assert bool((left > right).all())


def test_pictures_are_every_so_many_known_frame_and_never_more_than_allowed(tmp_path: Path) -> None:
    labels = film(tmp_path / "0.mp4", 3)
    values = labels.values.copy()
    values[20:40] = UNKNOWN
    features = VideoFeatures(read_timeline(tmp_path / "0.mp4"), np.zeros(1, np.int64), {}, STRIPED_FRAMES)
    video = LabelledVideo(0, features, replace(labels, values=values))

    def of(step: int, most: int) -> Pictures:
        return pictures_of(
            [video], LABELS, lambda _: tmp_path / "0.mp4", size=(8, 12), step=step, most=most, folder=tmp_path
        )

    known = of(5, 100)
    assert known.pixels.shape == (8, 8, 12, 3)
    assert (known.values != UNKNOWN).all()
    assert known.weight.sum() == 40
    fewer = of(5, 3)
    assert len(fewer) == 3
    assert fewer.weight.sum() == pytest.approx(40)
    assert [path.name for path in tmp_path.iterdir()] == ["0.mp4"]


def test_a_network_is_kept_whole_found_again_and_runs_as_a_backbone(tune: Tune, tmp_path: Path) -> None:
    tuned = tune(replace(SETTINGS, cycles=1))
    about = Network(
        "", "base", {"labels": list(LABELS)}, (1, 2), (3,), tuple(tuned.curve), tuned.best, 9, 1.0, "cpu", 0, "2026"
    )
    kept = save_network(tmp_path, tuned.state, about)
    assert newest_network(tmp_path) == kept
    backbone = load_backbone(NAME, str(network_weights(tmp_path, kept.digest)), "cpu")
    assert kept.digest in backbone.key
    assert backbone.trained
    later = save_network(tmp_path, {**tuned.state, "more": torch.ones(1)}, replace(about, created="2027"))
    assert newest_network(tmp_path) == later
    assert keep_networks(tmp_path, {later.digest}) == [kept.digest]
    with pytest.raises(StorageError, match="missing or damaged"):
        network_weights(tmp_path, kept.digest)
    (tmp_path / "networks" / later.digest / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(StorageError, match="missing or damaged"):
        network_weights(tmp_path, later.digest)
