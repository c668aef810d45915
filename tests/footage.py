"""Videos of moving shapes, and as much of Label Studio as an import talks to."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from flask import Flask, Response, jsonify, redirect, request
from loopback import serving

from ml_backend.features.store import FeatureStore
from ml_backend.importing.existing_videos import holdings
from ml_backend.importing.origins import Importer
from ml_backend.importing.recipe import Recipe
from ml_backend.labelstudio.studio import LabelStudio
from ml_backend.video.cache import VideoFolder
from ml_backend.video.safe_http import VideoHosts

Film = Callable[..., Path]
Import = Callable[..., Importer]


def picture(moment: float, seed: int, size: int = 96) -> np.ndarray:
    """Shapes that move over a background, other ones for another seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    image = np.full((size, size, 3), rng.uniform(30, 90), np.float64)
    for _ in range(5):
        speed, start = rng.uniform(-0.4, 0.4, 2), rng.uniform(0, 1, 2)
        at = (start + speed * moment) % 1
        image[(np.abs(x - at[0]) < rng.uniform(0.05, 0.3)) & (np.abs(y - at[1]) < rng.uniform(0.05, 0.3))] = (
            rng.uniform(0, 255, 3)
        )
    return image.astype(np.uint8)


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Encodes `seconds` of pictures, at `times` in milliseconds or at a constant rate."""

    def make(
        name: str,
        *,
        seed: int = 1,
        seconds: float = 4,
        rate: int = 25,
        times: Sequence[int] | None = None,
        codec: str = "libx264",
        size: int = 96,
        options: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        sound: bool = False,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        moments = times if times is not None else [round(1000 * n / rate) for n in range(round(seconds * rate))]
        flags = {"movflags": "use_metadata_tags"} if path.suffix in (".mp4", ".mov") else {}
        with av.open(str(path), "w", options=flags) as container:
            container.metadata.update(tags or {})
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.width = stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            heard = container.add_stream("aac", rate=16000, layout="mono") if sound else None
            for moment in moments:
                frame = av.VideoFrame.from_ndarray(picture(moment / 1000, seed, size), "rgb24")
                frame.pts, frame.time_base = moment, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if heard is not None:
                tone = np.sin(np.arange(int(16000 * seconds)) / 5).astype(np.float32)[None]
                noise = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
                noise.sample_rate, noise.pts, noise.time_base = 16000, 0, Fraction(1, 16000)
                container.mux(heard.encode(noise))
                container.mux(heard.encode(None))
        return path

    return make


class Studio(Flask):
    """One project, with the uploads and tasks that were made in it.

    `broken`: so many of the next requests for tasks are answered with `status`. `after_task`: runs when tasks were made.
    `bucket`: what its source storage holds, by URI: the video, or the address that it redirects to.
    """

    def __init__(self) -> None:
        super().__init__("studio")
        self.uploads: dict[int, tuple[str, bytes]] = {}
        self.tasks: dict[int, dict[str, Any]] = {}
        self.storages: list[dict[str, Any]] = []
        self.bucket: dict[str, bytes | str] = {}
        self.broken, self.status = 0, 400
        self.after_task: Callable[[], object] = lambda: None
        self.route("/api/tasks")(self.list_tasks)
        self.route("/api/projects/7/import", methods=["POST"])(self.take)
        self.route("/api/projects/7/file-uploads", methods=["DELETE"])(self.forget)
        self.route("/api/projects/7/file-uploads")(self.list_uploads)
        self.route("/api/import/file-upload/<int:number>")(self.show_upload)
        self.route("/projects/7/resolve/")(self.resolve)
        self.route("/api/storages/localfiles/", methods=["GET", "POST"])(self.local_files)

    def list_tasks(self) -> Response:
        conditions = json.loads(request.args["query"]).get("filters", {}).get("items", [])
        after = max([0, *(each["value"] for each in conditions)])
        found = [{"id": number, "data": data} for number, data in sorted(self.tasks.items()) if number > after]
        return jsonify(tasks=found[: int(request.args["page_size"])], total=len(found))

    def take(self) -> tuple[Response, int]:
        if "file" in request.files:
            given = request.files["file"]
            number = len(self.uploads) + 1
            # As it names files: without spaces.
            self.uploads[number] = (str(given.filename).replace(" ", "_"), given.read())
            return jsonify(file_upload_ids=[number]), 201
        if self.broken:
            self.broken -= 1
            return jsonify(detail="not now"), self.status
        made = []
        for item in request.get_json():
            made.append(len(self.tasks) + 1)
            self.tasks[made[-1]] = item["data"]
        self.after_task()
        return jsonify(task_ids=made), 201

    def forget(self) -> Response:
        for number in request.get_json()["file_upload_ids"]:
            self.uploads.pop(number)
        return jsonify(deleted=1)

    def list_uploads(self) -> Response:
        files = [(number, self.show_upload(number).get_json()) for number in self.uploads]
        return jsonify([{"id": number, **file, "size": len(self.uploads[number][1])} for number, file in files])

    def show_upload(self, number: int) -> Response:
        return jsonify(file=f"upload/7/0123abcd-{self.uploads[number][0]}")

    def resolve(self) -> Response | tuple[str, int]:
        found = self.bucket.get(base64.urlsafe_b64decode(request.args["fileuri"]).decode())
        if found is None or request.headers.get("Authorization") != "Token the-token":
            return "", 404
        return redirect(found, 303) if isinstance(found, str) else Response(found, mimetype="video/mp4")

    def local_files(self) -> Response:
        if request.method == "POST":
            self.storages.append(request.get_json())
        return jsonify(self.storages)


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def importer(studio: Studio, tmp_path: Path) -> Iterator[Import]:
    """What an import begins with, having asked the studio afresh what it holds."""

    @contextmanager
    def no_bar(text: str) -> Iterator[Callable[[float], None]]:
        yield lambda done: None

    with serving(studio) as url:

        def make(recipe: Recipe | None = None, root: Path | None = None, allow_duplicates: bool = False) -> Importer:
            client = LabelStudio(url, "the-token")
            videos = VideoFolder(tmp_path / "data" / "videos", 1 << 30, 1 << 30, VideoHosts.of(["127.0.0.1"]))
            known = holdings(
                client, client.tasks.all(7), "video", videos, FeatureStore(tmp_path / "data" / "features", 1 << 30)
            )
            scratch = tmp_path / "data" / "imports"
            return Importer(
                client, 7, "video", "fps", known, recipe or Recipe(), scratch, videos, root, allow_duplicates, no_bar
            )

        yield make
