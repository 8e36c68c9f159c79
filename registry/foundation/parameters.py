"""A plugin's section of the configuration, read value by value: each error names its parameter.

Values come from YAML or, as text, from the environment, so a number or a truth value may be a string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from registry.foundation import durations, guessing
from registry.foundation.errors import ParameterError
from registry.foundation.redaction import is_secret_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRUTHS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
"""What Go's strconv.ParseBool takes, in lower case. An unquoted ``yes`` or ``on`` is a boolean of YAML already."""

_URL: Final = re.compile(r"https?://[^/?#@\\\s]+(?P<path>/[^?#\\\s]*)?")


class Section(Mapping[str, object]):
    """The values of a section. It remembers remarks, and what was asked for: the plugin does not know the rest.

    Code that iterates over a section is taken to know all of it.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = {name: _watched(value) for name, value in values.items()}
        self._asked: set[str] = set()
        self._remarks: list[str] = []

    def __getitem__(self, name: str) -> object:
        self._asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        self._asked.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def remark(self, name: str, text: str) -> None:
        """Add a warning about the value `name`."""
        self._remarks.append(f"{name}: {text}")

    def warnings(self) -> Iterator[str]:
        """Yield the remarks, and a warning for each value that was not asked for; each begins with its path."""
        yield from self._remarks
        for name, value in self._values.items():
            if name not in self._asked:
                yield f"{name}: unknown, ignored{guessing.question(name, self._asked - self._values.keys())}"
            elif isinstance(value, Section):
                yield from (f"{name}.{warning}" for warning in value.warnings())
            elif isinstance(value, list):
                sections = [(index, item) for index, item in enumerate(value) if isinstance(item, Section)]
                yield from (f"{name}[{index}].{warning}" for index, item in sections for warning in item.warnings())


def _watched(value: object) -> object:
    if isinstance(value, Mapping):
        return Section(value)
    return [_watched(item) for item in value] if isinstance(value, list) else value


class Parameters:
    """The values of one section; `prefix` is what comes before a name in an error's text.

    Every method that returns a value raises a ParameterError for a value of another kind.
    """

    def __init__(self, values: Mapping[str, object], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix

    def value(self, name: str) -> object:
        """Return a value as it is, None if there is none."""
        return self._values.get(name)

    def text(self, name: str, default: str = "") -> str:
        """Return a string; numbers, as an unquoted name may look like one, are taken as they are spelt."""
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.error(name, f"must be text, not {_shown(name, value)}")
        return str(value)

    def required_text(self, name: str) -> str:
        """Return a string that may not be empty."""
        value = self.text(name)
        if not value:
            raise self.error(name, "is missing")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], kind: str) -> str:
        """Return a string that may not be empty and that `pattern` describes; `kind` says so in words."""
        text = self.required_text(name)
        if not pattern.fullmatch(text):
            raise self.error(name, f"must be {kind}, not {text!r}")
        return text

    def string(self, name: str, default: str = "") -> str:
        """Return a string that YAML reads as one: a number may have been spelt otherwise, and a name must be exact."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(name, f"must be a string, not {_shown(name, value)}; quote it")
        return value

    def required_string(self, name: str) -> str:
        """Return a string, as string() does, that may not be empty."""
        value = self.string(name)
        if not value:
            raise self.error(name, "is missing")
        return value

    def strings(self, name: str) -> list[str]:
        """Return a list of strings, empty if none is given."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(name, f"must be a list of strings, not {_shown(name, value)}")
        for item in value:
            if not isinstance(item, str):
                raise self.error(name, f"must be a list of strings, but one is {_shown(name, item)}; quote it")
        return list(value)

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """Return one of `choices`, in whatever case it is given."""
        value = self._values.get(name)
        if value is None or value == "" or (value is False and "off" in choices):  # YAML reads a bare off as false
            return default
        for choice in choices:
            if isinstance(value, str) and value.strip().lower() == choice.lower():
                return choice
        hint = guessing.question(value, choices) if isinstance(value, str) else ""
        raise self.error(name, f"must be one of {', '.join(choices)}, not {_shown(name, value)}{hint}")

    def whole(self, name: str, default: int, *, minimum: int, maximum: int | None = None) -> int:
        """Return a whole number of at least `minimum`, and at most `maximum` if there is one."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        try:
            number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or number < minimum or (maximum is not None and number > maximum):
            span = f"of at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
            raise self.error(name, f"must be a whole number {span}, not {_shown(name, value)}")
        return number

    def truth(self, name: str, *, default: bool) -> bool:
        """Return a truth value."""
        found = self.optional_truth(name)
        return default if found is None else found

    def optional_truth(self, name: str) -> bool | None:
        """Return a truth value, or None if none is given."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        found = _TRUTHS.get(str(value).lower())
        if found is None:
            raise self.error(name, f"must be true or false, not {_shown(name, value)}")
        return found

    def seconds(self, name: str, default: float, *, minimum: float = 0, bare_unit: str = "") -> float:
        """Return the seconds of a duration. A number other than 0 needs a unit.

        Where it may be missing, `bare_unit` is taken, with a warning.
        """
        value = self._values.get(name)
        if value is None or value == "":
            return default
        text = str(value)
        if bare_unit and durations.hint(text):
            text += bare_unit
            self._remark(name, f"{value} means {text}, since it has no unit; write {text}")
        try:
            found = durations.parse(text)
        except ValueError:
            wrong = f"must be a duration like 100ms, 1h30m or 90d, not {_shown(name, value)}"
            raise self.error(name, wrong + durations.hint(text)) from None
        if found < minimum:
            raise self.error(name, f"must be at least {minimum:g}s, not {value}")
        return found

    def url(self, name: str, scheme: str = "") -> str:
        """Return ``http(s)://HOST[:PORT][/PATH]`` without a slash at its end, or "" if nothing is given.

        A URL that names no scheme has the one given.
        """
        given = self.text(name)
        text = f"{scheme}://{given}" if given and scheme and "://" not in given else given
        if text and not _parts(text):
            raise self.error(name, f"must be http(s)://HOST[:PORT][/PATH], not {given!r}")
        return text.rstrip("/")

    def origin(self, name: str) -> str:
        """Return ``http(s)://HOST[:PORT]``, or "" if nothing is given."""
        text = self.text(name).rstrip("/")
        parts = _parts(text)
        if text and (not parts or parts["path"]):
            raise self.error(name, f"must be http(s)://HOST[:PORT] without a path, not {text!r}")
        return text

    def host(self, name: str) -> str:
        """Return ``HOST[:PORT]``, or "" if nothing is given."""
        text = self.text(name)
        parts = _parts(f"http://{text}")
        if text and (not parts or parts["path"]):
            raise self.error(name, f"must be HOST[:PORT], not {text!r}")
        return text

    def section(self, name: str) -> Parameters:
        """Return the values below `name`; an absent section is an empty one."""
        return Parameters(self._mapping(name), f"{self._prefix}{name}.")

    def mapping(self, name: str) -> dict[str, object]:
        """Return the values below `name` as they are."""
        return dict(self._mapping(name))

    def _mapping(self, name: str) -> Mapping[str, object]:
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.error(name, f"must be a section of values, not {type(value).__name__}")
        return value

    def _remark(self, name: str, text: str) -> None:
        if isinstance(self._values, Section):
            self._values.remark(name, text)

    def error(self, name: str, text: str, path: str = "") -> ParameterError:
        """Return the error that says `text` of the parameter `name`, or of what `path` leads to within the section."""
        return ParameterError(f"{self._prefix}{name}: {text}", f"{self._prefix}{path or name}")


def _parts(url: str) -> re.Match[str] | None:
    """Return `url` taken apart, or None if it is not http(s)://HOST[:PORT][/PATH]."""
    parts = _URL.fullmatch(url)
    try:
        return parts if parts and url.isascii() and urlsplit(url).hostname and urlsplit(url).port != 0 else None
    except ValueError:  # of a wrong port, or a bracket that is not closed
        return None


def _shown(name: str, value: object) -> str:
    """Spell `value` if it is short and not secret: a section or a list may hold anything, a secret among it."""
    return (
        repr(value)
        if isinstance(value, str | int | float) and not is_secret_name(name)
        else f"a {type(value).__name__.lower()}"
    )
