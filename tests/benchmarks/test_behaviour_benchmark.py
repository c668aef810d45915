"""The label-efficiency curve asks fairly and divides by full supervision, and the network gets the labels of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2

from benchmarks.behaviour.clips import Studio
from benchmarks.behaviour.efficiency import (
    WAYS,
    Clip,
    efficiency,
    held_out,
    of_changes,
    of_the_model,
    share_for,
    suggestions,
)
from benchmarks.behaviour.kinds import Situation
from benchmarks.behaviour.measure import Asked, labelled, measure
from benchmarks.behaviour.scenes import along, overlapping
from benchmarks.behaviour.table import efficiency_tables, tables
from benchmarks.learning.data import Track
from benchmarks.measured import write_into
from ml_backend.jobs.predictions.predict import QUESTIONS

DIRECTION = Situation("direction", along(0), ("left", "right"), 160, 2, 1)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """With a backbone that nobody trained: movement is seen without one."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "untrained").mkdir()
    torch.manual_seed(0)
    torch.save(mobilenet_v2().state_dict(), folder / "untrained" / "mobilenet_v2-untrained.pth")
    return Studio(folder, folder / "untrained")


def asked_of(studio: Studio, situation: Situation) -> Asked:
    clips = studio.film(situation, seed=0)
    return Asked(situation.name, situation.classes, clips, situation.taught, exclusive=situation.exclusive)


@pytest.fixture(scope="module")
def direction(studio: Studio) -> Asked:
    return asked_of(studio, DIRECTION)


@pytest.fixture(scope="module")
def track(studio: Studio, direction: Asked) -> Track:
    return studio.track(direction.name, direction.classes, direction.clips[0])


def test_every_frame_is_held_out_by_one_of_five_seeds_in_stretches_of_a_twentieth() -> None:
    each = np.stack([held_out(320, seed) for seed in range(5)])
    assert each.sum(axis=0).tolist() == [1] * 320
    first = np.flatnonzero(each[0])
    assert first[:17].tolist() == [*range(16), 80]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_asking_asks_about_held_out_frames_or_more_than_it_may(way: str, track: Track) -> None:
    clip = Clip(track, True, held_out(len(track.truth), 1), 1)
    counts = (5, 12, 20)
    found = [frames for frames, _ in WAYS[way](clip, counts)]
    for count, frames in zip(counts, found, strict=True):
        assert not clip.held_out[frames].any()
        assert len(np.unique(frames)) == len(frames) <= count
    assert len(found[0]) == 5
    assert len(found[1]) > 5


def test_a_model_asks_five_new_frames_and_keeps_what_it_looked_at(track: Track) -> None:
    clip = Clip(track, True, held_out(len(track.truth), 0), 0)
    answered = suggestions(clip, 10)
    learned = clip.learn(answered)
    assert learned.tells
    assert set(answered) <= set(learned.features.frames)
    asked = of_the_model(clip, learned, answered)
    assert len(asked) == QUESTIONS
    assert not set(asked) & set(answered)
    assert not clip.held_out[asked].any()
    assert len(clip.closer)
    assert set(clip.closer) <= set(clip.learn(answered).features.frames)


def test_questions_about_changes_are_beside_changes(track: Track) -> None:
    clip = Clip(track, True, held_out(len(track.truth), 0), 0)
    answered = suggestions(clip, 10)
    learned = clip.learn(answered)
    asked = of_changes(clip, learned, answered)
    assert 0 < len(asked) <= QUESTIONS
    classes = learned.probabilities[clip.open].argmax(axis=1)
    changes = np.flatnonzero(np.diff(classes))
    for frame in asked:
        assert np.abs(changes - np.searchsorted(clip.open, frame)).min() <= 2


def test_where_one_class_was_seen_further_suggestions_are_asked(track: Track) -> None:
    same = replace(track, truth=np.zeros_like(track.truth))
    clip = Clip(same, True, held_out(len(same.truth), 0), 0)
    (first, learned), (then, _) = WAYS["questions"](clip, (5, 10))
    assert not learned.tells
    assert set(first) < set(then)
    assert set(then) - set(first) == set(suggestions(clip, 5, first))


