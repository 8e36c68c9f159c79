"""Reads a controller's section of the configuration, so that every mistake is named by its parameter."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from registry.foundation.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


class Parameters:
    """A section of the configuration, asked for one parameter at a time."""

    def __init__(self, section: str, values: Mapping[str, object]) -> None:
        self._section = section
        self._values = values
        self._known: set[str] = set()

    def required_text(self, name: str) -> str:
        """Return a string that must be there and not be empty.

        Raises:
            ParameterError: it is missing, empty or no string.
        """
        text = self.text(name)
        if not text:
            raise self.error(name, "is required")
        return text

    def text(self, name: str, default: str = "") -> str:
        """Return a string.

        Raises:
            ParameterError: it is something else.
        """
        value = self.any(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(name, f"must be a string, not {value!r}; quote it")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean, false when absent; the strings that YAML 1.1 reads as booleans are taken too.

        Raises:
            ParameterError: it is something else.
        """
        value = self.any(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        if str(value).lower() in {"true", "yes", "on", "false", "no", "off"}:
            return str(value).lower() in {"true", "yes", "on"}
        raise self.error(name, f"must be true or false, not {value!r}")

    def texts(self, name: str) -> list[str]:
        """Return a list of strings, empty when absent.

        Raises:
            ParameterError: it is something else.
        """
        value = self.any(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(name, f"must be a list of strings, not {value!r}")
        return list(value)

    def seconds(self, name: str, default: int) -> int:
        """Return a duration, given as whole seconds or as ``90d``, ``12h``, ``5m``, ``30s``.

        Raises:
            ParameterError: it is something else, or not positive.
        """
        value = self.any(name)
        if value is None:
            return default
        try:
            return seconds(str(value))
        except ValueError as error:
            raise self.error(name, str(error)) from None

    def any(self, name: str) -> object:
        """Return the value as it stands, None when absent."""
        self._known.add(name)
        return self._values.get(name)

    def warn_of_others(self) -> None:
        """Log every parameter that was given and never asked for."""
        for name in sorted(self._values.keys() - self._known):
            logger.warning("ignoring unknown parameter %s.%s", self._section, name)

    def error(self, name: str, text: str) -> ParameterError:
        """Return the error that says what is wrong with parameter `name`."""
        return ParameterError(f"{name} {text}")


def seconds(text: str) -> int:
    """Return the seconds in ``90d``, ``12h``, ``5m``, ``30s`` or a whole number of seconds.

    Raises:
        ValueError: `text` is no such duration, or none at all.
    """
    match = _DURATION.fullmatch(text if text[-1:].isalpha() else f"{text}s")
    if match is None or not int(match[1]):
        raise ValueError(f"must be a duration such as 300, 5m, 12h or 90d, not {text!r}")
    return int(match[1]) * _UNITS[match[2]]
