"""Log lines for people at a terminal: short, in colours, the local time; a request is one line.

What is the same in every line is left out. What a terminal would obey and not print is escaped: clients choose what is
in paths.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from registry.foundation.printable import printable
from registry.foundation.redaction import redacted
from registry.foundation.sizes import spelled
from registry.observation.formats import Formatter, quoted, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

_RED, _GREEN, _YELLOW, _DIM = "31", "32", "33", "2"
_LEVELS: Final = {
    "debug": ("debug", _DIM),
    "info": ("info", _GREEN),
    "warning": ("warn", _YELLOW),
    "error": ("error", _RED),
    "panic": ("panic", _RED),
}
_EVERYWHERE: Final = frozenset({"version", "instance.id"})
_TRACEBACK: Final = "error"
_DIGEST: Final = re.compile(r"(\b[a-z0-9]+:[0-9a-f]{12})[0-9a-f]{20,}")
_DURATION: Final = re.compile(r"([0-9.]+)(\D+)")
_HUNDRED: Final = 100
_FAILED, _OUR_FAULT = 400, 500


class TerminalFormatter(Formatter):
    """Formats lines for people, with escape sequences if `colored`."""

    def __init__(self, *, reportcaller: bool, colored: bool) -> None:
        super().__init__({}, reportcaller=reportcaller)
        self._colored = colored

    def line(self, created: float, level: str, message: str, stated: Mapping[str, object]) -> str:
        moment = f"{datetime.fromtimestamp(created):%H:%M:%S}"  # noqa: DTZ006  people have the local time on the wall
        word, color = _LEVELS.get(level, (level, _RED))
        told = self._request(stated) if "http.response.status" in stated else self._told(message, stated)
        return f"{self._in(_DIM, moment)} {self._in(color, f'{word:<5}')} {told}"

    def _request(self, facts: Mapping[str, object]) -> str:
        status = int(str(facts["http.response.status"]))
        color = _GREEN if status < _FAILED else _YELLOW if status < _OUR_FAULT else _RED
        path = str(facts.get("http.request.uri", "")).partition("?")[0]
        size = int(str(facts["http.request.read"])) or int(str(facts["http.response.written"]))
        words = [
            f"{printable(str(facts['http.request.method'])):<6}",
            _DIGEST.sub(r"\1…", printable(redacted(path))),
            self._in(color, str(status)),
            _short(str(facts["http.response.duration"])),
            spelled(size),
        ]
        words += [printable(redacted(str(facts[key]))) for key in ("auth.user.name", "err.message") if key in facts]
        return "  ".join(words)

    def _told(self, message: str, facts: Mapping[str, object]) -> str:
        told = printable(redacted(message))
        for key in sorted(facts.keys() - _EVERYWHERE - {_TRACEBACK}):
            told += f" {self._in(_DIM, f'{key}={printable(quoted(without_secrets(facts[key])))}')}"
        if _TRACEBACK in facts:
            lines = redacted(str(facts[_TRACEBACK])).splitlines()
            told += "".join(f"\n    {printable(line)}" for line in lines)
        return told

    def _in(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._colored else text


def _short(duration: str) -> str:
    """Return a duration such as ``12.3457ms`` in three digits."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        return duration
    value = float(found[1])
    return f"{value:.0f}{found[2]}" if value >= _HUNDRED else f"{value:.3g}{found[2]}"
