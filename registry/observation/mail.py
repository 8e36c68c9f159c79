"""Mail on log lines: ``log.hooks`` of type ``mail``."""

from __future__ import annotations

import logging
import os
import queue
import smtplib
import socket
import ssl
import threading
import time
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final

from registry.foundation import addresses
from registry.foundation.redaction import redacted
from registry.observation.repeats import CountingHandler, Repeats

if TYPE_CHECKING:
    from registry.config.remote import MailOptions

_WAITING: Final = 100
"""Mails that wait for the server at most: more than a person would read."""

_TIMEOUT_SECONDS: Final = 10
_FLUSH_SECONDS: Final = 5
_MOST_TEXTS: Final = 10
"""Mails of one cause in a minute, if each has another text: fewer than lines, for people have to read them."""
_POLL_SECONDS: Final = 0.05
_WORDS: Final = {logging.CRITICAL: "panic"}
_LOCAL: Final = {"localhost", "127.0.0.1", "::1"}
_log = logging.getLogger(__name__)


def level_word(record: logging.LogRecord) -> str:
    """Return the Go registry's word for the level of `record`."""
    return _WORDS.get(record.levelno) or record.levelname.lower()


class MailHandler(CountingHandler):
    """Mails each record in a thread of its own, so that a slow mail server holds up no request.

    The thread belongs to the process that logs: it starts with the first mail, after any fork.
    """

    def __init__(self, options: MailOptions) -> None:
        """Mail as `options` say.

        Raises:
            ValueError: the address of the server is not ``HOST:PORT``.
        """
        # Before the base makes it known: logging flushes every handler at the end of the process.
        host, self._port = addresses.parse(options.smtp.addr)
        super().__init__()
        self.begin_counting(Repeats(most_texts=_MOST_TEXTS))
        # What it says itself would be mailed again.
        self.addFilter(lambda record: record.name != __name__)
        self._options = options
        self._host = host or "localhost"
        self._sender = 0
        """The process that has a thread that sends."""
        self._waiting: queue.Queue[EmailMessage] = queue.Queue(_WAITING)

    def write(self, record: logging.LogRecord) -> None:
        try:
            self._start()
            self._waiting.put_nowait(self._message(record))
        except queue.Full:
            _log.error("too many log lines to mail; one is not sent")
        except Exception as error:  # noqa: BLE001  whoever logs has nothing to do with mail
            _log.error("a log line is not mailed: %s", error)

    def _start(self) -> None:
        """Have a thread that sends, in this process.

        Raises:
            RuntimeError: there can be no more threads; the next line tries again.
        """
        if self._sender == os.getpid():
            return
        waiting: queue.Queue[EmailMessage] = queue.Queue(_WAITING)
        threading.Thread(target=self._run, args=(waiting,), name="mail", daemon=True).start()
        self._sender, self._waiting = os.getpid(), waiting

    def flush(self) -> None:
        """Wait a little for what is not sent yet: the process is about to end."""
        self.tell_counted()
        deadline = time.monotonic() + _FLUSH_SECONDS
        while self._sender == os.getpid() and self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _message(self, record: logging.LogRecord) -> EmailMessage:
        line = self.format(record)
        message = EmailMessage()
        summary = " ".join(redacted(record.getMessage()).split())
        message["Subject"] = f"[{level_word(record)}] {socket.gethostname()}: {summary}"
        message["From"] = self._options.from_
        message["To"] = ", ".join(self._options.to)
        message.set_content(line)
        return message

    def _run(self, waiting: queue.Queue[EmailMessage]) -> None:
        while True:
            message = waiting.get()
            try:
                self._send(message)
            except Exception as error:  # noqa: BLE001  the thread must outlive whatever happens to one mail
                _log.error("mail to %s failed: %s", self._options.smtp.addr, error)
            finally:
                waiting.task_done()

    def _send(self, message: EmailMessage) -> None:
        smtp = self._options.smtp
        with smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_SECONDS) as server:
            server.ehlo()
            secured = server.has_extn("starttls")
            if secured:
                context = ssl.create_default_context()
                if smtp.insecure:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                server.starttls(context=context)
            if smtp.username:
                if not secured and not smtp.insecure and self._host not in _LOCAL:
                    raise smtplib.SMTPException("the server offers no encryption, and the password is not sent without")
                server.login(smtp.username, smtp.password)
            server.send_message(message, self._options.from_, list(self._options.to))
