"""Counts what people have labelled, each time a training reads it anyway."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from ml_backend.annotation import Region
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.training.labelled import Annotated, pushed_regions
from ml_backend.learning.annotation_reading import is_from_model, is_untouched
from ml_backend.projects.label_report import Author, HumanRegion, LabelReport, save


def note_labelled(work: ProjectWork, annotated: Sequence[Annotated], reviewed: Collection[int]) -> None:
    """Writes the project's label report; `reviewed` are the tasks whose whole video was looked at. Raises StorageError."""
    data_dir = work.context.settings.data_dir
    regions = {each.task.id: _regions(each, pushed_regions(data_dir, work, each)) for each in annotated}
    every = [region for mine in regions.values() for region in mine]
    frames, counts = Counter[str](), Counter[str]()
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    for region in every:
        for label in region.labels:
            frames[label] += region.end - region.start + 1
            counts[label] += 1
            sources[label][region.source] += 1
    report = LabelReport(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        tasks=tuple(sorted(regions)),
        reviewed=tuple(sorted(set(reviewed) & regions.keys())),
        frames=dict(frames),
        regions=dict(counts),
        authors=_authors(annotated, every, work.context.client.names() if annotated else {}),
        sources={label: dict(found) for label, found in sources.items()},
    )
    save(data_dir, work.key, report, regions.items())


def _regions(annotated: Annotated, pushed: Mapping[str, Region]) -> list[HumanRegion]:
    """Without the suggestions that nobody answered."""
    return [
        HumanRegion(int(region.start), int(region.end), region.labels, annotation.author, _source(region, pushed))
        for annotation in annotated.annotations
        for region in annotation.regions
        if region.labels
    ]


def _source(region: Region, pushed: Mapping[str, Region]) -> str:
    if is_untouched(region, pushed):
        return "accepted"
    return "changed" if is_from_model(region, pushed) else "person"


def _authors(
    annotated: Sequence[Annotated], every: Sequence[HumanRegion], names: Mapping[int, str]
) -> tuple[Author, ...]:
    """The busiest first."""
    annotations = [annotation for each in annotated for annotation in each.annotations]
    found = []
    for author in dict.fromkeys(annotation.author for annotation in annotations):
        mine = [region for region in every if region.author == author]
        sources = Counter(region.source for region in mine)
        own = [annotation for annotation in annotations if annotation.author == author]
        times = [annotation.lead_time for annotation in own if annotation.lead_time is not None]
        found.append(
            Author(
                author,
                len(own),
                sum(region.end - region.start + 1 for region in mine),
                sources["person"],
                sources["accepted"],
                sources["changed"],
                max(annotation.updated_at for annotation in own).isoformat(timespec="seconds"),
                None if author is None else names.get(author),
                round(sum(times), 1) if times else None,
                round(median(times), 1) if times else None,
            )
        )
    return tuple(sorted(found, key=lambda row: -row.frames))
