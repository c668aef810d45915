"""Embeds one task's video ahead of time, so that the first predictions do not have to wait for it."""

from __future__ import annotations

from dataclasses import replace

from ml_backend.features.embedding import VideoFeatures
from ml_backend.jobs.box_tracks import with_tracks
from ml_backend.jobs.companion.images import want_images
from ml_backend.jobs.context import JobContext
from ml_backend.jobs.embeddings import backbone_of_version, task_features, tell_of_weights
from ml_backend.jobs.individuals.cast import cast_of, individuals_of
from ml_backend.jobs.individuals.reel import reel_features, reel_of
from ml_backend.jobs.job import job
from ml_backend.jobs.predictions.pushing import pushing
from ml_backend.jobs.project import ProjectWork, open_project
from ml_backend.jobs.suggestions.deduplication import Asked, not_asked_yet
from ml_backend.jobs.suggestions.embed_part import share_out
from ml_backend.jobs.suggestions.suggest import NOT_SUGGESTED, judged, left_out, studio_frames, suggestible
from ml_backend.jobs.text_hints import prompted_frames, read_as_well
from ml_backend.jobs.videos import inspect_once, tell, tell_of_damage, video_name
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION, prediction_json, suggestion
from ml_backend.labelstudio.tasks import Task
from ml_backend.learning.families import scene_rows
from ml_backend.projects import registry, stored_predictions
from ml_backend.queueing.queue import enqueue
from ml_backend.video.timeline import studio_grid
from sampling.auto import auto


@job
def embed(context: JobContext, project_key: str, task_number: int) -> str:
    """Puts the embeddings of one task's video into the store, and improves its suggestions with them. A long one is shared out: then this
    is done once its parts are there."""
    work = open_project(context, project_key)
    tell_of_weights(work)
    backbone = context.backbone_for(work.settings)
    task = context.studio.tasks.get(work.id, task_number)
    seen = [(question, backbone) for question in (work.question, *work.config.videos[1:])]
    if (own := backbone_of_version(work, registry.wanted_version(context.redis, work.key))) is not None:
        seen.append((work.question, own))
    embedded = []
    for question, network in seen:
        if (told := share_out(work, task, question, network)) is not None:
            return told
        embedded.append(task_features(context, question, task, network, context.progress))
    features = embedded[0]
    if individuals_of(work) is not None and (cast := cast_of(work, task)).individuals:
        reel_features(work, task, reel_of(work, task, cast), backbone, context.progress)
    inspect_once(work, task, features.timeline.duration)
    tell_of_damage(work, task, features)
    features = read_as_well(work, task, features)
    done = f"embedded {len(features.frames)} of {len(features.timeline)} frames of task {task.id}"
    # Nobody waits for these.
    enqueue(context.redis, "pictures", project_key, task.id)
    return f"{done}, suggested others" if _improve_suggestions(work, task, features) else done


def _improve_suggestions(work: ProjectWork, task: Task, features: VideoFeatures) -> bool:
    """Replaces hash suggestions by what label names choose and what the embeddings show, unless somebody has begun to
    work on the task."""
    backbone = work.context.backbone_for(work.settings)
    can_choose = backbone.trained or features.text is not None
    wanted = work.settings.sampling == "auto" and can_choose and work.question.kind == "timeline"
    if not wanted or registry.active_version(work.context.redis, work.key) is not None:
        return False
    number = work.context.studio.predictions.untouched(work.id, task.id, KEYFRAMES_VERSION)
    if number is None:
        return False
    quality = judged(features.samples)
    tell(work, task.id, NOT_SUGGESTED, left_out(video_name(task, work.question), quality))
    good = suggestible(scene_rows(features), features.frames, features.samples, quality)
    trained = backbone.trained
    chosen = prompted_frames(work, features, good if trained else replace(good, embeddings=None))
    if chosen is None:
        chosen = auto(good, work.settings.frames_per_video)
    grid = studio_grid(features.timeline, work.question.framerate_of(task.data))
    if trained:
        asked = Asked(work.context.settings.data_dir, work.key)
        chosen = not_asked_yet(asked, task.id, features, backbone.keys, grid, chosen, good)
    item = prediction_json(suggestion(task.id, studio_frames(grid, chosen)), work.question)
    stored = stored_predictions.load(work.context.settings.data_dir, work.key, KEYFRAMES_VERSION, task.id)
    # Those of another video of the task stay.
    item["result"] += [
        one for one in (stored["result"] if stored else []) if one["from_name"] != work.question.from_name
    ]
    with pushing(work):
        item = with_tracks(work, task, item)
        work.context.studio.predictions.replace(number, item)
        stored_predictions.save(work.context.settings.data_dir, work.key, item)
    want_images(work, task.id)
    return True