def test_the_curve_is_a_fraction_of_full_supervision(studio: Studio, direction: Asked) -> None:
    report = efficiency(studio, direction, seeds=1, clips=1, counts=(5, 20, 100))
    assert report["videos"] == 1
    assert 0.9 < report["full"] <= 1
    for way in WAYS:
        curve = report[way]
        assert set(curve) == {"k5", "k20", "share_k5", "share_k20", "share_for_95"}  # a hundred are more than half
        assert curve["share_k5"] == 5 / 160
        assert curve["share_k20"] <= 20 / 160
        reached = [curve[f"share_k{count}"] for count in (5, 20) if curve[f"k{count}"] >= 0.95]
        assert curve["share_for_95"] == min(reached, default=None)
    assert report["suggestions"]["k20"] > 0.8
    assert report["suggestions"]["k20"] * report["full"] <= 1


def test_labels_that_may_hold_together_have_a_curve_too(studio: Studio) -> None:
    situation = Situation("overlapping", overlapping, ("moving", "lamp", "box"), 160, 1, 1, exclusive=False)
    report = efficiency(studio, asked_of(studio, situation), seeds=1, clips=1, counts=(10,))
    assert report["full"] > 0.6
    assert report["questions"]["k10"] > 0.3


def test_the_smallest_share_that_reaches_enough() -> None:
    assert share_for([(0.01, 0.9), (0.02, 0.96), (0.03, 0.94), (0.04, 1.1)]) == 0.02
    assert share_for([(0.01, 0.5), (0.02, 0.949)]) is None


def test_the_curve_as_tables_between_its_own_marks(tmp_path: Path) -> None:
    way = {"k5": 0.5, "k10": 0.97, "share_k5": 0.0156, "share_k10": 0.0312, "share_for_95": 0.0312}
    never = {**way, "k10": 0.8, "share_for_95": None}
    curves = {"up_down": {"videos": 2, "full": 0.9, **dict.fromkeys(WAYS, way), "boundary": never}}
    page = tmp_path / "page.md"
    marks = "<!-- {0}: begin -->\nold\n<!-- {0}: end -->\n"
    page.write_text(marks.format("measured") + marks.format("efficiency"))
    write_into(page, efficiency_tables({"seeds": 1, "clips": 2, "efficiency": curves}), "efficiency")
    lines = page.read_text().splitlines()
    assert lines[:3] == ["<!-- measured: begin -->", "old", "<!-- measured: end -->"]
    assert "| up down (2) | .900 | 3.1 % | 3.1 % | 3.1 % | never |" in lines
    assert "| suggestions | .500 | .970 | – | – |" in lines
    assert "| 5 suggestions, then predicted changes | .500 | .800 | – | – |" in lines


def test_the_network_is_measured_beside_the_others_or_left_out(studio: Studio) -> None:
    direction = asked_of(studio, replace(DIRECTION, name="direction_80", frames=80))
    found = measure(studio, direction, seeds=1, counts=(10,))
    assert all(0 < found[key] <= 1 for key in ("lstm_k10", "lstm_blitz"))
    assert found["cold_k10"] > found["lstm_k10"]  # an untrained backbone does not show which way
    without = measure(studio, direction, seeds=1, counts=(10,), with_lstm=False)
    assert set(found) - set(without) == {"lstm_k10", "lstm_blitz"}
    assert all(without[key] == value for key, value in found.items() if key in without)
    shown = tables({"seeds": 1, "situations": {"direction": {**found, "videos": 2}}})
    assert shown.count("LSTM") == 3


def test_of_labels_that_may_hold_together_the_network_learns_each(studio: Studio) -> None:
    situation = Situation("overlapping_60", overlapping, ("moving", "lamp", "box"), 60, 1, 1, exclusive=False)
    asked = asked_of(studio, situation)
    assert labelled(studio.track(asked.name, asked.classes, asked.clips[0]), None, False).labels.values.shape == (60, 3)
    assert 0 < measure(studio, asked, seeds=1, counts=(10,))["lstm_k10"] <= 1
