from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from gunicorn.config import Config

from registry.server.access_log import AccessLog

if TYPE_CHECKING:
    import pytest


def test_a_line_of_the_access_log_says_what_was_asked_and_keeps_the_upload_state(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = Config()
    config.set("accesslog", "-")
    log = AccessLog(config)
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "REQUEST_METHOD": "GET",
        "RAW_URI": '/v2/?_state=secret&a="b"',
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_REFERER": 'a"b\\c',
    }

    log.access(SimpleNamespace(status="200 OK", status_code=200, sent=2), None, environ, None)

    log.access_log.handlers.clear()
    line = capsys.readouterr().out
    assert line.startswith("192.0.2.1 - - [")
    assert line.endswith('] "GET /v2/?_state=...&a=\\"b\\" HTTP/1.1" 200 2 "a\\"b\\\\c" ""\n')
