"""Projects: what each is, and which model version its label stream shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import LabelStudioMissing, PayloadError
from ml_backend.labelstudio.payloads import ProjectKey
from ml_backend.labelstudio.session import Session

# Of each project in a list: without those numbers that take Label Studio long to count.
_LISTED = "id,title,label_config,model_version,created_at"
# What Label Studio counts of a project's annotations; together they tell of every one that is made, skipped or deleted.
_COUNTS = (
    "total_annotations_number",
    "skipped_annotations_number",
    "ground_truth_number",
    "num_tasks_with_annotations",
)


@dataclass(frozen=True)
class Project:
    """`counts`: of annotations, by kind. `shows_predictions`: what the admin has set for annotators."""

    key: ProjectKey
    title: str
    label_config: str
    model_version: str
    counts: tuple[int, ...] = ()
    shows_predictions: bool = True


class Projects:
    """What is asked about projects; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> Iterator[Project]:
        """Those that the token's user can see."""
        return map(self.parse, self.listed())

    def listed(self, *also: str) -> Iterator[dict[str, Any]]:
        """Projects as Label Studio lists them; `also`: fields beside those of a `Project`."""
        return self._session.pages("/api/projects/", {"include": ",".join((_LISTED, *also))}, "results")

    def get(self, number: int) -> Project:
        """A project by its number. Raises LabelStudioMissing."""
        return self.parse(self._session.json("GET", f"/api/projects/{number}/"))

    def open(self, number: int) -> Project:
        """A project by the number that somebody has given; the LabelStudioMissing that it raises says where to read it."""
        try:
            return self.get(number)
        except LabelStudioMissing as error:
            raise LabelStudioMissing(
                f"There is no project {number} at {self._session.url}, or the token's user cannot see it.",
                "The number is part of the project's URL: /projects/NUMBER.",
            ) from error

    def create(self, title: str, label_config: str) -> int:
        """Makes a project; returns its number."""
        return int(
            self._session.json("POST", "/api/projects/", body={"title": title, "label_config": label_config})["id"]
        )

    def pin(self, project: int, version: str) -> None:
        """Makes the label stream show this version; it must have predictions already."""
        self._session.json("PATCH", f"/api/projects/{project}/", body={"model_version": version})

    def save_label_config(self, project: int, label_config: str) -> None:
        """Gives a project another one. Raises LabelStudioInvalid where Label Studio does not take it."""
        self._session.json("PATCH", f"/api/projects/{project}/", body={"label_config": label_config})

    def serve_uncertain_first(self, project: int) -> None:
        """Has the label stream serve the task first whose prediction of the pinned version has the lowest score."""
        self._session.json("PATCH", f"/api/projects/{project}/", body={"sampling": "Uncertainty sampling"})

    def parse(self, item: Mapping[str, Any]) -> Project:
        """A project as Label Studio gives it."""
        try:
            return Project(
                ProjectKey.of(item),
                item["title"],
                item["label_config"] or "",
                item["model_version"] or "",
                tuple(int(item.get(name) or 0) for name in _COUNTS),
                bool(item.get("show_collab_predictions", True)),
            )
        except (PayloadError, KeyError, TypeError) as error:
            raise self._session.unexpected("/api/projects/") from error
