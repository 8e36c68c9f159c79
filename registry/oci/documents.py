"""JSON documents as clients written in Go read them, which most clients of registries are (Go's ``encoding/json``).

Such a reader matches keys whatever their case, and of keys that are equal then it takes the last one. Others match
keys exactly, or take the first one. What is pushed must be the same for all of them; what is stored may not be.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, Final

from registry.oci.errors import ManifestInvalidError

MAX_VALUES: Final = 150_000
"""Values in a document that is accepted: 15 for each of 10,000 descriptors, which have three to seven.

A value of one byte takes 100 bytes of memory when it is read, and 4 MiB of them half a second.
"""

_NO_MARKS = bytes(byte for byte in range(256) if byte not in b',[{"')
_PIECE = 64 * 1024
_INTEGER_DIGITS = 20
_MAX_DEPTH = 32
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")


class Object(list[tuple[str, Any]]):
    """An object of a stored document: its members in order, each of those too whose keys are equal."""


class Ambiguous(dict[str, Any]):
    """An object of a pushed document that has equal keys: those of which there are several are `repeated`."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]


class Names:
    """The names of the members that are read in an object."""

    def __init__(self, *names: str) -> None:
        self.exact = frozenset(names)
        self._by_spelling = {spelling(name): name for name in names}

    def find(self, key: str) -> str | None:
        """Return the name for which Go takes `key`, if it takes it for any."""
        return self._by_spelling.get(spelling(key))


def decode(content: bytes) -> Any:
    """Return what is pushed as JSON: only what every parser takes alike, and at a bounded cost.

    An object with equal keys is Ambiguous.

    Raises:
        ManifestInvalidError: it is not JSON in UTF-8 (RFC 8259 section 8.1), is nested too deeply, or has more than
            MAX_VALUES values.
    """
    if has_more_values(content, MAX_VALUES):
        raise ManifestInvalidError(f"the manifest has more than {MAX_VALUES} JSON values")
    try:
        # Given bytes, Python's parser would also take UTF-16; and it takes NaN for a number.
        return _PUSHED.decode(content.decode("utf-8"))
    except RecursionError:
        raise ManifestInvalidError("the manifest is nested too deeply") from None
    except ValueError as error:
        raise ManifestInvalidError("the manifest is not valid JSON", str(error)) from None


def decode_stored(content: bytes) -> Any:
    """Return what is stored as JSON, as Go reads it, with objects as Object.

    What is nested more deeply than anything in a manifest that has a meaning is null, and what is not UTF-8 is U+FFFD.

    Raises:
        ManifestInvalidError: it is not JSON.
    """
    try:
        return _decode_any_depth(_text(content))
    except ValueError as error:
        raise ManifestInvalidError("the manifest is not valid JSON", str(error)) from None


def has_more_values(content: bytes, limit: int) -> bool:
    """Tell whether there are more than `limit` values in what may be JSON; it is not read for that."""
    if len(content) <= limit or most_values(content) <= limit:
        return False
    # Text may have commas and brackets in it. Without its escapes, every second quote begins a string; two quotes that
    # have none of the marks between them may go.
    unescaped = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = unescaped.translate(None, _NO_MARKS).replace(b'""', b"")
    count = is_text = 0
    for start in range(0, len(marks), _PIECE):
        pieces = marks[start : start + _PIECE].split(b'"')
        count += most_values(b"".join(pieces[is_text::2]))
        is_text = (is_text + len(pieces) - 1) % 2
    return count > limit


def most_values(content: bytes) -> int:
    """Return a number that is not less than that of the values: each one comes after one of these."""
    return content.count(b",") + content.count(b"[") + content.count(b"{")


def spelling(key: str) -> str:
    """Return what is equal for two keys that Go takes for one.

    Go folds by Unicode's simple folding; beyond ASCII that concerns two letters, U+212A (Kelvin) and U+017F (long s).
    """
    return key.lower().replace("\u017f", "s")


def members(value: dict[str, Any], names: Names, where: str) -> dict[str, Any]:
    """Return the members of a pushed object that Go takes for those called `names`, under these names.

    `where` is what messages call the object.

    Raises:
        ManifestInvalidError: several keys are the same name to Go.
    """
    if isinstance(value, Ambiguous):
        refuse_repeated([key for key in value.repeated if names.find(key)], where)
    if value.keys() <= names.exact:
        return value
    found: dict[str, Any] = {}
    for key, member in value.items():
        name = names.find(key)
        if name in found:
            refuse_repeated([name], where)
        elif name:
            found[name] = member
    return found


def refuse_repeated(keys: list[str], where: str) -> None:
    """Return if no key is repeated in the object that messages call `where`.

    Raises:
        ManifestInvalidError: `keys` are.
    """
    if keys:
        raise ManifestInvalidError(f"{where} has the key {keys[0][:64]} more than once; case makes no difference")


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        # Go replaces each byte. Python's "replace" takes several that begin a character for one.
        return _NOT_UTF_8.sub("\ufffd", content.decode("utf-8", "surrogateescape"))


def _decode_any_depth(text: str) -> Any:
    try:
        return _STORED.decode(text)
    except RecursionError:
        return _STORED.decode(_shallow(text))


def _shallow(text: str) -> str:
    """Return `text` with null in place of each list and object that is nested more than _MAX_DEPTH deep.

    Raises:
        ValueError: it is not JSON.
    """
    kept: list[str] = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == _MAX_DEPTH + 1:
                kept += (text[start : token.start()], "null")
        elif mark in "]}":
            if depth == _MAX_DEPTH + 1:
                start = token.end()
            depth -= 1
    if depth:
        raise ValueError("a list or an object does not end")
    return "".join(kept) + text[start:]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Ambiguous(pairs)


def _integer(digits: str) -> float:
    """Return an integer; one that no field of a manifest can hold is infinite: thousands of digits take int() long."""
    return int(digits) if len(digits) <= _INTEGER_DIGITS else math.inf


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


_PUSHED = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
_STORED = json.JSONDecoder(object_pairs_hook=Object, parse_constant=_refuse_constant, parse_int=_integer)
