"""What an object of the tree is, told by its path: the inverse of registry.storage.paths, for walks over a tree."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from registry.oci.digest import ALGORITHMS, Digest
from registry.storage import paths
from registry.storage.names import is_hex, is_repository, is_tag

if TYPE_CHECKING:
    from registry.storage.names import IsName


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


class Known(NamedTuple):
    """What is kept beside what was fetched: of `tag`, or of the manifest `digest`; the other one is "" or None."""

    repository: str
    tag: str = ""
    digest: Digest | None = None


class _Digests(NamedTuple):
    """A directory in which each name is the hex of a digest that begins with `prefix`, a directory with one `leaf`."""

    leaf: str
    algorithm: str
    is_hex: IsName
    kind: Kind
    prefix: str = ""
    repository: str = ""
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

_in_blobs: Final = re.compile(rf"{paths.BLOBS}/({'|'.join(ALGORITHMS)})/([0-9a-f]{{2}})").fullmatch
_in_links: Final = re.compile(rf"({'|'.join(map(re.escape, _LINKS))})|{paths.TAGS}/([^/]+)/index").fullmatch
_is_tag_link: Final = re.compile(rf"{paths.TAGS}/([^/]+)/current/{paths.LINK}").fullmatch
_DIGEST: Final = "|".join(f"{name}/[0-9a-f]{{{length}}}" for name, length in ALGORITHMS.items())
_KNOWN: Final = re.compile(rf"{paths.PROXY}/(?:tags/([^/]+)|manifests/({_DIGEST}))").fullmatch
_is_repository: Final = lru_cache(maxsize=64)(is_repository)
"""Those of one repository lie together in most walks."""


def part_at(path: str) -> Part | None:
    """Return what the object at `path` is; None if it is nothing that a garbage collection works on.

    That is what registry.storage.enumeration names, and condemned links. The link of a tag may be malformed.
    """
    above, _, leaf = path.rpartition("/")
    directory, _, encoded = above.rpartition("/")
    digests = _digests_in(directory)
    if digests is None:
        return _tag_at(path)
    if leaf != digests.leaf or not digests.is_hex(encoded) or not encoded.startswith(digests.prefix):
        return None
    return Part(digests.kind, digests.repository, Digest(digests.algorithm, encoded), digests.tag)


def known_at(path: str) -> Known | None:
    """Return what the object at `path` is kept of, if that was fetched; None if the object is something else."""
    name, part = _split(path)
    found = _KNOWN(part)
    if not found:
        return None
    tag, digest = found.groups()
    if digest:
        algorithm, _, encoded = digest.partition("/")
        return Known(name, digest=Digest(algorithm, encoded))
    return Known(name, tag) if is_tag(tag) else None


def leaf_in(path: str) -> str:
    """Return the name of the only object that each directory in `path` has, "" where it may have others.

    This is for StorageDriver.walk() where part_at() is asked of what the walk finds.
    """
    digests = _digests_in(path)
    return digests.leaf if digests else ""


@lru_cache(maxsize=64)  # a walk asks for each object of a registry, and those of one directory lie together
def _digests_in(directory: str) -> _Digests | None:
    """Return what the names in `directory` are, None if they are not digests."""
    above, _, algorithm = directory.rpartition("/")
    if algorithm not in ALGORITHMS:
        found = _in_blobs(directory)
        return _Digests(paths.DATA, found[1], is_hex(found[1]), Kind.BLOB, found[2]) if found else None
    name, part = _split(above)
    found = _in_links(part)
    if not found:
        return None
    links, tag = found.groups()
    if links:
        return _Digests(paths.LINK, algorithm, is_hex(algorithm), _LINKS[links], repository=name)
    if is_tag(tag):
        return _Digests(paths.LINK, algorithm, is_hex(algorithm), Kind.HISTORY, repository=name, tag=tag)
    return None


def _tag_at(path: str) -> Part | None:
    name, part = _split(path)
    found = _is_tag_link(part)
    return Part(Kind.TAG, name, None, found[1]) if found and is_tag(found[1]) else None


def _split(path: str) -> tuple[str, str]:
    """Return the repository to which `path` belongs, and what follows its name; "" and "" if it belongs to none."""
    if not path.startswith(_REPOSITORIES):
        return "", ""
    name, _, rest = path[len(_REPOSITORIES) :].partition(_SEPARATOR)
    return (name, f"_{rest}") if _is_repository(name) else ("", "")
