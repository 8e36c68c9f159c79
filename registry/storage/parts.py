"""What an object of the tree is, told by its path: the inverse of registry.storage.paths, for walks over a tree."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from registry.oci.digest import ALGORITHMS, Digest
from registry.storage import paths
from registry.storage.names import is_repository, is_tag


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


_LINKS: Final = {
    paths.LAYERS: Kind.LAYER,
    paths.REVISIONS: Kind.REVISION,
    paths.below(paths.CONDEMNED, paths.LAYERS): Kind.CONDEMNED_LAYER,
    paths.below(paths.CONDEMNED, paths.REVISIONS): Kind.CONDEMNED_REVISION,
}
_REPOSITORIES: Final = paths.below(paths.REPOSITORIES, "")
_SEPARATOR: Final = "/_"
"""What is between a repository's name, no component of which begins with an underscore, and its parts."""

# One expression for a path, because a walk asks for each object of a registry.
_DIGEST: Final = "|".join(f"{name}/[0-9a-f]{{{length}}}" for name, length in ALGORITHMS.items())
_BLOB: Final = re.compile(rf"{paths.BLOBS}/([a-z0-9]+)/([0-9a-f]{{2}})/(\2[0-9a-f]+)/data").fullmatch
_LINK: Final = re.compile(
    rf"(?:({'|'.join(map(re.escape, _LINKS))})|{paths.TAGS}/([^/]+)/index)/({_DIGEST})/{paths.LINK}"
    rf"|{paths.TAGS}/([^/]+)/current/{paths.LINK}"
).fullmatch
_is_repository: Final = lru_cache(maxsize=64)(is_repository)
"""Those of one repository lie together in most walks."""


def part_at(path: str) -> Part | None:
    """Return what the object at `path` is; None if it is nothing that a garbage collection works on.

    That is what registry.storage.enumeration names, and condemned links. The link of a tag may be malformed.
    """
    if path.startswith(_REPOSITORIES):
        name, _, rest = path[len(_REPOSITORIES) :].partition(_SEPARATOR)
        found = _LINK(f"_{rest}")
        return _link(name, *found.groups()) if found and _is_repository(name) else None
    found = _BLOB(path)
    if found and len(found[3]) == ALGORITHMS.get(found[1]):
        return Part(Kind.BLOB, "", Digest(found[1], found[3]))
    return None


class Known(NamedTuple):
    """What is kept beside what was fetched: of `tag`, or of the manifest `digest`; the other one is "" or None."""

    repository: str
    tag: str = ""
    digest: Digest | None = None


_KNOWN: Final = re.compile(rf"{paths.PROXY}/(?:tags/([^/]+)|manifests/({_DIGEST}))").fullmatch


def known_at(path: str) -> Known | None:
    """Return what the object at `path` is kept of, if that was fetched; None if the object is something else."""
    if not path.startswith(_REPOSITORIES):
        return None
    name, _, rest = path[len(_REPOSITORIES) :].partition(_SEPARATOR)
    found = _KNOWN(f"_{rest}")
    if not found or not _is_repository(name):
        return None
    tag, digest = found.groups()
    if digest:
        algorithm, _, encoded = digest.partition("/")
        return Known(name, digest=Digest(algorithm, encoded))
    return Known(name, tag) if is_tag(tag) else None


def _link(name: str, links: str | None, past: str | None, digest: str | None, tag: str | None) -> Part | None:
    if digest is None:
        return Part(Kind.TAG, name, None, tag) if tag and is_tag(tag) else None
    algorithm, _, encoded = digest.partition("/")
    if links:
        return Part(_LINKS[links], name, Digest(algorithm, encoded))
    return Part(Kind.HISTORY, name, Digest(algorithm, encoded), past) if past and is_tag(past) else None
