"""What was made for a label config that has changed since: suggestions name its controls and its video, and count its frames."""

from __future__ import annotations

from ml_backend.jobs.project import ProjectWork
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.projects import reconcile_state, registry, stored_predictions
from ml_backend.queueing.queue import enqueue


def follow_controls(work: ProjectWork, stored: dict[str, int]) -> str | None:
    """Has predictions made anew when a control or a `<Video>` was renamed, or its frame rate changed: Label Studio shows those
    with other names nowhere, and those that count other frames at other moments.

    `stored`: the number of predictions of each version, from which those that are deleted are taken. What is only added to a
    config changes nothing of what is there. Returns what was done, if anything.
    """
    redis, key = work.context.redis, work.key
    now = [[q.from_name, q.to_name, q.video, q.kind, str(q.framerate)] for q in work.config.questions]
    before = reconcile_state.get(redis, key, "controls")
    if before == now:
        return None
    # What a release before this one has noted says nothing of frame rates.
    if before is not None and any(each not in [question[: len(each)] for question in now] for each in before):
        active = registry.active_version(redis, key)
        for version in filter(None, (KEYFRAMES_VERSION, active)):
            # Whoever has such a task open cannot submit it: the editor that they have open is the old one.
            if stored.pop(version, 0):
                work.context.client.delete_version(work.id, version)
            stored_predictions.delete(work.context.settings.data_dir, key, version)
        reconcile_state.drop(redis, key, "tasks", "cursor", "trained")
        if active is not None:
            registry.want(redis, key, active)
            enqueue(redis, "rollout", key, active, again=True)
    reconcile_state.put(redis, key, "controls", now)
    return None if before is None else "the label config's controls have changed"
