from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from aiosmtpd.controller import Controller

from tests.observation.written import Mailbox, Stderr
from tests.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Stderr]:
    """What goes to stderr; the loggers are as before afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    yield Stderr(capsys)
    for handler in root.handlers:
        handler.close()
    root.handlers = before
    root.setLevel(level)


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    box = Mailbox()
    port = free_port()
    # What it says itself would be mailed to it.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"127.0.0.1:{port}"
    controller.stop()
