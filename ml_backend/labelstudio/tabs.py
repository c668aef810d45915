"""The tabs of the Data Manager that we make in a project: found again, never made twice, and left to whoever changes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ml_backend.labelstudio.predictions import VERSIONS
from ml_backend.labelstudio.regions import is_ours
from ml_backend.labelstudio.session import Session
from ml_backend.labelstudio.tasks import ANNOTATED, condition

# Numbers in the data of tasks, which Label Studio shows as columns. Nobody else's data begin with this name.
CERTAINTY, DOUBTS = "coldblitz_certainty", "coldblitz_doubts"
# In percent; below it a video is in the tab of those that the model is not sure of.
NOT_SURE = 75
TabName = Literal["To label", "Not sure", "Disagreement"]
_REVIEW = "To review"
# Label Studio keeps what else stands in a tab until somebody changes the tab.
_MARK = "coldblitz"
_VIEWS = "/api/dm/views/"
# Left of the columns of tasks' data are so many that ours would be out of sight.
_HIDDEN = [
    f"tasks:{name}"
    for name in (
        *(
            "inner_id",
            "cancelled_annotations",
            "annotators",
            "annotations_results",
            "annotations_ids",
            "predictions_score",
        ),
        *("predictions_model_versions", "predictions_results", "file_upload", "storage_filename", "created_at"),
        *("updated_at", "updated_by", "avg_lead_time", "draft_exists"),
    )
]
_UNLABELED = condition("total_annotations", "equal", "Number", 0)


@dataclass(frozen=True)
class _Tab:
    conditions: Sequence[Mapping[str, Any]]
    order: str


_TABS: dict[TabName, _Tab] = {
    "To label": _Tab([_UNLABELED], f"tasks:data.{CERTAINTY}"),
    "Not sure": _Tab(
        [_UNLABELED, condition(f"data.{CERTAINTY}", "less", "Number", NOT_SURE)], f"tasks:data.{CERTAINTY}"
    ),
    "Disagreement": _Tab([condition(f"data.{DOUBTS}", "greater", "Number", 0)], f"-tasks:data.{DOUBTS}"),
}


class Tabs:
    """What is done with tabs; raises as `Session` does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def keep(self, project: int, names: Collection[TabName], known: Mapping[str, int]) -> dict[str, int]:
        """Makes those of `names` that were never made; `known`: numbers of those that were. Returns the numbers of all.

        One that is known is left as it is, also when somebody has deleted it. Of a tab that somebody else has called so, none
        is made beside it.
        """
        numbers = dict(known)
        if not set(names) - numbers.keys():
            return numbers
        tabs = self._all(project)
        marked = {tab["data"].get(_MARK): int(tab["id"]) for tab in reversed(tabs)}
        titled = {tab["data"].get("title"): int(tab["id"]) for tab in reversed(tabs)}
        for name, tab in _TABS.items():
            if name not in names or name in numbers:
                continue
            found = marked.get(name, titled.get(name))
            if found is None:
                filters = {"conjunction": "and", "items": list(tab.conditions)}
                hidden = {"explore": _HIDDEN, "labeling": _HIDDEN}
                data = {
                    "title": name,
                    _MARK: name,
                    "filters": filters,
                    "ordering": [tab.order],
                    "hiddenColumns": hidden,
                }
                found = self._make(project, tabs, data)
            numbers[name] = found
        return numbers

    def save_review(self, project: int, version: str) -> None:
        """A tab with the annotated tasks that have a timeline of `version` to review.

        The label stream never serves an annotated task again. Of a tab that is there only the version changes: whoever has
        adapted it keeps it as it is.
        """
        tabs = self._all(project)
        ours = next((tab for tab in tabs if tab["data"].get("title") == _REVIEW), None)
        if ours is None:
            conditions = [ANNOTATED, condition(VERSIONS, "contains", "List", [version])]
            filters = {"conjunction": "and", "items": conditions}
            self._make(project, tabs, {"title": _REVIEW, "filters": filters})
            return
        items = list((ours["data"].get("filters") or {}).get("items") or ())
        followed = [_of_version(item, version) for item in items]
        if followed != items:
            data = {**ours["data"], "filters": {**ours["data"]["filters"], "items": followed}}
            self._session.json("PATCH", f"{_VIEWS}{ours['id']}/", {"project": project}, {"data": data})

    def _all(self, project: int) -> list[dict[str, Any]]:
        """As Label Studio gives them; one without data is nobody's."""
        return [tab for tab in self._session.json("GET", _VIEWS, {"project": project}) if tab.get("data")]

    def _make(self, project: int, tabs: list[dict[str, Any]], data: Mapping[str, Any]) -> int:
        query = {"project": project}
        if not tabs:
            # Label Studio's own first tab exists only as long as no other one does, so it is made real beside ours.
            self._session.json("POST", _VIEWS, query, {**query, "data": {"title": "Default"}})
        made = self._session.json("POST", _VIEWS, query, {**query, "data": dict(data)})
        number = int(made.get("id") or 0)
        tabs.append({"id": number, "data": dict(data)})
        return number


def _of_version(item: Mapping[str, Any], version: str) -> dict[str, Any]:
    """A condition of the review tab, with `version` in the place of the one before."""
    value = item.get("value")
    # A condition on another model's version is somebody's own.
    ours = isinstance(value, list) and len(value) == 1 and is_ours(str(value[0]))
    by_version = str(item.get("filter")).endswith(f":{VERSIONS}") and item.get("operator") == "contains"
    return {**item, "value": [version]} if ours and by_version else dict(item)
