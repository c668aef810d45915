"""Projects take turns: a job is put in line behind as many of each other project's as its own project has there already, so that a
hundred thousand tasks of one project do not hold up ten of another."""

from __future__ import annotations

from redis import Redis
from redis.client import Pipeline
from rq import Queue
from rq.job import Job

from ml_backend.queueing.counters import text

# A line that is longer, as of embeddings that nobody waits for, is looked at no further: who has few jobs finds a place before.
_LOOKED_AT = 1000
# Each id is looked at once or twice, within Redis, so that nobody else moves the line meanwhile.
_PUT_IN_LINE = """
local function whose(id) return string.match(id, '^%a[%a_]*_(%d+%-%d+)_') or id end
if ARGV[3] == 'move' and redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then return 0 end
local line = redis.call('LRANGE', KEYS[1], 0, ARGV[2] - 1)
local project, ours = whose(ARGV[1]), 0
for _, id in ipairs(line) do if whose(id) == project then ours = ours + 1 end end
if ours < #line then
  local passed = {}
  for _, id in ipairs(line) do
    local theirs = whose(id)
    passed[theirs] = (passed[theirs] or 0) + 1
    if theirs ~= project and passed[theirs] > ours + 1 then
      return redis.call('LINSERT', KEYS[1], 'BEFORE', id, ARGV[1])
    end
  end
end
return redis.call('RPUSH', KEYS[1], ARGV[1])
"""


class FairQueue(Queue):
    """A queue of RQ whose projects take turns."""

    def push_job_id(self, job_id: str, pipeline: Pipeline | None = None, at_front: bool = False) -> None:
        """As RQ's; within a project, and of one `at_front`, the order is RQ's."""
        if at_front:
            super().push_job_id(job_id, pipeline, at_front)
        else:
            connection = self.connection if pipeline is None else pipeline
            connection.eval(_PUT_IN_LINE, 1, self.key, job_id, _LOOKED_AT, "put")

    def _enqueue_job(
        self, job: Job, pipeline: Pipeline | None = None, at_front: bool = False, unique: bool = False
    ) -> Job:
        queued = super()._enqueue_job(job, pipeline, at_front, unique)
        if unique and not at_front:
            # RQ has put it at the end within a script of its own; a worker may have taken it from there.
            self.connection.eval(_PUT_IN_LINE, 1, self.key, job.id, _LOOKED_AT, "move")
        return queued


def in_line_of(redis: Redis, queue: Queue, project: str) -> int:
    """How many jobs of a project are in line."""
    part = f"_{project.replace('.', '-')}_"
    return sum(part in text(job_id) for job_id in redis.lrange(queue.key, 0, -1))
