"""The routes that Label Studio calls. Each answers at once; nothing here waits for a model, a video or Label Studio."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from flask import Blueprint, Response, current_app, jsonify, request
from redis import Redis
from werkzeug.exceptions import UnsupportedMediaType

from ml_backend.errors import LabelConfigError, PayloadError
from ml_backend.labelstudio import payloads
from ml_backend.labelstudio.json_stream import Stream
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.payloads import Event, PredictTask, ProjectKey
from ml_backend.labelstudio.regions import KEYFRAMES_VERSION
from ml_backend.prediction_item import StoredItem
from ml_backend.projects import activity, drawn_boxes, links, reconcile_state, registry, stored_predictions, tracks
from ml_backend.projects.reconcile_state import Identity
from ml_backend.queueing import counters
from ml_backend.queueing.queue import ask_in_line, read_in_line
from ml_backend.queueing.queue import enqueue as queue
from ml_backend.roi import usable_roi
from ml_backend.server.drawn_boxes import following
from ml_backend.settings import Settings

blueprint = Blueprint("protocol", __name__)
# Some proxies take no status line beyond 8 kB.
_MOST_REASON = 1000
_WHEN = "Coldblitz makes the next version when annotations are submitted."


@dataclass(frozen=True)
class Backend:
    settings: Settings
    redis: Redis

    def version(self, project: str) -> str:
        """What `/setup` and `/predict` call the current model version: the pinned one."""
        return registry.active_version(self.redis, project) or KEYFRAMES_VERSION


def backend() -> Backend:
    found: Backend = current_app.extensions["coldblitz"]
    return found


@blueprint.get("/health")
def health() -> Response:
    return jsonify(status="UP", model_class="Coldblitz")


@blueprint.post("/setup")
def setup() -> Response:
    body = json_body()
    version = receive_setup(backend(), body)
    try:
        parse_label_config(payloads.parse_setup(body).label_config)
    except LabelConfigError as error:
        return _refusal(error)
    return jsonify(model_version=version)


def _refusal(error: LabelConfigError) -> Response:
    """Of a project of which nothing is predicted. Its page about the model shows no body, but the reason in the status line.

    The project is remembered all the same: its config may change.
    """
    answer = jsonify(error=error.message, remedy=error.remedy)
    reason = " ".join(error.message.split()).encode("ascii", "replace").decode()
    answer.status = f"400 {reason[:_MOST_REASON]}"
    return answer


def receive_setup(backend: Backend, body: object) -> str:
    """Remembers a project and returns its current version. Raises PayloadError.

    Under which address Label Studio has called us, its ML backend entry says: proxies change what a request shows of it.
    """
    asked = payloads.parse_setup(body)
    key, redis = str(asked.project), backend.redis
    registry.remember(redis, registry.Known(key, asked.label_config, asked.extra_params))
    links.note_call(redis, key)
    if links.is_disconnected(redis, key):
        # Whoever was found in our place may have gone.
        reconcile_state.drop(redis, key, "entries")
    queue(backend.redis, "reconcile", key, again=True)
    return backend.version(key)


@blueprint.post("/predict")
def predict() -> Response:
    results = answer_predict(backend(), *payloads.read_predict(_stream()))
    return Response(b'{"results": [%b]}' % b", ".join(results), mimetype="application/json")


# An empty *list* of predictions stores nothing and is asked again; {"result": []} would be stored, and shown for ever.
_NOTHING_YET = b"[]"


def answer_predict(backend: Backend, project: ProjectKey | None, tasks: Sequence[PredictTask]) -> list[bytes]:
    """The JSON of one item per task, in order: the prediction that is ready, or `[]`; what is missing is queued."""
    if project is None:
        return [_NOTHING_YET] * len(tasks)
    key = str(project)
    version = backend.version(key)
    if any(task.drawn is not None for task in tasks):
        return [_interactive(backend, key, version, task) for task in tasks]
    wanted = [task.id for task in tasks if version not in task.versions]
    found = stored_predictions.answers(backend.settings.data_dir, key, version, wanted)
    for task in _others(backend, key, [task for task in tasks if task.id in found]):
        del found[task]
    if any(task not in found for task in wanted):
        queue(backend.redis, "reconcile", key)
    return [found.get(task.id, _NOTHING_YET) for task in tasks]


def _interactive(backend: Backend, key: str, version: str, task: PredictTask) -> bytes:
    """What the editor shows at once beside what was just drawn there. Label Studio stores none of it.

    A box gets the track of its object, if it is known; else it is followed, and its track is there when it is asked for again.
    """
    item: StoredItem = {"model_version": version, "score": 0.0, "result": []}
    project = registry.recall(backend.redis, key) if task.drawn else None
    with suppress(LabelConfigError):
        config = parse_label_config(project.label_config) if project else None
        if config is not None and config.tracks:
            stored = tracks.load(backend.settings.data_dir, key, task.id)
            found = following(config, task, None if _others(backend, key, [task]) else stored)
            if found.to_follow and not links.is_disconnected(backend.redis, key):
                drawn_boxes.note(backend.redis, key, task.id, found.to_follow)
                queue(backend.redis, "track", key, task.id, again=True)
            score = min((each["score"] for each in found.ready), default=0.0)
            item = {**item, "score": score, "result": list(found.ready)}
    return json.dumps(item).encode()


def _others(backend: Backend, key: str, tasks: Sequence[PredictTask]) -> list[int]:
    """Those whose number was another task's, or that showed another video, when their predictions were made."""
    known = reconcile_state.recall_identities(backend.settings.data_dir, key, [task.id for task in tasks])
    project = registry.recall(backend.redis, key) if known else None
    try:
        config = parse_label_config(project.label_config) if project else None
    except LabelConfigError:
        config = None
    if config is None:
        return []
    now = {
        task.id: Identity.of(task.created, config.shown(task.data), usable_roi(task.data))
        for task in tasks
        if task.id in known
    }
    return [task for task, identity in now.items() if identity != known[task]]


