"""An entry of the journal: what has changed, who asked for it, and who is to be given it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PUSH: Final = "push"
PULL: Final = "pull"
MOUNT: Final = "mount"
DELETE: Final = "delete"

MANIFEST: Final = "manifest"
BLOB: Final = "blob"
TAG: Final = "tag"
REPOSITORY: Final = "repository"


class EntryError(ValueError):
    """A record of the journal is not an entry; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks for a change, and how.

    `actor` is the user, "" for an anonymous caller, or "registry" where the registry itself does it. `claimed_user` is
    a name that nobody has verified. `client` is the address that a client cannot choose, `claimed` the one that its
    proxies tell, trusted or not, as the Go registry names it in events. `base_url` is what URLs of this registry begin
    with, as the caller is told.
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
    descriptors in a manifest, as they stand there. `source` is the repository that a blob was mounted from. `previous`
    is where each of `tags` pointed before, "" if nowhere; a tag that is not in it was not looked at. `details` are for
    the audit log alone. `consumers` are the names of those who wanted it when it happened.
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
        content = {name: value for name, value in _shallow(self).items() if value}
        for name in ("origin", "instance"):
            if name in content:
                content[name] = {key: value for key, value in asdict(content[name]).items() if value}
        return json.dumps(content, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Return the entry that `line` is; members that a later version has added are passed over.

        Raises:
            EntryError: it is none.
        """
        try:
            content = json.loads(line)
            known = {name: value for name, value in content.items() if name in _NAMES}
            for name, kind in (("origin", Origin), ("instance", Instance)):
                inner = {each.name for each in fields(kind)}
                known[name] = kind(**{key: value for key, value in known.get(name, {}).items() if key in inner})
            return cls(**known)
        except (ValueError, TypeError, AttributeError) as error:
            raise EntryError(f"not an entry: {error}") from error


_NAMES: Final = frozenset(each.name for each in fields(Entry))


def _shallow(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _NAMES}
