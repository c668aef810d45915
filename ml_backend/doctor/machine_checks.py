"""What is checked on this machine: Redis, workers, the disk, the weights, the codecs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import numpy as np
from redis import Redis
from redis.exceptions import RedisError

from ml_backend import transport
from ml_backend.checks import Check, fault, fault_of, ok, warning
from ml_backend.errors import ColdblitzError
from ml_backend.features.backbones import device_for, load_backbone
from ml_backend.features.text import load_text_model
from ml_backend.features.weights import find_weights
from ml_backend.projects.installation import check_disk, check_redis, check_workers, text_state, weights_state
from ml_backend.queueing import queue
from ml_backend.queueing.embedded_redis import redis_url
from ml_backend.settings import Settings, own_address
from ml_backend.store.connect import check_store
from ml_backend.video.container import ffmpeg_version, missing_codecs
from ml_backend.video.view import PICTURE


def check_machine(settings: Settings) -> Iterator[Check]:
    yield _web(settings)
    with contextlib.closing(Redis.from_url(redis_url(settings), socket_timeout=2, socket_connect_timeout=2)) as redis:
        yield check_redis(redis)
        yield check_workers(redis)
        with contextlib.suppress(RedisError):
            yield failed_jobs(redis)
    yield check_disk(settings.data_dir)
    if settings.store_url is not None:
        yield check_store(settings)
    yield from check_backbone(settings)
    yield check_text_model(settings)
    if settings.custom_model is not None and not settings.custom_model.is_file():
        yield fault("custom model", f"CUSTOM_MODEL is {settings.custom_model}, which is not a file.", "Correct it.")
    yield check_codecs()


def _web(settings: Settings) -> Check:
    url = own_address({"HOST": settings.host, "PORT": str(settings.port)})
    try:
        answer = transport.ask("GET", f"{url}/health", timeout=5)
        if answer.status_code == 200 and answer.json().get("model_class") == "Coldblitz":
            return ok("web process", f"It answers at {url}.")
        told = "Something else answers"
    except (httpx.HTTPError, ValueError, AttributeError):
        told = "Nobody answers"
    return warning(
        "web process",
        f"{told} at {url}, where this machine's web process would be.",
        "Start it with `make serve`, or set PORT. No action is needed if only workers run here.",
    )


def failed_jobs(redis: Redis) -> Check:
    """Whether some have."""
    failed = sum(states["failed"] for states in queue.depths(redis).values())
    if not failed:
        return ok("jobs", "No job has failed.")
    return warning(
        "jobs", f"{failed} have failed.", "See the reason with `coldblitz status`, fix it, and retry the jobs."
    )


def check_backbone(settings: Settings) -> Iterator[Check]:
    """Finds the weights and the device, loads the backbone, and runs it on one picture."""
    cache = settings.data_dir / "weights"
    try:
        device = device_for(settings.device)
        yield ok("device", "A GPU embeds the frames." if device == "cuda" else "The processor embeds the frames.")
        of = settings.backbone, settings.backbone_weights
        found = find_weights(*of, cache, settings.backbone_license)
        backbone = load_backbone(
            *of, settings.device, cache, settings.backbone_license, runtime=settings.embedding_runtime
        )
        yield ok("numbers", backbone.runtime)
        backbone.embed(np.zeros((1, PICTURE, PICTURE, 3), np.uint8))
    except ColdblitzError as error:
        yield fault_of("weights", error)
        return
    except OSError as error:
        yield fault(
            "weights",
            f"The backbone cannot be kept in {cache} ({error.strerror or error}).",
            "Set DATA_DIR to a writable folder on a disk with free space.",
        )
        return
    if found.path is None:
        yield weights_state(backbone.warning)
    else:
        yield ok("weights", f"{settings.backbone} runs with {found.path}.")


def check_text_model(settings: Settings) -> Check:
    """Loads the text model, and runs it on one word and one picture."""
    name = settings.text_model
    if name is None:
        return text_state(None)
    try:
        model = load_text_model(name, device_for(settings.device), settings.data_dir / "weights")
        model.words(["a picture"])
        model.pictures(np.zeros((1, model.size, model.size, 3), np.uint8))
    except ColdblitzError as error:
        return text_state(name, error)
    return text_state(name)


def check_codecs() -> Check:
    if missing := missing_codecs():
        return fault(
            "codecs",
            f"FFmpeg's libavcodec {ffmpeg_version()} cannot decode {', '.join(missing)}.",
            "Install PyAV from the package index, whose wheels bring these decoders.",
        )
    return ok("codecs", f"libavcodec {ffmpeg_version()} decodes H.264, HEVC, AV1 and VP9.")
