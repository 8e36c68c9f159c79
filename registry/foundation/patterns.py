r"""Regular expressions of an operator, by RE2: the language that they are written in for the Go registry.

Python's own engine reads another language (``\z``, ``[[:alpha:]]`` and flags mean something else or nothing), and it
takes exponential time for some patterns on text that a client chooses. RE2's time is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, Self

import re2

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax), which is that of Go."""

    text: str
    _regex: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the pattern that `text` spells.

        Raises:
            ValueError: it spells none; the message says why.
        """
        options = re2.Options()
        options.never_capture = True
        options.log_errors = False
        try:
            return cls(text, re2.compile(text, options))
        except re2.error as error:
            raise ValueError(error.args[0].decode(errors="replace")) from None

    def found_in(self, text: str) -> bool:
        """Tell whether the pattern matches anywhere in `text`."""
        # Half of a pair is not a character and has no UTF-8. Go's JSON makes U+FFFD of it.
        return self._regex.search(_SURROGATE.sub("\ufffd", text)) is not None

    def matches(self, text: str) -> bool:
        """Tell whether the pattern matches all of `text`, which is ASCII."""
        return self._regex.fullmatch(text) is not None
