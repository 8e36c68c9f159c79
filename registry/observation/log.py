"""Log lines in the forms of the Go registry: logrus text, JSON, and what it calls logstash, the same JSON.

What a line states goes into ``extra={}``; each key becomes a field. Secrets are taken out of it before it is written:
see registry.foundation.redaction.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

from registry import __version__
from registry.config import ConfigurationError
from registry.foundation.redaction import redacted
from registry.observation.mail import MailHandler, level_word
from registry.observation.repeats import CountingHandler, Repeats, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from registry.config.remote import LogHook
    from registry.config.values import Log

_LEVELS: Final = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
_HOOK_LEVELS: Final = {
    **_LEVELS,
    "warning": logging.WARNING,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "trace": logging.NOTSET,
}
_EACH_LINE: Final = frozenset({"registry.observation.lines", "drivers.s3.calls"})
"""Loggers that have a line for each request or call because somebody wants each of them."""
_is_plain: Final = re.compile(r"[A-Za-z0-9._/@^+-]+").fullmatch
_in_quotes: Final = json.JSONEncoder(ensure_ascii=False).encode
_to_json: Final = json.JSONEncoder(default=str).encode
_HARMLESS: Final = (int, float, type(None))
"""Types whose values hold no secret."""


def configure(section: Log) -> None:
    """Send all loggers of this process to stderr, at the level and in the form of the ``log`` section.

    Raises:
        ConfigurationError: a mail hook has no server.
    """
    wanted = handlers(section)
    root = logging.getLogger()
    for old in root.handlers:
        old.close()
    root.handlers[:] = wanted
    root.setLevel(_LEVELS[section.level])


def handlers(section: Log) -> list[logging.Handler]:
    """Return what writes, and mails, log lines as the ``log`` section says; the one for stderr is the first.

    Raises:
        ConfigurationError: a mail hook has no server.
    """
    form = _TextFormatter if section.formatter == "text" else _JSONFormatter
    handler = _StderrHandler()
    handler.setFormatter(form(section.fields, reportcaller=section.reportcaller))
    return [handler, *(_mail(hook, index, section) for index, hook in enumerate(section.hooks) if _sends_mail(hook))]


class _StderrHandler(CountingHandler, logging.StreamHandler[TextIO]):
    def __init__(self) -> None:
        logging.StreamHandler.__init__(self, sys.stderr)
        self.begin_counting(Repeats(exempt=_EACH_LINE))

    def write(self, record: logging.LogRecord) -> None:
        logging.StreamHandler.emit(self, record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name in the base
        """Pass over what the disk of the log does: there is nowhere to tell it."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def info_writer(logger: logging.Logger) -> Callable[[str, dict[str, object]], None]:
    """Return what writes a message and its facts at level info as `logger` would, once all loggers are configured.

    While nothing but stderr takes such a line, it goes there without what a logger does for it, which costs more than
    all the rest of the line. A handler that is added later gets its lines all the same.
    """
    handler = next(iter(logging.getLogger().handlers), None)
    formatter = handler.formatter if handler else None
    if (
        not isinstance(handler, logging.StreamHandler)
        or not isinstance(formatter, _Formatter)
        or formatter.reportcaller
    ):
        return lambda message, facts: logger.info(message, extra=facts)

    def write(message: str, facts: dict[str, object]) -> None:
        if _handlers_of(logger) == [handler]:
            write_whole(handler, formatter.line(time.time(), "info", message, facts))
        else:
            logger.info(message, extra=facts)

    return write


def _handlers_of(logger: logging.Logger) -> list[logging.Handler]:
    """Return all that gets the lines of `logger`: its own handlers and those above it."""
    found: list[logging.Handler] = []
    current: logging.Logger | None = logger
    while current:
        found += current.handlers
        current = current.parent if current.propagate else None
    return found


def write_whole(handler: logging.StreamHandler[TextIO], line: str) -> None:
    """Write `line` to the stream of `handler` in one piece; an error is passed over, as there is nowhere to tell it."""
    with handler.lock or nullcontext(), suppress(OSError, ValueError):
        handler.stream.write(f"{line}\n")
        handler.stream.flush()


def _sends_mail(hook: LogHook) -> bool:
    return hook.type == "mail" and not hook.disabled


def _mail(hook: LogHook, index: int, section: Log) -> logging.Handler:
    # As in the Go registry, an unknown level means the most severe.
    levels = {_HOOK_LEVELS.get(word.lower(), logging.CRITICAL) for word in hook.levels}
    try:
        handler = MailHandler(hook.options)
    except ValueError:
        given = hook.options.smtp.addr
        raise ConfigurationError(f"log.hooks[{index}].options.smtp.addr", f"must be host:port, not {given!r}") from None
    handler.addFilter(lambda record: record.levelno in levels)
    handler.setFormatter(_TextFormatter(section.fields, reportcaller=section.reportcaller))
    return handler


class _Formatter(logging.Formatter):
    def __init__(self, fields: Mapping[str, object], *, reportcaller: bool) -> None:
        super().__init__()
        self._fields = {"instance.id": str(uuid.uuid4()), "version": __version__, **fields}
        self.reportcaller = reportcaller

    def format(self, record: logging.LogRecord) -> str:
        facts = facts_of(record)
        if self.reportcaller:
            facts |= {"file": f"{record.pathname}:{record.lineno}", "func": f"{record.module}.{record.funcName}"}
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        return self.line(record.created, level_word(record), record.getMessage(), facts)

    def line(self, created: float, level: str, message: str, stated: Mapping[str, object]) -> str:
        """Return a line: time, level and message, then what is `stated` and configured in the order of the names."""
        moment = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
        facts = {**self._fields, **stated}
        said: dict[str, object] = {"time": f"{moment[:-6]}Z", "level": level, "msg": redacted(message)}
        for key in sorted(facts):
            value = facts[key]
            said[key] = value if type(value) is int else _without_secrets(value)
        return self.spelled(said)

    def spelled(self, facts: Mapping[str, object]) -> str:
        """Return `facts` in the form of this formatter, on one line."""
        raise NotImplementedError


class _TextFormatter(_Formatter):
    def spelled(self, facts: Mapping[str, object]) -> str:
        return " ".join([f"{key}={_quoted(value)}" for key, value in facts.items()])


class _JSONFormatter(_Formatter):
    def spelled(self, facts: Mapping[str, object]) -> str:
        return _to_json(facts)


def _without_secrets(value: object) -> object:
    if isinstance(value, str):
        return redacted(value)
    return value if isinstance(value, _HARMLESS) else redacted(_to_json(value))


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if _is_plain(text) else _in_quotes(text)
