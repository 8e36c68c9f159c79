"""What an object of the tree is, told by its path: the inverse of registry.storage.paths, for walks over a tree."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.oci.digest import ALGORITHMS, Digest
from registry.storage import paths
from registry.storage.names import is_hex, is_repository, is_tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Kind(StrEnum):
    """What an object is: the bytes of a blob, or a link."""

    BLOB = "blob"
    LAYER = "layer"
    REVISION = "revision"
    TAG = "tag"
    HISTORY = "history"
    CONDEMNED_LAYER = "condemned layer"
    CONDEMNED_REVISION = "condemned revision"


class Part(NamedTuple):
    """An object: `repository` is "" for a blob, `digest` is None for the link of a tag, `tag` "" but for its links."""

    kind: Kind
    repository: str = ""
    digest: Digest | None = None
    tag: str = ""


_BLOBS: Final = paths.below(paths.BLOBS, "")
_REPOSITORIES: Final = paths.below(paths.REPOSITORIES, "")
_SEPARATOR: Final = "/_"
"""What is between a repository's name, no component of which begins with an underscore, and its parts."""
_TAGS: Final = tuple(paths.TAGS.split("/"))
_CURRENT: Final = ("current", paths.LINK)
_INDEX: Final = "index"
_LINKS: Final[Mapping[tuple[str, ...], Kind]] = {
    tuple(paths.LAYERS.split("/")): Kind.LAYER,
    tuple(paths.REVISIONS.split("/")): Kind.REVISION,
    (paths.CONDEMNED, *paths.LAYERS.split("/")): Kind.CONDEMNED_LAYER,
    (paths.CONDEMNED, *paths.REVISIONS.split("/")): Kind.CONDEMNED_REVISION,
}


def part_at(path: str) -> Part | None:
    """Return what the object at `path` is; None if it is nothing that a garbage collection works on.

    That is what registry.storage.enumeration names, and condemned links. The link of a tag may be malformed.
    """
    if path.startswith(_BLOBS):
        return _blob(path[len(_BLOBS) :].split("/"))
    if not path.startswith(_REPOSITORIES):
        return None
    name, _, rest = path[len(_REPOSITORIES) :].partition(_SEPARATOR)
    return _link(name, f"_{rest}".split("/")) if rest and is_repository(name) else None


def _blob(components: Sequence[str]) -> Part | None:
    if len(components) != 4 or components[3] != "data":  # noqa: PLR2004 - algorithm, prefix, hex and data
        return None
    algorithm, prefix, encoded, _ = components
    digest = _digest(algorithm, encoded)
    return Part(Kind.BLOB, "", digest) if digest and encoded.startswith(prefix) and len(prefix) == 2 else None  # noqa: PLR2004 - digits


def _link(name: str, components: Sequence[str]) -> Part | None:
    *above, algorithm, encoded, last = components if len(components) > 2 else ("", "", "")  # noqa: PLR2004 - unpacked
    if last != paths.LINK:
        return None
    kind = _LINKS.get(tuple(above))
    if kind:
        digest = _digest(algorithm, encoded)
        return Part(kind, name, digest) if digest else None
    if tuple(components[:2]) != _TAGS or not is_tag(tag := components[2]):
        return None
    if tuple(components[3:]) == _CURRENT:
        return Part(Kind.TAG, name, None, tag)
    if len(above) == 4 and above[3] == _INDEX and (digest := _digest(algorithm, encoded)):  # noqa: PLR2004 - the tag's
        return Part(Kind.HISTORY, name, digest, tag)
    return None


def _digest(algorithm: str, encoded: str) -> Digest | None:
    return Digest(algorithm, encoded) if algorithm in ALGORITHMS and is_hex(algorithm)(encoded) else None
