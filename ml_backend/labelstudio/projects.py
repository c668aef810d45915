"""Projects: what each is, which model version its label stream shows, and the tab in which its predictions are reviewed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import LabelStudioMissing, PayloadError
from ml_backend.labelstudio.payloads import ProjectKey
from ml_backend.labelstudio.predictions import VERSIONS
from ml_backend.labelstudio.regions import is_ours
from ml_backend.labelstudio.session import Session
from ml_backend.labelstudio.tasks import ANNOTATED, condition

_REVIEW_TAB = "To review"
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

    def serve_uncertain_first(self, project: int) -> None:
        """Has the label stream serve the task first whose prediction of the pinned version has the lowest score."""
        self._session.json("PATCH", f"/api/projects/{project}/", body={"sampling": "Uncertainty sampling"})

    def save_review_tab(self, project: int, version: str) -> None:
        """A Data Manager tab with the annotated tasks that have a timeline of `version` to review.

        The label stream never serves an annotated task again. Label Studio's own first tab exists only as long as no
        other one does, so it is made real beside ours. Of a tab that is there only the version changes: whoever has
        adapted it keeps it as it is.
        """
        path, query = "/api/dm/views/", {"project": project}
        tabs = list(self._session.json("GET", path, query))
        ours = next((tab for tab in tabs if tab["data"].get("title") == _REVIEW_TAB), None)
        if ours is not None:
            items = list((ours["data"].get("filters") or {}).get("items") or ())
            followed = [_of_version(item, version) for item in items]
            if followed != items:
                data = {**ours["data"], "filters": {**ours["data"]["filters"], "items": followed}}
                self._session.json("PATCH", f"{path}{ours['id']}/", query, {"data": data})
            return
        if not tabs:
            self._session.json("POST", path, query, {**query, "data": {"title": "Default"}})
        conditions = [ANNOTATED, condition(VERSIONS, "contains", "List", [version])]
        filters = {"conjunction": "and", "items": conditions}
        self._session.json("POST", path, query, {**query, "data": {"title": _REVIEW_TAB, "filters": filters}})

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


def _of_version(item: Mapping[str, Any], version: str) -> dict[str, Any]:
    """A condition of the review tab, with `version` in the place of the one before."""
    value = item.get("value")
    # A condition on another model's version is somebody's own.
    ours = isinstance(value, list) and len(value) == 1 and is_ours(str(value[0]))
    by_version = str(item.get("filter")).endswith(f":{VERSIONS}") and item.get("operator") == "contains"
    return {**item, "value": [version]} if ours and by_version else dict(item)
