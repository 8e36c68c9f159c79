"""Tags that somebody has pushed to, or deleted from, a repository that caches one of an upstream.

A tag without a state (registry.proxy.freshness) was pushed here and never came from the upstream. One that was cached
before it was pushed has a state that says so, and to which manifest: somebody who moves the tag at the same time,
because the upstream has, may have done so between the push and that. Whoever of the two comes last sees the other.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from registry.oci.errors import ManifestUnknownError
from registry.ports import ChangedError
from registry.proxy.freshness import TagState

if TYPE_CHECKING:
    from registry.oci.digest import Digest
    from registry.oci.reference import Tag
    from registry.ports import Repository
    from registry.proxy.freshness import Freshness


def note_pushed(freshness: Freshness, local: Repository, tag: Tag, digest: Digest) -> None:
    """Let `tag` of `local`, which a push has just let point to `digest`, be one that was pushed."""
    states, pushed = freshness.states, TagState(digest, freshness.clock(), pushed=True)
    while former := states.read(local.name, tag):
        if states.replace(local.name, tag, pushed, former):
            break
    if former and former.digest != digest and not former.pushed:
        restore_pushed(local, tag, digest, moved_to=former.digest)


def restore_pushed(local: Repository, tag: Tag, digest: Digest, *, moved_to: Digest) -> None:
    """Let `tag` point to `digest`, which was pushed, if it was moved at the same time to what the upstream had."""
    with suppress(ChangedError):
        local.tags.move(tag, digest, moved_to)


def forget_deleted(freshness: Freshness, local: Repository, tag: Tag) -> None:
    """Forget what is known of `tag`, which was deleted, unless somebody makes it anew at this moment."""
    state = freshness.states.read(local.name, tag)
    if state is None:
        return
    try:
        local.tags.resolve(tag)
    except ManifestUnknownError:
        freshness.states.forget(local.name, tag, state)
