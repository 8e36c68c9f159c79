"""An entry of the journal: what has changed, who asked for it, and who is to be given it."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar

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

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_Kind = TypeVar("_Kind")
_Part = TypeVar("_Part", "Origin", "Instance")


class EntryError(ValueError):
    """A record of the journal is not an entry; the text says why in one line."""


class Origin(NamedTuple):
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


class Instance(NamedTuple):
    """The process that has made an entry: ``host:port``, and a UUID that is new at each start."""

    addr: str = ""
    id: str = ""


class Entry(NamedTuple):
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
    previous: Mapping[str, str] = _NOTHING
    details: Mapping[str, str] = _NOTHING
    origin: Origin = Origin()
    instance: Instance = Instance()

    def encode(self) -> bytes:
        """Return the entry as a line of JSON, without what is empty."""
        content: dict[str, Any] = _members(self)
        for name in _PARTS:
            said = _members(content.pop(name))
            if said:
                content[name] = said
        # As text of a client may have half of a surrogate pair, which json.loads() takes in bytes, too.
        return "".join(_pieces(content, 0)).encode("utf-8", "surrogatepass")

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Return the entry that `line` is; members that a later version has added are passed over.

        Raises:
            EntryError: it is not an entry.
        """
        try:
            content = json.loads(line.decode("utf-8", "surrogatepass"))
            return cls(**{name: read(content[name]) for name, read in _READERS.items() if name in content})
        except (ValueError, TypeError, RecursionError) as error:
            raise EntryError(f"not an entry: {error}") from error


def _members(part: Entry | Origin | Instance) -> dict[str, Any]:
    return {name: value for name, value in zip(part._fields, part, strict=True) if value}


def _text(value: object) -> str:
    return value if isinstance(value, str) else _of(value, str)


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
    known = frozenset(members)

    def read(value: object) -> _Part:
        texts = {name: each for name, each in _of(value, dict).items() if name in known}
        if not _TEXT.issuperset(map(type, texts.values())):  # a call for each of them would take longer than the rest
            texts = {name: _text(each) for name, each in texts.items()}
        return kind(**texts)

    return read


def _of(value: object, kind: type[_Kind]) -> _Kind:
    if not isinstance(value, kind):
        raise TypeError(f"{str(value)[:_LONGEST]!r} is not of the type {kind.__name__}")
    return value


_LONGEST: Final = 40
_TEXT: Final = frozenset({str})
_PARTS: Final = {"origin": Origin._fields, "instance": Instance._fields}
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
_pieces: Final = json.encoder.c_make_encoder(  # type: ignore[attr-defined]  # typeshed does not have it
    *(None, None, json.encoder.encode_basestring),  # marks of what was met, other types, texts
    *(None, ":", ","),  # indentation, separators
    *(False, False, True),  # sorting, skipping, NaN
)
"""What json.JSONEncoder(separators=(",", ":"), ensure_ascii=False) makes anew at each call: it saves 4 us of 18."""
