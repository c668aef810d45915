"""The video that a file of boxes is about: names with dots, several videos of one name, and none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from box_import_scene import OTHER, Import, bring, context, mot, project, redis, redis_settings, shown, studio
from boxed_project import HEIGHT, WIDTH, region, submit
from studio import Studio

from ml_backend.errors import SettingsError
from ml_backend.export.box_files import BoxForm
from ml_backend.export.boxed_tasks import BoxChoice
from ml_backend.export.boxes import write_boxes
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.project import open_boxes

__all__ = ["bring", "context", "project", "redis", "redis_settings", "studio"]


class TestWhichVideo:
    """A dot belongs to the name, unless the ending of a video follows it."""

    ROW = "1,1,33,19,64,36"
    POINTS = "scorer,a,a,a,a,a,a\nbodyparts,n,n,n,t,t,t\ncoords,x,y,likelihood,x,y,likelihood\n0,32,18,1,96,54,1\n"

    @pytest.fixture
    def dotted(self, project: Studio) -> Studio:
        for task, name in ((1, "film.mp4"), (2, "film.2.mp4")):
            project.tasks[task]["data"]["name"] = name
        return project

    def pictures(self, path: Path, *names: str, **more: Any) -> Path:
        images = [
            {"id": at, "file_name": each, "width": WIDTH, "height": HEIGHT, **({"video_id": at} if more else {})}
            for at, each in enumerate(names)
        ]
        boxes = [{"id": at, "image_id": at, "category_id": 1, "bbox": [32, 18, 64, 36]} for at in range(len(names))]
        told = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "rat"}], **more}
        path.write_text(json.dumps(told))
        return path

    @pytest.mark.parametrize(
        "name",
        [
            "film.2/gt/gt.txt",
            "film.2.txt",
            "FILM.2.txt",
            "film 2.txt",
            "film.2.MP4/gt/gt.txt",
            "film.2_task9/gt/gt.txt",
        ],
    )
    def test_mot(self, dotted: Studio, bring: Import, tmp_path: Path, name: str) -> None:
        assert [each.task for each in bring(mot(tmp_path / name, self.ROW))] == [2]

    @pytest.mark.parametrize("name", ["film.2DLC_resnet50_x.csv", "labels.v1.000_film.2.analysis.csv"])
    def test_keypoints(self, dotted: Studio, bring: Import, tmp_path: Path, name: str) -> None:
        sleap = "track,frame_idx,n.x,n.y,t.x,t.y\na,0,32,18,96,54\n"
        (tmp_path / name).write_text(self.POINTS if "DLC" in name else sleap)
        assert [each.task for each in bring(tmp_path / name)] == [2]

    @pytest.mark.parametrize("name", ["film.2_frame000003.jpg", "film.2_task2_frame000003.jpg"])
    def test_pictures(self, dotted: Studio, bring: Import, tmp_path: Path, name: str) -> None:
        assert [each.task for each in bring(self.pictures(tmp_path / "a.json", name))] == [2]

    def test_a_number_of_a_task_whose_video_is_called_otherwise_does_not_count(
        self, dotted: Studio, bring: Import, tmp_path: Path
    ) -> None:
        assert [each.task for each in bring(mot(tmp_path / "film.2_task1" / "gt" / "gt.txt", self.ROW))] == [2]

    def test_an_exact_name_wins(self, dotted: Studio, bring: Import, tmp_path: Path) -> None:
        dotted.tasks[1]["data"]["name"] = "film 2.mp4"
        assert [each.task for each in bring(mot(tmp_path / "film.2.txt", self.ROW))] == [2]
        assert [each.task for each in bring(mot(tmp_path / "film 2.txt", self.ROW))] == [1]
        with pytest.raises(SettingsError, match=r"tasks 1, 2 all show film_2\. Say which with --task"):
            bring(mot(tmp_path / "film_2.txt", self.ROW))

    def test_what_another_video_is_called_exactly_and_the_number_says_otherwise_is_not_clear(
        self, dotted: Studio, bring: Import, tmp_path: Path
    ) -> None:
        dotted.tasks[2]["data"]["name"] = "film_task1.mp4"
        with pytest.raises(SettingsError, match="tasks 1, 2 all show film_task1"):
            bring(mot(tmp_path / "film_task1.txt", self.ROW))

    def test_a_number_in_coco_counts_where_the_name_fits(self, dotted: Studio, bring: Import, tmp_path: Path) -> None:
        listed = [{"id": 0, "name": "film.2.mp4", "task": 1}]
        file = self.pictures(tmp_path / "a.json", "x_frame000003.jpg", videos=listed)
        assert [each.task for each in bring(file)] == [2]

    @pytest.mark.parametrize("name", ["film.2.mp4", "film.2"])
    @pytest.mark.parametrize("form", ["coco", "mot"])
    def test_an_export_of_two_videos_of_one_name_comes_back_to_their_tasks(
        self, project: Studio, context: JobContext, bring: Import, tmp_path: Path, form: BoxForm, name: str
    ) -> None:
        for task, label in ((1, "rat"), (2, "mouse")):
            project.tasks[task]["data"]["name"] = name
            submit(project, task, region("a", OTHER, label))
        out = tmp_path / ("boxes.json" if form == "coco" else "tracks")
        write_boxes(open_boxes(context, 7), out, form, BoxChoice(), lambda text: lambda share: None)
        outcomes = bring(*([out] if form == "coco" else sorted(out.rglob("gt.txt"))))
        assert [(each.state, each.task) for each in outcomes] == [("imported", 1), ("imported", 2)]
        seen = [[each.labels for each in shown(project, context, task).values()] for task in (1, 2)]
        assert seen == [[("rat",)], [("mouse",)]]
