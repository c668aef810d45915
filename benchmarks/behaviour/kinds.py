"""The situations that are measured. Those of `ASIDE` were never looked at while anything was tuned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.behaviour.scenes import (
    POSES,
    Make,
    along,
    behaviour,
    bouts,
    changed,
    counted,
    depth,
    hidden,
    lit,
    many,
    nothing,
    overlapping,
    paces,
    penned,
    placed,
    shaken,
    turning,
)

Asked = Literal["within", "others"]


@dataclass(frozen=True)
class Situation:
    """One kind of scene: `clips` of `frames` frames, the first `taught` of which Blitz learns from.

    `asked`: whether Cold answers for the video whose frames were labelled, or, with 5 labels in each taught clip, for the
    others. `one_camera`: all clips show the same ground. `exclusive`: labels never hold together.
    """

    name: str
    make: Make
    classes: tuple[str, ...]
    frames: int = 320
    clips: int = 4
    taught: int = 3
    asked: Asked = "within"
    one_camera: bool = False
    exclusive: bool = True


_LAMPS = ((1.0, 1.0, 1.0), (0.72, 0.72, 0.75), (1.05, 0.9, 0.75))
# Of twenty clips fourteen show one class alone.
_ALONE = (None, 0, 1, 2, 0, 1, 0, None, 2, 1, 0, None, 1, 0, 2, None, 0, 1, None, 2)

SITUATIONS = (
    Situation("direction", along(0), ("left", "right")),
    Situation("direction_shaken", changed(along(0, speed=4.0), shaken), ("left", "right")),
    Situation("speed", paces((1.0, 4.0)), ("slow", "fast")),
    Situation("still", paces((0.0, 2.0)), ("still", "moving")),
    Situation("still_hidden", changed(paces((0.0, 2.5)), hidden, shaken), ("still", "moving")),
    Situation("approach", depth, ("nearer", "further")),
    Situation("pose_5", behaviour(0.05), POSES),
    Situation("pose_1", behaviour(0.01), POSES),
    Situation("pose_03", behaviour(0.003), POSES),
    Situation(
        "one_class_clips",
        behaviour(0.05, ("walk", "rest", "groom"), lambda number: _ALONE[number % 20]),
        ("walk", "rest", "groom"),
        70,
        20,
        10,
        "others",
        True,
    ),
    Situation("counting", counted(4), ("one", "two", "three", "four")),
    Situation("counting_others", counted(4), ("one", "two", "three", "four"), 200, 6, 3, "others", True),
    Situation("place", placed(3), ("left", "middle", "right")),
    Situation("light", lit(_LAMPS), ("day", "dusk", "lamp")),
    Situation("rare_bouts", bouts(), ("walking", "rearing"), 620, 3, 2),
    Situation("overlapping", overlapping, ("moving", "lamp", "box"), 400, 4, 3, exclusive=False),
    Situation("twenty", many, tuple(f"class {n:02}" for n in range(20)), 500, 4, 3),
    Situation("nothing_to_see", nothing(2), ("this", "that")),
)

# A region of interest is of use where the subject stays in a part of the picture.
PENNED = (
    Situation("pose_1_pen", changed(behaviour(0.01), penned), POSES),
    Situation("pose_03_pen", changed(behaviour(0.003), penned), POSES),
)

ASIDE = (
    Situation("turning", turning, ("left turn", "right turn")),
    Situation("up_down_fish", changed(along(1, "fish", 0.015, 2.5), hidden), ("down", "up")),
    Situation("three_paces", changed(paces((0.0, 1.2, 4.5), "box", 0.008), shaken), ("stay", "creep", "run")),
    Situation("head_turn_2", behaviour(0.02, ("walk", "turn", "rest")), ("ahead", "turned", "curled")),
    Situation(
        "one_class_fish",
        placed(2, "fish", 1),
        ("above", "below"),
        70,
        20,
        10,
        "others",
        True,
    ),
    Situation("boxes_counted", counted(3, "box", (180, 60, 60)), ("one", "two", "three"), 200, 6, 3, "others", True),
    Situation("nothing_of_three", nothing(3), ("this", "that", "other")),
)
