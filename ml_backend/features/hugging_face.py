"""Models on Hugging Face: their folders, fetched once, under the same settings for certificates and proxies as all else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ml_backend import transport
from ml_backend.errors import WeightsError

WEIGHTS = "model.safetensors"
_FETCH_SECONDS = 5


def fetch_model_folder(
    source: str, cache_dir: Path | None, files: Sequence[str], message: str, remedy: str, endpoint: str | None = None
) -> Path:
    """The folder of the repository `source`, with those of `files` that it has; asked for over the network where it is not
    in `cache_dir`.

    Raises WeightsError: `message`, in which `{}` stands for the reason, and `remedy`, unless the certificate or the proxy is
    the reason. `endpoint`: the server, Hugging Face's own when None.
    """
    from huggingface_hub import constants, get_session, set_client_factory, snapshot_download

    server = endpoint or constants.ENDPOINT
    whole = [*files, WEIGHTS]
    # The other way to fetch, xet, knows none of these settings.
    constants.HF_HUB_DISABLE_XET = True
    library_client = type(get_session())
    set_client_factory(
        lambda: library_client(
            verify=transport.certificates(),
            proxy=transport.proxy_of(server),
            trust_env=False,
            follow_redirects=True,
            timeout=None,
        )
    )
    reason, instead = "", None
    for offline in (True, False):
        try:
            folder = Path(
                snapshot_download(
                    source,
                    cache_dir=cache_dir,
                    allow_patterns=whole,
                    local_files_only=offline,
                    etag_timeout=_FETCH_SECONDS,
                    endpoint=server,
                )
            )
        except Exception as error:  # it raises a dozen kinds, some of them of the libraries below it
            reason, instead = transport.why(error, server)
            continue
        # One that was broken off is completed.
        if not offline or (folder / WEIGHTS).is_file():
            return folder
    raise WeightsError(message.replace("{}", reason), instead or remedy)
