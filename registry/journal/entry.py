"""An entry of the journal: what has changed, who asked for it, and who is to be given it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PUSH: Final = "push"
PULL: Final = "pull"
MOUNT: Final = "mount"
DELETE: Final = "delete"

MANIFEST: Final = "manifest"
BLOB: Final = "blob"
TAG: Final = "tag"
REPOSITORY: Final = "repository"

_Kind = TypeVar("_Kind")
_Part = TypeVar("_Part", "Origin", "Instance")


class EntryError(ValueError):
    """A record of the journal is not an entry; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks for a change, and how.

    `actor` is the user, "" for an anonymous caller, or "registry" where the registry itself does it. `claimed_user` is
    a name that nobody has verified. `client` is the address that a client cannot choose, `claimed` the one that the Go
    registry names in events: what its proxies tell, trusted or not, or else its own with the port. `base_url` is what
    URLs of this registry begin with, as the caller is told.
    """

    actor: str = ""
    claimed_user: str = ""
    client: str = ""
    claimed: str = ""
    host: str = ""
    method: str = ""
    user_agent: str = ""
    request_id: str = ""
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """The process that has made an entry: ``host:port``, and a UUID that is new at each start."""

    addr: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What has happened.

    `action` is one of the above, or one that only the audit log knows; `kind` says to what. `digest` is that of the
    manifest or blob; `tags` are those that were moved to it, or went with it; `size` is in bytes. `references` are the
    descriptors in a manifest, as references_of() has them. `source` is the repository that a blob was mounted from.
    `previous` is where each of `tags` pointed before, "" if nowhere; a tag that is not in it was not looked at.
    `details` are for the audit log alone. `consumers` are the names of those who wanted it when it happened.
    """

    id: str
    action: str
    kind: str
    consumers: Sequence[str] = ()
    repository: str = ""
    digest: str = ""
    tags: Sequence[str] = ()
    media_type: str = ""
    size: int = 0
    references: Sequence[Mapping[str, Any]] = ()
    source: str = ""
    previous: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = Origin()
    instance: Instance = Instance()

    def encode(self) -> bytes:
        """Return the entry as a line of JSON, without what is empty."""
        content = {name: value for name in _READERS if (value := getattr(self, name))}
        for name, members in _PARTS.items():
            part = content.pop(name)
            said = {member: value for member in members if (value := getattr(part, member))}
            if said:
                content[name] = said
        # As text of a client may have half of a surrogate pair, which json.loads() takes in bytes, too.
        return _encode(content).encode("utf-8", "surrogatepass")

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Return the entry that `line` is; members that a later version has added are passed over.

        Raises:
            EntryError: it is not an entry.
        """
        try:
            content = json.loads(line)
            return cls(**{name: read(content[name]) for name, read in _READERS.items() if name in content})
        except (ValueError, TypeError, RecursionError) as error:
            raise EntryError(f"not an entry: {error}") from error


def _text(value: object) -> str:
    return _of(value, str)


def _size(value: object) -> int:
    return _of(value, int)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, _of(value, list)))


def _objects(value: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(_of(each, dict) for each in _of(value, list))


def _texts_by_name(value: object) -> Mapping[str, str]:
    return {name: _text(each) for name, each in _of(value, dict).items()}


def _part(kind: type[_Part], members: Sequence[str]) -> Callable[[object], _Part]:
    """Return what reads an object whose members are text."""
    return lambda value: kind(**{name: _text(each) for name, each in _of(value, dict).items() if name in members})


def _of(value: object, kind: type[_Kind]) -> _Kind:
    if not isinstance(value, kind):
        raise TypeError(f"{str(value)[:_LONGEST]!r} is not of the type {kind.__name__}")
    return value


_LONGEST: Final = 40
_PARTS: Final = {
    name: tuple(each.name for each in fields(kind)) for name, kind in (("origin", Origin), ("instance", Instance))
}
_READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    "id": _text,
    "action": _text,
    "kind": _text,
    "consumers": _texts,
    "repository": _text,
    "digest": _text,
    "tags": _texts,
    "media_type": _text,
    "size": _size,
    "references": _objects,
    "source": _text,
    "previous": _texts_by_name,
    "details": _texts_by_name,
    "origin": _part(Origin, _PARTS["origin"]),
    "instance": _part(Instance, _PARTS["instance"]),
}
"""The members of an entry, as they stand in a line, and what reads each of them."""
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
