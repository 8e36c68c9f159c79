"""Links: one small object per fact, holding a digest.

An empty or malformed link reads as absent, so that the next push of the same thing repairs what a crash or
a full disk has left of another registry's link.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.base import ObjectTooLargeError, PathNotFoundError
from registry.oci.digest import Digest
from registry.oci.errors import DigestInvalidError
from registry.storage import paths
from registry.storage.parts import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from drivers.base import Found, StorageDriver

_LIMIT = 512
_log = logging.getLogger(__name__)


def read_link(driver: StorageDriver, path: str) -> Digest | None:
    """Return the digest that the link at `path` holds, or None if there is no such link."""
    try:
        content = driver.get(path, limit=_LIMIT)
    except PathNotFoundError:
        return None
    except ObjectTooLargeError:
        content = b""
    return _target(path, content)


def read_links(driver: StorageDriver, link_paths: Sequence[str]) -> Iterator[Digest | None]:
    """Yield of each path what read_link() returns; closed early, it reads no more of them."""
    for path, content in zip(link_paths, driver.get_each(link_paths, limit=_LIMIT), strict=True):
        yield None if content is None else _target(path, content)


def target_of(content: bytes) -> Digest | None:
    """Return the digest that a link of this content holds; None if it is malformed."""
    try:
        return Digest.parse(content.decode("ascii"))
    except (DigestInvalidError, UnicodeDecodeError):
        return None


def _target(path: str, content: bytes) -> Digest | None:
    target = target_of(content)
    if target is None:
        _log.warning("the link %s is malformed; it counts as absent until it is pushed again", path)
    return target


def write_link(driver: StorageDriver, path: str, target: Digest) -> None:
    """Create or replace the link at `path`."""
    driver.put(*link(path, target))


def revive_link(driver: StorageDriver, condemned_path: str, path: str, since: Callable[[], float]) -> None:
    """Let the link at `path` be what a garbage collection has condemned and moved to `condemned_path`.

    Nothing is done where there is no such link, or where it was condemned before the time that `since` returns: the
    bytes may be going at this very moment. It is live, condemned or both if this breaks off.
    """
    try:
        condemned = driver.stat(condemned_path).modified
    except PathNotFoundError:
        return
    target = read_link(driver, condemned_path) if condemned >= since() else None
    if target:
        write_link(driver, path, target)
        with suppress(PathNotFoundError):
            driver.delete(condemned_path)


@dataclass(frozen=True, slots=True)
class FoundLink:
    """A link to a layer or a manifest of a repository, `kind`, that lies where `found` says and holds `target`."""

    kind: Kind
    digest: Digest
    found: Found
    target: Digest

    def condemned(self, repository: str) -> str:
        """Return where it lies when it was condemned in the repository called so, which is its own."""
        where = paths.condemned_revision_link if self.kind is Kind.REVISION else paths.condemned_layer_link
        return where(repository, self.digest)


def condemn_links(
    driver: StorageDriver,
    repository: str,
    links: Sequence[FoundLink],
    guarded: Callable[[Iterable[Found]], Iterable[Found]] = iter,
) -> list[bool]:
    """Move a repository's links to where a push still finds them and no reader does; tell of each whether it was moved.

    One that is not any more as it was found stays. Links are copied, and then each original is deleted that is the one
    that was found; `guarded` gives them one by one. A user who deletes one deletes the original and then its copy,
    which would else bring it back. Who does so before the original is looked at may have come before the copy: then it
    is deleted here.
    """
    condemned = [each.condemned(repository) for each in links]
    driver.put_in_order([link(path, each.target) for path, each in zip(condemned, links, strict=True)])
    contents = driver.get_each([each.found.path for each in links], limit=_LIMIT)
    standing = [content == str(each.target).encode() for each, content in zip(links, contents, strict=True)]
    originals = (each.found for each, stands in zip(links, standing, strict=True) if stands)
    changed = set(driver.discard(guarded(originals)))
    moved = [stands and each.found.path not in changed for each, stands in zip(links, standing, strict=True)]
    for path, is_moved in zip(condemned, moved, strict=True):
        if not is_moved:
            with suppress(PathNotFoundError):
                driver.delete(path)
    return moved


def link(path: str, target: Digest) -> tuple[str, bytes]:
    """Return the link at `path` as an object: its path and its content."""
    return path, str(target).encode("ascii")
