"""The error of this package, alone or with others that were found beside it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from registry.foundation.redaction import redacted_setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class ConfigurationError(Exception):
    """The configuration cannot be used. `where` is the key (``http.net``), variable or file at fault.

    `place` is where that was written, ``FILE:LINE``, or "" where it is not known, or a variable gave it. The text is
    one line, ``where: reason``, and never holds the value of a secret.
    """

    def __init__(self, where: str, reason: str, place: str = "") -> None:
        self.where = where
        self.reason = redacted_setting(reason)
        self.place = place
        super().__init__(" ".join(f"{where}: {self.reason}".split()))

    @property
    def key(self) -> str:
        """The key to look for in the file."""
        return self.where

    @property
    def each(self) -> Sequence[ConfigurationError]:
        """The errors that this one stands for."""
        return (self,)

    @property
    def line(self) -> str:
        """The text, with the place before it."""
        file = self.place.rpartition(":")[0]
        return f"{self.place}: {str(self).removeprefix(f'{file}: ')}" if self.place else str(self)


class CombinedError(ConfigurationError):
    """Several things are wrong, none because of another."""

    def __init__(self, errors: Sequence[ConfigurationError]) -> None:
        self.errors = tuple(errors)
        super().__init__(errors[0].where, errors[0].reason, errors[0].place)

    @property
    def each(self) -> Sequence[ConfigurationError]:
        """The errors, in the order in which they were found."""
        return self.errors


class Findings:
    """Gathers errors, so that whoever has to correct a configuration hears of all of them at once."""

    def __init__(self) -> None:
        self._errors: list[ConfigurationError] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep the error of the configuration that leaves the block, if one does, for :meth:`conclude`."""
        try:
            yield
        except ConfigurationError as error:
            self._errors += error.each

    def conclude(self) -> None:
        """Return if nothing was wrong.

        Raises:
            ConfigurationError: something was.
        """
        if len(self._errors) > 1:
            raise CombinedError(self._errors)
        if self._errors:
            raise self._errors[0]
