from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi

from registry.server.connection import Connection
from registry.server.environ import environ_of
from registry.server.gate import Gate
from registry.server.gunicorn_internals import Settings, parse_head
from registry.server.heads import Heads

OTHER = {"wsgi.errors", "wsgi.multithread", "wsgi.early_hints", "SERVER_SOFTWARE", "wsgi.input"}
"""What is another thing here, or not there."""


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2/ HTTP/1.1\r\nHost: a:5000\r\n\r\n",
        b"GET /v2/a%2Fb%C3%A4/x?n=%2F&m HTTP/1.1\r\nHost: a\r\nAccept: x\r\nX-A: 1\r\nAccept: y\r\nX_A: 2\r\n\r\n",
        b"PUT http://b/v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Type: a/b\r\nContent-Range: 0-2\r\n\r\n",
        b"PATCH /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        b"GET /v2/ HTTP/1.0\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 1.2.3.4\r\nX-L: \xe4\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost:\r\n\r\n",
    ],
)
@pytest.mark.parametrize(
    ("client", "server"),
    [
        (("127.0.0.1", 1234), ("127.0.0.1", 5000)),
        (("::1", 1234, 0, 0), ("::1", 5000, 0, 0)),
        ("", "/run/registry.sock"),
        (b"", "/run/registry.sock"),
    ],
)
def test_the_environment_is_that_of_gunicorn(head: bytes, client: Any, server: Any) -> None:
    os.environ.pop("SCRIPT_NAME", None)
    configuration = Config()
    configuration.set("http_parser", "auto")
    settings = Settings(configuration)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(settings, ours, client, server, Gate())
        made = environ_of(Heads(settings).read(head, client)[0], connection, settings)
        request, _ = parse_head(settings, head, client)
        request._expected_100_continue = False
        _, wanted = wsgi.create(request, ours, client, server, configuration)

        assert {key: made[key] for key in made.keys() - OTHER} == {
            # A socket in the file system has no port: gunicorn has a number for one, and "" where there is no host.
            key: (str(value) or "80") if key == "SERVER_PORT" else value
            for key, value in wanted.items()
            if key not in OTHER
        }
