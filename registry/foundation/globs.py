"""Patterns for repository names, of rules and of commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from registry.foundation.wildcards import starred, wildcards

_GLOB = re.compile(r"[A-Za-z0-9._:*?-]+(?:/[A-Za-z0-9._:*?-]+)*")
_ONE = "[^/]"
"""A character of a component."""


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern in which ``*`` and ``?`` stay within a component and a component ``**`` stands for many.

    ``team/**`` is everything below team, not team itself; ``**/cache`` includes cache; ``**`` is everything.
    """

    text: str
    _regex: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Glob:
        """Return the glob that `text` spells.

        Raises:
            ValueError: it spells none.
        """
        if not _GLOB.fullmatch(text):
            raise ValueError(f"{text!r} is not a pattern for repositories")
        *parents, last = components = text.split("/")
        if any("**" in component and component != "**" for component in components):
            raise ValueError(f"{text!r}: ** must stand alone between slashes")
        segments = [""]
        for parent in parents:
            if parent == "**":
                segments.append("")
            else:
                segments[-1] += starred(parent, _ONE) + "/"
        if last == "**":
            segments.append("[^/]++")
        else:
            segments[-1] += starred(last, _ONE)
        return cls(text, re.compile(wildcards(segments, "(?:[^/]++/)")))

    def matches(self, repository: str) -> bool:
        """Tell whether `repository`, a valid name, is meant."""
        return self._regex.fullmatch(repository) is not None

    @property
    def length(self) -> tuple[int, int]:
        """How narrow the glob is: its literal characters, and fewer ``**`` among equals."""
        return (sum(char not in "*?" for char in self.text), -self.text.split("/").count("**"))
