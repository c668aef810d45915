"""What a detector's classes are called in a project."""

from __future__ import annotations

import numpy as np

from ml_backend.objects.boxes import Detections
from ml_backend.objects.class_names import class_names, words_of
from ml_backend.objects.detector import Limits

COCO = ("person", "car", "truck", "dog")


def test_equal_names_are_meant_whatever_their_case_and_others_are_left_out() -> None:
    named = class_names(COCO, ("Person", "mouse"))
    assert (named.labels, named.meant, named.unknown) == ({"person": "Person"}, True, ())


def test_predicted_values_say_which_classes_become_a_label() -> None:
    named = class_names(COCO, ("Vehicle", "dog"), {"car, Truck": "Vehicle"})
    assert named.labels == {"car": "Vehicle", "truck": "Vehicle", "dog": "dog"}


def test_what_the_detector_does_not_know_is_told() -> None:
    named = class_names(COCO, ("Vehicle",), {"car,lorry,tram": "Vehicle"})
    assert (named.labels, named.unknown) == ({"car": "Vehicle"}, ("lorry", "tram"))


def test_where_no_label_means_any_class_all_are_one_thing() -> None:
    named = class_names(COCO, ("mouse",))
    assert not named.meant
    # One object is not two tracks because it looked like a car for a moment.
    assert set((named.labels or {}).values()) == {"object"}
    assert class_names(("object",), ("mouse",)).labels is None


def test_two_classes_of_one_label_on_one_object_are_one_box() -> None:
    boxes = np.array([[0.1, 0.1, 0.4, 0.4], [0.11, 0.1, 0.4, 0.4], [0.6, 0.6, 0.3, 0.3]], np.float32)
    found = Detections(boxes, np.array([0.6, 0.7, 0.5], np.float32), ("car", "truck", "car"))
    limits = Limits(labels={"car": "Vehicle", "truck": "Vehicle"})
    assert limits.of(found).scores.tolist() == np.float32([0.7, 0.5]).tolist()
    apart = Limits(labels={"car": "Car", "truck": "Truck"})
    assert apart.of(found).names == ("Car", "Truck", "Car")


def test_a_network_that_reads_looks_for_predicted_values_else_for_the_labels() -> None:
    assert words_of(("Maus", "rat"), {"mouse, white mouse": "Maus"}) == ("mouse", "white mouse", "rat")
