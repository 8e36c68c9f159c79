"""What strangers have written, made fit to be shown: no value of it has the type that it should have, or an end.

Whatever a JSON document has in the place of a text, a list or a table is taken for none, and what is too long is cut.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from registry.oci import documents
from registry.oci.errors import ManifestInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_ENTRIES: Final = 1000
"""Entries of a list or table that are shown."""
LONGEST_TEXT: Final = 64 * 1024
"""Characters of a text that are shown."""
LONGEST_DOCUMENT: Final = 512 * 1024
"""Characters of a document that are shown."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_DEEPEST: Final = 32
"""Past this depth lines are indented no more: an indentation is a part of each line."""


def read_object(content: bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one if `content` is anything else, or costs too much to be read."""
    try:
        document = documents.decode(content)
    except ManifestInvalidError:
        return {}
    return document if isinstance(document, dict) else {}


def is_json(content: bytes) -> bool:
    """Tell whether `content` is a JSON document that can be read."""
    try:
        documents.decode(content)
    except ManifestInvalidError:
        return False
    return True


class Shown:
    """Makes values of one document fit to be shown; `cut` is whether any of them was cut short."""

    def __init__(self) -> None:
        self.cut = False

    def text(self, value: object) -> str:
        """Return a text, without what is not a character; "" if the value is something else."""
        if not isinstance(value, str):
            return ""
        if len(value) > LONGEST_TEXT:
            self.cut = True
            value = f"{value[:LONGEST_TEXT]}…"
        return _SURROGATE.sub("\ufffd", value)

    def texts(self, value: object) -> tuple[str, ...]:
        """Return the texts in a list; one alone if that is in its place; what is not a text is passed over."""
        listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return tuple(self.text(each) for each in self.first(each for each in listed if isinstance(each, str)))

    def keys(self, value: object) -> tuple[str, ...]:
        """Return the keys of a table."""
        return tuple(map(self.text, self.first(value))) if isinstance(value, dict) else ()

    def table(self, value: object) -> dict[str, str]:
        """Return a table of texts; a value that is not a text is ""."""
        pairs = value.items() if isinstance(value, dict) else ()
        return {self.text(key): self.text(each) for key, each in self.first(pairs)}

    def first(self, values: Iterable[Any]) -> Iterator[Any]:
        """Yield the first MOST_ENTRIES of `values`."""
        rest = iter(values)
        yield from islice(rest, MOST_ENTRIES)
        self.cut = self.cut or next(rest, rest) is not rest

    def document(self, content: bytes) -> str:
        """Return a document with a line for each value if it looks like JSON; what is not printable is escaped."""
        text = content.decode("utf-8", "replace")
        pieces: Iterable[str] = _indented(text) if text.lstrip()[:1] in {"{", "["} else [text]
        kept: list[str] = []
        room = LONGEST_DOCUMENT
        for piece in pieces:
            kept.append(piece[:room])
            room -= len(piece)
            if room < 0:
                # The indentation of a deep document may be many times as long as what is written in it.
                self.cut = True
                break
        return escaped("".join(kept))


def escaped(text: str) -> str:
    r"""Return `text` with escapes as in JSON, ``\u202e``, for what is neither printable nor the end of a line."""
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() or each == "\n" else _escape(each) for each in text])


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _indented(text: str) -> Iterator[str]:
    """Yield the tokens of a JSON document as they are written, each value in a line of its own."""
    depth, opened = 0, ""
    for found in _TOKEN.finditer(text):
        written = found[0]
        if written in "]}":
            depth = max(depth - 1, 0)
            yield written if opened else _line(depth) + written
        else:
            yield _line(depth) + written if opened else written
        opened = ""
        if written in "[{":
            depth, opened = depth + 1, written
        elif written == ",":
            yield _line(depth)
        elif written == ":":
            yield " "
    yield "\n"


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, _DEEPEST)
