"""Each video becomes one task, whatever happens in between; what cannot be used is named, and the others go on."""

from __future__ import annotations

import _thread
import base64
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask, Response, abort, request
from footage import Film, Import, Studio
from loopback import closed_port, serving

from ml_backend.importing.existing_videos import noted, remove_leftovers
from ml_backend.importing.import_video import Outcome, bring
from ml_backend.importing.origins import Importer
from ml_backend.importing.recipe import Recipe
from ml_backend.video.inspection import inspect
from ml_backend.video.timeline import natural_framerate, read_timeline


def states(importer: Importer, *given: Path | str) -> list[str]:
    return [outcome.state for each in given for outcome in bring(importer, str(each))]


def one(importer: Importer, given: Path | str) -> Outcome:
    [outcome] = bring(importer, str(given))
    return outcome


def uploaded(studio: Studio, number: int, folder: Path) -> Path:
    path = folder / f"uploaded{number}.mp4"
    path.write_bytes(studio.uploads[number][1])
    return path


def test_a_task_says_where_its_video_is_how_fast_and_what_is_known_of_it(
    importer: Import, studio: Studio, film: Film
) -> None:
    tags = {"creation_time": "2026-05-01T20:30:00Z", "location": "+51.4988-000.1749+012.5/"}
    path = film("my film.mp4", rate=10, tags=tags)
    assert one(importer(), path) == Outcome("my film.mp4", "imported", 1)
    data = dict(studio.tasks[1])
    record = data.pop("coldblitz")
    assert data == {
        "video": "/data/upload/7/0123abcd-my_film.mp4",
        "fps": 10.0,
        "name": "my film.mp4",
        "recorded": "2026-05-01T20:30:00+00:00",
        "latitude": 51.4988,
        "longitude": -0.1749,
        "altitude": 12.5,
    }
    assert record["source"] == record["file"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert studio.uploads[1][1] == path.read_bytes()


def test_the_same_file_is_one_task_in_one_run_and_from_another_machine(
    importer: Import, studio: Studio, film: Film
) -> None:
    path = film("a.mp4")
    other = shutil.copy(path, path.with_name("other name.mp4"))
    assert states(importer(), path, path, other) == ["imported", "present", "present"]
    assert states(importer(), other) == ["present"]
    assert len(studio.tasks) == len(studio.uploads) == 1


def test_a_copy_in_another_encoding_is_named_and_left_out_unless_asked_for(importer: Import, film: Film) -> None:
    path, copy = film("a.mp4"), film("b.mp4", size=192, options={"crf": "35"})
    assert states(importer(), path) == ["imported"]
    outcome = one(importer(), copy)
    assert (outcome.state, outcome.task) == ("duplicate", 1)
    assert "task 1 in another encoding" in outcome.message
    assert one(importer(allow_duplicates=True), copy).task == 2


def test_what_browsers_cannot_play_is_refused_or_mended_and_the_others_go_on(
    importer: Import, studio: Studio, film: Film, tmp_path: Path
) -> None:
    bad, good = film("bad.mp4", codec="mpeg4"), film("good.mp4", seed=2)
    refused, imported = (one(importer(), each) for each in (bad, good))
    assert (refused.state, imported.state) == ("refused", "imported")
    assert "mpeg4" in refused.message
    assert "--fix" in refused.message
    assert one(importer(Recipe(fix=True)), bad) == Outcome("bad.mp4", "imported", 2)
    made = uploaded(studio, 2, tmp_path)
    assert inspect(made, thorough=True) == ()
    assert states(importer(Recipe(fix=True)), bad, made) == ["present", "present"]
    assert not list((tmp_path / "data" / "imports").iterdir())


def test_a_good_file_is_not_encoded_again_by_fix(importer: Import, studio: Studio, film: Film) -> None:
    path = film("a.mp4")
    assert states(importer(Recipe(fix=True)), path) == ["imported"]
    assert studio.uploads[1][1] == path.read_bytes()


def test_parts_are_tasks_of_their_own_and_each_is_made_once(
    importer: Import, studio: Studio, film: Film, tmp_path: Path
) -> None:
    path = film("long.mp4", seconds=5, tags={"creation_time": "2026-05-01T20:30:00Z"})
    assert states(importer(Recipe(segment=2)), path) == ["imported"] * 3
    assert [data["name"] for data in studio.tasks.values()] == [f"long.mp4 {part} s" for part in ("0-2", "2-4", "4-5")]
    assert studio.tasks[2]["recorded"] == "2026-05-01T20:30:02+00:00"
    assert [len(read_timeline(uploaded(studio, n, tmp_path))) for n in (1, 2, 3)] == [50, 50, 25]
    assert states(importer(Recipe(segment=2)), path) == ["present"] * 3
    assert states(importer(Recipe(clip=(2, 4))), path) == ["present"]


def test_fewer_frames_a_second(importer: Import, studio: Studio, film: Film, tmp_path: Path) -> None:
    assert states(importer(Recipe(fps=10)), film("a.mp4")) == ["imported"]
    assert studio.tasks[1]["fps"] == 10
    assert natural_framerate(read_timeline(uploaded(studio, 1, tmp_path))) == 10


def test_where_a_task_is_refused_its_upload_goes_and_what_was_encoded_is_used_again(
    importer: Import, studio: Studio, film: Film, tmp_path: Path
) -> None:
    path, recipe = film("long.mp4"), Recipe(segment=2)
    studio.broken = 1
    [first] = bring(importer(recipe), str(path))
    assert (first.state, first.passes, studio.uploads) == ("refused", False, {})
    [kept] = (tmp_path / "data" / "imports").iterdir()
    before = kept.read_bytes()
    assert states(importer(recipe), path) == ["imported", "imported"]
    assert studio.uploads[1][1] == before


def test_where_no_task_was_made_for_now_its_upload_goes_with_the_next_import(
    importer: Import, studio: Studio, film: Film
) -> None:
    path, first = film("a.mp4"), importer()
    studio.broken, studio.status = 1, 503
    outcome = one(first, path)
    assert (outcome.state, outcome.passes, len(studio.uploads)) == ("refused", True, 1)
    assert states(importer(), path) == ["imported"]
    assert len(studio.uploads) == 1
    assert list(first.scratch.glob("*.upload")) == []


@pytest.mark.parametrize("ends", [lambda: abort(504), _thread.interrupt_main], ids=["no answer", "Ctrl-C"])
def test_where_a_task_was_made_and_nobody_heard_so_its_upload_stays(
    importer: Import, studio: Studio, film: Film, ends: Callable[[], None]
) -> None:
    path, other = film("a.mp4"), film("other.mp4", seed=2)
    studio.after_task = ends
    with suppress(KeyboardInterrupt):
        assert states(importer(), path) == ["refused"]
    studio.after_task = lambda: None
    assert states(importer(), path, other) == ["present", "imported"]
    assert [name for name, _ in studio.uploads.values()] == ["a.mp4", "other.mp4"]


KILLED = """
import os, sys
from pathlib import Path
from ml_backend.importing.existing_videos import noted
from ml_backend.labelstudio.studio import LabelStudio

url, scratch, video = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
studio = LabelStudio(url, "the-token")
with noted(scratch, studio, 7, video.name, video.stat().st_size):
    studio.uploads.add(7, video, video.name, lambda done: None)
    os.kill(os.getpid(), 9)
"""


def test_an_upload_of_a_killed_import_goes_and_what_others_uploaded_stays(
    importer: Import, studio: Studio, film: Film
) -> None:
    path, other = film("a street.mp4"), film("other.mp4", seed=2)
    first = importer()
    studio.uploads[1] = ("a_street.mp4", b"of somebody else")
    ended = subprocess.run([sys.executable, "-c", KILLED, first.studio.url, str(first.scratch), str(path)], check=False)
    assert (ended.returncode, len(studio.uploads), studio.tasks) == (-9, 2, {})
    assert states(first, other) == ["imported"]
    assert [name for name, _ in studio.uploads.values()] == ["a_street.mp4", "other.mp4"]
    assert list(first.scratch.glob("*.upload")) == []


def test_an_upload_that_another_import_is_at_stays(importer: Import, studio: Studio, film: Film) -> None:
    path, other = film("a.mp4"), film("other.mp4", seed=2)
    first = importer()
    with noted(first.scratch, first.studio, 7, path.name, path.stat().st_size):
        first.studio.uploads.add(7, path, path.name, lambda done: None)
        assert states(first, other) == ["imported"]
        assert len(studio.uploads) == 2


def test_nor_does_one_go_that_has_its_task(importer: Import, studio: Studio, film: Film) -> None:
    path, other = film("a.mp4"), film("other.mp4", seed=2)
    assert states(importer(), path) == ["imported"]
    first = importer()
    with pytest.raises(ConnectionError), noted(first.scratch, first.studio, 7, path.name, path.stat().st_size):
        raise ConnectionError
    assert states(first, other) == ["imported"]
    assert len(studio.uploads) == 2


def test_nor_one_that_another_import_brings_in_while_it_is_asked_for(
    importer: Import, studio: Studio, film: Film
) -> None:
    path, coming = film("a.mp4"), list[Path]()

    @studio.after_request
    def bring_what_comes(answer: Response) -> Response:
        while coming:
            brought = coming.pop()
            studio.uploads[1] = (brought.name, brought.read_bytes())
            studio.tasks[1] = {"video": f"/data/upload/7/0123abcd-{brought.name}"}
        return answer

    first = importer()
    with suppress(ConnectionError), noted(first.scratch, first.studio, 7, path.name, path.stat().st_size):
        raise ConnectionError
    coming.append(path)
    assert remove_leftovers(first.scratch, first.studio, 7, "video") == 0
    assert list(studio.uploads) == list(studio.tasks) == [1]


def test_a_linked_file_stays_where_it_is(importer: Import, studio: Studio, film: Film, tmp_path: Path) -> None:
    path = film("served/street 1/a.mp4")
    assert states(importer(root=tmp_path / "served"), path) == ["imported"]
    assert studio.tasks[1]["video"] == "/data/local-files/?d=street%201/a.mp4"
    assert [each["path"] for each in studio.storages] == [str(path.parent)]
    mended = one(importer(Recipe(fix=True), root=tmp_path / "served"), film("served/street 1/b.mkv", seed=2))
    assert mended.state == "imported"
    assert len(studio.storages) == 1
    [made] = path.parent.glob("b.fixed.*.mp4")
    assert states(importer(), *path.parent.iterdir(), made)[-1] == "present"


def test_a_linked_file_outside_of_what_is_served_is_refused(importer: Import, film: Film, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    for name in ("elsewhere/a.mp4", "served/b.mp4"):
        outcome = one(importer(root=tmp_path / "served"), film(name))
        assert outcome.state == "refused"
        assert "Label Studio cannot serve it" in outcome.message


def test_a_quicktime_file_is_uploaded_as_what_label_studio_takes(importer: Import, studio: Studio, film: Film) -> None:
    assert states(importer(), film("phone.MOV")) == ["imported"]
    assert studio.uploads[1][0] == "phone.mp4"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("missing.mp4", None, "cannot be read"), ("empty.mp4", b"", "is empty"), ("text.mp4", b"words", "is not a video")],
)
def test_what_is_no_video_is_named(
    importer: Import, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    outcome = one(importer(), tmp_path / name)
    assert outcome.state == "refused"
    assert said in outcome.message
    assert name in outcome.message


def test_a_video_at_an_address_stays_there_and_is_known_by_its_contents(
    importer: Import, studio: Studio, film: Film
) -> None:
    path, elsewhere = film("a.mp4"), Flask("elsewhere")
    elsewhere.add_url_rule("/a b.mp4", view_func=lambda: Response(path.read_bytes(), mimetype="video/mp4"))
    with serving(elsewhere) as url:
        assert one(importer(), f"{url}/a%20b.mp4") == Outcome("a b.mp4", "imported", 1)
        assert studio.tasks[1]["video"] == f"{url}/a%20b.mp4"
    assert studio.uploads == {}
    assert states(importer(), path) == ["present"]


class TestAVideoInABucket:
    URI = "s3://films/day 1/a+b.mp4"

    def served_as(self, number: int) -> str:
        return f"/tasks/{number}/resolve/?fileuri={base64.urlsafe_b64encode(self.URI.encode()).decode()}"

    def test_is_fetched_through_label_studio_which_the_task_has_find_it(
        self, importer: Import, studio: Studio, film: Film
    ) -> None:
        path = film("a.mp4")
        studio.bucket[self.URI] = path.read_bytes()
        assert one(importer(), self.URI) == Outcome("a+b.mp4", "imported", 1)
        assert studio.tasks[1]["video"] == self.URI
        assert studio.uploads == {}
        assert states(importer(), self.URI, path) == ["present", "present"]

    def test_also_where_label_studio_sends_us_to_the_bucket_which_gets_no_token(
        self, importer: Import, studio: Studio, film: Film
    ) -> None:
        content, bucket, seen = film("a.mp4").read_bytes(), Flask("bucket"), []

        @bucket.get("/signed")
        def signed() -> Response:
            seen.append(request.headers.get("Authorization"))
            return Response(content, mimetype="video/mp4")

        with serving(bucket) as url:
            studio.bucket["gs://films/a.mp4"] = f"{url}/signed?by=studio"
            assert one(importer(), "gs://films/a.mp4").state == "imported"
        assert studio.tasks[1]["video"] == "gs://films/a.mp4"
        assert set(seen) == {None}

    @pytest.mark.parametrize("served", [True, False])
    def test_of_which_the_storage_has_made_a_task_is_there_already(
        self, importer: Import, studio: Studio, served: bool
    ) -> None:
        studio.tasks[4] = {"video": self.served_as(4) if served else self.URI}
        assert one(importer(), self.URI) == Outcome("a+b.mp4", "present", 4, "a+b.mp4 is task 4 already.")

    def test_that_no_storage_of_the_project_has_is_refused_with_what_to_do(self, importer: Import) -> None:
        outcome = one(importer(), "azure-blob://films/a.mp4")
        assert outcome.state == "refused"
        assert "Label Studio does not find azure-blob://films/a.mp4. Connect its bucket" in outcome.message


def test_an_address_that_cannot_be_used_is_named(importer: Import) -> None:
    assert "is not the URL of a video" in one(importer(), "ftp://example.org/a.mp4").message
    assert one(importer(), f"http://127.0.0.1:{closed_port()}/a.mp4").state == "refused"
