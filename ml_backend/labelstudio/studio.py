"""Label Studio's API, as far as the backend needs it: what is asked and done, by what it is about."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from ml_backend.labelstudio.addresses import Videos
from ml_backend.labelstudio.annotations import Annotations
from ml_backend.labelstudio.companion import Companion
from ml_backend.labelstudio.connections import Backends, Webhooks
from ml_backend.labelstudio.predictions import Predictions
from ml_backend.labelstudio.projects import Projects
from ml_backend.labelstudio.session import Session
from ml_backend.labelstudio.tabs import Tabs
from ml_backend.labelstudio.tasks import Tasks
from ml_backend.labelstudio.uploads import Uploads


class LabelStudio:
    """One Label Studio, reached with one token (personal access token or legacy token) over one pool of connections; takes what
    `Session` does.

    Every method of its parts raises LabelStudioUnreachable when trying again can help, LabelStudioRefused on 401 and 403, and
    LabelStudioError on any other refusal. Making one raises LabelStudioRefused when the token has ended, and SettingsError.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        timeout: float = 60.0,
        public: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._session = session = Session(url, api_key, timeout, public, transport)
        self.url = session.url
        self.projects = Projects(session)
        self.tasks = Tasks(session)
        self.tabs = Tabs(session)
        self.predictions = Predictions(session)
        self.annotations = Annotations(session)
        self.videos = Videos(session)
        self.uploads = Uploads(session)
        self.webhooks = Webhooks(session)
        self.backends = Backends(session)
        self.companion = Companion(session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; it is not used after that."""
        self._session.close()
