"""The index as a consumer of the journal: it wants to know which tags and repositories have changed.

Each host has an index, and each reads all that is addressed to this one name. Where it stands is in the index itself:
no cursor in the storage waits for a host that is gone. What was trimmed before it was read, a scan finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.journal.entry import DELETE, MANIFEST, PUSH, REPOSITORY, TAG

if TYPE_CHECKING:
    from registry.config.ui import UI
    from registry.journal.change import Change

NAME: Final = "index\0"
"""What entries for the index are addressed to. No endpoint can be called so: a configuration holds no NUL."""
_WANTED: Final = frozenset({(PUSH, MANIFEST), (DELETE, MANIFEST), (DELETE, TAG), (DELETE, REPOSITORY)})


class IndexConsumer:
    """Wants what changes tags or repositories, and of that what it is about: the rest it looks up in the storage."""

    name = NAME
    wants_references = False
    wants_previous = False

    def wants(self, change: Change) -> bool:
        """Tell whether a tag or a repository has come, gone or changed."""
        return (change.action, change.kind) in _WANTED


def consumers(section: UI) -> list[IndexConsumer]:
    """Return the index, if there is one."""
    return [IndexConsumer()] if section.enabled and section.index.directory else []
