"""gunicorn's log as a registry's: its own messages among ours, one line a request without secrets."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

from registry.foundation.redaction import redacted
from registry.observation.log import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping


class AccessLog(Logger):
    """gunicorn's logger: its own messages go where ours go, requests to stdout in the combined format."""

    def setup(self, cfg: Any) -> None:
        """Take over gunicorn's loggers."""
        self.cfg = cfg
        self._access_log_enabled = cfg.accesslog is not None
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.access_log.handlers.clear()
        self.access_log.propagate = False
        if self._access_log_enabled:
            self._lines = logging.StreamHandler(sys.stdout)

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log what only gunicorn's developers want to know as such."""
        self.error_log.debug(msg, *args, **kwargs)

    def access(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: Any) -> None:
        """Write one line in Apache's combined format."""
        del req, request_time
        if not self._access_log_enabled or not environ:
            return
        uri, referer, agent = (_escaped(environ.get(key, "")) for key in ("RAW_URI", "HTTP_REFERER", "HTTP_USER_AGENT"))
        request = f"{environ['REQUEST_METHOD']} {uri} {environ['SERVER_PROTOCOL']}"
        status = resp.status_code if resp.status else "-"
        address = environ.get("REMOTE_ADDR") or "-"
        write_whole(self._lines, f'{address} - - {self.now()} "{request}" {status} {resp.sent} "{referer}" "{agent}"')


def _escaped(text: str) -> str:
    return redacted(text).replace("\\", "\\\\").replace('"', '\\"')
