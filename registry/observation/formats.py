"""Forms of log lines, those of the Go registry: logrus text, JSON, and what it calls logstash, the same JSON."""

from __future__ import annotations

import json
import logging
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from registry import __version__
from registry.foundation.redaction import redacted
from registry.observation.mail import level_word
from registry.observation.repeats import facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_is_plain: Final = re.compile(r"[A-Za-z0-9._/@^+-]+").fullmatch
_in_quotes: Final = json.JSONEncoder(ensure_ascii=False).encode
_to_json: Final = json.JSONEncoder(default=str).encode
_HARMLESS: Final = (int, float, type(None))
"""Types whose values hold no secret."""


class Formatter(logging.Formatter):
    """What all forms share: each line has `fields`, and where it was written from if `reportcaller` says so."""

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
            said[key] = value if type(value) is int else without_secrets(value)
        return self.spelled(said)

    def spelled(self, facts: Mapping[str, object]) -> str:
        """Return `facts` in the form of this formatter, on one line."""
        raise NotImplementedError


class TextFormatter(Formatter):
    """logrus text: ``key=value`` and so on."""

    def spelled(self, facts: Mapping[str, object]) -> str:
        return " ".join([f"{key}={quoted(value)}" for key, value in facts.items()])


class JSONFormatter(Formatter):
    """A JSON object."""

    def spelled(self, facts: Mapping[str, object]) -> str:
        return _to_json(facts)


def without_secrets(value: object) -> object:
    """Return what may be written of `value`."""
    if isinstance(value, str):
        return redacted(value)
    return value if isinstance(value, _HARMLESS) else redacted(_to_json(value))


def quoted(value: object) -> str:
    """Return `value` as one word of a line."""
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if _is_plain(text) else _in_quotes(text)
