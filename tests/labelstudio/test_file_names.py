"""A video is called what it is called on disk, wherever Label Studio keeps it."""

from __future__ import annotations

import pytest

from ml_backend.labelstudio.task_data import file_name, name_in, served_at


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/1/4e2c68c0-opossum_snow.mp4", "opossum_snow.mp4"),
        ("/data/upload/7/0123abcd-Capture%20d%27%C3%A9cran.mp4", "Capture d'écran.mp4"),
        ("/data/upload/7/0123abcd-100%25.mp4", "100%.mp4"),
        ("http://studio/below/data/upload/7/0123abcd-a.mp4", "a.mp4"),
        # Who numbers files like that means it.
        ("/data/local-files/?d=street/0123abcd-a.mp4", "0123abcd-a.mp4"),
        ("/data/local-files/?d=a.mp4", "a.mp4"),
        ("/data/local-files/?d=rue%20d%27%C3%89tat/%C3%A9t%C3%A9%20%231.mp4", "été #1.mp4"),
        ("/data/local-files/?d=street/a+b.mp4", "a b.mp4"),
        ("https://example.org/films/%E6%98%A0%E7%94%BB.mp4", "映画.mp4"),
        ("https://example.org/films/a.mp4?X-Amz-Signature=secret", "a.mp4"),
        ("https://name:word@example.org/a.mp4#t=3", "a.mp4"),
        ("https://example.org/souris_%E9t%E9.mp4", "souris_\ufffdt\ufffd.mp4"),
        ("s3://films/day 1/a+b.mp4", "a+b.mp4"),
        ("s3://films/100%25 #1?.mp4", "100%25 #1?.mp4"),
        (served_at(7, "gs://films/day 1/été.mp4"), "été.mp4"),
        ("https://[broken/a%20b.mp4?x=1", "a b.mp4"),
        ("", ""),
    ],
)
def test_the_name_is_that_of_the_file(address: str, name: str) -> None:
    assert name_in(address) == name


def test_what_the_task_says_counts_first() -> None:
    assert (
        file_name({"name": "Capture d'écran.mp4"}, "/data/upload/7/0123abcd-Capture_decran.mp4")
        == "Capture d'écran.mp4"
    )


@pytest.mark.parametrize("said", [{}, {"name": ""}, {"name": " "}, {"name": None}, {"name": 7}])
def test_what_is_no_name_does_not(said: dict[str, object]) -> None:
    assert file_name(said, "/data/upload/7/0123abcd-a.mp4") == "a.mp4"
