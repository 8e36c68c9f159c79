"""A driver's section of the configuration, read value by value: each error names its parameter.

Values come from YAML or, as text, from the environment, so a number or a truth value may be a string.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from drivers.base import ParameterError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_TRUTHS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
"""What Go's strconv.ParseBool takes, in lower case."""


_log = logging.getLogger(__name__)


class Parameters:
    """The values of one section; `prefix` is what comes before a name in an error's text."""

    def __init__(self, values: Mapping[str, object], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix

    def text(self, name: str, default: str = "") -> str:
        """Return a string; numbers, as an unquoted name may look like one, are taken as they are spelt."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.error(name, f"must be text, not {value!r}")
        return str(value)

    def required_text(self, name: str) -> str:
        """Return a string that may not be empty."""
        value = self.text(name)
        if not value:
            raise self.error(name, "is missing")
        return value

    def whole(self, name: str, default: int, *, minimum: int) -> int:
        """Return a whole number of at least `minimum`."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        try:
            number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or number < minimum:
            raise self.error(name, f"must be a whole number of at least {minimum}, not {value!r}")
        return number

    def truth(self, name: str, *, default: bool) -> bool:
        """Return a truth value."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return value
        found = _TRUTHS.get(str(value).lower())
        if found is None:
            raise self.error(name, f"must be true or false, not {value!r}")
        return found

    def section(self, name: str) -> Parameters:
        """Return the values below `name`; an absent section is an empty one."""
        return Parameters(self.mapping(name), f"{self._prefix}{name}.")

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return the values below `name` as they are."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(name, f"must be a section of values, not {type(value).__name__}")
        return value

    def warn_of_others(self, section: str, known: Collection[str]) -> None:
        """Log the parameters of `section` that are not `known`: they are ignored, as the Go registry does."""
        for name in self._values:
            if name not in known:
                _log.warning("%s.%s%s: unknown, ignored", section, self._prefix, name)

    def error(self, name: str, text: str) -> ParameterError:
        """Return the error that says `text` of the parameter `name`."""
        return ParameterError(f"{self._prefix}{name}: {text}")