@blueprint.post("/webhook")
def webhook() -> tuple[Response, int]:
    """201 with `result` and `status`, as upstream's example backends answer, beside our own `queued`."""
    queued = receive_event(backend(), payloads.read_event(_stream()))
    return jsonify(queued=queued, result={"queued": queued}, status="ok"), 201


def receive_event(backend: Backend, event: Event) -> list[str]:
    """Queues what an event of Label Studio asks for, and returns the jobs' ids."""
    about, is_annotation = str(event.companion_of or event.project), event.action in payloads.ANNOTATION_ACTIONS
    # Of many annotations all but the first find a training that waits: that costs one question to Redis, since for each answer
    # this thread waits until other processes and threads let it go on.
    with backend.redis.pipeline(transaction=False) as asking:
        counters.count_event(asking, event.action)
        if is_annotation:
            registry.note_annotation(asking, about)
        links.ask_connected(asking, about)
        asked = ask_in_line(asking, "train", about) if is_annotation else 0
        answers = asking.execute()
    states = answers[len(answers) - asked :]
    kinds = _wanted(backend, event, links.says_disconnected(answers[-1 - asked]))
    in_line = read_in_line(states, "train", about) if kinds == ("train",) and states else None
    if in_line is not None:
        return [in_line]
    queued = [queue(backend.redis, kind, about, again=True) for kind in kinds]
    return [job_id for job_id in queued if job_id is not None]


def _wanted(backend: Backend, event: Event, is_disconnected: bool) -> tuple[str, ...]:
    if is_disconnected:
        # It finds out whether we are back, and takes the webhook away that has brought this.
        return ("reconcile",)
    if event.action in payloads.ANNOTATION_ACTIONS:
        # What else happens to a companion is mostly our own doing, and the reconcile finds the rest.
        return ("train",)
    if event.companion_of is not None:
        return ()
    if event.action == "START_TRAINING":
        return ("train", "reconcile")
    if event.action in payloads.TASK_ACTIONS:
        return ("reconcile",)
    if event.action == "PROJECT_UPDATED" and event.label_config is not None:
        known = registry.recall(backend.redis, str(event.project))
        # Our own pinning comes back as this event too; only another label config is news.
        if known is not None and known.label_config != event.label_config:
            registry.remember(backend.redis, replace(known, label_config=event.label_config))
            return ("reconcile", "train")
    return ()


@blueprint.route("/versions", methods=["GET", "POST"])
def versions() -> Response:
    body = json_body() if request.method == "POST" and request.content_length else {}
    project = body.get("project") if isinstance(body, dict) else None
    keys = [str(payloads.ProjectKey.parse(project))] if project is not None else registry.known_keys(backend().redis)
    found = {version for key in keys for version in stored_predictions.versions(backend().settings.data_dir, key)}
    listed = [*sorted(found), *links.answer(backend().redis)]
    doing = [
        f"Project {registry.number_of(key)}: {said}." for key in keys if (said := activity.recall(backend().redis, key))
    ]
    return jsonify(versions=listed, message=" ".join(doing) or _WHEN)


def _stream() -> Stream:
    """What the request carries, for those who read it piece by piece. Raises UnsupportedMediaType for another content type."""
    if not request.is_json:
        raise UnsupportedMediaType("The request's content type is not application/json.")
    return request.stream


def json_body() -> object:
    """What the request carries. Raises PayloadError, and UnsupportedMediaType for another content type."""
    _stream()
    body = request.get_json(silent=True)
    if body is None:
        raise PayloadError("The request's body is not JSON.", "See docs/openapi.yaml for what each address takes.")
    return body
