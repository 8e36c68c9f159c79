"""A change that clients can see, as it is told of at the moment when it is durable and not answered yet."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from registry.oci.digest import Digest
    from registry.oci.manifest import Manifest


_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})


class Change(NamedTuple):
    """See registry.journal.entry.Entry, whose names these are."""

    action: str
    kind: str
    repository: str
    digest: Digest | None = None
    tags: Sequence[str] = ()
    media_type: str = ""
    size: int = 0
    source: str = ""
    manifest: Manifest | None = None
    previous: Mapping[str, str] = _NOWHERE
