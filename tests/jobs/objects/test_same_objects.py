"""Numbers of objects, told by where their tracks are."""

from __future__ import annotations

from dataclasses import replace

from ml_backend.jobs.box_tracks import Said
from ml_backend.jobs.objects.track_numbers import joined, named, numbered
from ml_backend.projects.tracks import StoredTrack

FRAMES = 100


def going(
    number: int, x: float, *, first: int = 1, last: int = FRAMES, size: float = 10.0, drawn: str = ""
) -> StoredTrack:
    """A box that goes down at `x` percent from the left."""
    keys = ((first, x, first / 2, size, size, True), (last, x, last / 2, size, size, False))
    return StoredTrack(number, "box", keys, 0.5, drawn=drawn)


def test_the_same_objects_keep_their_numbers_in_whatever_order_they_are_found() -> None:
    before = [going(1, 10), going(2, 40), going(5, 70)]
    again = numbered([going(0, 71), going(0, 11), going(0, 90)], before, FRAMES, 7)
    assert [each.number for each in again] == [5, 1, 8]


def test_one_that_is_seen_for_longer_is_the_same_and_one_elsewhere_is_not() -> None:
    [longer] = numbered([going(0, 10, last=100)], [going(3, 10, first=20, last=70)], FRAMES, 3)
    assert longer.number == 3
    [elsewhere] = numbered([going(0, 10, first=71)], [going(3, 10, last=70)], FRAMES, 3)
    assert elsewhere.number == 4
    assert numbered([], [going(3, 10)], FRAMES, 3) == []


def test_a_followed_track_takes_the_number_of_what_it_stands_in_place_of() -> None:
    found = [going(1, 10, last=40), going(2, 10, first=60), going(3, 50)]
    joint = joined(found, [going(0, 10.5, drawn="box a 1")], FRAMES, 3)
    assert [each.replaced for each in joint] == [True, True, False, False]
    assert joint[-1].number in (1, 2)


def test_a_followed_track_of_what_was_not_found_gets_a_new_number_and_keeps_it() -> None:
    joint = joined([going(1, 10)], [going(0, 60, drawn="box a 1")], FRAMES, 4)
    assert [(each.number, each.replaced) for each in joint] == [(1, False), (5, False)]
    again = joined([going(1, 10), going(6, 60)], [joint[1]], FRAMES, 6)
    assert [(each.number, each.replaced) for each in again] == [(1, False), (6, True), (5, False)]


def test_what_was_replaced_is_shown_again_when_nothing_is_followed() -> None:
    assert joined([replace(going(1, 10), replaced=True)], [], FRAMES, 1) == [going(1, 10)]


def test_of_two_boxes_on_one_object_the_later_one_is_shown() -> None:
    joint = joined([], [going(0, 10, drawn="box a 1"), going(0, 10.5, drawn="box b 2")], FRAMES, 0)
    assert [(each.number, each.replaced, each.drawn) for each in joint] == [(1, True, "box a 1"), (1, False, "box b 2")]


def test_a_label_belongs_to_the_number_and_a_drawn_box_has_its_own() -> None:
    said = Said((), {("box", 1): "rat", ("other", 2): "cat"}, frozenset())
    tracks = [going(1, 10), replace(going(2, 40), label="old"), replace(going(1, 70, drawn="box a 1"), label="mouse")]
    assert [each.label for each in named(tracks, said)] == ["rat", None, "mouse"]
