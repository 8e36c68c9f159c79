"""JSON that somebody has pushed, looked at without trust: what is not of the expected type reads as if not there.

Documents may be much larger than manifests and configs, for which registry.browsing.foreign is.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from registry.foundation.printable import printable
from registry.oci import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of the largest document that is read, of which the worst takes two seconds and 100 MiB."""

MOST_VALUES: Final = 300_000
"""Values in documents that are read together: of each there is an object in memory, with 100 bytes and more."""

_LONGEST_TEXT: Final = 2000
_LONGEST_NUMBER: Final = 40


class Allowance:
    """How many values may still be read: of one document, or of several together."""

    def __init__(self, values: int = MOST_VALUES) -> None:
        self._most = self._left = values

    def take(self, content: bytes) -> None:
        """Count the values in what may be JSON.

        Raises:
            UnreadableError: they are too many.
        """
        if documents.has_more_values(content, self._left):
            raise UnreadableError(f"has more values than are read of one attachment, which are {self._most}")
        self._left -= min(documents.most_values(content), self._left)


class UnreadableError(Exception):
    """A document cannot be read; the text says why, in words that go on after "it"."""


class Node:
    """A value in a document. Every question has an answer, whatever it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def parse(cls, content: bytes, values: Allowance | None = None) -> Node:
        """Read a document, which has no more `values`.

        Raises:
            UnreadableError: it is not JSON, or reading it would take too much memory.
        """
        if len(content) > LARGEST:
            raise UnreadableError(f"has more than {LARGEST // 2**20} MiB")
        (values or Allowance()).take(content)
        try:
            return cls(_DECODER.decode(content.decode("utf-8", "replace").removeprefix("\ufeff")))
        except RecursionError:
            raise UnreadableError("is nested too deeply") from None
        except ValueError:
            raise UnreadableError("is not JSON") from None

    def at(self, *names: str) -> Node:
        """Return the member of the member … of these names."""
        value = self.value
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return Node(value)

    def has(self, *names: str) -> bool:
        """Tell whether this is an object with all these members."""
        return isinstance(self.value, dict) and all(name in self.value for name in names)

    def text(self, *names: str) -> str:
        """Return the text at `names`, "" if there is none; what is not printable in it is escaped, and it may be cut.

        So it is safe for a terminal, and nothing in it turns the direction of what follows.
        """
        value = self.at(*names).value
        if not isinstance(value, str):
            return ""
        return printable(value[:_LONGEST_TEXT]) + ("…" if len(value) > _LONGEST_TEXT else "")

    def number(self, *names: str) -> float | None:
        """Return the number at `names`, or that which a text there spells; None if there is none that is finite."""
        value = self.at(*names).value
        if isinstance(value, bool) or not isinstance(value, (int, float, str)) or len(str(value)) > _LONGEST_NUMBER:
            return None
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def each(self, *names: str) -> Iterator[Node]:
        """Yield the items of the list at `names`."""
        value = self.at(*names).value
        if isinstance(value, list):
            yield from map(Node, value)

    def members(self, *names: str) -> Iterator[tuple[str, Node]]:
        """Yield the members of the object at `names`, by their printable names."""
        value = self.at(*names).value
        if isinstance(value, dict):
            for name, member in value.items():
                yield printable(name[:_LONGEST_TEXT]), Node(member)

    def indented(self, limit: int) -> str:
        """Return the document as people read it, with escapes for what is not printable, cut after `limit` characters.

        Each level of a deep one moves all its lines to the right, so what is short here may be very long there.
        """
        pieces: list[str] = []
        length = 0
        try:
            for piece in _ENCODER.iterencode(self.value):
                pieces.append(piece)
                length += len(piece)
                if length > limit:
                    break
        except RecursionError:
            return ""
        text = "".join(pieces)
        return text if length <= limit else f"{text[:limit]}…"


def _integer(digits: str) -> float:
    # int() takes long for thousands of digits, and refuses more.
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


def _number(digits: str) -> float:
    return float(digits) if len(digits) <= _LONGEST_NUMBER else math.nan


_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=lambda _: None)
_ENCODER: Final = json.JSONEncoder(indent=2)
