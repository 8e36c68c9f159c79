"""The log: where lines go and in which form, see registry.observation.formats and registry.observation.terminal.

What a line states goes into ``extra={}``; each key becomes a field. Secrets are taken out of it before it is written:
see registry.foundation.redaction.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final, TextIO

from registry.config import ConfigurationError
from registry.observation.formats import Formatter, JSONFormatter, TextFormatter
from registry.observation.mail import MailHandler
from registry.observation.repeats import CountingHandler, Repeats
from registry.observation.terminal import TerminalFormatter

if TYPE_CHECKING:
    from collections.abc import Callable

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

_CHATTY: Final = ("azure",)
"""Loggers of libraries that write at info what belongs to debug: all of each request and each answer."""


def configure(section: Log, *, colored: bool = False) -> None:
    """Send all loggers of this process to stderr, at the level and in the form of the ``log`` section.

    Lines for people on a terminal are in colours if `colored`.

    Raises:
        ConfigurationError: a mail hook has no server.
    """
    wanted = handlers(section, colored=colored)
    root = logging.getLogger()
    for old in root.handlers:
        old.close()
    root.handlers[:] = wanted
    root.setLevel(_LEVELS[section.level])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if section.level == "debug" else logging.WARNING)


def handlers(section: Log, *, colored: bool = False) -> list[logging.Handler]:
    """Return what writes, and mails, log lines as the ``log`` section says; the one for stderr is the first.

    `colored` is as for configure().

    Raises:
        ConfigurationError: a mail hook has no server.
    """
    handler = _StderrHandler()
    handler.setFormatter(_formatter(section, colored=colored and sys.stderr.isatty()))
    return [handler, *(_mail(hook, index, section) for index, hook in enumerate(section.hooks) if _sends_mail(hook))]


def is_for_people(section: Log) -> bool:
    """Tell whether lines are short ones for people: where stderr is a terminal, unless a form is configured."""
    return section.formatter == "terminal" or (section.formatter is None and sys.stderr.isatty())


def _formatter(section: Log, *, colored: bool) -> Formatter:
    if is_for_people(section):
        return TerminalFormatter(reportcaller=section.reportcaller, colored=colored)
    form = JSONFormatter if section.formatter in {"json", "logstash"} else TextFormatter
    return form(section.fields, reportcaller=section.reportcaller)


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
    if not isinstance(handler, logging.StreamHandler) or not isinstance(formatter, Formatter) or formatter.reportcaller:
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
    handler.setFormatter(TextFormatter(section.fields, reportcaller=section.reportcaller))
    return handler
