from __future__ import annotations

import errno
import json
import logging
import os
import socket
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, NoSpaceError, UnavailableError
from registry.server.gunicorn_internals import errors
from registry.server.refusal import broke_off, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

PEER = "192.0.2.1"
FULL = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
IO_ERROR = OSError(errno.EIO, os.strerror(errno.EIO))
CLIENT_GONE = [
    BrokenPipeError(errno.EPIPE, "gone"),
    TimeoutError(errno.ETIMEDOUT, "gone"),
    OSError(errno.EHOSTUNREACH, "gone"),
]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    ("error", "status", "code", "level"),
    [
        (errors.LimitRequestHeaders("x"), 431, "UNSUPPORTED", logging.INFO),
        (errors.InvalidRequestLine("x"), 400, "UNSUPPORTED", logging.INFO),
        (FULL, 503, "UNAVAILABLE", logging.ERROR),
        (IO_ERROR, 503, "UNAVAILABLE", logging.ERROR),
        (MemoryError(), 503, "UNAVAILABLE", logging.ERROR),
        (UnavailableError("s3: GetObject: timeout"), 503, "UNAVAILABLE", logging.ERROR),
        (NoSpaceError("filesystem: write: full"), 507, "UNAVAILABLE", logging.ERROR),
        (DriverError("filesystem: open: Permission denied"), 500, "UNKNOWN", logging.ERROR),
        (KeyError("a bug"), 500, "UNKNOWN", logging.CRITICAL),
    ],
)
def test_a_request_is_refused_with_the_status_of_the_one_table(
    ends: tuple[socket.socket, socket.socket],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str,
    level: int,
) -> None:
    caplog.set_level(logging.INFO)
    refuse(ends[0], PEER, error)

    head, _, body = ends[1].recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["errors"][0]["code"] == code
    assert (b"\r\nRetry-After: 5" in head) == (status in {503, 507})
    (record,) = caplog.records
    assert record.levelno == level
    assert bool(record.exc_info) == (level == logging.CRITICAL)


@pytest.mark.parametrize("error", CLIENT_GONE)
def test_a_client_that_has_gone_gets_no_answer_and_nobody_has_to_act(
    ends: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    refuse(ends[0], PEER, error)
    broke_off(PEER, error)

    ends[0].close()
    assert ends[1].recv(10) == b""
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    ("error", "traceback"), [(IO_ERROR, False), (UnavailableError("x"), False), (KeyError(), True)]
)
def test_an_answer_that_breaks_off_is_one_line_with_a_traceback_for_bugs_only(
    caplog: pytest.LogCaptureFixture, error: Exception, *, traceback: bool
) -> None:
    broke_off(PEER, error)
    (record,) = caplog.records
    assert record.getMessage().startswith("an answer to 192.0.2.1 broke off")
    assert bool(record.exc_info) == traceback
