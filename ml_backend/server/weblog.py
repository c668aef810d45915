"""gunicorn's own messages in the log that everything else goes to."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from ml_backend import logs


class WebLogger(Logger):
    """For gunicorn's `--logger-class`."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.set_up()
        self.error_log.handlers.clear()
        self.error_log.propagate = True
