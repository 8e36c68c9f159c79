"""Log lines in the forms of the Go registry: logrus text, JSON, and what it calls logstash, the same JSON.

What a line states goes into ``extra={}``; each key becomes a field. Everything is blotted before it is written:
see registry.redaction.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from registry import __version__
from registry.config import ConfigurationError
from registry.mail import MailHandler, level_word
from registry.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_PLAIN: Final = re.compile(r"[A-Za-z0-9._/@^+-]+")


def configure(section: Log) -> None:
    """Send all loggers of this process to stderr, at the level and in the form of the ``log`` section.

    Raises:
        ConfigurationError: a mail hook has no server.
    """
    form = _TextFormatter if section.formatter == "text" else _JSONFormatter
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form(section.fields, reportcaller=section.reportcaller))
    mails = [_mail(hook, index, section) for index, hook in enumerate(section.hooks) if _sends_mail(hook)]
    root = logging.getLogger()
    for old in root.handlers:
        old.close()
    root.handlers[:] = [handler, *mails]
    root.setLevel(_LEVELS[section.level])


def _sends_mail(hook: LogHook) -> bool:
    return hook.type == "mail" and not hook.disabled


def _mail(hook: LogHook, index: int, section: Log) -> logging.Handler:
    # As in the Go registry, what is no level means the gravest.
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
        self._reportcaller = reportcaller

    def facts(self, record: logging.LogRecord) -> dict[str, object]:
        """Return what `record` says, by field: time, level and message, then the others in the order of their names."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        stated = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        facts: dict[str, object] = {**self._fields, **stated}
        if self._reportcaller:
            facts |= {"file": f"{record.pathname}:{record.lineno}", "func": f"{record.module}.{record.funcName}"}
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        return {
            "time": moment.replace("+00:00", "Z"),
            "level": level_word(record),
            "msg": redacted(record.getMessage()),
            **{key: _blotted(facts[key]) for key in sorted(facts)},
        }


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_quoted(_spelled(value))}" for key, value in self.facts(record).items())


class _JSONFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.facts(record), default=str)


def _blotted(value: object) -> object:
    if isinstance(value, str):
        return redacted(value)
    return value if isinstance(value, bool | int | float | None) else redacted(json.dumps(value, default=str))


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
