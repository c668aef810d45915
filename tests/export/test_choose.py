"""Which frames become pictures, and on which side of a split they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered import video

from ml_backend.errors import SettingsError
from ml_backend.export.choose import PARTS, Choice, plan
from ml_backend.export.project import Run

CAT, DOG = Run(0, 20, "cat", 1.0, "human"), Run(20, 40, "dog", 0.5, "model")


def frames(planned, task: int = 1, label: str = "cat") -> list[int]:
    return [row.frame for row in planned.picked.get(task, ()) if row.label == label]


def test_all_frames_by_default() -> None:
    planned = plan([video(1, [CAT, DOG])], Choice())
    assert planned.counts() == {"": {"cat": 20, "dog": 20}}
    assert len(planned) == 40


def test_every_fifth_is_counted_through_the_runs_of_a_label() -> None:
    runs = [Run(0, 7, "cat", 1.0, "human"), Run(10, 13, "cat", 1.0, "human")]
    assert frames(plan([video(1, runs)], Choice(every=5))) == [0, 5]
    assert frames(plan([video(1, runs)], Choice(every=3))) == [0, 3, 6, 12]


def test_a_label_with_too_many_is_thinned_over_all_videos() -> None:
    videos = [video(number, [CAT, DOG]) for number in (1, 2)]
    planned = plan(videos, Choice(max_per_label=6))
    assert planned.counts() == {"": {"cat": 6, "dog": 6}}
    assert len(frames(planned, 1)) == len(frames(planned, 2)) == 3


def test_only_people_or_only_a_model_or_only_who_is_sure() -> None:
    videos = [video(1, [CAT, DOG])]
    assert plan(videos, Choice(sources="human")).counts() == {"": {"cat": 20}}
    assert plan(videos, Choice(sources="model")).counts() == {"": {"dog": 20}}
    assert plan(videos, Choice(min_confidence=0.6)).counts() == {"": {"cat": 20}}


def test_frames_without_a_label_are_taken_when_they_have_a_folder() -> None:
    videos = [video(1, [CAT, Run(20, 30, None, 1.0, "human")])]
    assert plan(videos, Choice()).counts() == {"": {"cat": 20}}
    assert plan(videos, Choice(none="background")).counts() == {"": {"background": 10, "cat": 20}}


def test_nothing_to_take_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match=r"No frame .* lower --min-confidence"):
        plan([video(1, [DOG])], Choice(min_confidence=0.9))


def test_too_few_videos_to_split_are_said_to_be() -> None:
    with pytest.raises(SettingsError, match="2 videos cannot be split into 3 parts"):
        plan([video(1, [CAT]), video(2, [CAT])], Choice(shares=(0.8, 0.1, 0.1)))


@given(st.lists(st.integers(1, 40), min_size=3, max_size=12), st.integers(0, 5), st.data())
def test_no_video_is_on_two_sides_and_no_side_is_empty(lengths: list[int], seed: int, data: st.DataObject) -> None:
    groups = [f"content {data.draw(st.integers(0, len(lengths)))}" for _ in lengths]
    if len(set(groups)) < 3:
        groups[:3] = ["a", "b", "c"]
    videos = [
        video(number, [Run(0, length, "cat", 1.0, "human")], group=group)
        for number, (length, group) in enumerate(zip(lengths, groups, strict=True))
    ]
    planned = plan(videos, Choice(shares=(0.6, 0.2, 0.2), seed=seed))
    parts_of: dict[str, set[str]] = {}
    for one in videos:
        parts_of.setdefault(one.group, set()).add(planned.parts[one.task.id])
    assert all(len(parts) == 1 for parts in parts_of.values())
    assert set(planned.parts.values()) == set(PARTS)
    assert planned == plan(videos, Choice(shares=(0.6, 0.2, 0.2), seed=seed))


def test_the_shares_are_kept_as_far_as_whole_videos_allow() -> None:
    videos = [video(number, [CAT]) for number in range(20)]
    counts = plan(videos, Choice(shares=(0.8, 0.1, 0.1))).counts()
    assert {part: labels["cat"] for part, labels in counts.items()} == {"train": 320, "val": 40, "test": 40}
