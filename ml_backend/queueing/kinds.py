"""The kinds of jobs: which function does one, for how long at most, and in which order workers take them.

Functions are named here and imported by the worker that does the job, so that the web process, which only queues them, does not load
torch. A new kind of job is one line here; tests/queueing/test_kinds.py holds that each name leads to a function that takes a context
and a project.
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3600


@dataclass(frozen=True)
class Kind:
    """A kind of job. `timeout` in seconds, to which each video that it opens adds (`queueing.job_limits`); `function` by name, so
    that the web process does not import torch.

    `retried`: whether one that failed for a reason that passes is tried again by itself. `part_of`: the kind whose jobs are shared out
    into jobs of this one, which stand for them in `/jobs`. Workers take them in turn with jobs from that kind on
    (`queueing.parts.in_turn`).
    """

    function: str
    timeout: int
    retried: bool = True
    part_of: str | None = None


# In the order in which a worker takes them.
KINDS: dict[str, Kind] = {
    # Somebody looks at a page until these are done; what failed they ask for again.
    "configure": Kind("ml_backend.jobs.reconciling.configure.configure", HOUR // 12, retried=False),
    "mend": Kind("ml_backend.doctor.job.mend", HOUR // 12, retried=False),
    "examine": Kind("ml_backend.doctor.job.examine", HOUR // 6, retried=False),
    "examine_installation": Kind("ml_backend.doctor.job.examine_installation", HOUR // 6, retried=False),
    "reconcile": Kind("ml_backend.jobs.reconciling.reconcile.reconcile", HOUR // 2),
    "train": Kind("ml_backend.jobs.training.train.train", HOUR),
    "rollout": Kind("ml_backend.jobs.predictions.rollout.rollout", HOUR),
    "suggest": Kind("ml_backend.jobs.suggestions.suggest.suggest", HOUR // 2),
    "predict": Kind("ml_backend.jobs.predictions.rollout.predict", HOUR // 2),
    # Pictures of the suggested frames for those who label now; those of better ones follow.
    "companion": Kind("ml_backend.jobs.companion.images.companion", HOUR // 2),
    # Somebody wants to see it and waits.
    "fetch": Kind("ml_backend.jobs.suggestions.sheet.fetch", HOUR // 2),
    # A roll-out waits for these, and goes on without a video that cannot be had now.
    "embed": Kind("ml_backend.jobs.suggestions.embed.embed", HOUR // 2, retried=False),
    # Labels of tracks, from what is stored of them; a track that is found later has them from the start.
    "recognize": Kind("ml_backend.jobs.objects.recognize.recognize", HOUR),
    # A whole video is looked at, and once more for each box that a person drew.
    "track": Kind("ml_backend.jobs.objects.track.track", HOUR),
    # One of a long video, which must not hold up the short ones.
    "embed_part": Kind("ml_backend.jobs.suggestions.embed_part.embed_part", HOUR // 2, part_of="embed"),
    "evaluate": Kind("ml_backend.jobs.training.evaluate.evaluate", HOUR),
    "quality": Kind("ml_backend.jobs.training.quality.quality", HOUR),
    "stopping": Kind("ml_backend.jobs.predictions.stopping.stopping", HOUR),
    "columns": Kind("ml_backend.jobs.columns.columns", HOUR // 2),
    # Minutes to hours, for which it asks while it trains; everything that people wait for goes first.
    "train_detector": Kind("ml_backend.jobs.objects.train_detector.train_detector", 2 * HOUR),
    # A page waits for it, but nothing else does.
    "sheet": Kind("ml_backend.jobs.suggestions.sheet.sheet", HOUR // 2),
    "bouts": Kind("ml_backend.export.bout_tables.bouts", HOUR),
    "export": Kind("ml_backend.export.job.export", 4 * HOUR),
    # Nobody asked for them: they wait for everything else.
    "pictures": Kind("ml_backend.jobs.suggestions.sheet.pictures", HOUR // 2, retried=False),
    # Asked for again every few minutes anyway.
    "recheck": Kind("ml_backend.jobs.replaced_videos.recheck", HOUR // 6, retried=False),
    "discover": Kind("ml_backend.jobs.reconciling.reconcile.discover", HOUR // 2, retried=False),
}

# Those that are about a Label Studio and not about one of its projects.
OF_ALL_PROJECTS = ("discover", "examine_installation")
