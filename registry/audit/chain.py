"""Lines of the audit log: JSON, each with a hash over itself and the hash of the line before.

A line ends with its hash, and what is hashed is that of the line before, a line feed and the line without its own. So
who knows the hash of one line knows whether it and all lines before are what they were.

Behind the last line of a segment is a mark that says where the journal was read to. It has a hash as a line has, but no
line follows it: it is written anew with each line that is added.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGINNING: Final = "0" * 64
"""Stands for the hash of the line before the first one."""

_HASH: Final = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_POSITION: Final = "journal"
_HASH_BYTES: Final = len(b',"hash":""}') + 64
_REQUIRED: Final = ("seq", "time", "action")
_NUMBERS: Final = frozenset({"seq", "size", "count", "status"})
_LISTS: Final = frozenset({"tags"})
_OBJECTS: Final = frozenset({"previous", "details", "after"})


class Link(NamedTuple):
    """A line as it is stored, without the line feed, and its hash in hex."""

    line: bytes
    hash: str


class MalformedLineError(ValueError):
    """It is not a line of an audit log; the text says why."""


class Line(NamedTuple):
    """A line as it was read: what it records, the hash that it states, and its bytes without the line feed.

    Each member of a record is of the type that docs/audit.md says, and it has a number, a time and an action.
    """

    record: Mapping[str, Any]
    hash: str
    line: bytes

    @property
    def seq(self) -> int:
        """Its number; the first line has 1."""
        seq: int = self.record["seq"]
        return seq

    def follows(self, previous: str) -> bool:
        """Tell whether the hash of this line is right where that of the line before is `previous`."""
        return _hash(previous, _body(self.line)) == self.hash


def link(previous: str, record: Mapping[str, Any]) -> Link:
    """Return the line of `record`, which follows that with the hash `previous`."""
    body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    digest = _hash(previous, body)
    return Link(body[:-1] + f',"hash":"{digest}"}}'.encode(), digest)


def mark(previous: str, position: str) -> bytes:
    """Return the mark behind the line with the hash `previous`, without its line feed."""
    return link(previous, {_POSITION: position}).line


def read_mark(line: bytes, previous: str) -> str:
    """Return the position that is marked behind the line with the hash `previous`.

    Raises:
        MalformedLineError: it is not the mark of that line.
    """
    content = _content(line)
    position = content.record.get(_POSITION)
    if not isinstance(position, str) or "seq" in content.record:
        raise MalformedLineError("is not the mark at the end of a segment")
    if not content.follows(previous):
        raise MalformedLineError("is not the mark of the line before")
    return position


def read(line: bytes) -> Line:
    """Return what a line says, without its line feed; whether its hash is right is not looked at.

    Raises:
        MalformedLineError: it has no hash, is not JSON, or no record of the form that is written.
    """
    content = _content(line)
    for name in _REQUIRED:
        if name not in content.record:
            raise MalformedLineError(f"has no {name}")
    for name, value in content.record.items():
        if not _is_right(name, value):
            raise MalformedLineError("has a member of a type that is not written")
    return content


def _content(line: bytes) -> Line:
    stated = _HASH.fullmatch(line[-_HASH_BYTES:])
    if not stated:
        raise MalformedLineError("does not end with a hash")
    try:
        record = json.loads(_body(line))
    except (ValueError, RecursionError) as error:
        raise MalformedLineError("is not JSON") from error
    if not isinstance(record, dict):
        raise MalformedLineError("is not an object")
    return Line(record, stated[1].decode(), line)


def _is_right(name: str, value: object) -> bool:
    if name in _NUMBERS:
        return type(value) is int
    if name in _LISTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if name in _OBJECTS:
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    return isinstance(value, str)


def _body(line: bytes) -> bytes:
    """Return what a line was before its hash was added."""
    return line[:-_HASH_BYTES] + b"}"


def _hash(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode() + b"\n" + body).hexdigest()
