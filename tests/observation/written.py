"""What a process has written to its log and mailed."""

from __future__ import annotations

import email
import email.policy
import logging
import shlex
from typing import TYPE_CHECKING

from registry.observation import log
from tests.config.forms import configure

if TYPE_CHECKING:
    from email.message import EmailMessage

    import pytest
    from aiosmtpd.smtp import SMTP, Envelope, Session

HOOK = "{{type: mail, levels: [{levels}], options: {{smtp: {{addr: '{addr}'}}, from: r@x, to: [a@x, b@x]}}}}"


class Stderr:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


def set_up(section: str) -> logging.Logger:
    log.configure(configure(f"log: {section}").log)
    return logging.getLogger("registry.test")


def parsed(line: str) -> dict[str, str]:
    """Read a line of logrus' text as log collectors do."""
    return dict(word.partition("=")[::2] for word in shlex.split(line))


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        self.mails.append(envelope)
        return "250 OK"


def read(mail: Envelope) -> EmailMessage:
    assert isinstance(mail.content, bytes)
    return email.message_from_bytes(mail.content, policy=email.policy.default)
